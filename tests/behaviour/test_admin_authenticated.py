"""The admin client where one has to say who one is: credentials, rights, tokens (Apache only)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any, NamedTuple

import pytest

from ottla import AdminClient, KafkaError, KafkaException, TopicCollection
from ottla.admin import (
    AclBinding,
    AclOperation,
    KafkaPrincipal,
    NewTopic,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from ottla.aio import AdminClient as AsyncAdminClient
from ottla.testing.apache_kafka import QUICK_START_FLAGS, ApacheKafka, free_port
from ottla.testing.waiting import eventually

_PLAIN = (
    "org.apache.kafka.common.security.plain.PlainLoginModule required "
    'user_alice="alices" user_root="roots";'
)
_SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule required;"


class Guarded(NamedTuple):
    """A Kafka that lets anybody in without rights, over its other listener only users."""

    unguarded: str
    guarded: str

    def settings(self, user: str, password: str, mechanism: str = "PLAIN") -> dict[str, Any]:
        return {
            "bootstrap.servers": self.guarded, "security.protocol": "sasl_plaintext",
            "sasl.mechanism": mechanism, "sasl.username": user, "sasl.password": password,
            "log_level": 0, "error_cb": lambda error: None,
        }  # fmt: skip

    def client(self, user: str, password: str, mechanism: str = "PLAIN") -> AdminClient:
        return AdminClient(self.settings(user, password, mechanism))


@pytest.fixture(scope="module")
def kafka(target_name: str) -> Iterator[Guarded]:
    if target_name != "apache":
        pytest.skip("Ottla knows no users yet")
    running = ApacheKafka(heap="400m", jvm_flags=QUICK_START_FLAGS)
    plain, port = f"PLAINTEXT://127.0.0.1:{running.port}", free_port()
    guarded = f"GUARDED://127.0.0.1:{port}"
    running._settings.update(
        {
            "listeners": f"{plain},{guarded},CONTROLLER://127.0.0.1:{running._controller_port}",
            "advertised.listeners": f"{plain},{guarded}",
            "listener.security.protocol.map": (
                "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,GUARDED:SASL_PLAINTEXT"
            ),
            "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
            "listener.name.guarded.plain.sasl.jaas.config": _PLAIN,
            "listener.name.guarded.scram-sha-256.sasl.jaas.config": _SCRAM,
            "listener.name.guarded.scram-sha-512.sasl.jaas.config": _SCRAM,
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS;User:root",
            "delegation.token.secret.key": "only for this test",
        }
    )
    with running:
        yield Guarded(running.bootstrap_servers, f"127.0.0.1:{port}")


@pytest.fixture
def root(kafka: Guarded) -> Iterator[AdminClient]:
    with kafka.client("root", "roots") as client:
        yield client


def code_of(future: Future[Any]) -> str:
    error = future.exception(20)
    assert isinstance(error, KafkaException)
    name: str = error.args[0].name()
    return name


@pytest.mark.parametrize("mechanism", [ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512])
def test_who_was_given_credentials_can_log_in(
    kafka: Guarded, root: AdminClient, mechanism: ScramMechanism
) -> None:
    user = f"user-{mechanism.value}"
    info = ScramCredentialInfo(mechanism, 5000)
    changes: list[Any] = [UserScramCredentialUpsertion(user, info, "gëheim".encode())]
    assert root.alter_user_scram_credentials(changes)[user].result(20) is None
    name = mechanism.name.replace("_", "-")
    with kafka.client(user, "gëheim", name) as client:
        client.wait_connected(20)
        # Known, but without rights.
        assert code_of(client.create_topics([NewTopic("t", 1, 1)])["t"]) == (
            "TOPIC_AUTHORIZATION_FAILED"
        )


def refusal(client: AdminClient) -> KafkaError:
    """Why a client can't connect."""
    with pytest.raises(KafkaException) as raised:
        client.wait_connected(2)
    error = raised.value.args[0]
    assert isinstance(error, KafkaError)
    return error


