"""The admin client's values, compared with confluent_kafka's, action by action."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest

Names = SimpleNamespace
Action = Callable[[Names], object]
Check = Callable[[Action], None]


def comparisons(a: object, b: object) -> list[object]:
    return [a == b, a != b, a < b, a <= b, a > b, a >= b]  # type: ignore[operator]


def after(value: object, name: str, new: object) -> object:
    setattr(value, name, new)
    return getattr(value, name)


def topic_fields(topic: object) -> list[object]:
    names = ("topic", "num_partitions", "replication_factor", "replica_assignment", "config")
    return [getattr(topic, name) for name in names]


TOPICS: dict[str, Action] = {
    "defaults": lambda n: topic_fields(n.NewTopic("t")),
    "all": lambda n: topic_fields(n.NewTopic("t", 3, 2, None, {"a": "b"})),
    "keywords": lambda n: topic_fields(
        n.NewTopic(topic="t", num_partitions=2, replica_assignment=[[1], [2]], config={})
    ),
    "repr": lambda n: [repr(n.NewTopic("t")), str(n.NewTopic("t", 3, 2, config={"a": "b"}))],
    "repr of odd counts": lambda n: [repr(n.NewTopic("t", count)) for count in (0, -2, -1)],
    "no topic": lambda n: n.NewTopic(),
    "topic number": lambda n: n.NewTopic(1),
    "topic None": lambda n: n.NewTopic(None),
    "partitions text": lambda n: n.NewTopic("t", "3"),
    "partitions None": lambda n: n.NewTopic("t", None),
    "partitions too many": lambda n: n.NewTopic("t", 2**31),
    "config list": lambda n: n.NewTopic("t", config=[1]),
    "too many": lambda n: n.NewTopic("t", 1, 1, None, {}, 1),
    "set topic": lambda n: after(n.NewTopic("t"), "topic", "u"),
    "set partitions": lambda n: after(n.NewTopic("t"), "num_partitions", 5),
    "set other": lambda n: after(n.NewTopic("t"), "foo", 5),
    "equal whatever else": lambda n: n.NewTopic("t", 1) == n.NewTopic("t", 1, 2, config={"a": "b"}),
    "compared": lambda n: [
        comparisons(n.NewTopic(*a), n.NewTopic(*b))
        for a, b in ((("a",), ("b",)), (("a", 1), ("a", 2)), (("a", 1), ("a", 1)))
    ],
    "equal to text": lambda n: n.NewTopic("t") == "t",
    "hash": lambda n: len({n.NewTopic("t", 3), n.NewTopic("t", 3, 2), n.NewTopic("t", 4)}),
    "partitions": lambda n: [
        n.NewPartitions("t", 3, [[1]]).topic,
        n.NewPartitions("t", 3, [[1]]).new_total_count,
        n.NewPartitions("t", 3, [[1]]).replica_assignment,
        repr(n.NewPartitions(topic="t", new_total_count=3)),
    ],
    "partitions without count": lambda n: n.NewPartitions("t"),
    "partitions count text": lambda n: n.NewPartitions("t", "3"),
    "partitions compared": lambda n: [
        comparisons(n.NewPartitions(*a), n.NewPartitions(*b))
        for a, b in ((("a", 1), ("b", 0)), (("a", 1), ("a", 2)), (("a", 1), ("a", 1)))
    ],
    "partitions hash": lambda n: len({n.NewPartitions("t", 3), n.NewPartitions("t", 3)}),
    "partitions equal to number": lambda n: n.NewPartitions("t", 3) == 3,
    "description": lambda n: str(
        vars(n.TopicDescription("t", n.Uuid(1, 2), False, [], ["read", 4, n.AclOperation.ALL]))
    ),
    "description without rights": lambda n: (
        n.TopicDescription("t", n.Uuid(1, 2), True, []).authorized_operations
    ),
    "description with unknown right": lambda n: n.TopicDescription("t", None, True, [], ["fly"]),
}

RULE = ("topic", "t", "literal", "User:a", "*", "read", "allow")


def rule(names: Names, **changes: object) -> object:
    fields = ("restype", "name", "resource_pattern_type", "principal", "host", "operation",
              "permission_type")  # fmt: skip
    return names.AclBinding(**(dict(zip(fields, RULE, strict=True)) | changes))


def match(names: Names, **changes: object) -> object:
    every = {"restype": "any", "name": None, "resource_pattern_type": 1, "principal": None,
             "host": None, "operation": "ANY", "permission_type": "any"}  # fmt: skip
    return names.AclBindingFilter(**(every | changes))


ACLS: dict[str, Action] = {
    "rule": lambda n: {name: str(value) for name, value in sorted(vars(rule(n)).items())
                       if not name.endswith("_int")},
    "numbers": lambda n: [getattr(rule(n), name) for name in (
        "restype_int", "resource_pattern_type_int", "operation_int", "permission_type_int")],
    "repr": lambda n: repr(rule(n)),
    "by members": lambda n: repr(rule(n, restype=n.ResourceType.GROUP, operation=5)),
    "no name": lambda n: rule(n, name=None),
    "no principal": lambda n: rule(n, principal=None),
    "name number": lambda n: rule(n, name=5),
    "host bytes": lambda n: rule(n, host=b"*"),
    "unknown type": lambda n: rule(n, restype="planet"),
    "type of another enumeration": lambda n: rule(n, restype=n.AclOperation.READ),
    "type as list": lambda n: rule(n, restype=[]),
    "number out of range": lambda n: rule(n, operation=77),
    "any type": lambda n: rule(n, restype="any"),
    "match pattern": lambda n: rule(n, resource_pattern_type="match"),
    "any operation": lambda n: rule(n, operation=n.AclOperation.ANY),
    "unknown operation is accepted": lambda n: repr(rule(n, operation="unknown")),
    "equal": lambda n: [rule(n) == rule(n), rule(n) == rule(n, name="u"), rule(n) == 1],
    "order": lambda n: [rule(n) < rule(n, name="u"), rule(n) >= rule(n, operation="write")],
    "hash": lambda n: [hash(rule(n)) == hash(rule(n)), len({rule(n), rule(n), rule(n, name="u")})],
    "filter": lambda n: repr(match(n)),
    "filter unknown": lambda n: match(n, operation="unknown"),
    "filter unknown pattern": lambda n: match(n, resource_pattern_type="unknown"),
    "filter without type": lambda n: match(n, restype=None),
    "filter name number": lambda n: match(n, name=1),
}  # fmt: skip


def resource_after(names: Names, *steps: Callable[[object], object]) -> list[object]:
    resource = names.ConfigResource("topic", "t", {"a": "1"})
    for step in steps:
        step(resource)
    return [resource.set_config_dict, len(resource), [str(e) for e in resource.incremental_configs]]


CONFIGS: dict[str, Action] = {
    "entry": lambda n: {
        name: str(value) for name, value in sorted(vars(n.ConfigEntry("a", "1")).items())
    },
    "entry shown": lambda n: [str(n.ConfigEntry("a", "1")), repr(n.ConfigEntry("a", None))],
    "entry flags": lambda n: [
        (e.is_read_only, e.is_default, e.is_sensitive, e.is_synonym)
        for e in (n.ConfigEntry("a", "1", n.ConfigSource.DEFAULT_CONFIG, 1, 0, 1, 0),)
    ],
    "entry operation": lambda n: str(
        n.ConfigEntry("a", "1", incremental_operation=n.AlterConfigOpType.APPEND)
        .incremental_operation
    ),
    "resource": lambda n: [repr(n.ConfigResource(x, "t")) for x in (
        "topic", "Broker", 3, n.ResourceType.TOPIC, n.ConfigResource.Type.GROUP)],
    "resource number": lambda n: n.ConfigResource("topic", "t").restype_int,
    "resource error": lambda n: repr(n.ConfigResource("topic", "t", error=n.KafkaError(3, "x"))),
    "resource without name": lambda n: n.ConfigResource("topic", None),
    "resource unknown": lambda n: n.ConfigResource("planet", "t"),
    "resource number unknown": lambda n: n.ConfigResource(99, "t"),
    "resource equal": lambda n: [
        n.ConfigResource("topic", "t", {"a": "1"}) == n.ConfigResource(2, "t"),
        n.ConfigResource("topic", "t") == n.ConfigResource("broker", "t"),
        n.ConfigResource("topic", "t") == "t",
        hash(n.ConfigResource("topic", "t")) == hash(n.ConfigResource(2, "t")),
    ],
    "resource order": lambda n: str(sorted(n.ConfigResource("topic", x) for x in "bca")),
    "set": lambda n: resource_after(
        n, lambda r: r.set_config("b", "2"), lambda r: r.set_config("a", "9")),
    "set once": lambda n: resource_after(n, lambda r: r.set_config("a", "9", overwrite=False)),
    "increment": lambda n: resource_after(
        n, lambda r: r.add_incremental_config(n.ConfigEntry("c", "3"))),
    "the dictionary is copied": lambda n: (
        lambda d: (n.ConfigResource("topic", "t", d).set_config("x", "y"), d))({}),
}  # fmt: skip


def group(names: Names, **changes: object) -> dict[str, str]:
    given = {
        "group_id": "g", "is_simple_consumer_group": False, "members": [],
        "partition_assignor": "range", "state": "stable", "coordinator": names.Node(1, "h", 1),
    } | changes  # fmt: skip
    described = vars(names.ConsumerGroupDescription(**given))
    return {name: str(value) for name, value in sorted(described.items())}


OTHERS: dict[str, Action] = {
    "listing": lambda n: {k: str(v) for k, v in vars(n.ConsumerGroupListing("g", True)).items()},
    "listing with state": lambda n: str(
        list(vars(n.ConsumerGroupListing("g", True, "EMPTY", 1)).values())
    ),
    "listing bad state": lambda n: n.ConsumerGroupListing("g", True, "happy"),
    "listing without state": lambda n: n.ConsumerGroupListing("g", True).state,
    "listings": lambda n: vars(n.ListConsumerGroupsResult()),
    "assignment": lambda n: n.MemberAssignment(None).topic_partitions,
    "member": lambda n: list(vars(n.MemberDescription("m", "c", "h", None))),
    "member target": lambda n: n.MemberDescription("m", "c", "h", 1, "i", 2).target_assignment,
    "group": lambda n: group(n),
    "group of a type": lambda n: group(n, type="classic", authorized_operations=["read"]),
    "group without state": lambda n: group(n, state=None, type=None),
    "earliest": lambda n: [n.OffsetSpec.earliest()._value, n.OffsetSpec.latest()._value],
    "max timestamp": lambda n: n.OffsetSpec.max_timestamp()._value,
    "for timestamp": lambda n: n.OffsetSpec.for_timestamp(123).timestamp,
    "by number": lambda n: [type(n.OffsetSpec(x)).__name__ for x in (-1, -2, -3, 0, 99)],
    "by unknown number": lambda n: n.OffsetSpec(-9),
    "always the same": lambda n: n.OffsetSpec.latest() is n.OffsetSpec.latest(),
    "offset order": lambda n: [
        n.OffsetSpec.earliest() < n.OffsetSpec.latest(), n.OffsetSpec(5) < n.OffsetSpec(4)],
    "offset info": lambda n: [
        vars(n.ListOffsetsResultInfo(1, 2, 3)), vars(n.ListOffsetsResultInfo(1, -1, -1))],
    "deleted": lambda n: vars(n.DeletedRecords(5)),
    "scram info": lambda n: str(vars(n.ScramCredentialInfo(n.ScramMechanism.SCRAM_SHA_256, 4096))),
    "scram description": lambda n: vars(n.UserScramCredentialsDescription("u", [])),
    "scram upsertion": lambda n: vars(n.UserScramCredentialUpsertion("u", None, b"p")),
    "scram deletion": lambda n: str(
        vars(n.UserScramCredentialDeletion("u", n.ScramMechanism.SCRAM_SHA_512))),
    "scram base": lambda n: issubclass(
        n.UserScramCredentialDeletion, n.UserScramCredentialAlteration),
    "cluster": lambda n: list(vars(n.DescribeClusterResult(None, [], "c", [3]))),
    "cluster rights": lambda n: str(n.DescribeClusterResult(None, [], "c", [3])
                                    .authorized_operations),
    "metadata": lambda n: [(str(x), repr(x), vars(x)) for x in (
        n.ClusterMetadata(), n.BrokerMetadata(), n.TopicMetadata(), n.PartitionMetadata(),
        n.GroupMetadata())],
    "metadata with errors": lambda n: [repr(with_error(n, x)) for x in (
        n.TopicMetadata(), n.PartitionMetadata(), n.GroupMetadata())],
    "group member": lambda n: vars(n.GroupMember()),
}  # fmt: skip


def with_error(names: Names, value: object) -> object:
    value.error = names.KafkaError(3, "x")  # type: ignore[attr-defined]
    return value


@pytest.mark.parametrize("action", TOPICS.values(), ids=TOPICS)
def test_topics(action: Action, same_in_both: Check) -> None:
    same_in_both(action)


@pytest.mark.parametrize("action", ACLS.values(), ids=ACLS)
def test_acls(action: Action, same_in_both: Check) -> None:
    same_in_both(action)


@pytest.mark.parametrize("action", CONFIGS.values(), ids=CONFIGS)
def test_configs(action: Action, same_in_both: Check) -> None:
    same_in_both(action)


@pytest.mark.parametrize("action", OTHERS.values(), ids=OTHERS)
def test_groups_offsets_scram_and_clusters(action: Action, same_in_both: Check) -> None:
    same_in_both(action)
