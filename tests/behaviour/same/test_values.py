"""Errors, exceptions, topic partitions, messages: what programs look at."""

from __future__ import annotations

from typing import Any

import pytest

from ottla.testing.side_by_side import Run


def test_every_name_is_there(run: Run) -> None:
    run.note("main", sorted(name for name in NAMES if hasattr(run.kafka, name)))
    run.note("admin", sorted(name for name in ADMIN_NAMES if hasattr(run.admin, name)))
    for kind, names in METHODS.items():
        found = getattr(run.kafka, kind)
        run.note(kind, sorted(name for name in names if hasattr(found, name)))


def test_constants(run: Run) -> None:
    for name in NAMES:
        if name.isupper():
            run.note(name, getattr(run.kafka, name))
    codes = {
        name: getattr(run.kafka.KafkaError, name)
        for name in dir(run.kafka.KafkaError)
        if name.lstrip("_").isupper() and not name.startswith("__")
    }
    run.note("codes", sorted(codes.items()))


def test_an_error(run: Run) -> None:
    kind = run.kafka.KafkaError
    for arguments in (
        (kind._ALL_BROKERS_DOWN,), (kind.UNKNOWN_TOPIC_OR_PART, "why"), (-191,), (0,), (-1,),
        (12345,), (-12345,), (kind._FENCED, "why", True), (kind._TIMED_OUT, "why", False, True),
        (kind._STATE, "why", False, False, True), (kind._STATE, "why", True, True, True),
    ):  # fmt: skip
        error = kind(*arguments)
        run.note("described", error, str(error), repr(error), error.code())
        run.note("truth", bool(error), error == arguments[0], error != arguments[0])
    run.note("equal", kind(1) == kind(1, "other"), kind(1) == kind(2), kind(1) < kind(2))
    run.note("hash", hash(kind(3)) == hash(kind(3)))
    run.call("no code", kind)
    run.call("text", kind, "x")
    named = kind(1, reason="r", fatal=True, retriable=True, txn_requires_abort=True)
    run.note("named", named)


def test_an_exception(run: Run) -> None:
    error = run.kafka.KafkaError(run.kafka.KafkaError._TRANSPORT, "gone")
    exception = run.kafka.KafkaException(error)
    run.note("args", exception.args, str(exception), repr(exception))
    run.note("kind", isinstance(exception, Exception), type(exception).__mro__[1].__name__)
    run.note("plain", str(run.kafka.KafkaException("text")))
    run.note("module names", type(exception).__name__, type(error).__name__)


def test_a_topic_partition(run: Run) -> None:
    kind = run.kafka.TopicPartition
    one = kind("t", 1, 5, "m", 3)
    run.note("fields", one, one.leader_epoch, str(one), repr(one))
    run.note("defaults", kind("t"), kind("t").leader_epoch, str(kind("t")))
    run.note("named", kind(topic="t", partition=2, offset=7, metadata="x", leader_epoch=1))
    run.note("equal", one == kind("t", 1), one == kind("t", 2), one != kind("u", 1))
    run.note("order", one < kind("t", 2), kind("u", 0) > one, one <= kind("t", 1))
    run.note("hash", hash(one) == hash(kind("t", 1)), len({one, kind("t", 1, 9)}))
    run.call("other type", lambda: one == "t")
    run.call("other type", lambda: one < 5)
    for name, value in (
        ("topic", "u"), ("partition", 2), ("offset", 9), ("metadata", "z"),
        ("error", None), ("leader_epoch", 4), ("unknown", 1),
    ):  # fmt: skip
        run.call(f"set {name}", setattr, one, name, value)
    run.note("afterwards", one, one.leader_epoch)
    run.call("no topic", kind)
    run.call("topic 5", kind, 5)
    run.call("partition text", kind, "t", "x")
    for offset in (-2, -1, -1000, -1001, 0, 1 << 40, -2003):
        run.note("offset", str(kind("t", 0, offset)), kind("t", 0, offset).offset)


def test_a_message_by_itself(run: Run) -> None:
    kind = run.kafka.Message
    run.call("empty", kind)
    message = kind(topic="t", partition=3, offset=5, key=b"k", value=b"v", headers=[("a", b"b")])
    run.note("fields", message, len(message))
    run.note("equal", message == kind(topic="t", partition=3, offset=5, key=b"k", value=b"v"))
    run.note("value only", len(kind(value=b"12345")), len(kind()))
    run.call("timestamp", lambda: kind(timestamp=(1, 5)).timestamp())
    run.call("latency", lambda: kind(latency=0.5).latency())
    run.call("leader epoch", lambda: kind(leader_epoch=7).leader_epoch())
    run.call("error", lambda: kind(error=run.kafka.KafkaError(3)).error())
    run.call("unknown", lambda: kind(colour="blue"))


def test_partition_functions(run: Run) -> None:
    for name in ("murmur2", "consistent", "fnv1a"):
        function = getattr(run.kafka, name)
        for key in (b"", b"a", b"some key", b"\xff" * 40, None):
            run.call(f"{name} of {key!r}", function, key, 12)
        run.call(f"{name} of nothing", function)
        run.call(f"{name} none", function, b"k", 0)
        run.call(f"{name} negative", function, b"k", -1)
        run.call(f"{name} text", function, "k", 7)


