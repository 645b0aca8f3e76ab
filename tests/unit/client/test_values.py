"""The small public values, compared with confluent_kafka's, action by action."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from enum import Enum
from types import SimpleNamespace

import pytest

from ottla.client.errors import KafkaError
from ottla.client.values import TopicPartition, Uuid, partition_result

Names = SimpleNamespace
Action = Callable[[Names], object]
Check = Callable[[Action], None]

FIELDS = ("topic", "partition", "offset", "metadata", "leader_epoch", "error")


def fields(tp: object) -> list[object]:
    return [getattr(tp, name) for name in FIELDS]


def after(tp: object, name: str, value: object) -> list[object]:
    setattr(tp, name, value)
    return fields(tp)


TOPIC_PARTITION: dict[str, Action] = {
    "defaults": lambda n: fields(n.TopicPartition("t")),
    "all by position": lambda n: fields(n.TopicPartition("t", 1, 2, "m", 3)),
    "all by keyword": lambda n: fields(
        n.TopicPartition(topic="t", partition=1, offset=2, metadata="m", leader_epoch=3)
    ),
    "epoch 0": lambda n: fields(n.TopicPartition("t", leader_epoch=0)),
    "negative epoch": lambda n: fields(n.TopicPartition("t", leader_epoch=-5)),
    "empty topic": lambda n: fields(n.TopicPartition("")),
    "unicode topic": lambda n: repr(n.TopicPartition("é✓")),
    "repr": lambda n: repr(n.TopicPartition("t", 1, 5, "m", 3)),
    "str": lambda n: str(n.TopicPartition("t", 1, n.OFFSET_BEGINNING)),
    "no topic": lambda n: n.TopicPartition(),
    "topic None": lambda n: n.TopicPartition(None),
    "topic bytes": lambda n: n.TopicPartition(b"t"),
    "topic with null": lambda n: n.TopicPartition("a\0b"),
    "partition text": lambda n: n.TopicPartition("t", "1"),
    "partition None": lambda n: n.TopicPartition("t", None),
    "partition float": lambda n: n.TopicPartition("t", 1.0),
    "partition bool": lambda n: fields(n.TopicPartition("t", True)),
    "partition too large": lambda n: n.TopicPartition("t", 2**31),
    "offset too large": lambda n: n.TopicPartition("t", 0, 2**63),
    "offset None": lambda n: n.TopicPartition("t", 0, None),
    "metadata bytes": lambda n: n.TopicPartition("t", 0, 0, b"m"),
    "metadata empty": lambda n: fields(n.TopicPartition("t", 0, 0, "")),
    "epoch None": lambda n: n.TopicPartition("t", leader_epoch=None),
    "unknown keyword": lambda n: n.TopicPartition("t", foo=1),
    "too many": lambda n: n.TopicPartition("t", 1, 1, "m", 1, 1),
    "set topic": lambda n: after(n.TopicPartition("t"), "topic", "u"),
    "set partition": lambda n: after(n.TopicPartition("t"), "partition", 3),
    "set offset": lambda n: after(n.TopicPartition("t"), "offset", 3),
    "set offset text": lambda n: after(n.TopicPartition("t"), "offset", "3"),
    "set metadata": lambda n: after(n.TopicPartition("t"), "metadata", "m"),
    "set epoch": lambda n: after(n.TopicPartition("t"), "leader_epoch", 3),
    "set error": lambda n: after(n.TopicPartition("t"), "error", None),
    "set other": lambda n: after(n.TopicPartition("t"), "foo", 3),
    "equality": lambda n: [
        n.TopicPartition("t", 0) == n.TopicPartition("t", 0, 5, "m"),
        n.TopicPartition("t", 0) == n.TopicPartition("t", 1),
        n.TopicPartition("t", 0) != n.TopicPartition("u", 0),
    ],
    "order": lambda n: [
        [operator(n.TopicPartition(*a), n.TopicPartition(*b)) for operator in ORDER]
        for a, b in ((("a", 5), ("b", 0)), (("a", 1), ("a", 2)), (("a", 1), ("a", 1)))
    ],
    "order of unicode": lambda n: str(
        sorted([n.TopicPartition("\U0001f600"), n.TopicPartition("￮")])
    ),
    "equal to a number": lambda n: n.TopicPartition("t") == 1,
    "equal to None": lambda n: n.TopicPartition("t") != None,  # noqa: E711
    "less than a tuple": lambda n: n.TopicPartition("t") < ("t", 1),
    "hash": lambda n: [hash(n.TopicPartition("t", p, p)) for p in (0, 1, 7)],
    "in a set": lambda n: len({n.TopicPartition("t", 0), n.TopicPartition("t", 0, 5)}),
    "truth": lambda n: bool(n.TopicPartition("")),
    "length": lambda n: len(n.TopicPartition("t")),
    "subclass": lambda n: repr(type("Mine", (n.TopicPartition,), {})("t", 1)),
    "constants": lambda n: [
        n.OFFSET_BEGINNING, n.OFFSET_END, n.OFFSET_STORED, n.OFFSET_INVALID,
        n.TIMESTAMP_NOT_AVAILABLE, n.TIMESTAMP_CREATE_TIME, n.TIMESTAMP_LOG_APPEND_TIME,
    ],
}  # fmt: skip
ORDER: list[Callable[[object, object], object]] = [
    lambda a, b: a < b, lambda a, b: a <= b, lambda a, b: a > b, lambda a, b: a >= b,
]  # fmt: skip


def uuid_fields(uuid: object) -> list[object]:
    return [uuid.get_most_significant_bits(), uuid.get_least_significant_bits(), str(uuid)]


UUID: dict[str, Action] = {
    "zero": lambda n: uuid_fields(n.Uuid(0, 0)),
    "small": lambda n: uuid_fields(n.Uuid(1, 2)),
    "negative": lambda n: uuid_fields(n.Uuid(-1, -2)),
    "large": lambda n: uuid_fields(n.Uuid(2**63 - 1, -(2**63))),
    "keywords": lambda n: repr(n.Uuid(most_significant_bits=1, least_significant_bits=2)),
    "too large": lambda n: n.Uuid(2**63, 0),
    "one half": lambda n: n.Uuid(1),
    "text": lambda n: n.Uuid("1", 2),
    "float": lambda n: n.Uuid(1, 2.0),
    "same hash": lambda n: hash(n.Uuid(5, 6)) == hash(n.Uuid(5, 6)),
    "different": lambda n: [n.Uuid(1, 2) != n.Uuid(1, 3), n.Uuid(1, 2) == 1],
    "order": lambda n: n.Uuid(1, 2) < n.Uuid(1, 3),
    "attribute": lambda n: setattr(n.Uuid(1, 2), "x", 1),
}

OTHERS: dict[str, Action] = {
    "node": lambda n: [str(n.Node(1, "h", 9092)), vars(n.Node(1, "h", 9092, "r"))],
    "node with rack": lambda n: str(n.Node(id=1, host="h", port=9092, rack="r")),
    "throttle event": lambda n: [
        str(n.ThrottleEvent("b:9092/1", 1, 1.5)), vars(n.ThrottleEvent("b", 1, 0.0016)),
    ],
    "group partitions": lambda n: vars(n.ConsumerGroupTopicPartitions("g")),
    "group with list": lambda n: str(
        n.ConsumerGroupTopicPartitions("g", [n.TopicPartition("t")]).topic_partitions
    ),
    "topic collection": lambda n: vars(n.TopicCollection(["a", "b"])),
    "partition info": lambda n: list(vars(n.TopicPartitionInfo(1, n.Node(1, "h", 1), [], []))),
    "partition info id": lambda n: n.TopicPartitionInfo(id=1, leader=None, replicas=[], isr=[]).id,
}  # fmt: skip


@pytest.mark.parametrize("action", TOPIC_PARTITION.values(), ids=TOPIC_PARTITION)
def test_topic_partition(action: Action, same_in_both: Check) -> None:
    same_in_both(action)


@pytest.mark.parametrize("action", UUID.values(), ids=UUID)
def test_uuid(action: Action, same_in_both: Check) -> None:
    same_in_both(action)


@pytest.mark.parametrize("action", OTHERS.values(), ids=OTHERS)
def test_other_values(action: Action, same_in_both: Check) -> None:
    same_in_both(action)


ENUMERATIONS = [
    "AclOperation", "AclPermissionType", "AcknowledgeType", "AlterConfigOpType", "ConfigSource",
    "ConsumerGroupState", "ConsumerGroupType", "ElectionType", "IsolationLevel",
    "ResourcePatternType", "ResourceType", "ScramMechanism",
]  # fmt: skip


# What Kafka knows besides, and confluent_kafka doesn't.
BEYOND = {
    "CREATE_TOKENS", "DESCRIBE_TOKENS", "TWO_PHASE_COMMIT",
    "DYNAMIC_BROKER_LOGGER_CONFIG", "DYNAMIC_CLIENT_METRICS_CONFIG",
    "BROKER_LOGGER", "CLIENT_METRICS", "CLUSTER", "DELEGATION_TOKEN", "USER", "RENEW",
}  # fmt: skip


@pytest.mark.parametrize("name", ENUMERATIONS)
def test_enumerations(name: str, same_in_both: Check) -> None:
    def members(names: Names) -> dict[str, Enum]:
        enumeration: type[Enum] = getattr(names, name)
        return {name: each for name, each in enumeration.__members__.items() if name not in BEYOND}

    same_in_both(lambda n: {name: each.value for name, each in members(n).items()})
    same_in_both(lambda n: [str(each) for each in members(n).values()])
    same_in_both(lambda n: [str(each) for each in sorted(members(n).values())])
    same_in_both(lambda n: min(members(n).values()) < 17)
    same_in_both(lambda n: getattr(n, name)(99))


def test_equal_uuids_are_equal() -> None:
    # There they are not, although they hash alike.
    assert Uuid(1, 2) == Uuid(1, 2)
    assert {Uuid(1, 2): "topic"}[Uuid(1, 2)] == "topic"


def test_a_topic_partition_can_be_copied_and_pickled() -> None:
    # There it can't; nothing depends on that.
    original = partition_result("t", 1, 2, metadata="m", leader_epoch=3, error=KafkaError(3))
    assert repr(copy.deepcopy(original)) == repr(copy.copy(original)) == repr(original)
    assert b"TopicPartition" in pickle.dumps(original)


def test_a_result_carries_its_error_and_metadata() -> None:
    result = partition_result("t", 1, 2, metadata="m", leader_epoch=3, error=KafkaError(3, "gone"))
    assert (result.metadata, result.leader_epoch, result.offset) == ("m", 3, 2)
    assert result.error == KafkaError.UNKNOWN_TOPIC_OR_PART
    assert repr(result).endswith(f"error={result.error!r}}}")
    assert TopicPartition("t", metadata=None).metadata is None
