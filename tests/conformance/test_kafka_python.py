"""kafka-python: producing, consuming, offsets, administration."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, MemberToRemove, OffsetSpec
from kafka.codec import has_snappy
from kafka.errors import (
    GroupIdNotFoundError,
    InvalidTopicError,
    MessageSizeTooLargeError,
    NoError,
    OffsetOutOfRangeError,
    TopicAlreadyExistsError,
    UnknownTopicOrPartitionError,
)
from kafka.structs import OffsetAndMetadata

from ottla.testing.waiting import eventually

NewTopicName = Callable[..., str]
Unique = Callable[[str], str]

SNAPPY = pytest.param(
    "snappy",
    marks=pytest.mark.skipif(not has_snappy(), reason="kafka-python needs python-snappy"),
)
RECORDS = [
    (b"key", b"value", [("h", b"1"), ("h", b"2"), ("empty", b"")], 1_600_000_000_000),
    (None, b"no key", [], 1_600_000_000_001),
    (b"tombstone", None, [], 1_600_000_000_002),
    (b"", b"", [], 1_600_000_000_003),
    ("käse".encode(), "größe".encode() * 1000, [("ключ", b"v")], 1_600_000_000_004),
]


@pytest.fixture
def producer(bootstrap: str) -> Iterator[Callable[..., KafkaProducer]]:
    made: list[KafkaProducer] = []

    def make(**config: Any) -> KafkaProducer:
        made.append(KafkaProducer(bootstrap_servers=bootstrap, **config))
        return made[-1]

    yield make
    for one in made:
        one.close(timeout=10)


@pytest.fixture
def consumer(bootstrap: str) -> Iterator[Callable[..., KafkaConsumer]]:
    made: list[KafkaConsumer] = []

    def make(*topics: str, **config: Any) -> KafkaConsumer:
        made.append(KafkaConsumer(*topics, bootstrap_servers=bootstrap, **config))
        return made[-1]

    yield make
    for one in made:
        one.close(autocommit=False)


@pytest.fixture(scope="module")
def kafka_admin(bootstrap: str) -> Iterator[KafkaAdminClient]:
    made = KafkaAdminClient(bootstrap_servers=bootstrap)
    yield made
    made.close()


def consume(consumer: KafkaConsumer, count: int, timeout_seconds: float = 20) -> list[Any]:
    records: list[Any] = []
    deadline = time.monotonic() + timeout_seconds
    while len(records) < count:
        assert time.monotonic() < deadline, f"{len(records)} of {count} records came"
        for batch in consumer.poll(timeout_ms=500).values():
            records += batch
    assert len(records) == count
    return records


def fill(producer: KafkaProducer, topic: str, count: int) -> None:
    for number in range(count):
        producer.send(topic, b"%d" % number, partition=0, timestamp_ms=1000 + number)
    producer.flush(20)


@pytest.mark.parametrize("codec", [None, "gzip", SNAPPY, "lz4", "zstd"])
@pytest.mark.parametrize("acks", [0, 1, "all"])
def test_records_come_back_as_they_went(
    acks: int | str,
    codec: str | None,
    new_topic: NewTopicName,
    producer: Callable[..., KafkaProducer],
    consumer: Callable[..., KafkaConsumer],
) -> None:
    topic = new_topic(2)
    sender = producer(acks=acks, compression_type=codec, enable_idempotence=acks == "all")
    for partition in range(2):
        for key, value, headers, timestamp_ms in RECORDS:
            sender.send(topic, value, key, headers, partition, timestamp_ms)
    sender.flush(20)
    reader = consumer(auto_offset_reset="earliest")
    reader.assign([TopicPartition(topic, partition) for partition in range(2)])
    records = consume(reader, 2 * len(RECORDS))
    for partition in range(2):
        here = [record for record in records if record.partition == partition]
        assert [record.offset for record in here] == list(range(len(RECORDS)))
        assert [(r.key, r.value, list(r.headers), r.timestamp) for r in here] == RECORDS


def test_acknowledged_offsets_and_an_idempotent_producer(
    new_topic: NewTopicName,
    producer: Callable[..., KafkaProducer],
    consumer: Callable[..., KafkaConsumer],
) -> None:
    topic = new_topic()
    sender = producer(enable_idempotence=True, batch_size=100)
    futures = [sender.send(topic, b"%d" % number, partition=0) for number in range(500)]
    assert [future.get(20).offset for future in futures] == list(range(500))
    reader = consumer(auto_offset_reset="earliest")
    reader.assign([TopicPartition(topic, 0)])
    assert [int(r.value) for r in consume(reader, 500)] == list(range(500))


def test_offsets_at_the_ends_and_by_time(
    new_topic: NewTopicName,
    producer: Callable[..., KafkaProducer],
    consumer: Callable[..., KafkaConsumer],
) -> None:
    where = TopicPartition(new_topic(), 0)
    fill(producer(), where.topic, 10)
    reader = consumer()
    assert reader.beginning_offsets([where]) == {where: 0}
    assert reader.end_offsets([where]) == {where: 10}
    found = reader.offsets_for_times({where: 1004})[where]
    assert (found.offset, found.timestamp) == (4, 1004)
    assert reader.offsets_for_times({where: 9999})[where] is None


def test_a_group_commits_and_goes_on(
    new_topic: NewTopicName,
    unique: Unique,
    producer: Callable[..., KafkaProducer],
    consumer: Callable[..., KafkaConsumer],
) -> None:
    where, group = TopicPartition(new_topic(), 0), unique("group")
    fill(producer(), where.topic, 10)
    config = {"group_id": group, "auto_offset_reset": "earliest", "enable_auto_commit": False}
    first = consumer(where.topic, **config)
    assert len(consume(first, 10)) == 10
    first.commit({where: OffsetAndMetadata(4, "noted", -1)})
    done: list[Any] = []
    first.commit_async(
        {where: OffsetAndMetadata(6, "later", -1)}, lambda *outcome: done.append(outcome)
    )
    eventually(lambda: first.poll(50) == {} and done, what="the asynchronous commit")
    assert not isinstance(done[0][1], Exception)
    first.close(autocommit=False)
    second = consumer(where.topic, **config)
    assert [r.offset for r in consume(second, 4)] == [6, 7, 8, 9]
    assert second.committed(where, metadata=True).metadata == "later"


def test_producing_creates_a_topic_and_a_large_message_is_refused(
    unique: Unique, new_topic: NewTopicName, producer: Callable[..., KafkaProducer]
) -> None:
    sender = producer(max_request_size=1 << 20, max_block_ms=10_000)
    assert sender.send(unique("created"), b"x").get(20).offset == 0
    small = new_topic(1, **{"max.message.bytes": "1000"})
    with pytest.raises(MessageSizeTooLargeError):
        sender.send(small, b"x" * 2000).get(20)


def test_topics_through_the_admin_client(kafka_admin: KafkaAdminClient, unique: Unique) -> None:
    name = unique("topic")
    kafka_admin.create_topics(
        {name: {"num_partitions": 2, "configs": {"retention.ms": "1000000"}}},
        wait_for_metadata=True,
    )
    assert name in kafka_admin.list_topics()
    [described] = kafka_admin.describe_topics([name])
    assert len(described["partitions"]) == 2
    with pytest.raises(InvalidTopicError):
        kafka_admin.create_topics(["no/such?name"])
    with pytest.raises(TopicAlreadyExistsError):
        kafka_admin.create_topics([name])
    kafka_admin.create_partitions({name: 4})
    eventually(
        lambda: len(kafka_admin.describe_topics([name])[0]["partitions"]) == 4,
        what="four partitions",
    )
    by_cursor = kafka_admin.describe_topic_partitions([name])
    topics = by_cursor["topics"] if isinstance(by_cursor, dict) else by_cursor
    assert len(topics[0]["partitions"]) == 4
    kafka_admin.delete_topics([name])
    eventually(lambda: name not in kafka_admin.list_topics(), what="it is gone")
    with pytest.raises(UnknownTopicOrPartitionError):
        kafka_admin.delete_topics([name])


@pytest.mark.parametrize("incremental", [True, False])
def test_configs_through_the_admin_client(
    incremental: bool, kafka_admin: KafkaAdminClient, new_topic: NewTopicName
) -> None:
    name = new_topic()

    def modified() -> dict[str, str]:
        configs = kafka_admin.describe_configs([ConfigResource("TOPIC", name)])["topic"][name]
        return {
            key: entry["value"]
            for key, entry in configs.items()
            if entry["config_source"] == "DYNAMIC_TOPIC_CONFIG"
        }

    assert modified() == {}
    change = ConfigResource("TOPIC", name, {"retention.ms": "5000000"})
    outcome = kafka_admin.alter_configs([change], incremental=incremental)
    assert outcome == {"topic": {name: "OK"}}
    eventually(lambda: modified() == {"retention.ms": "5000000"}, what="the change")
    bad = ConfigResource("TOPIC", name, {"retention.ms": "soon"})
    refused = kafka_admin.alter_configs([bad], incremental=incremental)
    assert "InvalidConfigurationError" in refused["topic"][name]
    kafka_admin.reset_configs([ConfigResource("TOPIC", name, ["retention.ms"])])
    eventually(lambda: modified() == {}, what="the default again")


def test_config_synonyms_and_resources(
    kafka_admin: KafkaAdminClient, new_topic: NewTopicName
) -> None:
    name = new_topic(1, **{"max.message.bytes": "1234567"})
    described = kafka_admin.describe_configs(
        [ConfigResource("TOPIC", name, {"max.message.bytes": None})], include_synonyms=True
    )
    [(key, entry)] = described["topic"][name].items()
    assert (key, entry["value"], entry["config_type"]) == ("max.message.bytes", "1234567", "INT")
    assert [(s["name"], s["source"]) for s in entry["synonyms"]] == [
        ("max.message.bytes", "DYNAMIC_TOPIC_CONFIG"),
        ("message.max.bytes", "DEFAULT_CONFIG"),
    ]
    assert name in kafka_admin.list_config_resources(["TOPIC"])["topic"]


def test_records_and_offsets_through_the_admin_client(
    kafka_admin: KafkaAdminClient,
    new_topic: NewTopicName,
    producer: Callable[..., KafkaProducer],
) -> None:
    where = TopicPartition(new_topic(), 0)
    fill(producer(), where.topic, 10)

    def offset(spec: Any) -> int:
        return int(kafka_admin.list_partition_offsets({where: spec})[where].offset)

    assert offset(OffsetSpec.EARLIEST) == 0
    assert offset(OffsetSpec.LATEST) == 10
    assert offset(OffsetSpec.MAX_TIMESTAMP) == 9
    assert offset(1007) == 7
    deleted = kafka_admin.delete_records({where: 3})
    assert deleted[where]["low_watermark"] == 3
    assert offset(OffsetSpec.EARLIEST) == 3
    with pytest.raises(OffsetOutOfRangeError):
        kafka_admin.delete_records({where: 1000})


def test_the_cluster_its_log_directories_and_producers(
    kafka_admin: KafkaAdminClient,
    new_topic: NewTopicName,
    producer: Callable[..., KafkaProducer],
) -> None:
    topic = new_topic()
    fill(producer(enable_idempotence=True), topic, 10)
    cluster = kafka_admin.describe_cluster()
    assert [broker["broker_id"] for broker in cluster["brokers"]] == [cluster["controller_id"]]
    [broker] = kafka_admin.describe_log_dirs({topic: [0]})
    [log_dir] = broker["log_dirs"]
    assert log_dir["error_code"] == 0
    [described] = log_dir["topics"]
    assert described["name"] == topic
    assert described["partitions"][0]["partition_size"] > 0
    where = TopicPartition(topic, 0)
    [active] = kafka_admin.describe_producers([where])[where].active_producers
    assert active.producer_id >= 0
    assert active.last_sequence == 9
    assert kafka_admin.list_partition_reassignments() == {}


def test_groups_through_the_admin_client(
    kafka_admin: KafkaAdminClient,
    new_topic: NewTopicName,
    unique: Unique,
    producer: Callable[..., KafkaProducer],
    consumer: Callable[..., KafkaConsumer],
) -> None:
    topic, group = new_topic(2), unique("group")
    first, second = TopicPartition(topic, 0), TopicPartition(topic, 1)
    fill(producer(), topic, 10)
    reader = consumer(
        topic, group_id=group, group_instance_id="static", auto_offset_reset="earliest"
    )
    consume(reader, 10)
    reader.commit()
    described = kafka_admin.describe_groups([group])[group]
    assert described["group_state"] == "Stable"
    assert described["protocol_type"] == "consumer"
    [member] = described["members"]
    assert member["group_instance_id"] == "static"
    assert group in {each["group_id"] for each in kafka_admin.list_groups()}
    offsets = kafka_admin.list_group_offsets({group: [first, second]})[group]
    assert (offsets[first].offset, offsets[second].offset) == (10, 0)
    with pytest.raises(Exception, match=r"(?i)subscribed"):
        raise kafka_admin.delete_group_offsets(group, [first])[first]()
    reader.close(autocommit=False)

    # A static member stays in the group until someone removes it.
    removed = kafka_admin.remove_group_members(group, [MemberToRemove(group_instance_id="static")])
    assert list(removed.values()) == [NoError]
    kafka_admin.alter_group_offsets(group, {first: OffsetAndMetadata(5, "", -1)})
    kafka_admin.reset_group_offsets(group, {second: OffsetSpec.LATEST})
    offsets = kafka_admin.list_group_offsets({group: [first, second]})[group]
    assert (offsets[first].offset, offsets[second].offset) == (5, 0)
    assert kafka_admin.delete_group_offsets(group, [second]) == {second: NoError}
    offsets = kafka_admin.list_group_offsets({group: None})[group]
    assert set(offsets) == {first}
    assert list(kafka_admin.delete_groups([group]).values()) in (["OK"], [NoError])
    with pytest.raises(GroupIdNotFoundError):
        kafka_admin.delete_group_offsets(group, [first])