def test_a_wrong_password_is_told_and_can_be_replaced(kafka: Guarded) -> None:
    with kafka.client("root", "wrong") as client:
        # As confluent_kafka has it: the call only knows that nobody would listen to it.
        assert code_of(client.describe_cluster(request_timeout=1)) == "_TIMED_OUT"
        assert refusal(client) == KafkaError._AUTHENTICATION
        client.set_sasl_credentials("root", "roots")
        eventually(
            lambda: client.describe_cluster(request_timeout=5).exception(20) is None,
            what="the other credentials",
        )


def test_rights_are_given_and_told(kafka: Guarded, root: AdminClient) -> None:
    assert root.create_topics([NewTopic("rights", 1, 1)])["rights"].result(20) is None
    rule = AclBinding("topic", "rights", "literal", "User:alice", "*", "describe", "allow")
    assert root.create_acls([rule])[rule].result(20) is None
    with kafka.client("alice", "alices") as alice:

        def allowed() -> list[AclOperation] | None:
            topics = TopicCollection(["rights"])
            future = alice.describe_topics(topics, include_authorized_operations=True)["rights"]
            return None if future.exception(20) else future.result().authorized_operations

        assert eventually(allowed, what="alice's right") == [AclOperation.DESCRIBE]
        deletion = alice.delete_topics(["rights"])["rights"]
        assert code_of(deletion) == "TOPIC_AUTHORIZATION_FAILED"
        assert code_of(alice.describe_metadata_quorum()) == "CLUSTER_AUTHORIZATION_FAILED"
    cluster = root.describe_cluster(include_authorized_operations=True).result(20)
    assert AclOperation.ALTER in (cluster.authorized_operations or ())


def test_delegation_tokens(kafka: Guarded, root: AdminClient) -> None:
    renewer = KafkaPrincipal("User", "alice")
    token = root.create_delegation_token(renewers=[renewer], max_lifetime_ms=3_600_000).result(20)
    assert (str(token.owner), token.renewers) == ("User:root", [renewer])
    assert token.max_timestamp_ms - token.issue_timestamp_ms == 3_600_000
    assert token.hmac.hex() not in repr(token)
    assert str(token.hmac) not in repr(token)

    def known() -> Any:
        return [t for t in root.describe_delegation_tokens().result(20)
                if t.token_id == token.token_id]  # fmt: skip

    [described] = eventually(known, what="the token")
    assert (described.hmac, described.requester) == (token.hmac, token.owner)
    with kafka.client(token.token_id, "not the secret", "SCRAM-SHA-256") as stranger:
        assert refusal(stranger) == KafkaError._AUTHENTICATION
    with kafka.client("alice", "alices") as alice:
        renewed_ms = alice.renew_delegation_token(token.hmac, renew_period_ms=60_000).result(20)
        assert renewed_ms <= token.max_timestamp_ms
        # Renewers count among the owners that are asked for.
        [hers] = alice.describe_delegation_tokens([renewer]).result(20)
        assert hers.token_id == token.token_id
    for_alice = root.create_delegation_token(owner=renewer).result(20)
    assert (for_alice.owner, str(for_alice.requester)) == (renewer, "User:root")
    root.expire_delegation_token(token.hmac).result(20)
    eventually(lambda: not known(), what="no token")
    assert code_of(root.renew_delegation_token(b"nonsense")) == "DELEGATION_TOKEN_NOT_FOUND"


def test_asyncio_too(kafka: Guarded) -> None:
    async def main() -> None:
        async with AsyncAdminClient(kafka.settings("root", "wrong")) as admin:
            with pytest.raises(KafkaException) as raised:
                await admin.wait_connected(2)
            assert raised.value.args[0] == KafkaError._AUTHENTICATION
        async with AsyncAdminClient(kafka.settings("root", "roots")) as admin:
            assert (await admin.create_delegation_token()).owner.name == "root"

    asyncio.run(main())