@pytest.mark.parametrize("name", ["ConsumerGroupState", "ConsumerGroupType", "IsolationLevel",
                                  "ElectionType", "AcknowledgeType"])  # fmt: skip
def test_enumerations(run: Run, name: str) -> None:
    kind: Any = getattr(run.kafka, name)
    # What share consumers may answer since Kafka 4.2 (KIP-1222), librdkafka can't yet.
    run.note(name, [(each.name, each.value, str(each)) for each in kind if each.name != "RENEW"])


def test_small_values(run: Run) -> None:
    kafka = run.kafka
    node = kafka.Node(1, "host", 9092, "rack")
    run.note("node", node.id, node.host, node.port, node.rack, node.id_string, str(node))
    uuid = kafka.Uuid(1, 2)
    run.note("uuid", str(uuid), uuid.get_most_significant_bits(), uuid == uuid)
    run.call("topics", lambda: vars(kafka.TopicCollection(["a", "b"])))
    run.call("no topics", kafka.TopicCollection, None)
    group = kafka.ConsumerGroupTopicPartitions("g", [kafka.TopicPartition("t", 0)])
    run.note("group", group.group_id, group.topic_partitions)
    info = kafka.TopicPartitionInfo(0, node, [node], [node])
    run.note("info", info.id, info.leader is node)


NAMES = (
    "AcknowledgeType", "ConcurrentModificationException", "Consumer", "ConsumerGroupState",
    "ConsumerGroupTopicPartitions", "ConsumerGroupType", "DeserializingShareConsumer",
    "ElectionType", "IllegalStateException", "IsolationLevel", "KafkaError", "KafkaException",
    "Message", "Messages", "Node", "OFFSET_BEGINNING", "OFFSET_END", "OFFSET_INVALID",
    "OFFSET_STORED", "Producer", "ShareConsumer", "TIMESTAMP_CREATE_TIME",
    "TIMESTAMP_LOG_APPEND_TIME", "TIMESTAMP_NOT_AVAILABLE", "ThrottleEvent", "TopicCollection",
    "TopicPartition", "TopicPartitionInfo", "Uuid", "consistent", "fnv1a", "libversion",
    "murmur2", "version",
)  # fmt: skip
ADMIN_NAMES = (
    "AclBinding", "AclBindingFilter", "AclOperation", "AclPermissionType", "AdminClient",
    "AlterConfigOpType", "BrokerMetadata", "CONFIG_SOURCE_DEFAULT_CONFIG",
    "CONFIG_SOURCE_DYNAMIC_BROKER_CONFIG", "CONFIG_SOURCE_DYNAMIC_DEFAULT_BROKER_CONFIG",
    "CONFIG_SOURCE_DYNAMIC_TOPIC_CONFIG", "CONFIG_SOURCE_GROUP_CONFIG",
    "CONFIG_SOURCE_STATIC_BROKER_CONFIG", "CONFIG_SOURCE_UNKNOWN_CONFIG", "ClusterMetadata",
    "ConfigEntry", "ConfigResource", "ConfigSource", "ConsumerGroupDescription",
    "ConsumerGroupListing", "DeletedRecords", "DescribeClusterResult", "GroupMember",
    "GroupMetadata", "KafkaError", "KafkaException", "ListConsumerGroupsResult",
    "ListOffsetsResultInfo", "MemberAssignment", "MemberDescription", "NewPartitions", "NewTopic",
    "OFFSET_INVALID", "OffsetSpec", "PartitionMetadata", "RESOURCE_ANY", "RESOURCE_BROKER",
    "RESOURCE_GROUP", "RESOURCE_TOPIC", "RESOURCE_TRANSACTIONAL_ID", "RESOURCE_UNKNOWN",
    "ResourcePatternType", "ResourceType", "ScramCredentialInfo", "ScramMechanism",
    "TopicDescription", "TopicMetadata", "UserScramCredentialAlteration",
    "UserScramCredentialDeletion", "UserScramCredentialUpsertion",
    "UserScramCredentialsDescription",
)  # fmt: skip
METHODS = {
    "Producer": (
        "abort_transaction", "begin_transaction", "close", "cluster_id", "commit_transaction",
        "flush", "init_transactions", "list_topics", "poll", "produce", "produce_batch", "purge",
        "send_offsets_to_transaction", "set_sasl_credentials", "__len__", "__enter__", "__exit__",
    ),
    "Consumer": (
        "assign", "assignment", "close", "cluster_id", "commit", "committed", "consume",
        "consumer_group_metadata", "get_watermark_offsets", "incremental_assign",
        "incremental_unassign", "list_topics", "memberid", "offsets_for_times", "pause", "poll",
        "position", "resume", "seek", "set_sasl_credentials", "store_offsets", "subscribe",
        "unassign", "unsubscribe", "__enter__", "__exit__",
    ),
    "ShareConsumer": (
        "acknowledge", "acknowledge_offset", "close", "commit_async", "commit_sync", "poll",
        "set_acknowledgement_commit_callback", "set_sasl_credentials", "subscribe",
        "subscription", "unsubscribe", "__enter__", "__exit__",
    ),
    "Message": (
        "delivery_count", "deserialized_key", "deserialized_value", "error", "headers", "key",
        "latency", "leader_epoch", "offset", "partition", "set_error", "set_headers", "set_key",
        "set_topic", "set_value", "timestamp", "topic", "value", "__len__", "__eq__",
    ),
}  # fmt: skip
