"""Transactions in a partition: end markers, and how far committed records may be read."""

from __future__ import annotations

import uuid

import pytest

from ottla.broker.partition import Partition
from ottla.broker.topic_settings import topic_settings
from ottla.log.errors import InvalidProducerEpoch, TransactionCoordinatorFenced
from ottla.log.names import TopicPartition
from ottla.log.partition_log import PartitionLog
from ottla.metadata.config.resolve import ConfigResolver
from ottla.metadata.image import EMPTY_IMAGE
from ottla.records.batch import read_header
from ottla.records.encode import encode_batch
from ottla.records.record import Record
from ottla.testing.memory_disk import MemoryDisk

NAME = TopicPartition("events", 0)
TOPIC_ID = uuid.UUID(int=1 << 70)
NOW_MS = 10_000


class PartitionUnderTest:
    """A partition whose flushes happen when told."""

    def __init__(self) -> None:
        config = ConfigResolver({}, 1).topic_defaults(EMPTY_IMAGE)
        settings = topic_settings(config, producer_id_expiration_ms=1000)
        disk = MemoryDisk()
        disk.make_directories("/data")
        log = PartitionLog.create(
            disk, "/data/events-0", settings.log, NAME, TOPIC_ID, now_ms=NOW_MS
        )
        self.partition = Partition(NAME, TOPIC_ID, log, 0, settings, commit=lambda _: None)

    def write(self, producer_id: int, sequence: int, epoch: int = 0) -> int:
        buffer = memoryview(
            bytearray(
                encode_batch(
                    [Record(0, NOW_MS, None, b"value")],
                    producer_id=producer_id,
                    producer_epoch=epoch,
                    base_sequence=sequence,
                    is_transactional=producer_id >= 0,
                )
            )
        )
        guard = None
        if producer_id >= 0:
            guard = self.partition.begin_verification(
                producer_id, epoch, sequence, bumps_epochs=False, now_ms=NOW_MS
            )
        batches = [(0, read_header(buffer))]
        appended = self.partition.append(buffer, batches, now_ms=NOW_MS, guard=guard)
        return appended.first_offset

    def end(
        self,
        producer_id: int,
        epoch: int = 0,
        *,
        coordinator_epoch: int = 0,
        is_commit: bool = True,
        transaction_version: int = 0,
    ) -> int:
        appended = self.partition.append_end_marker(
            producer_id, epoch, coordinator_epoch, is_commit, NOW_MS, transaction_version
        )
        return appended.first_offset

    def flush(self) -> tuple[int, int]:
        """The high watermark and the last stable offset once everything is durable."""
        self.partition.log.flush()
        self.partition.catch_up()
        return self.partition.high_watermark, self.partition.last_stable_offset


@pytest.fixture
def under_test() -> PartitionUnderTest:
    return PartitionUnderTest()


def test_committed_records_end_where_the_first_open_transaction_begins(
    under_test: PartitionUnderTest,
) -> None:
    """reliability.md: LSO, min(first open transaction, HW)."""
    under_test.write(-1, -1)
    under_test.write(7, 0)
    under_test.write(8, 0)
    assert under_test.flush() == (3, 1)
    under_test.end(7)
    assert under_test.flush() == (4, 2)
    under_test.end(8, is_commit=False)
    assert under_test.flush() == (5, 5)


def test_a_transaction_is_unstable_until_its_marker_is_durable(
    under_test: PartitionUnderTest,
) -> None:
    """reliability.md: LSO. A power cut could still take the marker back."""
    under_test.write(7, 0)
    target = under_test.partition.log.flush_target()
    assert target is not None
    under_test.end(7)
    target.sync()
    under_test.partition.flushed(target)
    assert (under_test.partition.high_watermark, under_test.partition.last_stable_offset) == (1, 0)
    assert under_test.flush() == (2, 2)


def test_a_marker_ends_a_transaction_that_wrote_nothing(under_test: PartitionUnderTest) -> None:
    under_test.end(7)
    assert under_test.flush() == (1, 1)
    producer = under_test.partition.log.producers.get(7)
    assert producer is not None
    assert producer.producer_epoch == 0


def test_the_coordinator_hears_of_every_marker(under_test: PartitionUnderTest) -> None:
    heard: list[tuple[int, int, bool]] = []

    def callback(producer_id: int, producer_epoch: int, is_commit: bool) -> None:
        heard.append((producer_id, producer_epoch, is_commit))

    under_test.partition.on_transaction_end(callback)
    under_test.write(7, 0)
    under_test.end(7)
    under_test.end(8, 3, is_commit=False)
    under_test.partition.forget_transaction_end(callback)
    under_test.end(9)
    assert heard == [(7, 0, True), (8, 3, False)]


def test_the_marker_of_a_replaced_coordinator_is_refused(under_test: PartitionUnderTest) -> None:
    """reliability.md: zombies, coordinator epoch in markers."""
    under_test.write(7, 0)
    under_test.end(7, coordinator_epoch=4)
    under_test.write(7, 1)
    with pytest.raises(TransactionCoordinatorFenced):
        under_test.end(7, coordinator_epoch=3)
    assert under_test.flush() == (3, 2)


def test_a_late_marker_does_not_end_the_next_transaction(under_test: PartitionUnderTest) -> None:
    """reliability.md: hanging transactions, markers need epoch > current (KIP-1228)."""
    under_test.write(7, 0, epoch=0)
    under_test.end(7, 1, transaction_version=2)
    under_test.write(7, 0, epoch=1)
    with pytest.raises(InvalidProducerEpoch):
        under_test.end(7, 1, transaction_version=2)
    assert under_test.flush() == (3, 2)
    under_test.end(7, 2, transaction_version=2)
    # Sent again because the answer was lost: nothing is open, so nothing is harmed.
    under_test.end(7, 2, transaction_version=2)
    assert under_test.flush() == (5, 5)


def test_before_transaction_version_2_a_marker_has_the_epoch_of_its_records(
    under_test: PartitionUnderTest,
) -> None:
    under_test.write(7, 0, epoch=3)
    with pytest.raises(InvalidProducerEpoch):
        under_test.end(7, 2)
    under_test.end(7, 3)
    under_test.write(7, 1, epoch=3)
    # A timed out transaction's producer is fenced by the next epoch.
    under_test.end(7, 4, is_commit=False)
    with pytest.raises(InvalidProducerEpoch):
        under_test.write(7, 2, epoch=3)


def test_the_largest_epoch_has_no_next_one(under_test: PartitionUnderTest) -> None:
    """reliability.md: epoch bump, overflow (KIP-360, KAFKA-18660)."""
    largest = 2**15 - 1
    under_test.write(7, 0, epoch=largest)
    under_test.end(7, largest, is_commit=False, transaction_version=2)
    assert under_test.flush() == (2, 2)
