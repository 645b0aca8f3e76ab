"""AdminClient: the essentials."""

from __future__ import annotations

from typing import Any

from ottla.testing.side_by_side import Run


def results(run: Run, label: str, futures: Any) -> dict[Any, Any]:
    """Wait for each future of a mapping, and note its result."""
    found = {}
    for key, future in futures.items():
        found[key] = run.call(f"{label} {run.describe(key)}", future.result, 10)
    return found


def test_topics_are_created_and_deleted(run: Run) -> None:
    admin = run.admin_client()
    topic, other = run.name("topic"), run.name("topic")
    new = run.admin.NewTopic
    created = admin.create_topics([new(topic, 2, 1), new(other, num_partitions=1)])
    run.note("keys", sorted(map(run.text, created)))
    results(run, "create", created)
    results(run, "again", admin.create_topics([new(topic, 2, 1)]))
    results(run, "bad name", admin.create_topics([new("no/such", 1, 1)]))
    results(run, "no partitions", admin.create_topics([new(run.name("topic"), 0, 1)]))
    results(run, "too many replicas", admin.create_topics([new(run.name("topic"), 1, 9)]))
    config = {"no.such.config": "1"}
    wrong = admin.create_topics([new(run.name("topic"), 1, 1, config=config)])
    run.note("bad config", [type(each.exception(10)).__name__ for each in wrong.values()])
    results(run, "delete", admin.delete_topics([topic, other]))
    results(run, "delete again", admin.delete_topics([topic]))


def test_validation_only(run: Run) -> None:
    admin = run.admin_client()
    topic = run.name("topic")
    new = run.admin.NewTopic(topic, 1, 1)
    results(run, "validate", admin.create_topics([new], validate_only=True))
    run.note("there", topic in admin.list_topics(timeout=10).topics)


def test_bad_arguments(run: Run) -> None:
    admin = run.admin_client()
    new = run.admin.NewTopic
    run.call("none", admin.create_topics, [])
    run.call("no topics", admin.create_topics, ["x"])
    run.call("unknown keyword", admin.create_topics, [new("t", 1, 1)], colour="blue")
    run.call("bad timeout", admin.create_topics, [new("t", 1, 1)], request_timeout="x")
    run.call("negative timeout", admin.create_topics, [new("t", 1, 1)], request_timeout=-1)
    run.call("delete none", admin.delete_topics, [])
    run.call("delete text", admin.delete_topics, "topic")
    run.call("partitions none", admin.create_partitions, [])
    run.call("configs none", admin.describe_configs, [])
    run.call("resource", run.admin.ConfigResource, "colour", "n")
    run.call("resource", run.admin.ConfigResource, "topic", "")
    run.call("name", new, None)


def test_partitions_are_added(run: Run) -> None:
    admin = run.admin_client()
    topic = run.topic()
    more = run.admin.NewPartitions
    results(run, "more", admin.create_partitions([more(topic, 3)]))
    results(run, "fewer", admin.create_partitions([more(topic, 1)]))
    run.note("now", len(admin.list_topics(topic, timeout=10).topics[topic].partitions))
    missing = admin.create_partitions([more("no-such-topic", 3)])
    run.note("missing", [type(each.exception(10)).__name__ for each in missing.values()])


def test_configurations(run: Run) -> None:
    admin = run.admin_client()
    topic = run.topic(retention_ms="86400000")
    resource = run.admin.ConfigResource("topic", topic)
    run.note("resource", str(resource), resource == run.admin.ConfigResource("topic", topic))
    [entries] = [future.result(10) for future in admin.describe_configs([resource]).values()]
    entry = entries["retention.ms"]
    run.note("entry", entry.name, entry.value, entry.source, entry.is_read_only, entry.is_default)
    run.note("sensitive", entry.is_sensitive, entry.is_synonym, str(entry))
    kind = run.admin.ConfigEntry
    operation = run.admin.AlterConfigOpType.SET
    change = kind("cleanup.policy", "compact", incremental_operation=operation)
    altered = run.admin.ConfigResource("topic", topic, incremental_configs=[change])
    results(run, "altered", admin.incremental_alter_configs([altered]))
    [entries] = [future.result(10) for future in admin.describe_configs([resource]).values()]
    run.note("now", entries["cleanup.policy"].value, entries["retention.ms"].value)


