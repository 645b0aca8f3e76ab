"""AdminClient: what the futures' results look like, attribute by attribute."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from ottla.testing.side_by_side import Run
from ottla.testing.waiting import eventually

# Ottla's values may know more than these.
_GROUP = (
    "group_id", "is_simple_consumer_group", "members", "partition_assignor", "state", "type",
    "coordinator", "authorized_operations",
)  # fmt: skip
_MEMBER = (
    "client_id", "host", "assignment", "target_assignment", "group_instance_id",
)  # fmt: skip
_NODE = ("id", "id_string", "host", "rack")


def fields(run: Run, value: Any, names: Sequence[str]) -> dict[str, Any]:
    """Some attributes of a value; one it lacks is told."""
    return {name: run.describe(getattr(value, name, "missing")) for name in names}


def result(run: Run, label: str, future: Any) -> Any:
    """Note an exception; a result is returned."""
    try:
        return future.result(20)
    except Exception as error:
        run.note(f"{label} raised", error)
        return None


def only(futures: Any) -> Any:
    """The one future of a dictionary."""
    [future] = futures.values()
    return future


def topic_config(run: Run, admin: Any, topic: str) -> Any:
    return only(admin.describe_configs([run.admin.ConfigResource("topic", topic)])).result(20)


def ready_topic(run: Run, admin: Any, partitions: int = 1, **config: str) -> str:
    """A new topic that has come to the ears of every part of the broker."""
    topic = run.topic(partitions, **config)

    def is_known() -> bool:
        listed = admin.list_topics(timeout=20).topics.get(topic)
        described = admin.describe_configs([run.admin.ConfigResource("topic", topic)])
        is_listed = listed is not None and len(listed.partitions) == partitions
        return is_listed and only(described).exception(20) is None

    eventually(is_known, what="the topic is known")
    return topic


def test_keys_and_kinds_of_futures(run: Run) -> None:
    admin = run.admin_client()
    topic = ready_topic(run, admin)
    part = run.kafka.TopicPartition(topic, 0)
    group = run.kafka.ConsumerGroupTopicPartitions(run.name("group"))
    resource = run.admin.ConfigResource("topic", topic)
    for label, futures in (
        ("topics", admin.describe_topics(run.kafka.TopicCollection([topic]))),
        ("configs", admin.describe_configs([resource])),
        ("offsets", admin.list_offsets({part: run.admin.OffsetSpec.latest()})),
        ("records", admin.delete_records([run.kafka.TopicPartition(topic, 0, 0)])),
        ("group", admin.list_consumer_group_offsets([group])),
    ):
        run.note(label, [(key, type(future).__name__) for key, future in futures.items()])
        for future in futures.values():
            run.note(label, future.cancel(), future.running() or future.done())
            future.exception(20)
            run.note(label, future.done(), future.cancelled())
    called: list[Any] = []
    future = admin.describe_cluster()
    future.add_done_callback(called.append)
    future.result(20)
    eventually(lambda: called, what="the callback")
    run.note("callback", called == [future])


def test_topics_are_described(run: Run) -> None:
    admin = run.admin_client()
    topic = ready_topic(run, admin, 2)
    for included in (False, True):
        futures = admin.describe_topics(
            run.kafka.TopicCollection([topic]), include_authorized_operations=included
        )
        described = result(run, "topic", only(futures))
        run.note("topic", fields(run, described, ("name", "topic_id", "is_internal")))
        run.note("allowed", described.authorized_operations)
        for partition in described.partitions:
            run.note("partition", type(partition).__name__, partition.id)
            run.note("leader", fields(run, partition.leader, _NODE), str(partition.leader)[:5])
            run.note("replicas", [fields(run, each, _NODE) for each in partition.replicas])
            run.note("in sync", [fields(run, each, _NODE) for each in partition.isr])


def test_the_cluster_is_described(run: Run) -> None:
    admin = run.admin_client()
    for included in (False, True):
        described = admin.describe_cluster(include_authorized_operations=included).result(20)
        run.note("cluster", type(described).__name__, described.authorized_operations)
        run.note("controller", fields(run, described.controller, _NODE))
        run.note("nodes", [fields(run, node, _NODE) for node in described.nodes])
        run.note("id", type(described.cluster_id).__name__)


def test_topics_are_listed(run: Run) -> None:
    admin = run.admin_client()
    topic, missing = ready_topic(run, admin, 2), run.name("topic")
    every = admin.list_topics(timeout=20)
    run.note("cluster", type(every).__name__, str(every) == every.cluster_id)
    run.note("ids", admin.cluster_id() == every.cluster_id, every.controller_id)
    run.note("answered", every.orig_broker_id, every.orig_broker_name)
    run.note("brokers", {key: (each.id, each.host) for key, each in every.brokers.items()})
    listed = every.topics[topic]
    run.note("topic", listed, repr(listed), str(listed))
    one = admin.list_topics(topic, timeout=20)
    run.note("one", list(one.topics))
    # Asking about it by name makes a broker that creates topics on their first use create it.
    run.note("missing", list(admin.list_topics(missing, timeout=20).topics))
    eventually(lambda: missing in admin.list_topics(timeout=20).topics, what="the topic")


def test_configurations_are_described(run: Run) -> None:
    admin = run.admin_client()
    topic = ready_topic(run, admin, retention_ms="86400000", cleanup_policy="compact")
    entries = topic_config(run, admin, topic)
    names = ("name", "value", "source", "is_read_only", "is_default", "is_sensitive",
             "is_synonym", "synonyms")  # fmt: skip
    for key in ("retention.ms", "cleanup.policy", "segment.bytes"):
        run.note(key, fields(run, entries[key], names))
    broker = run.admin.ConfigResource("broker", "1")
    entries = only(admin.describe_configs([broker])).result(20)
    for key in ("log.retention.hours", "message.max.bytes", "num.partitions"):
        run.note(key, fields(run, entries[key], names))
    both = admin.describe_configs([broker, run.admin.ConfigResource("topic", topic)])
    run.note(
        "both", [repr(key) for key in both], [type(f.result(20)).__name__ for f in both.values()]
    )
    missing = run.admin.ConfigResource("topic", run.name("topic"))
    result(run, "missing topic", only(admin.describe_configs([missing])))
    group = run.admin.ConfigResource("group", run.name("group"))
    found = result(run, "group", only(admin.describe_configs([group])))
    run.note("group", "consumer.session.timeout.ms" in found)
    for kind in ("any", "transactional_id"):
        future = only(admin.describe_configs([run.admin.ConfigResource(kind, "x")]))
        run.note(kind, type(future.exception(20)).__name__)


def test_configurations_are_altered(run: Run) -> None:
    admin = run.admin_client()
    topic = ready_topic(run, admin)
    kinds = run.admin.AlterConfigOpType

    def alter(label: str, *changes: tuple[str, Any, Any], **kwargs: Any) -> None:
        entries = [
            run.admin.ConfigEntry(key, value, incremental_operation=operation)
            for key, value, operation in changes
        ]
        resource = run.admin.ConfigResource("topic", topic, incremental_configs=entries)
        futures = admin.incremental_alter_configs([resource], **kwargs)
        run.note(label, result(run, label, only(futures)))

    def values() -> list[Any]:
        entries = topic_config(run, admin, topic)
        return [entries[key].value for key in ("retention.ms", "cleanup.policy", "segment.ms")]

    def now(label: str, expected: list[Any]) -> None:
        eventually(lambda: values() == expected, what=label)
        run.note(label, values())

    week = "604800000"
    alter("set", ("retention.ms", "60000", kinds.SET), ("segment.ms", "70000", kinds.SET))
    now("set", ["60000", "delete", "70000"])
    alter("append", ("cleanup.policy", "compact", kinds.APPEND))
    now("appended", ["60000", "delete,compact", "70000"])
    alter("subtract", ("cleanup.policy", "delete", kinds.SUBTRACT))
    now("subtracted", ["60000", "compact", "70000"])
    alter("delete", ("retention.ms", None, kinds.DELETE))
    now("deleted", [week, "compact", "70000"])
    alter("only checked", ("retention.ms", "5000", kinds.SET), validate_only=True)
    now("as before", [week, "compact", "70000"])
    alter("append to a number", ("retention.ms", "5", kinds.APPEND))
    alter("by a broker", ("retention.ms", "80000", kinds.SET), broker=1)
    now("by a broker", ["80000", "compact", "70000"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        resource = run.admin.ConfigResource("topic", topic, set_config={"segment.ms": "90000"})
        run.note("replace", result(run, "replace", only(admin.alter_configs([resource]))))
    now("replaced", [week, "delete", "90000"])


def test_groups_with_members(run: Run) -> None:
    for protocol in ("classic", "consumer"):
        admin = run.admin_client()
        topic, group = ready_topic(run, admin, 2), run.name("group")
        settings = {"group.id": group, "client.id": "reader", "group.protocol": protocol}
        if protocol == "classic":
            settings["group.instance.id"] = "first"
        consumer = run.consumer(settings)
        consumer.subscribe([topic])
        run.assigned(consumer, 2)
        described = result(run, "described", only(admin.describe_consumer_groups([group])))
        run.note(
            protocol,
            fields(run, described, [f for f in _GROUP if f not in ("members", "coordinator")]),
        )
        run.note("coordinator", fields(run, described.coordinator, _NODE))
        for member in described.members:
            run.note("member", fields(run, member, _MEMBER), bool(member.member_id))
        allowed = admin.describe_consumer_groups([group], include_authorized_operations=True)
        run.note("allowed", result(run, "allowed", only(allowed)).authorized_operations)
        _note_listing(run, admin, group)
        result(run, "delete", only(admin.delete_consumer_groups([group])))
        part = run.kafka.TopicPartition(topic, 0, 1)
        _note_offsets(
            run,
            "alter",
            only(
                admin.alter_consumer_group_offsets(
                    [run.kafka.ConsumerGroupTopicPartitions(group, [part])]
                )
            ),
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            listed = admin.list_groups(group, timeout=20)
        run.note("list groups", [(g.id, g.error, g.state, g.protocol_type) for g in listed])
        run.note("members", [(m.client_id, m.client_host) for g in listed for m in g.members])
        consumer.close()


def _note_listing(run: Run, admin: Any, group: str) -> None:
    kinds, states = run.kafka.ConsumerGroupType, run.kafka.ConsumerGroupState
    for label, filters in (
        ("all", {}),
        ("stable", {"states": {states.STABLE}}),
        ("empty or dead", {"states": {states.EMPTY, states.DEAD}}),
        ("classic", {"types": {kinds.CLASSIC}}),
        ("consumer", {"types": {kinds.CONSUMER}}),
    ):
        listed = admin.list_consumer_groups(**filters).result(20)
        mine = [each for each in listed.valid if each.group_id == group]
        names = ("group_id", "is_simple_consumer_group", "state", "type")
        run.note(label, [fields(run, each, names) for each in mine], listed.errors)


def _note_offsets(run: Run, label: str, future: Any) -> None:
    found = result(run, label, future)
    if found is not None:
        run.note(label, type(found).__name__, found.group_id, found.topic_partitions)


def test_offsets_of_groups(run: Run) -> None:
    admin = run.admin_client()
    topic, group = ready_topic(run, admin, 3), run.name("group")
    part, of_group = run.kafka.TopicPartition, run.kafka.ConsumerGroupTopicPartitions
    result(run, "no such group", only(admin.list_consumer_group_offsets([of_group(group)])))
    change = [part(topic, 0, 5, "a note", 0), part(topic, 1, 0), part(run.name("topic"), 0, 3)]
    _note_offsets(
        run, "altered", only(admin.alter_consumer_group_offsets([of_group(group, change)]))
    )
    wanted = [part(topic, 2), part(topic, 0), part(topic, 1)]
    for label, request in (("some", of_group(group, wanted)), ("all", of_group(group))):
        for stable in (False, True):
            futures = admin.list_consumer_group_offsets([request], require_stable=stable)
            found = only(futures).result(20).topic_partitions
            run.note(label, sorted(found), [each.metadata for each in sorted(found)])
            run.note(label, [each.leader_epoch for each in sorted(found)])
    futures = admin.describe_consumer_groups([group, run.name("group")])
    for future in futures.values():
        described = result(run, "described", future)
        run.note("described", fields(run, described, [f for f in _GROUP if f != "coordinator"]))
    _note_listing(run, admin, group)
    deleted = admin.delete_consumer_groups([group, run.name("group")])
    for future in deleted.values():
        run.note("deleted", result(run, "deleted", future))


def test_offsets_of_partitions(run: Run) -> None:
    admin = run.admin_client()
    topic, missing = ready_topic(run, admin, 2), run.name("topic")
    run.fill(topic, [b"0", b"1", b"2"], timestamp=1_600_000_000_000)
    part, spec = run.kafka.TopicPartition, run.admin.OffsetSpec
    levels = run.kafka.IsolationLevel
    asked = {part(topic, 0): spec.earliest(), part(topic, 1): spec.latest()}
    for level in (levels.READ_COMMITTED, levels.READ_UNCOMMITTED):
        for key, future in admin.list_offsets(asked, isolation_level=level).items():
            found = result(run, "listed", future)
            run.note("listed", key, fields(run, found, ("offset", "timestamp", "leader_epoch")))
    for label, wanted in (
        ("past the end", spec.for_timestamp(1_700_000_000_000)),
        ("largest", spec.max_timestamp()),
    ):
        found = result(run, label, only(admin.list_offsets({part(topic, 0): wanted})))
        run.note(label, fields(run, found, ("offset", "timestamp", "leader_epoch")))
    for unknown in (part(missing, 0), part(topic, 9)):
        mixed = {unknown: spec.latest(), part(topic, 0): spec.latest()}
        for future in admin.list_offsets(mixed, request_timeout=3).values():
            run.note("mixed", type(future.exception(20)).__name__)
    trimmed = admin.delete_records([part(topic, 0, 2), part(topic, 1, -1)])
    for key, future in trimmed.items():
        found = result(run, "trimmed", future)
        run.note("trimmed", key, type(found).__name__, found.low_watermark)
    for bad in (part(topic, 0, 77), part(topic, 0, -7)):
        result(run, "beyond", only(admin.delete_records([bad])))


def test_elections(run: Run) -> None:
    admin = run.admin_client()
    topic = ready_topic(run, admin, 2)
    part, kinds = run.kafka.TopicPartition, run.kafka.ElectionType
    for kind in (kinds.PREFERRED, kinds.UNCLEAN):
        elected = admin.elect_leaders(kind, [part(topic, 0), part(run.name("topic"), 0)])
        found = elected.result(20)
        run.note("elected", sorted(found.items()))
    every = admin.elect_leaders(kinds.PREFERRED).result(20)
    run.note(
        "all", type(every).__name__, [error for key, error in every.items() if key.topic == topic]
    )
