"""SASL GSSAPI's conversation, with a Kerberos that the test plays."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from ottla.client.configuration.build import configure_admin
from ottla.client.engine.authentication import _gssapi
from ottla.client.errors import KafkaException
from ottla.ports.net import Address


class GSSError(Exception):
    """What the package raises."""


class SecurityContext:
    """Complete after two tokens; what is wrapped is put into brackets."""

    def __init__(self, *, name: str, creds: object, usage: str) -> None:
        self.name, self.creds, self.usage = name, creds, usage
        self.steps: list[bytes | None] = []

    @property
    def complete(self) -> bool:
        return len(self.steps) == 2

    def step(self, challenge: bytes | None) -> bytes:
        if challenge == b"bad":
            raise GSSError("no such ticket")
        self.steps.append(challenge)
        return b"token%d" % len(self.steps)

    def unwrap(self, data: bytes) -> Any:
        return SimpleNamespace(message=data[1:-1])

    def wrap(self, data: bytes, is_encrypted: bool) -> Any:
        assert not is_encrypted
        return SimpleNamespace(message=b"[" + data + b"]")


@pytest.fixture
def kerberos(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    package: Any = ModuleType("gssapi")
    package.SecurityContext = SecurityContext
    package.Name = lambda name, kind: f"{kind}:{name}"
    package.NameType = SimpleNamespace(hostbased_service="service", kerberos_principal="user")
    package.Credentials = lambda **arguments: arguments
    package.exceptions = SimpleNamespace(GSSError=GSSError)
    monkeypatch.setitem(sys.modules, "gssapi", package)
    monkeypatch.delitem(sys.modules, "ottla.client.engine.kerberos", raising=False)
    yield
    sys.modules.pop("ottla.client.engine.kerberos", None)


def conversation(**settings: Any) -> Any:
    conf = {
        "security.protocol": "sasl_plaintext",
        "sasl.mechanism": "GSSAPI",
        "sasl.kerberos.principal": "anna@REALM",
        **{name.replace("_", "."): value for name, value in settings.items()},
    }
    make = _gssapi(configure_admin((conf,), {}))
    assert make is not None
    return make(Address("broker.example", 9092))


@pytest.mark.usefixtures("kerberos")
def test_the_conversation_ends_with_no_security_layer() -> None:
    talk = conversation()
    assert talk._context.name == "service:kafka@broker.example"
    assert talk.start() == b"token1"
    assert talk.answer(b"challenge") == b"token2"
    assert talk.answer(b"[\x07\0\x10\0]") == b"[\x01\0\0\0anna@REALM]"
    assert talk.answer(b"") is None


@pytest.mark.usefixtures("kerberos")
def test_a_key_table_stands_for_the_users_ticket() -> None:
    talk = conversation(sasl_kerberos_keytab="/etc/anna.keytab")
    assert talk._context.creds["store"] == {"client_keytab": "/etc/anna.keytab"}
    assert talk._context.creds["name"] == "user:anna@REALM"


@pytest.mark.usefixtures("kerberos")
@pytest.mark.parametrize("offer", [b"[\x06\0\0\0]", b"[]", b"[\x01]"])
def test_a_broker_that_insists_on_a_security_layer(offer: bytes) -> None:
    talk = conversation()
    talk.start()
    talk.answer(b"challenge")
    with pytest.raises(KafkaException, match="security layer"):
        talk.answer(offer)


@pytest.mark.usefixtures("kerberos")
def test_what_kerberos_refuses_is_said() -> None:
    talk = conversation()
    talk.start()
    with pytest.raises(KafkaException, match="no such ticket"):
        talk.answer(b"bad")


def test_without_the_package_it_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gssapi", None)
    monkeypatch.delitem(sys.modules, "ottla.client.engine.kerberos", raising=False)
    with pytest.raises(KafkaException, match="pip install"):
        conversation()
