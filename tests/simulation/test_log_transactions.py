"""The log's transactions against a simple model: random appends, markers, rolls, truncations,
deletions, restarts and crashes, after each of which a reader of committed records sees what it
should."""

from __future__ import annotations

import uuid
from typing import Any, NamedTuple

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from ottla.log.config import LogConfig
from ottla.log.directory import LogDirectory
from ottla.log.errors import InvalidProducerEpoch, InvalidTransactionState, OutOfOrderSequence
from ottla.log.names import TopicPartition
from ottla.log.partition_log import AppendOrigin, PartitionLog
from ottla.records.batch import iter_complete_headers, read_header
from ottla.records.control import ControlType, decode_control_key, encode_end_transaction_batch
from ottla.records.decode import decode_records
from ottla.records.encode import encode_batch
from ottla.records.record import Record
from ottla.testing.simulation.disk import SimulatedDisk

PARTITION = TopicPartition("events", 0)
TOPIC_ID = uuid.UUID(int=7 << 64)
DIRECTORY_ID = uuid.UUID(int=9 << 64)
NOBODY = -1
TRANSACTIONAL = (11, 12, 13)


class Batch(NamedTuple):
    """A batch as the model keeps it; ``ends`` tells of a marker whether it commits."""

    first_offset: int
    count: int
    producer_id: int
    epoch: int
    sequence: int
    ends: bool | None = None

    @property
    def last_offset(self) -> int:
        return self.first_offset + self.count - 1


class Transactions(NamedTuple):
    """What follows from the batches: the whole model is in this fold."""

    open_since: dict[int, int]
    """First offset of each open transaction, by producer."""
    ended: list[tuple[int, int]]
    """First offset and marker of each transaction that has ended."""
    committed: set[int]
    """The offsets that a reader of committed records gets, once they are stable."""
    epochs: dict[int, int]
    next_sequences: dict[int, int]


def fold(batches: list[Batch]) -> Transactions:
    result = Transactions({}, [], set(), {}, {})
    offsets: dict[int, list[int]] = {}
    for batch in batches:
        producer_id = batch.producer_id
        if producer_id == NOBODY:
            result.committed.update(range(batch.first_offset, batch.last_offset + 1))
            continue
        if result.epochs.get(producer_id) != batch.epoch:
            result.next_sequences[producer_id] = 0
        result.epochs[producer_id] = batch.epoch
        if batch.ends is None:
            result.open_since.setdefault(producer_id, batch.first_offset)
            offsets.setdefault(producer_id, []).extend(
                range(batch.first_offset, batch.last_offset + 1)
            )
            result.next_sequences[producer_id] = batch.sequence + batch.count
            continue
        first_offset = result.open_since.pop(producer_id, None)
        if first_offset is not None:
            result.ended.append((first_offset, batch.first_offset))
        written = offsets.pop(producer_id, [])
        if batch.ends:
            result.committed.update(written)
    return result


def stable_up_to(transactions: Transactions, high_watermark: int) -> int:
    """The last stable offset, by its definition."""
    unstable = [
        *transactions.open_since.values(),
        *(first for first, marker in transactions.ended if marker >= high_watermark),
    ]
    return min([high_watermark, *unstable])


def read_committed(log: PartitionLog, offset: int, end_offset: int, max_bytes: int) -> set[int]:
    """What a consumer makes of the batches and the list of aborted transactions it fetches."""
    seen = set()
    while offset < end_offset:
        with log.read(offset, max_bytes, end_offset=end_offset) as found:
            data = found.read()
            aborted = log.aborted_transactions(found, end_offset)
        waiting = sorted(aborted, key=lambda each: each.first_offset, reverse=True)
        skipped = set()
        for position, header in iter_complete_headers(data):
            while waiting and waiting[-1].first_offset <= header.last_offset:
                skipped.add(waiting.pop().producer_id)
            records = decode_records(data, position)
            if header.is_control:
                if decode_control_key(records[0].key) is ControlType.ABORT:
                    skipped.discard(header.producer_id)
            elif not header.is_transactional or header.producer_id not in skipped:
                seen.update(record.offset for record in records if record.offset >= offset)
            offset = header.next_offset
    return seen


