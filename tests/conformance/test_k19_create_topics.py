"""CreateTopics, DeleteTopics, CreatePartitions, DeleteRecords (keys 19-21, 37), every version."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from ottla.records.encode import encode_batch
from ottla.records.record import Record
from ottla.testing.protocol import Connection
from ottla.testing.waiting import eventually
from ottla.wire.api.k03_metadata import MetadataRequest, TopicToDescribe
from ottla.wire.api.k19_create_topics import (
    ConfigToSet,
    CreateTopicsRequest,
    ReplicaAssignment,
    TopicToCreate,
)
from ottla.wire.api.k20_delete_topics import DeleteTopicsRequest, TopicToDelete
from ottla.wire.api.k21_delete_records import (
    DeleteRecordsRequest,
    PartitionToTrim,
    TopicToTrim,
)
from ottla.wire.api.k37_create_partitions import (
    CreatePartitionsRequest,
    NewPartitionAssignment,
    TopicToGrow,
)
from ottla.wire.apis import APIS
from ottla.wire.errors import ErrorCode

NewTopic = Callable[..., str]
Unique = Callable[[str], str]


def topic_to_create(name: str, **fields: Any) -> TopicToCreate:
    given = {"num_partitions": 1, "replication_factor": 1, "assignments": [], "configs": []}
    return TopicToCreate(name=name, **{**given, **fields})


def create(connection: Connection, *topics: TopicToCreate, version: int = 7) -> list[Any]:
    response = connection.ask(CreateTopicsRequest(topics=list(topics)), version)
    return list(response.topics)


def partition_count(connection: Connection, name: str) -> int:
    request = MetadataRequest(topics=[TopicToDescribe(name=name)], allow_auto_topic_creation=False)
    [topic] = connection.ask(request, 12).topics
    return len(topic.partitions)


@pytest.mark.parametrize("version", APIS[19].versions)
def test_every_version_creates(version: int, connection: Connection, unique: Unique) -> None:
    name = unique("topic")
    config = ConfigToSet(name="segment.bytes", value="2097152")
    [topic] = create(
        connection, topic_to_create(name, num_partitions=3, configs=[config]), version=version
    )
    assert (topic.name, topic.error_code) == (name, ErrorCode.NONE)
    assert topic.error_message is None
    if version >= 5:
        assert (topic.num_partitions, topic.replication_factor) == (3, 1)
        values = {each.name: each.value for each in topic.configs}
        assert values["segment.bytes"] == "2097152"
        assert values["cleanup.policy"] == "delete"
    assert (topic.topic_id.int != 0) == (version >= 7)
    eventually(lambda: partition_count(connection, name) == 3, what="it is there")


def test_the_broker_chooses_from_version_4_on(connection: Connection, unique: Unique) -> None:
    name = unique("topic")
    wanted = topic_to_create(name, num_partitions=-1, replication_factor=-1)
    [topic] = create(connection, wanted, version=5)
    assert (topic.error_code, topic.num_partitions) == (ErrorCode.NONE, 1)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"num_partitions": 0}, ErrorCode.INVALID_PARTITIONS),
        ({"replication_factor": 0}, ErrorCode.INVALID_REPLICATION_FACTOR),
        ({"replication_factor": 3}, ErrorCode.INVALID_REPLICATION_FACTOR),
        ({"configs": [ConfigToSet(name="nope", value="1")]}, ErrorCode.INVALID_CONFIG),
        ({"configs": [ConfigToSet(name="retention.ms", value=None)]}, ErrorCode.INVALID_CONFIG),
        (
            {"assignments": [ReplicaAssignment(partition_index=0, broker_ids=[1])]},
            ErrorCode.INVALID_REQUEST,
        ),
        (
            {
                "num_partitions": -1,
                "replication_factor": -1,
                "assignments": [ReplicaAssignment(partition_index=0, broker_ids=[99])],
            },
            ErrorCode.INVALID_REPLICA_ASSIGNMENT,
        ),
        (
            {
                "num_partitions": -1,
                "replication_factor": -1,
                "assignments": [ReplicaAssignment(partition_index=1, broker_ids=[1])],
            },
            ErrorCode.INVALID_REPLICA_ASSIGNMENT,
        ),
    ],
    ids=[
        "no partitions",
        "no replicas",
        "too many replicas",
        "unknown key",
        "null value",
        "assignment and count",
        "unknown broker",
        "gap in the partitions",
    ],
)
def test_what_cant_be_created(
    fields: dict[str, Any], code: ErrorCode, connection: Connection, unique: Unique
) -> None:
    [topic] = create(connection, topic_to_create(unique("bad"), **fields))
    assert ErrorCode(topic.error_code) == code
    assert topic.error_message


def test_the_same_name_twice_and_names_that_collide(connection: Connection, unique: Unique) -> None:
    name = unique("twice")
    topics = create(connection, topic_to_create(name), topic_to_create(name))
    assert {topic.error_code for topic in topics} == {ErrorCode.INVALID_REQUEST}
    dotted = unique("a.b")
    [created] = create(connection, topic_to_create(dotted))
    assert created.error_code == ErrorCode.NONE
    # Metric names can't tell a dot from an underscore.
    [collides] = create(connection, topic_to_create(dotted.replace(".", "_")))
    assert collides.error_code == ErrorCode.INVALID_TOPIC_EXCEPTION


@pytest.mark.parametrize("version", APIS[20].versions)
def test_every_version_deletes(
    version: int, connection: Connection, new_topic: NewTopic, unique: Unique
) -> None:
    name, missing = new_topic(), unique("missing")
    if version >= 6:
        nobody = uuid.UUID(int=0)
        topics = [TopicToDelete(name=each, topic_id=nobody) for each in (name, missing)]
        request = DeleteTopicsRequest(topics=topics, timeout_ms=10_000)
    else:
        request = DeleteTopicsRequest(topic_names=[name, missing], timeout_ms=10_000)
    codes = {each.name: each.error_code for each in connection.ask(request, version).responses}
    assert codes == {name: ErrorCode.NONE, missing: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION}
    eventually(lambda: partition_count(connection, name) == 0, what="it is gone")


def test_a_topic_is_deleted_by_id(
    connection: Connection, new_topic: NewTopic, topic_id: Callable[[str], uuid.UUID]
) -> None:
    name = new_topic()
    wanted = [
        TopicToDelete(name=None, topic_id=topic_id(name)),
        TopicToDelete(name=None, topic_id=uuid.uuid4()),
    ]
    request = DeleteTopicsRequest(topics=wanted, timeout_ms=10_000)
    deleted = connection.ask(request, 6).responses
    assert {(each.name, each.error_code) for each in deleted} == {
        (name, ErrorCode.NONE),
        (None, ErrorCode.UNKNOWN_TOPIC_ID),
    }


@pytest.mark.parametrize("version", APIS[37].versions)
def test_every_version_adds_partitions(
    version: int, connection: Connection, new_topic: NewTopic
) -> None:
    name = new_topic()

    def grow(count: int, assignments: Any = None, validate_only: bool = False) -> ErrorCode:
        topic = TopicToGrow(name=name, count=count, assignments=assignments)
        request = CreatePartitionsRequest(
            topics=[topic], timeout_ms=10_000, validate_only=validate_only
        )
        [result] = connection.ask(request, version).results
        return ErrorCode(result.error_code)

    assert grow(4, validate_only=True) == ErrorCode.NONE
    assert grow(3) == ErrorCode.NONE
    eventually(lambda: partition_count(connection, name) == 3, what="three partitions")
    assert grow(3) == ErrorCode.INVALID_PARTITIONS
    assert grow(2) == ErrorCode.INVALID_PARTITIONS
    odd = [NewPartitionAssignment(broker_ids=[99])]
    assert grow(4, odd) == ErrorCode.INVALID_REPLICA_ASSIGNMENT


@pytest.mark.parametrize("version", APIS[21].versions)
def test_every_version_deletes_records(
    version: int, connection: Connection, new_topic: NewTopic, produce: Callable[..., Any]
) -> None:
    name = new_topic()
    records = [Record(offset=n, timestamp_ms=1000, key=None, value=b"x") for n in range(10)]
    produce(name, encode_batch(records))

    def trim(offset: int, partition: int = 0) -> tuple[int, int]:
        wanted = PartitionToTrim(partition_index=partition, offset=offset)
        request = DeleteRecordsRequest(
            topics=[TopicToTrim(name=name, partitions=[wanted])], timeout_ms=10_000
        )
        [topic] = connection.ask(request, version).topics
        [trimmed] = topic.partitions
        return trimmed.error_code, trimmed.low_watermark

    assert trim(4) == (ErrorCode.NONE, 4)
    assert trim(2) == (ErrorCode.NONE, 4)
    assert trim(11) == (ErrorCode.OFFSET_OUT_OF_RANGE, -1)
    assert trim(-2) == (ErrorCode.OFFSET_OUT_OF_RANGE, -1)
    assert trim(-1) == (ErrorCode.NONE, 10)
    assert trim(0, partition=5) == (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, -1)
