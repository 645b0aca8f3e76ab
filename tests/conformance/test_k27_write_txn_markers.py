"""WriteTxnMarkers and TxnOffsetCommit (keys 27, 28) in every version, and what Produce, Fetch,
ListOffsets, OffsetFetch and DescribeProducers say of transactions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from ottla.records.encode import encode_batch
from ottla.records.record import Record
from ottla.testing.protocol import Connection
from ottla.testing.waiting import eventually
from ottla.wire.api.k00_produce import PartitionToProduce, ProduceRequest, TopicToProduce
from ottla.wire.api.k01_fetch import FetchRequest, PartitionToFetch, TopicToFetch
from ottla.wire.api.k02_list_offsets import ListOffsetsRequest, PartitionToList, TopicToList
from ottla.wire.api.k09_offset_fetch import (
    GroupToLookUp,
    GroupTopicToLookUp,
    OffsetFetchRequest,
)
from ottla.wire.api.k10_find_coordinator import FindCoordinatorRequest
from ottla.wire.api.k22_init_producer_id import InitProducerIdRequest
from ottla.wire.api.k24_add_partitions_to_txn import AddPartitionsToTxnRequest, TopicToAdd
from ottla.wire.api.k25_add_offsets_to_txn import AddOffsetsToTxnRequest
from ottla.wire.api.k26_end_txn import EndTxnRequest
from ottla.wire.api.k27_write_txn_markers import TopicToMark, TxnMarker, WriteTxnMarkersRequest
from ottla.wire.api.k28_txn_offset_commit import (
    PartitionToCommit,
    TopicToCommit,
    TxnOffsetCommitRequest,
)
from ottla.wire.api.k61_describe_producers import DescribeProducersRequest, TopicToInspect
from ottla.wire.apis import APIS
from ottla.wire.errors import ErrorCode

NewTopic = Callable[..., str]
NAME_IS_TRANSACTIONAL_ID = 1
READ_COMMITTED = 1
LATEST, MAX_TIMESTAMP = -1, -3
# While the transaction before is being completed.
PASSING = (
    ErrorCode.CONCURRENT_TRANSACTIONS,
    ErrorCode.NOT_ENOUGH_REPLICAS,
    ErrorCode.COORDINATOR_NOT_AVAILABLE,
)


def settled(ask: Callable[[], int]) -> int:
    """The answer, once it is a lasting one."""
    codes: list[int] = []

    def is_settled() -> bool:
        codes.append(ask())
        return codes[-1] not in PASSING

    eventually(is_settled, what="the end of the transaction before")
    return codes[-1]


class Producer(NamedTuple):
    """A transactional producer on the bare protocol, of transaction.version 0."""

    connection: Connection
    transactional_id: str
    producer_id: int
    epoch: int
    topic: str

    def add_partition(self) -> int:
        request = AddPartitionsToTxnRequest(
            v3_and_below_transactional_id=self.transactional_id,
            v3_and_below_producer_id=self.producer_id,
            v3_and_below_producer_epoch=self.epoch,
            v3_and_below_topics=[TopicToAdd(name=self.topic, partitions=[0])],
        )
        [topic] = self.connection.ask(request, 3).results_by_topic_v3_and_below
        return int(topic.results_by_partition[0].partition_error_code)

    def produce(self, sequence: int = 0, *, version: int = 9, **changes: Any) -> int:
        batch = encode_batch(
            [Record(0, 1000 + sequence, None, b"value")],
            producer_id=self.producer_id,
            producer_epoch=self.epoch,
            base_sequence=sequence,
            is_transactional=changes.pop("is_transactional", True),
        )
        fields: dict[str, Any] = {"transactional_id": self.transactional_id} | changes
        request = ProduceRequest(
            acks=-1,
            timeout_ms=10_000,
            topic_data=[
                TopicToProduce(
                    name=self.topic, partition_data=[PartitionToProduce(index=0, records=batch)]
                )
            ],
            **fields,
        )
        [topic] = self.connection.ask(request, version).responses
        return int(topic.partition_responses[0].error_code)

    def end(self, *, is_commit: bool) -> int:
        request = EndTxnRequest(
            transactional_id=self.transactional_id,
            producer_id=self.producer_id,
            producer_epoch=self.epoch,
            committed=is_commit,
        )
        return int(self.connection.ask(request, 3).error_code)

    def mark(self, version: int = 1, **changes: Any) -> int:
        fields = {"producer_id": self.producer_id, "producer_epoch": self.epoch} | changes
        marker = TxnMarker(
            transaction_result=False,
            coordinator_epoch=fields.pop("coordinator_epoch", 0),
            topics=[
                TopicToMark(name=fields.pop("topic", self.topic), partition_indexes=[0]),
            ],
            **fields,
        )
        answer = self.connection.ask(WriteTxnMarkersRequest(markers=[marker]), version)
        return int(answer.markers[0].topics[0].partitions[0].error_code)

    def end_offset(self, timestamp: int = LATEST, isolation_level: int = READ_COMMITTED) -> int:
        wanted = PartitionToList(partition_index=0, timestamp=timestamp)
        request = ListOffsetsRequest(
            replica_id=-1,
            isolation_level=isolation_level,
            topics=[TopicToList(name=self.topic, partitions=[wanted])],
        )
        return int(self.connection.ask(request, 7).topics[0].partitions[0].offset)

    def fetch(self) -> Any:
        wanted = PartitionToFetch(partition=0, fetch_offset=0, partition_max_bytes=1 << 20)
        request = FetchRequest(
            max_wait_ms=0,
            min_bytes=0,
            isolation_level=READ_COMMITTED,
            topics=[TopicToFetch(topic=self.topic, partitions=[wanted])],
        )
        return self.connection.ask(request, 12).responses[0].partitions[0]

    def described(self) -> Any:
        request = DescribeProducersRequest(
            topics=[TopicToInspect(name=self.topic, partition_indexes=[0])]
        )
        [producer] = self.connection.ask(request, 0).topics[0].partitions[0].active_producers
        return producer


@pytest.fixture
def producer(connection: Connection, new_topic: NewTopic, unique: Callable[[str], str]) -> Producer:
    name = unique("transactional")
    look_up = FindCoordinatorRequest(key_type=NAME_IS_TRANSACTIONAL_ID, coordinator_keys=[name])

    def begun() -> Any:
        connection.ask(look_up, 4)
        request = InitProducerIdRequest(transactional_id=name, transaction_timeout_ms=30_000)
        answer = connection.ask(request, 4)
        return None if answer.error_code else answer

    granted = eventually(begun, what="the coordinator")
    made = Producer(connection, name, granted.producer_id, granted.producer_epoch, new_topic())
    eventually(lambda: made.add_partition() == ErrorCode.NONE, what="the partition")
    return made


@pytest.mark.parametrize("version", APIS[27].versions)
def test_a_marker_ends_a_hanging_transaction(version: int, producer: Producer) -> None:
    """reliability.md: hanging transactions, detection (KIP-664)."""
    assert producer.produce() == ErrorCode.NONE
    assert producer.end_offset() == 0
    assert producer.end_offset(isolation_level=0) == 1
    assert producer.end_offset(MAX_TIMESTAMP) == -1
    hanging = producer.described()
    assert hanging.current_txn_start_offset == 0
    assert hanging.coordinator_epoch == -1
    assert producer.fetch().records == b""
    assert producer.mark(version) == ErrorCode.NONE
    assert producer.end_offset() == 2
    ended = producer.described()
    assert (ended.current_txn_start_offset, ended.coordinator_epoch) == (-1, 0)
    fetched = producer.fetch()
    assert fetched.last_stable_offset == 2
    [aborted] = fetched.aborted_transactions
    assert (aborted.producer_id, aborted.first_offset) == (producer.producer_id, 0)


def test_late_markers_are_refused(producer: Producer) -> None:
    """reliability.md: zombies, and markers that need an epoch > current (KIP-1228)."""
    assert producer.produce() == ErrorCode.NONE
    assert producer.mark(2, transaction_version=2) == ErrorCode.INVALID_PRODUCER_EPOCH
    assert producer.mark(2, producer_epoch=producer.epoch + 1, transaction_version=2) == 0
    assert producer.mark(1) == ErrorCode.INVALID_PRODUCER_EPOCH
    newer = {"producer_epoch": producer.epoch + 1, "coordinator_epoch": 3}
    assert producer.mark(1, **newer) == ErrorCode.NONE
    fenced = producer.mark(1, **newer | {"coordinator_epoch": 2})
    assert fenced == ErrorCode.TRANSACTION_COORDINATOR_FENCED
    assert producer.mark(1, topic="nobody.knows.it") == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


def test_no_transaction_begins_unverified(producer: Producer) -> None:
    """reliability.md: hanging transactions, verify with the coordinator before append."""
    assert producer.end(is_commit=False) == ErrorCode.NONE
    # What clients before TRANSACTION_ABORTABLE hear, and what those after.
    refused = settled(lambda: producer.produce(version=10))
    assert refused == ErrorCode.INVALID_TXN_STATE
    assert producer.produce(version=11) == ErrorCode.TRANSACTION_ABORTABLE
    refused = producer.produce(transactional_id=None)
    assert refused == ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED


def test_a_plain_batch_in_a_transaction_is_refused(producer: Producer) -> None:
    """reliability.md: idempotence."""
    assert producer.produce() == ErrorCode.NONE
    assert producer.produce(1, is_transactional=False) == ErrorCode.INVALID_TXN_STATE
    assert producer.produce(2) == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert producer.produce(1) == ErrorCode.NONE


class Committer(NamedTuple):
    """The producer, committing a group's offsets."""

    producer: Producer
    group_id: str

    def add(self) -> int:
        producer = self.producer
        request = AddOffsetsToTxnRequest(
            transactional_id=producer.transactional_id,
            producer_id=producer.producer_id,
            producer_epoch=producer.epoch,
            group_id=self.group_id,
        )
        return int(producer.connection.ask(request, 3).error_code)

    def commit(self, version: int, offset: int, **changes: Any) -> int:
        producer = self.producer
        partition = PartitionToCommit(
            partition_index=0, committed_offset=offset, committed_metadata=""
        )
        fields: dict[str, Any] = {
            "producer_epoch": producer.epoch,
            "topics": [TopicToCommit(name=producer.topic, partitions=[partition])],
            "group_id": self.group_id,
        } | changes
        request = TxnOffsetCommitRequest(
            transactional_id=producer.transactional_id,
            producer_id=producer.producer_id,
            **fields,
        )
        answer = producer.connection.ask(request, version)
        return int(answer.topics[0].partitions[0].error_code)

    def fetch(self, *, is_stable: bool) -> tuple[int, int]:
        topics = [GroupTopicToLookUp(name=self.producer.topic, partition_indexes=[0])]
        request = OffsetFetchRequest(
            groups=[GroupToLookUp(group_id=self.group_id, topics=topics)],
            require_stable=is_stable,
        )
        [topic] = self.producer.connection.ask(request, 8).groups[0].topics
        return topic.partitions[0].error_code, topic.partitions[0].committed_offset


