"""confluent-kafka's AdminClient (librdkafka)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import (
    Consumer,
    ConsumerGroupState,
    ConsumerGroupTopicPartitions,
    ConsumerGroupType,
    ElectionType,
    KafkaError,
    KafkaException,
    Producer,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

from ottla.testing.waiting import eventually

NewTopicName = Callable[..., str]
Unique = Callable[[str], str]


def code_of(future: Any) -> int:
    with pytest.raises(KafkaException) as caught:
        future.result(20)
    return int(caught.value.args[0].code())


def topic_config(admin: AdminClient, topic: str) -> dict[str, ConfigEntry]:
    resource = ConfigResource(ResourceType.TOPIC, topic)
    return admin.describe_configs([resource])[resource].result(20)


def fill(bootstrap: str, topic: str, count: int, partition: int = 0) -> None:
    producer = Producer({"bootstrap.servers": bootstrap})
    for number in range(count):
        producer.produce(topic, b"%d" % number, partition=partition, timestamp=1000 + number)
    assert producer.flush(20) == 0


def test_topics_are_created_listed_described_and_deleted(
    admin: AdminClient, unique: Unique
) -> None:
    name = unique("topic")
    admin.create_topics([NewTopic(name, 3, 1)])[name].result(20)
    assert len(admin.list_topics(timeout=10).topics[name].partitions) == 3
    described = admin.describe_topics(TopicCollection([name]))[name].result(20)
    assert [partition.id for partition in described.partitions] == [0, 1, 2]
    assert all(len(partition.replicas) == 1 for partition in described.partitions)
    assert all(p.leader.id == p.isr[0].id for p in described.partitions)
    assert str(described.topic_id) != "AAAAAAAAAAAAAAAAAAAAAA"
    admin.delete_topics([name])[name].result(20)
    eventually(lambda: name not in admin.list_topics(timeout=10).topics, what="it is gone")
    assert code_of(admin.delete_topics([name])[name]) == KafkaError.UNKNOWN_TOPIC_OR_PART


def test_a_recreated_topic_is_a_new_topic(
    admin: AdminClient, unique: Unique, bootstrap: str
) -> None:
    name = unique("topic")
    ids = []
    for _ in range(2):
        admin.create_topics([NewTopic(name, 1, 1)])[name].result(20)
        described = admin.describe_topics(TopicCollection([name]))[name].result(20)
        ids.append(str(described.topic_id))
        fill(bootstrap, name, 3)
        where = TopicPartition(name, 0)
        end = admin.list_offsets({where: OffsetSpec.latest()})[where].result(20)
        assert end.offset == 3
        admin.delete_topics([name])[name].result(20)
        eventually(lambda: name not in admin.list_topics(timeout=10).topics, what="it is gone")
    assert ids[0] != ids[1]


@pytest.mark.parametrize(
    ("topic", "code"),
    [
        (NewTopic("a/b", 1, 1), KafkaError.TOPIC_EXCEPTION),
        (NewTopic("x" * 250, 1, 1), KafkaError.TOPIC_EXCEPTION),
        (NewTopic("..", 1, 1), KafkaError.TOPIC_EXCEPTION),
        (NewTopic("too-few", 0, 1), KafkaError.INVALID_PARTITIONS),
        (NewTopic("too-many-replicas", 1, 3), KafkaError.INVALID_REPLICATION_FACTOR),
        (NewTopic("odd", 1, 1, config={"no.such.key": "1"}), KafkaError.INVALID_CONFIG),
        (NewTopic("odd", 1, 1, config={"retention.ms": "x"}), KafkaError.INVALID_CONFIG),
        (NewTopic("odd", 1, 1, config={"cleanup.policy": "burn"}), KafkaError.INVALID_CONFIG),
    ],
    ids=lambda value: None if isinstance(value, int) else f"{value.topic[:20]}-{value.config}",
)
def test_bad_topics_are_refused(admin: AdminClient, topic: NewTopic, code: int) -> None:
    assert code_of(admin.create_topics([topic])[topic.topic]) == code


def test_a_topic_is_not_created_twice_nor_by_validation(
    admin: AdminClient, new_topic: NewTopicName, unique: Unique
) -> None:
    name = new_topic()
    again = admin.create_topics([NewTopic(name, 1, 1)])[name]
    assert code_of(again) == KafkaError.TOPIC_ALREADY_EXISTS
    name = unique("validated")
    admin.create_topics([NewTopic(name, 1, 1)], validate_only=True)[name].result(20)
    assert name not in admin.list_topics(timeout=10).topics


def test_partitions_grow_and_never_shrink(admin: AdminClient, new_topic: NewTopicName) -> None:
    name = new_topic(2)
    admin.create_partitions([NewPartitions(name, 5)])[name].result(20)
    eventually(
        lambda: len(admin.list_topics(timeout=10).topics[name].partitions) == 5,
        what="five partitions",
    )
    shrink = admin.create_partitions([NewPartitions(name, 3)])[name]
    assert code_of(shrink) == KafkaError.INVALID_PARTITIONS


def test_topic_configs_are_altered_one_by_one(admin: AdminClient, new_topic: NewTopicName) -> None:
    name = new_topic(1, **{"retention.ms": "3600000"})
    before = topic_config(admin, name)
    assert before["retention.ms"].value == "3600000"
    assert before["retention.ms"].source == ConfigSource.DYNAMIC_TOPIC_CONFIG.value
    assert before["cleanup.policy"].value == "delete"
    assert before["cleanup.policy"].source == ConfigSource.DEFAULT_CONFIG.value
    change = ConfigResource(
        ResourceType.TOPIC,
        name,
        incremental_configs=[
            ConfigEntry("retention.ms", None, incremental_operation=AlterConfigOpType.DELETE),
            ConfigEntry("segment.ms", "60000", incremental_operation=AlterConfigOpType.SET),
            ConfigEntry(
                "cleanup.policy", "compact", incremental_operation=AlterConfigOpType.APPEND
            ),
        ],
    )
    admin.incremental_alter_configs([change])[change].result(20)
    after = eventually(
        lambda: (c := topic_config(admin, name))["segment.ms"].value == "60000" and c,
        what="the change shows",
    )
    assert after["retention.ms"].source == ConfigSource.DEFAULT_CONFIG.value
    assert after["retention.ms"].value == "604800000"
    assert after["cleanup.policy"].value == "delete,compact"


def test_legacy_alter_configs_replaces_everything(
    admin: AdminClient, new_topic: NewTopicName
) -> None:
    name = new_topic(1, **{"retention.ms": "3600000"})
    change = ConfigResource(ResourceType.TOPIC, name, set_config={"segment.ms": "60000"})
    with pytest.warns(DeprecationWarning, match="incremental_alter_configs"):
        future = admin.alter_configs([change])[change]
    future.result(20)
    after = eventually(
        lambda: (c := topic_config(admin, name))["segment.ms"].value == "60000" and c,
        what="the change shows",
    )
    assert after["retention.ms"].value == "604800000"


def test_bad_config_changes_are_refused(admin: AdminClient, new_topic: NewTopicName) -> None:
    name = new_topic()
    for key, value in (
        ("retention.ms", "soon"),
        ("no.such.key", "1"),
        ("min.insync.replicas", "0"),
    ):
        change = ConfigResource(
            ResourceType.TOPIC,
            name,
            incremental_configs=[
                ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET)
            ],
        )
        code = code_of(admin.incremental_alter_configs([change])[change])
        assert code == KafkaError.INVALID_CONFIG, key


def test_broker_configs_are_described_and_altered(admin: AdminClient) -> None:
    broker = next(iter(admin.list_topics(timeout=10).brokers))
    resource = ConfigResource(ResourceType.BROKER, str(broker))
    config = admin.describe_configs([resource])[resource].result(20)
    assert config["log.retention.hours"].value == "168"
    assert config["log.retention.hours"].is_read_only
    assert config["group.min.session.timeout.ms"].source == (
        ConfigSource.STATIC_BROKER_CONFIG.value
    )

    def alter(value: str | None, operation: AlterConfigOpType) -> None:
        entry = ConfigEntry("log.cleaner.backoff.ms", value, incremental_operation=operation)
        change = ConfigResource(ResourceType.BROKER, str(broker), incremental_configs=[entry])
        admin.incremental_alter_configs([change])[change].result(20)

    def is_now(value: str, source: ConfigSource) -> bool:
        entry = admin.describe_configs([resource])[resource].result(20)["log.cleaner.backoff.ms"]
        return (entry.value, entry.source) == (value, source.value)

    alter("14000", AlterConfigOpType.SET)
    eventually(lambda: is_now("14000", ConfigSource.DYNAMIC_BROKER_CONFIG), what="the change")
    alter(None, AlterConfigOpType.DELETE)
    eventually(lambda: is_now("15000", ConfigSource.DEFAULT_CONFIG), what="the default again")


def test_records_are_deleted_below_an_offset(
    admin: AdminClient, new_topic: NewTopicName, bootstrap: str
) -> None:
    name = new_topic()
    fill(bootstrap, name, 10)
    where = TopicPartition(name, 0, 4)
    assert admin.delete_records([where])[where].result(20).low_watermark == 4
    first = admin.list_offsets({where: OffsetSpec.earliest()})[where].result(20)
    assert first.offset == 4
    beyond = TopicPartition(name, 0, 11)
    assert code_of(admin.delete_records([beyond])[beyond]) == KafkaError.OFFSET_OUT_OF_RANGE
    all_of_it = TopicPartition(name, 0, -1)
    assert admin.delete_records([all_of_it])[all_of_it].result(20).low_watermark == 10


def test_offsets_are_listed(admin: AdminClient, new_topic: NewTopicName, bootstrap: str) -> None:
    name = new_topic()
    fill(bootstrap, name, 10)
    where = TopicPartition(name, 0)

    def offset(spec: OffsetSpec) -> tuple[int, int]:
        found = admin.list_offsets({where: spec})[where].result(20)
        return found.offset, found.timestamp

    assert offset(OffsetSpec.earliest())[0] == 0
    assert offset(OffsetSpec.latest())[0] == 10
    assert offset(OffsetSpec.max_timestamp()) == (9, 1009)
    assert offset(OffsetSpec.for_timestamp(1005)) == (5, 1005)
    assert offset(OffsetSpec.for_timestamp(5000))[0] == -1


def test_the_cluster_is_described(admin: AdminClient) -> None:
    cluster = admin.describe_cluster().result(20)
    assert cluster.cluster_id
    assert [node.id for node in cluster.nodes] == [cluster.controller.id]


def test_leaders_are_elected(admin: AdminClient, new_topic: NewTopicName, unique: Unique) -> None:
    known, unknown = TopicPartition(new_topic(), 0), TopicPartition(unique("nowhere"), 0)
    outcome = admin.elect_leaders(ElectionType.PREFERRED, [known, unknown]).result(20)
    assert outcome[known].code() == KafkaError.ELECTION_NOT_NEEDED
    assert outcome[unknown].code() == KafkaError.UNKNOWN_TOPIC_OR_PART


def test_groups_are_listed_described_reset_and_deleted(
    admin: AdminClient, new_topic: NewTopicName, unique: Unique, bootstrap: str
) -> None:
    topic, group = new_topic(2), unique("group")
    fill(bootstrap, topic, 10)
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "client.id": "the-reader",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    consumer.subscribe([topic])
    message = eventually(lambda: consumer.poll(0.2), what="a message")
    consumer.commit(message, asynchronous=False)

    listed = admin.list_consumer_groups(states={ConsumerGroupState.STABLE}).result(20)
    [mine] = [each for each in listed.valid if each.group_id == group]
    assert (mine.state, mine.type) == (ConsumerGroupState.STABLE, ConsumerGroupType.CLASSIC)
    described = admin.describe_consumer_groups([group])[group].result(20)
    assert described.state == ConsumerGroupState.STABLE
    assert described.partition_assignor == "range"
    [the_member] = described.members
    assert the_member.client_id == "the-reader"
    assert the_member.host == "/127.0.0.1"
    assert {p.partition for p in the_member.assignment.topic_partitions} == {0, 1}
    busy = admin.delete_consumer_groups([group])[group]
    assert code_of(busy) == KafkaError.NON_EMPTY_GROUP
    change = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, 0, 7)])
    while_busy = admin.alter_consumer_group_offsets([change])[group]
    assert refusal_of(while_busy) == KafkaError.UNKNOWN_MEMBER_ID
    consumer.close()

    eventually(lambda: state_of(admin, group) == ConsumerGroupState.EMPTY, what="it is empty")
    admin.alter_consumer_group_offsets([change])[group].result(20)
    wanted = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, 0)])
    offsets = admin.list_consumer_group_offsets([wanted])[group].result(20)
    assert [each.offset for each in offsets.topic_partitions] == [7]
    every = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])[group]
    assert [(p.topic, p.partition) for p in every.result(20).topic_partitions] == [(topic, 0)]
    admin.delete_consumer_groups([group])[group].result(20)
    missing = admin.delete_consumer_groups([group])[group]
    assert code_of(missing) == KafkaError.GROUP_ID_NOT_FOUND


def state_of(admin: AdminClient, group: str) -> ConsumerGroupState:
    return admin.describe_consumer_groups([group])[group].result(20).state


def refusal_of(future: Any) -> int | None:
    """The error of the one partition, wherever this version of the client puts it."""
    try:
        [partition] = future.result(20).topic_partitions
    except KafkaException as error:
        return int(error.args[0].code())
    return None if partition.error is None else int(partition.error.code())