def test_clusters_and_topics_are_described(run: Run) -> None:
    admin = run.admin_client()
    topic = run.topic(2)
    cluster = admin.describe_cluster(request_timeout=10).result(10)
    run.note("cluster", type(cluster).__name__, len(cluster.nodes), cluster.controller.id)
    run.note("id", cluster.cluster_id == admin.list_topics(timeout=10).cluster_id)
    futures = admin.describe_topics(run.kafka.TopicCollection([topic, "no-such-topic"]))
    described = futures[topic].result(10)
    run.note("topic", described.name, described.is_internal, len(described.partitions))
    run.note("partitions", [(each.id, each.leader.id) for each in described.partitions])
    run.call("missing", futures["no-such-topic"].result, 10)


def test_groups(run: Run) -> None:
    admin = run.admin_client()
    topic, group = run.topic(2), run.name("group")
    consumer = run.consumer({"group.id": group, "client.id": "me"})
    consumer.subscribe([topic])
    run.assigned(consumer, 2)
    part = run.kafka.TopicPartition
    consumer.commit(offsets=[part(topic, 0, 7)], asynchronous=False)
    [described] = [each.result(10) for each in admin.describe_consumer_groups([group]).values()]
    run.note("group", described.group_id, described.state, described.partition_assignor)
    [member] = described.members
    run.note("member", member.client_id, sorted(member.assignment.topic_partitions))
    listed = admin.list_consumer_groups(request_timeout=10).result(10)
    run.note("listed", [each.state for each in listed.valid if each.group_id == group])
    wanted = run.kafka.ConsumerGroupTopicPartitions(group)
    [offsets] = [each.result(10) for each in admin.list_consumer_group_offsets([wanted]).values()]
    run.note("offsets", offsets.group_id, offsets.topic_partitions)
    results(run, "delete in use", admin.delete_consumer_groups([group], request_timeout=10))
    consumer.close()
    results(run, "delete", admin.delete_consumer_groups([group], request_timeout=10))
    results(run, "delete again", admin.delete_consumer_groups([group], request_timeout=10))


def test_offsets_and_records(run: Run) -> None:
    admin = run.admin_client()
    topic = run.topic()
    run.fill(topic, [b"0", b"1", b"2"], timestamp=1_600_000_000_000)
    part = run.kafka.TopicPartition(topic, 0)
    specification = run.admin.OffsetSpec
    for name, wanted in (
        ("earliest", specification.earliest()), ("latest", specification.latest()),
        ("max", specification.max_timestamp()),
        ("at", specification.for_timestamp(1_600_000_000_000)),
    ):  # fmt: skip
        [found] = [each.result(10) for each in admin.list_offsets({part: wanted}).values()]
        run.note(name, type(found).__name__, found.offset, found.timestamp)
    deleted = admin.delete_records([run.kafka.TopicPartition(topic, 0, 2)])
    run.note("deleted", [each.result(10).low_watermark for each in deleted.values()])
    beyond = admin.delete_records([run.kafka.TopicPartition(topic, 0, 99)])
    results(run, "beyond", beyond)


def test_no_broker(run: Run) -> None:
    admin = run.admin_client({"bootstrap.servers": "127.0.0.1:1"})
    run.code_of("list", lambda: admin.list_topics(timeout=0.2))
    future = admin.create_topics([run.admin.NewTopic("t", 1, 1)], request_timeout=0.2)["t"]
    run.code_of("create", lambda: future.result(10))