@pytest.fixture
def committer(producer: Producer, group: str) -> Committer:
    made = Committer(producer, group)
    eventually(lambda: made.add() == ErrorCode.NONE, what="the group's partition")
    return made


@pytest.mark.parametrize("is_commit", [True, False])
@pytest.mark.parametrize("version", APIS[28].versions)
def test_every_version_commits_offsets_with_the_transaction(
    version: int, is_commit: bool, committer: Committer
) -> None:
    """reliability.md: zombies and offsets (KIP-447): nobody sees a pending offset as stable."""
    assert committer.commit(version, 5) == ErrorCode.NONE
    assert committer.fetch(is_stable=False) == (ErrorCode.NONE, -1)
    assert committer.fetch(is_stable=True) == (ErrorCode.UNSTABLE_OFFSET_COMMIT, -1)
    assert committer.producer.end(is_commit=is_commit) == ErrorCode.NONE
    expected = (ErrorCode.NONE, 5 if is_commit else -1)
    eventually(lambda: committer.fetch(is_stable=True) == expected, what="the end")


@pytest.mark.parametrize("version", APIS[28].versions)
def test_every_version_refuses_offsets_of_zombies(version: int, committer: Committer) -> None:
    """reliability.md: zombies, a transactional offset commit carries member and generation."""
    assert committer.commit(version, 5) == ErrorCode.NONE
    if committer.producer.epoch > 0:
        stale = committer.commit(version, 5, producer_epoch=committer.producer.epoch - 1)
        assert stale == ErrorCode.INVALID_PRODUCER_EPOCH
    if version >= 3:
        illegal = committer.commit(version, 5, generation_id=7, member_id="gone")
        # The group exists by now, as one without members.
        assert illegal == ErrorCode.UNKNOWN_MEMBER_ID
    nowhere = PartitionToCommit(partition_index=9, committed_offset=5, committed_metadata="")
    topics = [TopicToCommit(name=committer.producer.topic, partitions=[nowhere])]
    unknown = committer.commit(version, 5, topics=topics)
    assert unknown == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert committer.commit(version, 5, group_id="") == ErrorCode.INVALID_GROUP_ID


def test_offsets_need_a_verified_transaction(committer: Committer) -> None:
    """reliability.md: hanging transactions; only version 5 adds the group by itself (KIP-890)."""
    assert committer.producer.end(is_commit=False) == ErrorCode.NONE
    assert settled(lambda: committer.commit(3, 5)) == ErrorCode.INVALID_TXN_STATE
    assert committer.commit(4, 5) == ErrorCode.TRANSACTION_ABORTABLE
    assert settled(lambda: committer.commit(5, 5)) == ErrorCode.NONE
