"""The admin client where one has to say who one is: credentials, rights, tokens (Apache only)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any, NamedTuple

import pytest

from ottla import AdminClient, KafkaError, KafkaException, TopicCollection, TopicPartition
from ottla.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    KafkaPrincipal,
    NewTopic,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from ottla.aio import AdminClient as AsyncAdminClient
from ottla.testing.guarded_kafka import GuardedKafka
from ottla.testing.waiting import eventually


class Guarded(NamedTuple):
    """Where users log in."""

    broker: GuardedKafka

    def settings(self, user: str, password: str, mechanism: str = "PLAIN") -> dict[str, Any]:
        silence = {"log_level": 0, "error_cb": lambda error: None}
        return {**self.broker.settings(user, password, mechanism), **silence}

    def client(self, user: str, password: str, mechanism: str = "PLAIN") -> AdminClient:
        return AdminClient(self.settings(user, password, mechanism))


@pytest.fixture(scope="module")
def kafka(target_name: str) -> Iterator[Guarded]:
    if target_name != "apache":
        pytest.skip("Ottla knows no users yet")
    with GuardedKafka({"alice": "alices", "root": "roots"}) as running:
        yield Guarded(running)


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


def test_without_rights(kafka: Guarded, root: AdminClient) -> None:
    root.create_topics([NewTopic("forbidden", 1, 1)])["forbidden"].result(20)
    everything = AclBindingFilter("any", None, "any", None, None, "any", "any")
    partition = TopicPartition("forbidden", 0, 0)
    with kafka.client("alice", "alices") as alice:
        futures: dict[str, Future[Any]] = {
            "CLUSTER": alice.describe_user_scram_credentials(),
            "cluster": alice.describe_acls(everything),
            "topic": alice.delete_records([partition])[partition],
            "Topic": alice.describe_producers([partition])[partition],
            "transactional_id": alice.describe_transactions(["x"])["x"],
            "group": alice.describe_share_groups(["g"])["g"],
        }
        for kind, future in futures.items():
            assert code_of(future) == f"{kind.upper()}_AUTHORIZATION_FAILED"
        assert alice.list_all_groups().result(20) == []


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
