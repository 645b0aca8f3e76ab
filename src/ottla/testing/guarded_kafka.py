"""An Apache Kafka that asks who one is: a second listener with SASL, access rules, tokens.

with GuardedKafka({"alice": "secret"}) as kafka:
    AdminClient(kafka.settings("alice", "secret"))
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ottla.testing.apache_kafka import QUICK_START_FLAGS, ApacheKafka, free_port

_PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule required"
_SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule required;"


class GuardedKafka(ApacheKafka):
    """A single node with two listeners.

    Over the first (``bootstrap_servers``) everybody may do everything. Over the second
    (``guarded_servers``) one has to log in, and may do what access rules allow, ``root`` anything.

    Args:
        passwords: of users who log in with SASL/PLAIN; those with SCRAM credentials may, too.
        settings: entries of ``server.properties`` that override ours.
    """

    def __init__(
        self, passwords: Mapping[str, str], *, settings: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(settings=settings, heap="400m", jvm_flags=QUICK_START_FLAGS)
        self._guarded_port = free_port()
        self._passwords = passwords

    @property
    def guarded_servers(self) -> str:
        """``host:port`` of the second listener."""
        return f"{self.host}:{self._guarded_port}"

    def settings(self, user: str, password: str, mechanism: str = "PLAIN") -> dict[str, Any]:
        """What a client is configured with to log in as this user."""
        return {
            "bootstrap.servers": self.guarded_servers,
            "security.protocol": "sasl_plaintext",
            "sasl.mechanism": mechanism,
            "sasl.username": user,
            "sasl.password": password,
        }

    def _default_settings(self) -> dict[str, str]:
        settings = super()._default_settings()
        guarded = f"GUARDED://{self.guarded_servers}"
        protocols = settings["listener.security.protocol.map"]
        login = "listener.name.guarded"
        users = " ".join(f'user_{user}="{word}"' for user, word in self._passwords.items())
        return {
            **settings,
            "listeners": f"{guarded},{settings['listeners']}",
            "advertised.listeners": f"{guarded},{settings['advertised.listeners']}",
            "listener.security.protocol.map": f"{protocols},GUARDED:SASL_PLAINTEXT",
            "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
            f"{login}.plain.sasl.jaas.config": f"{_PLAIN} {users};",
            f"{login}.scram-sha-256.sasl.jaas.config": _SCRAM,
            f"{login}.scram-sha-512.sasl.jaas.config": _SCRAM,
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS;User:root",
            "delegation.token.secret.key": "only for tests",
        }