class LogTransactions(RuleBasedStateMachine):
    """Random use of one log, and the batches it must contain."""

    @initialize(seed=st.integers(0, 2**16), segment_bytes=st.sampled_from((300, 700, 10_000)))
    def create(self, seed: int, segment_bytes: int) -> None:
        self.disk = SimulatedDisk(seed)
        self.config = LogConfig(segment_bytes=segment_bytes, index_interval_bytes=100)
        self.batches: list[Batch] = []
        self.epochs: dict[int, int] = {}
        self.flushed = 0
        self.lost_before = 0
        self.directory = self.open()
        self.log = self.directory.create_partition(PARTITION, TOPIC_ID, self.config, now_ms=0)

    def open(self) -> LogDirectory:
        return LogDirectory.open(
            self.disk,
            "/data",
            cluster_id="simulated",
            node_id=1,
            new_directory_id=DIRECTORY_ID,
            config_of=lambda topic: self.config,
            now_ms=0,
        )

    # What producers and coordinators do

    @rule(count=st.integers(1, 3))
    def append_plain(self, count: int) -> None:
        self.append(NOBODY, -1, -1, count)

    @rule(producer_id=st.sampled_from(TRANSACTIONAL), count=st.integers(1, 3))
    def append_transactional(self, producer_id: int, count: int) -> None:
        transactions = fold(self.batches)
        epoch = self.epochs.get(producer_id, 0)
        sequence = transactions.next_sequences.get(producer_id, 0)
        if transactions.epochs.get(producer_id) != epoch:
            sequence = 0
        try:
            self.append(producer_id, epoch, sequence, count)
        except OutOfOrderSequence:
            # Its records, but not its marker, are deleted: the producer bumps its epoch (KIP-360).
            assert self.lost_before
            self.epochs[producer_id] = epoch + 1

    def append(self, producer_id: int, epoch: int, sequence: int, count: int) -> None:
        is_transactional = producer_id != NOBODY
        data = encode_batch(
            [Record(number, 1000, None, b"v" * 20) for number in range(count)],
            producer_id=producer_id,
            producer_epoch=epoch,
            base_sequence=sequence,
            is_transactional=is_transactional,
        )
        guard = None
        producers = self.log.producers
        if is_transactional and not producers.has_open_transaction(producer_id, epoch):
            with pytest.raises(InvalidTransactionState):
                self.write(data)
            guard = producers.verifications.begin(
                producer_id, epoch, sequence, bumps_epochs=False, now_ms=0
            )
        offset = self.write(data, guard=guard)
        self.batches.append(Batch(offset, count, producer_id, epoch, sequence))

    def write(self, data: bytes, **options: Any) -> int:
        buffer = bytearray(data)
        batches = [(0, read_header(buffer))]
        return self.log.append(buffer, batches, leader_epoch=0, now_ms=0, **options).first_offset

    @rule(
        producer_id=st.sampled_from(TRANSACTIONAL),
        is_commit=st.booleans(),
        version=st.sampled_from((0, 2)),
    )
    def end(self, producer_id: int, is_commit: bool, version: int) -> None:
        epoch = self.epochs.get(producer_id, 0) + (1 if version == 2 else 0)
        offset = self.write_marker(producer_id, epoch, is_commit, version)
        self.epochs[producer_id] = epoch
        self.batches.append(Batch(offset, 1, producer_id, epoch, -1, ends=is_commit))

    @rule(producer_id=st.sampled_from(TRANSACTIONAL))
    def end_late(self, producer_id: int) -> None:
        """A marker of the transaction before, which a newer one has overtaken (KIP-1228)."""
        epoch = self.epochs.get(producer_id, 0)
        if self.log.producers.has_open_transaction(producer_id, epoch):
            with pytest.raises(InvalidProducerEpoch):
                self.write_marker(producer_id, epoch, False, 2)

    def write_marker(self, producer_id: int, epoch: int, is_commit: bool, version: int) -> int:
        data = encode_end_transaction_batch(
            ControlType.COMMIT if is_commit else ControlType.ABORT,
            producer_id=producer_id,
            producer_epoch=epoch,
            coordinator_epoch=0,
            timestamp_ms=1000,
        )
        return self.write(data, origin=AppendOrigin.COORDINATOR, transaction_version=version)

    # What becomes of the log

    @rule()
    def roll(self) -> None:
        self.log.roll(now_ms=0)

    @rule()
    def flush(self) -> None:
        self.log.flush()
        self.flushed = self.log.flushed_offset

    @rule()
    def checkpoint(self) -> None:
        self.directory.checkpoint()

    @rule(share=st.floats(0, 1))
    def delete_records(self, share: float) -> None:
        start = self.log.log_start_offset
        self.log.advance_high_watermark(self.flushed)
        if self.flushed > start:
            self.log.delete_records_before(start + int(share * (self.flushed - start)))
            self.lost_before = max(self.lost_before, self.log.log_start_offset)

    @rule()
    def delete_segments(self) -> None:
        self.log.advance_high_watermark(self.flushed)
        self.log.remove_segments(self.log.retention_plan(0), now_ms=0)
        self.flushed = max(self.flushed, self.log.flushed_offset)

    @precondition(lambda self: self.batches and not self.lost_before)
    @rule(share=st.floats(0, 1))
    def truncate(self, share: float) -> None:
        """As a follower does, whose high watermark may lie before what it drops."""
        self.log.advance_high_watermark(self.flushed)
        self.log.truncate_to(int(share * self.log.log_end_offset), now_ms=0)
        self.directory.checkpoint()
        self.flushed = min(self.flushed, self.log.log_end_offset)
        self.adopt_end()

    @rule()
    def restart(self) -> None:
        self.directory.close()
        self.flushed = self.log.log_end_offset
        self.reopen()

    @precondition(lambda self: self.flushed > self.lost_before)
    @rule()
    def crash(self) -> None:
        self.disk = self.disk.crash()
        self.reopen()
        assert self.log.log_end_offset >= self.flushed
        self.adopt_end()

    @rule(cut=st.booleans())
    def damage_an_index(self, cut: bool) -> None:
        self.directory.close()
        self.flushed = self.log.log_end_offset
        names = self.disk.list_directory(f"/data/{PARTITION}")
        for name in [each for each in names if each.endswith(".txnindex")][-1:]:
            file = self.disk.open(f"/data/{PARTITION}/{name}")
            if cut:
                file.truncate(max(file.size_bytes() - 1, 0))
            else:
                file.write([bytes(file.size_bytes())], 0)
            file.close()
        self.reopen()

    def reopen(self) -> None:
        self.directory = self.open()
        self.log = self.directory.partitions[PARTITION]
        self.flushed = max(self.flushed, self.log.log_start_offset)

    def adopt_end(self) -> None:
        self.batches = [
            batch for batch in self.batches if batch.last_offset < self.log.log_end_offset
        ]
        for producer_id, epoch in fold(self.batches).epochs.items():
            self.epochs[producer_id] = max(epoch, self.epochs.get(producer_id, 0))

    # What must hold

    @invariant()
    def committed_readers_see_what_they_should(self) -> None:
        log = self.log
        start = max(log.log_start_offset, self.lost_before)
        transactions = fold(self.batches)
        stable = log.advance_high_watermark(self.flushed)
        expected = stable_up_to(transactions, self.flushed)
        if self.lost_before:
            # The beginning of a transaction may be gone, and with it what was known of it.
            left = fold([batch for batch in self.batches if batch.last_offset >= start])
            # A deletion that wasn't checkpointed may be undone by a crash, too.
            assert min(max(expected, log.log_start_offset), self.flushed) <= stable
            assert stable <= max(stable_up_to(left, self.flushed), start)
        else:
            assert stable == expected
        committed = {offset for offset in transactions.committed if start <= offset < stable}
        for max_bytes in (1, 500, 10**6):
            assert read_committed(log, start, stable, max_bytes) == committed

    @invariant()
    def producers_are_as_their_batches_say(self) -> None:
        if self.lost_before:
            return
        transactions = fold(self.batches)
        known = {each.producer_id: each for each in self.log.producers}
        assert known.keys() == transactions.epochs.keys()
        for producer_id, producer in known.items():
            assert producer.producer_epoch == transactions.epochs[producer_id]
            since = transactions.open_since.get(producer_id, -1)
            assert producer.current_txn_first_offset == since
            assert producer.last_sequence == transactions.next_sequences[producer_id] - 1


def test_transactions_survive_whatever_happens_to_the_log() -> None:
    """reliability.md: LSO and recovery; LSO = min(first open transaction, HW), aborted lists."""
    run_state_machine_as_test(
        LogTransactions,
        settings=settings(
            max_examples=60, stateful_step_count=40, deadline=None, derandomize=True, database=None
        ),
    )
