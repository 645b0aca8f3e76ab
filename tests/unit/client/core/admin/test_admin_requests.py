"""Every admin call: its request in every version it may be sent in, and any answer to it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any

import pytest

from ottla.client.admin.acls import AclBinding, AclBindingFilter
from ottla.client.admin.configs import ConfigEntry, ConfigResource
from ottla.client.admin.features import EndpointType, FeatureUpdate, UpgradeType
from ottla.client.admin.groups import MemberToRemove
from ottla.client.admin.log_dirs import TopicPartitionReplica
from ottla.client.admin.offsets import OffsetSpec
from ottla.client.admin.quorum import QuorumListener
from ottla.client.admin.quotas import ClientQuotaAlteration, ClientQuotaFilter, quota_entity
from ottla.client.admin.scram import (
    ScramCredentialInfo,
    UserScramCredentialDeletion,
    UserScramCredentialUpsertion,
)
from ottla.client.admin.tokens import KafkaPrincipal
from ottla.client.admin.topics import NewPartitions, NewTopic
from ottla.client.admin.transactions import AbortTransactionSpec
from ottla.client.core import admin as core
from ottla.client.core.admin.call import Call, Operation, Progress
from ottla.client.enumerations import (
    AlterConfigOpType,
    ConsumerGroupState,
    ConsumerGroupType,
    ElectionType,
    IsolationLevel,
    ResourceType,
    ScramMechanism,
)
from ottla.client.errors import KafkaError, KafkaException
from ottla.client.values import ConsumerGroupTopicPartitions, TopicCollection, TopicPartition
from ottla.testing.request_fuzz import RequestFuzzer
from ottla.wire.apis import APIS, declaration
from ottla.wire.declare import Message

PART, OTHER = TopicPartition("t", 0, 5), TopicPartition("t", 1, 6)
TOPIC = ConfigResource("topic", "t", {"a": "b"}, incremental_configs=[
    ConfigEntry("a", "b", incremental_operation=AlterConfigOpType.APPEND),
    ConfigEntry("c", None, incremental_operation=AlterConfigOpType.DELETE),
])  # fmt: skip
RULE = AclBinding("topic", "t", "literal", "User:x", "*", "read", "allow")
MATCH = AclBindingFilter("any", None, "any", None, None, "any", "any")
INFO = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, 4096)
DIRECTORY = uuid.UUID(int=7)
GROUP = ConsumerGroupTopicPartitions("g", [TopicPartition("t", 0)])
CHANGE = ConsumerGroupTopicPartitions("g", [TopicPartition("t", 0, 5, "note", 3)])
LATEST, AT = OffsetSpec.latest(), OffsetSpec.for_timestamp(5)
COMMITTED, UNCOMMITTED = IsolationLevel.READ_COMMITTED, IsolationLevel.READ_UNCOMMITTED

OPERATIONS: dict[str, Callable[[], Operation[Any]]] = {
    "create_topics": lambda: core.topics.create_topics(
        [NewTopic("t", 2, config={"a": "b"}), NewTopic("u", 1, replica_assignment=[[1]])],
        timeout_ms=1, validate_only=True,
    ),
    "delete_topics": lambda: core.topics.delete_topics(["t"], timeout_ms=1),
    "create_partitions": lambda: core.topics.create_partitions(
        [NewPartitions("t", 3, [[1]]), NewPartitions("u", 3)], timeout_ms=1, validate_only=True
    ),
    "describe_topics": lambda: core.topics.describe_topics(
        TopicCollection(["t"]), include_authorized_operations=False
    ),
    "list_topics": lambda: core.topics.list_topics(None, may_create=False),
    "list_topic": lambda: core.topics.list_topics("t", may_create=True),
    "describe_topic_partitions": lambda: core.topic_partitions.describe_topic_partitions(
        ["t"], partitions_per_request=5
    ),
    "describe_configs": lambda: core.configs.describe_configs([TOPIC]),
    "alter_configs": lambda: core.configs.alter_configs([TOPIC], validate_only=True),
    "incremental_alter_configs": lambda: core.configs.incremental_alter_configs(
        [TOPIC], validate_only=True
    ),
    "list_config_resources": lambda: core.configs.list_config_resources(None),
    "list_client_metrics": lambda: core.configs.list_config_resources(
        [ResourceType.CLIENT_METRICS]
    ),
    "describe_cluster": lambda: core.clusters.describe_cluster(),
    "describe_cluster with operations": lambda: core.clusters.describe_cluster(
        include_authorized_operations=True
    ),
    "describe_nodes": lambda: core.clusters.describe_nodes(
        endpoint_type=EndpointType.BROKER, include_fenced_brokers=False,
        include_authorized_operations=True,
    ),
    "describe controllers": lambda: core.clusters.describe_nodes(
        endpoint_type=EndpointType.CONTROLLER, include_fenced_brokers=False,
        include_authorized_operations=True,
    ),
    "describe fenced brokers": lambda: core.clusters.describe_nodes(
        endpoint_type=EndpointType.BROKER, include_fenced_brokers=True,
        include_authorized_operations=True,
    ),
    "describe_metadata_quorum": lambda: core.clusters.describe_metadata_quorum(),
    "unregister_broker": lambda: core.clusters.unregister_broker(5),
    "add_raft_voter": lambda: core.clusters.add_raft_voter(
        5, DIRECTORY, [QuorumListener("C", "h", 9093)], cluster_id=None, timeout_ms=1
    ),
    "remove_raft_voter": lambda: core.clusters.remove_raft_voter(5, DIRECTORY, cluster_id="c"),
    "describe_features": lambda: core.clusters.describe_features(None),
    "describe_api_versions": lambda: core.clusters.describe_api_versions([1]),
    "update_features": lambda: core.clusters.update_features(
        {"f": FeatureUpdate(1, UpgradeType.SAFE_DOWNGRADE)}, timeout_ms=1, validate_only=False
    ),
    "check features": lambda: core.clusters.update_features(
        {"f": FeatureUpdate(1)}, timeout_ms=1, validate_only=True
    ),
    "describe_consumer_groups": lambda: core.groups.describe_consumer_groups(
        ["g"], include_authorized_operations=True
    ),
    "describe_classic_groups": lambda: core.groups.describe_classic_groups(["g"]),
    "delete_consumer_groups": lambda: core.groups.delete_consumer_groups(["g"]),
    "remove_group_members": lambda: core.group_members.remove_group_members(
        "g", [MemberToRemove("m"), MemberToRemove(None, "i")], "why"
    ),
    "list offsets of a group": lambda: core.group_offsets.list_consumer_group_offsets(
        [GROUP], require_stable=False
    ),
    "list stable offsets of a group": lambda: core.group_offsets.list_consumer_group_offsets(
        [GROUP], require_stable=True
    ),
    "list all offsets of groups": lambda: core.group_offsets.list_offsets_of_groups(
        {"g": None, "h": [PART, OTHER]}, require_stable=False
    ),
    "alter_consumer_group_offsets": lambda: core.group_offsets.alter_consumer_group_offsets(
        [CHANGE]
    ),
    "delete_consumer_group_offsets": lambda: core.group_offsets.delete_consumer_group_offsets(
        "g", [PART, OTHER]
    ),
    "list_offsets": lambda: core.offsets.list_offsets(
        {PART: LATEST, OTHER: AT}, isolation_level=UNCOMMITTED, timeout_ms=1
    ),
    "list stable offsets": lambda: core.offsets.list_offsets(
        {PART: LATEST}, isolation_level=COMMITTED, timeout_ms=1
    ),
    "list offsets of tiered storage": lambda: core.offsets.list_offsets(
        {PART: OffsetSpec.earliest_local(), OTHER: OffsetSpec.latest_tiered()},
        isolation_level=UNCOMMITTED, timeout_ms=1,
    ),
    "list the offset to upload": lambda: core.offsets.list_offsets(
        {PART: OffsetSpec.earliest_pending_upload()}, isolation_level=UNCOMMITTED, timeout_ms=1
    ),
    "delete_records": lambda: core.offsets.delete_records([PART, OTHER], timeout_ms=1),
    "elect_leaders": lambda: core.partitions.elect_leaders(
        ElectionType.PREFERRED, [PART], timeout_ms=1
    ),
    "elect unclean leaders": lambda: core.partitions.elect_leaders(
        ElectionType.UNCLEAN, None, timeout_ms=1
    ),
    "alter_partition_reassignments": lambda: core.partitions.alter_partition_reassignments(
        {PART: [1, 2], OTHER: None}, timeout_ms=1, allow_replication_factor_change=True
    ),
    "reassign as many": lambda: core.partitions.alter_partition_reassignments(
        {PART: [1, 2]}, timeout_ms=1, allow_replication_factor_change=False
    ),
    "list_partition_reassignments": lambda: core.partitions.list_partition_reassignments(
        [PART], timeout_ms=1
    ),
    "describe_log_dirs": lambda: core.log_dirs.describe_log_dirs([1], [PART, OTHER]),
    "alter_replica_log_dirs": lambda: core.log_dirs.alter_replica_log_dirs(
        {TopicPartitionReplica("t", 0, 1): "/a", TopicPartitionReplica("t", 1, 1): "/b"}
    ),
    "describe_producers": lambda: core.transactions.describe_producers([PART], None),
    "describe_transactions": lambda: core.transactions.describe_transactions(["x"]),
    "abort_transaction": lambda: core.transactions.abort_transaction(
        AbortTransactionSpec(PART, 1, 2)
    ),
    "fence_producers": lambda: core.transactions.fence_producers(["x"]),
    "create_acls": lambda: core.acls.create_acls([RULE]),
    "describe_acls": lambda: core.acls.describe_acls(MATCH),
    "delete_acls": lambda: core.acls.delete_acls([MATCH]),
    "describe_user_scram_credentials": lambda: core.scram.describe_user_scram_credentials(["u"]),
    "describe all credentials": lambda: core.scram.describe_all_user_scram_credentials(),
    "alter_user_scram_credentials": lambda: core.scram.alter_user_scram_credentials(
        [
            UserScramCredentialDeletion("u", ScramMechanism.SCRAM_SHA_512),
            UserScramCredentialUpsertion("u", INFO, b"secret"),
        ],
        new_salt=lambda: b"salt",
    ),
    "describe_client_quotas": lambda: core.quotas.describe_client_quotas(
        ClientQuotaFilter({"user": "u", "client-id": None}, frozenset({"ip"}), strict=True)
    ),
    "alter_client_quotas": lambda: core.quotas.alter_client_quotas(
        [ClientQuotaAlteration(quota_entity({"user": None}), {"a": 1.5, "b": None})],
        validate_only=True,
    ),
    "create_delegation_token": lambda: core.tokens.create_delegation_token(
        owner=None, renewers=[KafkaPrincipal("User", "r")], max_lifetime_ms=None
    ),
    "create a token for somebody": lambda: core.tokens.create_delegation_token(
        owner=KafkaPrincipal("User", "o"), renewers=[], max_lifetime_ms=5
    ),
    "renew_delegation_token": lambda: core.tokens.renew_delegation_token(
        b"h", renew_period_ms=None
    ),
    "expire_delegation_token": lambda: core.tokens.expire_delegation_token(
        b"h", expiry_period_ms=5
    ),
    "describe_delegation_tokens": lambda: core.tokens.describe_delegation_tokens(
        [KafkaPrincipal("User", "o")]
    ),
    "describe_share_groups": lambda: core.share_groups.describe_share_groups(
        ["s"], include_authorized_operations=True
    ),
    "list_share_group_offsets": lambda: core.share_groups.list_share_group_offsets(
        {"s": [PART, OTHER], "r": None}
    ),
    "alter_share_group_offsets": lambda: core.share_groups.alter_share_group_offsets(
        "s", {PART: 5}
    ),
    "delete_share_group_offsets": lambda: core.share_groups.delete_share_group_offsets(
        "s", ["t"]
    ),
    "describe_streams_groups": lambda: core.streams_groups.describe_streams_groups(
        ["s"], include_authorized_operations=True
    ),
}  # fmt: skip
# These ask for the brokers first.
OF_ALL_BROKERS: dict[str, Callable[[], Operation[Any]]] = {
    "list_consumer_groups": lambda: core.groups.list_consumer_groups(None, None),
    "list stable groups": lambda: core.groups.list_consumer_groups(
        {ConsumerGroupState.STABLE}, None
    ),
    "list classic groups": lambda: core.groups.list_consumer_groups(
        {ConsumerGroupState.EMPTY}, {ConsumerGroupType.CLASSIC}
    ),
    "list_all_groups": lambda: core.groups.list_all_groups((), ["share"], ()),
    "list_transactions": lambda: core.transactions.list_transactions(
        states=["Ongoing"], producer_ids=[5], longer_than_ms=None, transactional_id_pattern=None
    ),
    "list long transactions": lambda: core.transactions.list_transactions(
        states=[], producer_ids=[], longer_than_ms=5, transactional_id_pattern=None
    ),
    "list some transactions": lambda: core.transactions.list_transactions(
        states=[], producer_ids=[], longer_than_ms=5, transactional_id_pattern="a.*"
    ),
}


def first_call(make: Callable[[], Operation[Any]]) -> Call[Any, Any]:
    call: Call[Any, Any] = make().send(None)
    return call


def second_call(make: Callable[[], Operation[Any]]) -> Call[Any, Any]:
    """The call after the one for the brokers."""
    operation = make()
    operation.send(None)
    call: Call[Any, Any] = operation.send({None: {1: "a node", 2: "another"}})
    return call


CALLS: dict[str, Callable[[], Call[Any, Any]]] = {
    **{name: partial(first_call, make) for name, make in OPERATIONS.items()},
    **{name: partial(second_call, make) for name, make in OF_ALL_BROKERS.items()},
}


def versions_of(call: Call[Any, Any]) -> list[int]:
    """The versions that the request may be sent in."""
    api = APIS[call.answer.API_KEY or 0]
    newest = api.max_version if call.at_most is None else call.at_most
    return [v for v in api.versions if call.at_least <= v <= newest]


@pytest.mark.parametrize("name", CALLS)
def test_the_request_fits_every_version(name: str) -> None:
    call = CALLS[name]()
    versions = versions_of(call)
    assert versions
    for version in versions:
        made = call.request(call.keys)
        message = made if isinstance(made, Message) else made(version)
        assert isinstance(message.encode(version), bytes)


@pytest.mark.parametrize("name", CALLS)
def test_what_is_asked_belongs_to_the_answer(name: str) -> None:
    call = CALLS[name]()
    made = call.request(call.keys)
    message = made if isinstance(made, Message) else made(versions_of(call)[-1])
    assert (type(message), call.answer) == declaration(call.answer.API_KEY or 0)


def test_every_api_of_clients_that_administers_is_used() -> None:
    used = {call().answer.API_KEY for call in CALLS.values()}
    # Those of producers and consumers, of brokers among themselves, of connections, of look-ups.
    others = {
        0, 1, 11, 12, 14, 17, 23, 24, 25, 26, 28, 36, 68, 71, 72, 76, 78, 79, 83, 84, 85, 86,
        87, 88, 10,
    }  # fmt: skip
    assert used | others == set(APIS)


# Answers are about what was asked, or about anything.
_NAMES = {
    "name": ["t", "u", "s", "g", "a", "f"], "topic": ["t"], "group_id": ["g", "h", "s"],
    "transactional_id": ["x"], "key": ["g", "h", "s", "x"], "user": ["u"], "member_id": ["m"],
    "instance_id": ["i"], "principal": ["User:x"], "feature": ["f"],
}  # fmt: skip
_LOSSES = (
    KafkaError._TRANSPORT, KafkaError._TIMED_OUT, KafkaError._UNSUPPORTED_FEATURE,
    KafkaError._BAD_MSG, KafkaError._DESTROY,
)  # fmt: skip


def _play(call: Call[Any, Any], fuzzer: RequestFuzzer, random: Random) -> dict[Any, Any]:
    """Answer a call at random until it is done, or nobody has patience any more."""
    progress: Progress[Any, Any] = Progress(call, 100, 1000)
    now_ms = 0.0
    for _ in range(20):
        now_ms = max(now_ms, progress.next_deadline_ms() or 0.0)
        for ask in progress.plan(now_ms):
            assert set(ask.keys) <= set(call.keys)
            assert not set(ask.keys) & set(progress.results)
            if random.random() < 0.1:
                error = KafkaError(random.choice(_LOSSES))
                progress.failed(ask, error, now_ms, random.random())
            else:
                newest = APIS[ask.answer.API_KEY or 0].max_version
                answer = fuzzer.message(ask.answer, newest)
                progress.answered(ask, answer, now_ms, random.random())
    if not progress.is_done:
        progress.give_up(lambda _: random.random() < 0.5)
    assert progress.is_done
    assert progress.results.keys() == set(call.keys)
    return progress.results


@pytest.mark.parametrize("name", [*OPERATIONS, *OF_ALL_BROKERS])
def test_any_answers_lead_to_an_outcome(name: str) -> None:
    make = OPERATIONS.get(name) or OF_ALL_BROKERS[name]
    for seed in range(15):
        random = Random(seed)
        fuzzer = RequestFuzzer(random, {}, _NAMES)
        operation, outcomes = make(), None
        for _ in range(50):
            try:
                outcomes = _play(operation.send(outcomes), fuzzer, random)
            except (StopIteration, KafkaException):
                break
        else:
            raise AssertionError("it goes on and on")
