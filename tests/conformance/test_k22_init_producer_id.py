"""InitProducerId, OffsetForLeaderEpoch, DescribeLogDirs, ElectLeaders, ListPartitionReassignments,
DescribeProducers (keys 22, 23, 35, 43, 46, 61), every version."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ottla.records.encode import encode_batch
from ottla.records.record import Record
from ottla.testing.protocol import Connection
from ottla.testing.waiting import eventually
from ottla.wire.api.k22_init_producer_id import InitProducerIdRequest
from ottla.wire.api.k23_offset_for_leader_epoch import (
    OffsetForLeaderEpochRequest,
    PartitionToCheck,
    TopicToCheck,
)
from ottla.wire.api.k35_describe_log_dirs import DescribeLogDirsRequest, TopicToLocate
from ottla.wire.api.k43_elect_leaders import ElectLeadersRequest, TopicToElect
from ottla.wire.api.k46_list_partition_reassignments import ListPartitionReassignmentsRequest
from ottla.wire.api.k61_describe_producers import DescribeProducersRequest, TopicToInspect
from ottla.wire.apis import APIS
from ottla.wire.errors import ErrorCode

NewTopic = Callable[..., str]
Produce = Callable[..., Any]
RECORDS = [Record(offset=n, timestamp_ms=1000, key=None, value=b"x") for n in range(5)]


def new_producer(connection: Connection, version: int) -> Any:
    request = InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=60_000)

    def initialised() -> Any:
        # Kafka fetches a block of ids first and asks for patience until it has it.
        answer = connection.ask(request, version)
        assert answer.error_code in (ErrorCode.NONE, ErrorCode.COORDINATOR_LOAD_IN_PROGRESS)
        return answer if answer.error_code == ErrorCode.NONE else None

    return eventually(initialised, what="a producer id")


@pytest.mark.parametrize("version", APIS[22].versions)
def test_every_version_hands_out_producer_ids(version: int, connection: Connection) -> None:
    first, second = new_producer(connection, version), new_producer(connection, version)
    assert first.producer_id != second.producer_id
    assert first.producer_epoch == second.producer_epoch == 0


@pytest.mark.parametrize("version", APIS[23].versions)
def test_every_version_ends_an_epoch(
    version: int, connection: Connection, new_topic: NewTopic, produce: Produce
) -> None:
    name = new_topic()
    produce(name, encode_batch(RECORDS))

    def ask(**fields: Any) -> tuple[int, int, int]:
        wanted = PartitionToCheck(partition=0, **fields)
        request = OffsetForLeaderEpochRequest(
            replica_id=-1, topics=[TopicToCheck(topic=name, partitions=[wanted])]
        )
        [topic] = connection.ask(request, version).topics
        [partition] = topic.partitions
        return partition.error_code, partition.leader_epoch, partition.end_offset

    assert ask(leader_epoch=0) == (ErrorCode.NONE, 0, 5)
    assert ask(leader_epoch=7) == (ErrorCode.NONE, -1, -1)
    newer = ask(leader_epoch=0, current_leader_epoch=100)
    assert newer[0] == ErrorCode.UNKNOWN_LEADER_EPOCH


@pytest.mark.parametrize("version", APIS[35].versions)
def test_every_version_describes_log_directories(
    version: int, connection: Connection, new_topic: NewTopic, produce: Produce
) -> None:
    name = new_topic(2)
    size = len(encode_batch(RECORDS))
    produce(name, encode_batch(RECORDS))
    asked = [TopicToLocate(topic=name, partitions=[0, 1])]
    response = connection.ask(DescribeLogDirsRequest(topics=asked), version)
    assert response.error_code == ErrorCode.NONE
    [directory] = response.results
    assert directory.error_code == ErrorCode.NONE
    assert directory.log_dir.startswith("/")
    [topic] = directory.topics
    assert {p.partition_index: p.partition_size for p in topic.partitions} == {0: size, 1: 0}
    assert {p.offset_lag for p in topic.partitions} == {0}
    assert (directory.total_bytes > directory.usable_bytes > 0) == (version >= 4)
    everything = connection.ask(DescribeLogDirsRequest(topics=None), version)
    assert name in {topic.name for topic in everything.results[0].topics}


@pytest.mark.parametrize("version", APIS[43].versions)
def test_every_version_elects_leaders(
    version: int, connection: Connection, new_topic: NewTopic
) -> None:
    wanted = TopicToElect(topic=new_topic(), partitions=[0, 7])
    request = ElectLeadersRequest(topic_partitions=[wanted], timeout_ms=10_000)
    response = connection.ask(request, version)
    assert response.error_code == ErrorCode.NONE
    [topic] = response.replica_election_results
    assert {p.partition_id: p.error_code for p in topic.partition_result} == {
        0: ErrorCode.ELECTION_NOT_NEEDED,
        7: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    }


def test_nothing_is_being_reassigned(connection: Connection) -> None:
    response = connection.ask(ListPartitionReassignmentsRequest(topics=None), 0)
    assert (response.error_code, response.topics) == (ErrorCode.NONE, [])


def test_producers_of_a_partition(
    connection: Connection, new_topic: NewTopic, produce: Produce
) -> None:
    name, producer = new_topic(), new_producer(connection, 4)
    sent = encode_batch(
        RECORDS, producer_id=producer.producer_id, producer_epoch=0, base_sequence=0
    )
    assert produce(name, sent).error_code == ErrorCode.NONE
    wanted = TopicToInspect(name=name, partition_indexes=[0, 7])
    [topic] = connection.ask(DescribeProducersRequest(topics=[wanted]), 0).topics
    known, unknown = sorted(topic.partitions, key=lambda each: each.partition_index)
    [active] = known.active_producers
    assert (active.producer_id, active.producer_epoch) == (producer.producer_id, 0)
    assert (active.last_sequence, active.last_timestamp) == (4, 1000)
    assert (active.coordinator_epoch, active.current_txn_start_offset) == (-1, -1)
    assert unknown.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
