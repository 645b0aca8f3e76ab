"""AdminClient: what is refused at once, what only the futures tell, what nobody answers."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from ottla.testing.side_by_side import Run

Calls = dict[str, Callable[[], Any]]

# Where the classes come from differs, of course.
_CLASS = re.compile(r"<class '[\w.]*?(\w+)'>")
# librdkafka has two words for it, and which one comes is a race.
_LATE = re.compile(r"^Timed out (waiting .*)")
_SHORT_S = 0.3


def outcomes(run: Run, calls: Calls) -> None:
    """Make all calls first, then note what each of them or its futures say."""
    made: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        for label, call in calls.items():
            try:
                made[label] = call()
            except Exception as error:
                made[label] = error
    for label, value in made.items():
        run.note(label, _said(run, value))


def _said(run: Run, value: Any) -> Any:
    if isinstance(value, Mapping):
        return [_said(run, future) for future in value.values()]
    if hasattr(value, "result"):
        try:
            return _said(run, value.result(20))
        except Exception as error:
            return _said(run, error)
    if isinstance(value, run.kafka.KafkaException):
        error = value.args[0]
        return {
            **run.describe(error),
            "text": _LATE.sub(r"Failed while \1: Local: Timed out", error.str()),
        }
    if isinstance(value, BaseException) and value.args and isinstance(value.args[0], str):
        return run.describe(type(value)(_CLASS.sub(r"\1", value.args[0])))
    return run.describe(value)


def nobody(run: Run) -> tuple[Any, dict[str, Any]]:
    """An admin client whose broker is not there, and the argument that makes that known soon."""
    return run.admin_client({"bootstrap.servers": "127.0.0.1:1"}), {"request_timeout": _SHORT_S}


def test_timeouts_and_flags(run: Run) -> None:
    admin, soon = nobody(run)
    one = [run.admin.NewTopic("t", 1, 1)]
    create = admin.create_topics
    outcomes(run, {
        "nobody there": lambda: create(one, **soon),
        "text": lambda: create(one, request_timeout="x"),
        "negative": lambda: create(one, request_timeout=-1),
        "longer than an hour": lambda: create(one, request_timeout=4000),
        "an hour": lambda: create(one, request_timeout=3600) and None,
        "operation": lambda: create(one, operation_timeout=-2, **soon),
        "operation left open": lambda: create(one, operation_timeout=-1, **soon),
        "operation longer": lambda: create(one, operation_timeout=4000, **soon),
        "a number as flag": lambda: create(one, validate_only=1, **soon),
        "a text as flag": lambda: create(one, validate_only="x", **soon),
        "unknown keyword": lambda: create(one, colour="blue"),
        "keyword of another": lambda: admin.delete_topics(["t"], validate_only=True),
    })  # fmt: skip


def test_topics(run: Run) -> None:
    admin, soon = nobody(run)
    new = run.admin.NewTopic

    def create(*args: Any, **kwargs: Any) -> Callable[[], Any]:
        return lambda: admin.create_topics([new(*args, **kwargs)], **soon)

    outcomes(run, {
        "a tuple": lambda: admin.create_topics((new("t"),)),
        "none": lambda: admin.create_topics([]),
        "a text": lambda: admin.create_topics(["t"]),
        "partitions in their place": lambda: admin.create_topics([run.admin.NewPartitions("t", 1)]),
        "too many partitions": create("t", 100_001),
        "fewer than none": create("t", -2),
        "too many replicas": create("t", 1, 10_001),
        "no replicas": create("t", 1, 0),
        "replicas below the default": create("t", 1, -2),
        "assignment": create("t", 2, replica_assignment=[[1], [1]]),
        "assignment and replicas": create("t", 1, 1, [[1]]),
        "assignment of another size": create("t", 2, replica_assignment=[[1]]),
        "assignment of texts": create("t", 1, replica_assignment=[["x"]]),
        "assignment of nothing": create("t", 1, replica_assignment=[[]]),
        "number as setting": create("t", 1, 1, config={"a": 1}),
        "number as key": create("t", 1, 1, config={1: "a"}),
        "twice": lambda: admin.create_topics([new("t"), new("t")], **soon),
    })  # fmt: skip


def test_deleting_and_growing_topics(run: Run) -> None:
    admin, soon = nobody(run)
    more = run.admin.NewPartitions
    outcomes(run, {
        "delete none": lambda: admin.delete_topics([]),
        "delete a text": lambda: admin.delete_topics("topic"),
        "delete a tuple": lambda: admin.delete_topics(("t",)),
        "delete None": lambda: admin.delete_topics([None]),
        "delete a number": lambda: admin.delete_topics([5], **soon),
        "delete twice": lambda: admin.delete_topics(["t", "t"], **soon),
        "grow none": lambda: admin.create_partitions([]),
        "grow a topic": lambda: admin.create_partitions([run.admin.NewTopic("t", 1, 1)]),
        "grow to nothing": lambda: admin.create_partitions([more("t", 0)]),
        "grow": lambda: admin.create_partitions([more("t", 3)], **soon),
        "more assigned": lambda: admin.create_partitions([more("t", 1, [[1], [1]])]),
        "nothing assigned": lambda: admin.create_partitions([more("t", 3, [])]),
    })  # fmt: skip


def test_describing(run: Run) -> None:
    admin, soon = nobody(run)
    topics = run.kafka.TopicCollection

    def describe(names: Any, **kwargs: Any) -> Callable[[], Any]:
        return lambda: admin.describe_topics(topics(names), **soon, **kwargs)

    outcomes(run, {
        "topic": describe(["t"]),
        "none": describe([]),
        "twice": describe(["t", "t"]),
        "without a name": describe([""]),
        "a number": describe([3]),
        "None": describe([None]),
        "no list": describe("t"),
        "no collection": lambda: admin.describe_topics(["t"]),
        "flag": describe(["t"], include_authorized_operations="yes"),
        "cluster": lambda: admin.describe_cluster(**soon),
        "list topics": lambda: admin.list_topics(timeout=_SHORT_S),
        "list one": lambda: admin.list_topics("t", _SHORT_S),
        "list a number": lambda: admin.list_topics(3),
        "list groups": lambda: admin.list_groups(timeout=_SHORT_S),
        "cluster id": lambda: admin.cluster_id(timeout=_SHORT_S),
        "poll nothing": lambda: admin.poll(),
        "poll None": lambda: admin.poll(None),
        "credentials": lambda: admin.set_sasl_credentials("user", "secret"),
        "no password": lambda: admin.set_sasl_credentials("user", None),
    })  # fmt: skip


def test_configurations(run: Run) -> None:
    admin, soon = nobody(run)
    resource, entry = run.admin.ConfigResource, run.admin.ConfigEntry
    to_set = run.admin.AlterConfigOpType.SET

    def describe(*resources: Any, **kwargs: Any) -> Callable[[], Any]:
        return lambda: admin.describe_configs(list(resources), **soon, **kwargs)

    def alter(*entries: Any, kind: str = "topic", name: str = "1") -> Callable[[], Any]:
        changed = resource(kind, name, incremental_configs=list(entries))
        return lambda: admin.incremental_alter_configs([changed], **soon)

    change = entry("a", "b", incremental_operation=to_set)
    outcomes(run, {
        "topic": describe(resource("topic", "t")),
        "broker": describe(resource("broker", "1")),
        "broker that is no number": describe(resource("broker", "x")),
        "twice": describe(resource("topic", "t"), resource("topic", "t")),
        "none": describe(),
        "a text": describe("t"),
        "without a name": describe(resource("topic", "")),
        "ask a broker": describe(resource("topic", "t"), broker=3),
        "ask a negative broker": describe(resource("topic", "t"), broker=-2),
        "ask a broker by name": describe(resource("topic", "t"), broker="b"),
        "change nothing": alter(),
        "change": alter(change),
        "change a broker": alter(change, kind="broker"),
        "without an operation": alter(entry("a", "b")),
        "set nothing": alter(entry("a", None, incremental_operation=to_set)),
        "no entry": alter("a=b"),
        "change twice": alter(change, change),
        "change without a key": alter(entry("", "b", incremental_operation=to_set)),
        "change no resource": lambda: admin.incremental_alter_configs(["t"]),
        "change no resources": lambda: admin.incremental_alter_configs([]),
        "replace": lambda: admin.alter_configs([resource("topic", "t")], **soon),
        "replace by a number": lambda: admin.alter_configs(
            [resource("topic", "t", set_config={"a": 1})], **soon
        ),
    })  # fmt: skip


def test_groups(run: Run) -> None:
    admin, soon = nobody(run)
    types = run.kafka.ConsumerGroupType
    outcomes(run, {
        "list": lambda: admin.list_consumer_groups(**soon),
        "states in a list": lambda: admin.list_consumer_groups(states=[1]),
        "numbers as states": lambda: admin.list_consumer_groups(states={1}),
        "numbers as types": lambda: admin.list_consumer_groups(types={1}),
        "unknown type": lambda: admin.list_consumer_groups(types={types.UNKNOWN}),
        "no filters": lambda: admin.list_consumer_groups(states=None, types=None, **soon),
        "describe": lambda: admin.describe_consumer_groups(["g"], **soon),
        "describe twice": lambda: admin.describe_consumer_groups(["g", "g"], **soon),
        "describe None": lambda: admin.describe_consumer_groups([None]),
        "describe none": lambda: admin.describe_consumer_groups([]),
        "describe a text": lambda: admin.describe_consumer_groups("g"),
        "delete": lambda: admin.delete_consumer_groups(["g"], **soon),
        "delete twice": lambda: admin.delete_consumer_groups(["g", "g"], **soon),
        "delete a number": lambda: admin.delete_consumer_groups([3]),
        "delete none": lambda: admin.delete_consumer_groups([]),
    })  # fmt: skip


def test_group_offsets(run: Run) -> None:
    admin, soon = nobody(run)
    group, part = run.kafka.ConsumerGroupTopicPartitions, run.kafka.TopicPartition

    def both(*wanted: Any, **kwargs: Any) -> Callable[[], Any]:
        def call() -> Any:
            said = []
            for method in (admin.list_consumer_group_offsets, admin.alter_consumer_group_offsets):
                try:
                    said.append(_said(run, method(list(wanted), **soon, **kwargs)))
                except Exception as error:
                    said.append(_said(run, error))
            return said

        return call

    outcomes(run, {
        "all": both(group("g")),
        "a partition": both(group("g", [part("t", 0)])),
        "an offset": both(group("g", [part("t", 0, 3)])),
        "a partition twice": both(group("g", [part("t", 0), part("t", 0)])),
        "an offset twice": both(group("g", [part("t", 0, 3), part("t", 0, 4)])),
        "no partitions": both(group("g", [])),
        "no list of them": both(group("g", part("t", 0))),
        "no partition": both(group("g", ["t"])),
        "None as partition": both(group("g", [None])),
        "no topic": both(group("g", [part("", 0)])),
        "no number": both(group("g", [part("t")])),
        "no name": both(group("")),
        "None as name": both(group(None)),
        "a number as name": both(group(5)),
        "two groups": both(group("g"), group("h")),
        "no groups": both(),
        "a text": both("g"),
        "flag": lambda: admin.list_consumer_group_offsets([group("g")], require_stable="yes"),
    })  # fmt: skip


def test_offsets_and_records(run: Run) -> None:
    admin, soon = nobody(run)
    part, spec = run.kafka.TopicPartition, run.admin.OffsetSpec
    latest = spec.latest()
    outcomes(run, {
        "list": lambda: admin.list_offsets({part("t", 0): latest}, **soon),
        "list none": lambda: admin.list_offsets({}, **soon),
        "list a list": lambda: admin.list_offsets([part("t", 0)]),
        "list a text": lambda: admin.list_offsets({"t": latest}),
        "list without a topic": lambda: admin.list_offsets({part("", 0): latest}),
        "list without a number": lambda: admin.list_offsets({part("t"): latest}),
        "list a number": lambda: admin.list_offsets({part("t", 0): 3}),
        "isolation": lambda: admin.list_offsets({part("t", 0): latest}, isolation_level=1),
        "delete": lambda: admin.delete_records([part("t", 0, 3)], **soon),
        "delete none": lambda: admin.delete_records([], **soon),
        "delete twice": lambda: admin.delete_records([part("t", 0, 3), part("t", 0, 4)], **soon),
        "delete a tuple": lambda: admin.delete_records((part("t", 0, 3),)),
        "delete a text": lambda: admin.delete_records(["t"]),
        "delete without a number": lambda: admin.delete_records([part("t")]),
        "elect by number": lambda: admin.elect_leaders(0),
        "elect a tuple": lambda: admin.elect_leaders(run.kafka.ElectionType.PREFERRED, ()),
        "elect a text": lambda: admin.elect_leaders(run.kafka.ElectionType.PREFERRED, ["t"]),
    })  # fmt: skip


def test_access(run: Run) -> None:
    admin, soon = nobody(run)
    rule = run.admin.AclBinding("topic", "t", "literal", "User:x", "*", "read", "allow")
    match = run.admin.AclBindingFilter("topic", "t", "literal", None, None, "any", "any")
    outcomes(run, {
        "create": lambda: admin.create_acls([rule], **soon),
        "create none": lambda: admin.create_acls([]),
        "create twice": lambda: admin.create_acls([rule, rule]),
        "create a text": lambda: admin.create_acls(["rule"]),
        "create a tuple": lambda: admin.create_acls((rule,)),
        "describe": lambda: admin.describe_acls(match, **soon),
        "describe a rule": lambda: admin.describe_acls(rule),
        "delete": lambda: admin.delete_acls([match], **soon),
        "delete a rule": lambda: admin.delete_acls([rule]),
        "delete none": lambda: admin.delete_acls([]),
    })  # fmt: skip


def test_credentials(run: Run) -> None:
    admin, soon = nobody(run)
    names = run.admin
    info = names.ScramCredentialInfo(names.ScramMechanism.SCRAM_SHA_256, 4096)
    unknown = names.ScramMechanism.UNKNOWN

    def alter(*changes: Any) -> Callable[[], Any]:
        return lambda: admin.alter_user_scram_credentials(list(changes), **soon)

    def upsert(user: Any = "u", info: Any = info, *args: Any) -> Callable[[], Any]:
        return alter(names.UserScramCredentialUpsertion(user, info, *(args or (b"secret",))))

    deletion = names.UserScramCredentialDeletion("u", names.ScramMechanism.SCRAM_SHA_256)
    outcomes(run, {
        "describe": lambda: admin.describe_user_scram_credentials(["u"], **soon),
        "describe all": lambda: admin.describe_user_scram_credentials(**soon),
        "describe none": lambda: admin.describe_user_scram_credentials([], **soon),
        "describe twice": lambda: admin.describe_user_scram_credentials(["u", "u"], **soon),
        "describe a text": lambda: admin.describe_user_scram_credentials("u"),
        "describe nobody": lambda: admin.describe_user_scram_credentials([""]),
        "describe None": lambda: admin.describe_user_scram_credentials([None]),
        "delete": alter(deletion),
        "alter nothing": alter(),
        "alter a text": alter("u"),
        "delete of an unknown kind": alter(names.UserScramCredentialDeletion("u", unknown)),
        "delete by number": alter(names.UserScramCredentialDeletion("u", 1)),
        "set": upsert(),
        "set nobody's": upsert(""),
        "set None's": upsert(None),
        "no password": upsert("u", info, None),
        "empty password": upsert("u", info, b""),
        "text as password": upsert("u", info, "secret"),
        "empty salt": upsert("u", info, b"secret", b""),
        "text as salt": upsert("u", info, b"secret", "salt"),
        "no iterations": upsert("u", names.ScramCredentialInfo(info.mechanism, 0)),
        "no info": upsert("u", 4096),
        "mechanism by number": upsert("u", names.ScramCredentialInfo(1, 4096)),
    })  # fmt: skip
