"""Compaction against a model, on a disk that crashes: the view by key stays, whatever the seed.

A failing seed is replayed with ``pytest -k '<test> and <seed>'``; the seed is in the test's name.
"""

from __future__ import annotations

import errno
import random
import uuid
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from ottla.log.compaction.run import CleanerSettings, cleaning_plan
from ottla.log.config import LogConfig
from ottla.log.directory import LogDirectory
from ottla.log.errors import LogDirectoryFailed
from ottla.log.names import TopicPartition
from ottla.log.partition_log import AppendOrigin, PartitionLog
from ottla.ports.disk import Disk
from ottla.records import backend
from ottla.records.batch import BatchHeader, iter_headers, read_header
from ottla.records.compression import Codec
from ottla.records.control import (
    ControlType,
    decode_control_key,
    encode_end_transaction_batch,
)
from ottla.records.decode import decode_records
from ottla.records.encode import encode_batch
from ottla.records.record import Record
from ottla.testing.compaction import SMALL, clean_now
from ottla.testing.simulation.disk import SimulatedDisk

DATA = "/data"
PARTITION = TopicPartition("table", 0)
TOPIC_ID = uuid.UUID(int=7 << 64)
DIRECTORY_ID = uuid.UUID(int=9 << 64)
RETENTION_MS = 5_000
SEEDS = range(20)
CRASH_SEEDS = range(100)


class PowerCut(BaseException):
    """Strikes in the middle of an operation; nothing in the log may catch it."""


@pytest.fixture(params=["native", "python"])
def each_twin(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "native":
        pytest.importorskip("ottla.records._native")
        return
    from ottla.records import _reference

    monkeypatch.setattr(backend, "active", _reference)


class Seen(NamedTuple):
    """A record as a reader of committed records sees it."""

    offset: int
    record: Record


def batches_of(log: PartitionLog) -> Iterator[tuple[BatchHeader, bytes]]:
    offset = log.log_start_offset
    while offset < log.log_end_offset:
        with log.read(offset, 3000) as found:
            data = found.read()
        if not data:
            return
        position = 0
        while position + 61 <= len(data):
            header = read_header(data, position)
            if position + header.size_bytes > len(data):
                break
            yield header, data[position : position + header.size_bytes]
            offset = header.next_offset
            position += header.size_bytes


def committed(log: PartitionLog, end_offset: int) -> list[Seen]:
    """What a ``read_committed`` consumer would be given: it skips by the transaction index, and
    by end markers, as clients do."""
    aborted = sorted(
        log.compaction.aborted(log.log_end_offset, log.log_start_offset),
        key=lambda each: each.first_offset,
    )
    skipped: set[int] = set()
    seen: list[Seen] = []
    for header, batch in batches_of(log):
        while aborted and aborted[0].first_offset <= header.last_offset:
            skipped.add(aborted.pop(0).producer_id)
        records = decode_records(batch)
        if header.is_control:
            if records and decode_control_key(records[0].key) is ControlType.ABORT:
                skipped.discard(header.producer_id)
        elif not (header.is_transactional and header.producer_id in skipped):
            seen += [Seen(record.offset, record) for record in records]
    return [each for each in seen if each.offset < end_offset]


def view(seen: list[Seen]) -> dict[bytes, bytes]:
    """What a reader that keeps the last value of every key ends up with."""
    found: dict[bytes, bytes] = {}
    for _, record in seen:
        assert record.key is not None
        if record.value is None:
            found.pop(record.key, None)
        else:
            found[record.key] = record.value
    return found


class Table:
    """Random use of one compacted partition."""

    def __init__(self, seed: int, disk: Disk) -> None:
        self.random = random.Random(seed)
        self.disk = disk
        self.config = LogConfig(
            segment_bytes=self.random.choice((2200, 4000, 9000)),
            index_interval_bytes=self.random.choice((1, 300)),
            delete_retention_ms=RETENTION_MS,
            producer_id_expiration_ms=10**9,
            deletes_old_segments=False,
            compacts=True,
            verifies_transactions=False,
        )
        self.now_ms = 1_000_000
        self.keys = self.random.choice((3, 20, 80))
        self.sequences = dict.fromkeys(range(5), 0)
        self.open_transactions: set[int] = set()
        self.directory = self.open()
        self.log = self.directory.create_partition(
            PARTITION, TOPIC_ID, self.config, now_ms=self.now_ms
        )

    def open(self) -> LogDirectory:
        return LogDirectory.open(
            self.disk,
            DATA,
            cluster_id="simulated",
            node_id=1,
            new_directory_id=DIRECTORY_ID,
            # As a broker opens its logs, before it knows the topics' settings.
            config_of=lambda topic: LogConfig(producer_id_expiration_ms=10**9),
            now_ms=self.now_ms,
        )

    def reopen(self) -> None:
        self.directory = self.open()
        self.log = self.directory.partitions[PARTITION]
        self.log.config = self.config
        self.log.advance_high_watermark(self.log.log_end_offset)

    def append(self, buffer: bytes | bytearray, origin: AppendOrigin = AppendOrigin.CLIENT) -> None:
        data = bytearray(buffer)
        self.log.append(
            data,
            list(iter_headers(data)),
            leader_epoch=0,
            now_ms=self.now_ms,
            origin=origin,
        )
        self.log.advance_high_watermark(self.log.log_end_offset)

    def write(self) -> None:
        self.now_ms += self.random.randrange(1, 400)
        producer_id = self.random.randrange(-3, 5)
        count = self.random.randrange(1, 9)
        records = [
            Record(
                number,
                self.now_ms + self.random.randrange(-50, 50),
                b"k%d" % self.random.randrange(self.keys),
                None
                if self.random.random() < 0.2
                else b"v%d" % self.random.getrandbits(60) * self.random.choice((1, 9)),
                (("h", b"x"),) if self.random.random() < 0.3 else (),
            )
            for number in range(count)
        ]
        idempotent = producer_id >= 0
        is_transactional = producer_id >= 2
        self.append(
            encode_batch(
                records,
                codec=self.random.choice((Codec.NONE, Codec.NONE, Codec.LZ4, Codec.GZIP)),
                producer_id=producer_id if idempotent else -1,
                producer_epoch=0 if idempotent else -1,
                base_sequence=self.sequences[producer_id] if idempotent else -1,
                is_transactional=is_transactional,
            )
        )
        if idempotent:
            self.sequences[producer_id] += count
        if is_transactional:
            self.open_transactions.add(producer_id)

    def end_transaction(self, producer_id: int) -> None:
        self.open_transactions.discard(producer_id)
        self.append(
            encode_end_transaction_batch(
                self.random.choice((ControlType.ABORT, ControlType.COMMIT)),
                producer_id=producer_id,
                producer_epoch=0,
                coordinator_epoch=1,
                timestamp_ms=self.now_ms,
            ),
            AppendOrigin.COORDINATOR,
        )

    def use(self, steps: int) -> None:
        for _ in range(steps):
            self.write()
            if self.open_transactions and self.random.random() < 0.4:
                self.end_transaction(self.random.choice(sorted(self.open_transactions)))
            if self.random.random() < 0.05:
                self.log.roll(now_ms=self.now_ms)
        self.log.flush()

    @property
    def last_stable_offset(self) -> int:
        return self.log.advance_high_watermark(self.log.log_end_offset)

    def settings(self) -> CleanerSettings:
        return SMALL._replace(
            map_bytes=self.random.choice((20_000, 1 << 20)),
            buffer_bytes=self.random.choice((100, 700, 10_000)),
        )

    def clean(self) -> None:
        clean_now(
            self.disk,
            self.directory,
            self.log,
            self.now_ms,
            settings=self.settings(),
            last_stable_offset=self.last_stable_offset,
        )


def check_sequences(table: Table) -> None:
    """Every producer can go on where it was."""
    for producer_id, sequence in table.sequences.items():
        if sequence:
            known = table.log.producers.get(producer_id)
            assert known is not None
            assert known.last_sequence == sequence - 1


@pytest.mark.usefixtures("each_twin")
@pytest.mark.parametrize("seed", SEEDS)
def test_the_view_by_key_is_the_same_after_compaction(seed: int) -> None:
    table = Table(seed, SimulatedDisk(seed))
    for _ in range(4):
        table.use(table.random.randrange(10, 60))
        stable = table.last_stable_offset
        before, batches = committed(table.log, stable), dict(batches_in(table.log))
        plan = cleaning_plan(table.log, table.now_ms, last_stable_offset=stable)
        table.clean()
        after = committed(table.log, stable)
        assert view(after) == view(before)
        # Order, offsets, timestamps and headers are kept, and nothing is invented.
        expected = {each.offset: each for each in before}
        assert all(expected[each.offset] == each for each in after)
        assert [each.offset for each in after] == sorted(each.offset for each in after)
        # Nothing beyond what could be cleaned is touched.
        untouched = {at: batch for at, batch in batches.items() if at >= plan.end_offset}
        found = {at: batch for at, batch in batches_in(table.log) if at >= plan.end_offset}
        assert found == untouched
        check_sequences(table)
        check_lookups(table, after)
        if table.random.random() < 0.5:
            table.directory.close()
            table.reopen()
            assert committed(table.log, stable) == after
            check_sequences(table)


def batches_in(log: PartitionLog) -> Iterator[tuple[int, bytes]]:
    for header, batch in batches_of(log):
        yield header.base_offset, batch


def check_lookups(table: Table, seen: list[Seen]) -> None:
    """Offsets and timestamps are found, gaps or not."""
    log = table.log
    headers = [header for header, _ in batches_of(log)]
    for _ in range(20):
        offset = table.random.randrange(log.log_start_offset, log.log_end_offset)
        with log.read(offset, 1) as found:
            following = next(each for each in headers if each.last_offset >= offset)
            assert read_header(found.read()).base_offset == following.base_offset
    everything = [
        record
        for header, batch in batches_of(log)
        if not header.is_control
        for record in decode_records(batch)
    ]
    times = [record.timestamp_ms for record in everything]
    if times:
        latest = log.max_timestamp_offset()
        assert latest is not None
        markers = [each.max_record_timestamp_ms for each in headers if each.is_control]
        # A marker's timestamp counts, too; that of a batch without records doesn't.
        assert latest.timestamp_ms == max(times + markers)
        wanted = table.random.choice(times)
        at = log.offset_for_timestamp(wanted)
        assert at is not None
        assert at.timestamp_ms >= wanted


def test_every_key_has_one_record_left_when_all_is_clean() -> None:
    table = Table(5, SimulatedDisk(5))
    table.use(300)
    for producer_id in sorted(table.open_transactions):
        table.end_transaction(producer_id)
    table.log.roll(now_ms=table.now_ms)
    table.log.flush()
    expected = view(committed(table.log, table.log.log_end_offset))
    # The second cleaning finds the tombstones and markers whose horizon the first one set.
    for _ in range(2):
        clean_now(table.disk, table.directory, table.log, table.now_ms)
        assert table.log.first_dirty_offset == table.log.log_end_offset
        table.now_ms += RETENTION_MS
        append_filler(table)
    left = committed(table.log, table.log.log_end_offset)
    keys = [each.record.key for each in left if each.record.key != b"filler"]
    assert sorted(set(keys)) == sorted(expected)
    assert len(keys) == len(set(keys))
    assert view(left) == expected | {b"filler": b"x"}


def append_filler(table: Table) -> None:
    table.append(encode_batch([Record(0, table.now_ms, b"filler", b"x")]))
    table.log.roll(now_ms=table.now_ms)
    table.log.flush()


@pytest.mark.parametrize("seed", CRASH_SEEDS)
def test_a_crash_at_any_operation_of_a_cleaning_loses_nothing(seed: int) -> None:
    """The seed says at which of the disk's operations the power is cut."""
    disk = SimulatedDisk(seed)
    table = Table(seed % 12, disk)
    table.use(90)
    table.directory.checkpoint()
    stable = table.last_stable_offset
    before = committed(table.log, stable)
    end_offset = table.log.log_end_offset
    strike_at = disk.operations + random.Random(seed).randrange(400)

    def strike(operation: str, path: str) -> None:
        if disk.operations >= strike_at:
            raise PowerCut

    disk.on_operation = strike
    try:
        table.clean()
        table.clean()
    except PowerCut:
        pass
    disk.on_operation = None
    table.disk = disk.crash()
    table.reopen()
    for _ in range(2):
        assert table.log.log_end_offset == end_offset
        assert table.log.recovered.cut_bytes == 0
        after = committed(table.log, stable)
        assert view(after) == view(before)
        expected = {each.offset: each for each in before}
        assert all(expected[each.offset] == each for each in after)
        assert sorted({each.offset for each in after}) == [each.offset for each in after]
        check_sequences(table)
        # What recovery completed must itself survive: the power is cut again.
        assert isinstance(table.disk, SimulatedDisk)
        table.disk = table.disk.crash()
        table.reopen()
    table.use(20)
    stable = table.last_stable_offset
    before = committed(table.log, stable)
    table.clean()
    assert view(committed(table.log, stable)) == view(before)


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC])
def test_a_disk_that_fails_during_a_cleaning_loses_nothing(error: int) -> None:
    """Fail one call, then a later one, ... until a cleaning meets no failure."""
    number = 0
    while True:
        disk = SimulatedDisk(3)
        table = Table(3, disk)
        table.use(60)
        table.directory.checkpoint()
        stable = table.last_stable_offset
        before = view(committed(table.log, stable))
        disk.fail_operation(number, error)
        try:
            table.clean()
        except (LogDirectoryFailed, OSError):
            pass
        else:
            if number > 100:
                return
        disk.heal()
        table.directory.abandon()
        table.disk = disk.crash()
        table.reopen()
        assert view(committed(table.log, stable)) == before
        number += 13


@pytest.mark.parametrize("seed", range(12))
def test_what_is_compacted_and_deleted_keeps_the_latest_of_what_is_left(seed: int) -> None:
    table = Table(seed, SimulatedDisk(seed))
    table.config = table.log.config = table.config._replace(
        deletes_old_segments=True, retention_bytes=5000
    )
    for _ in range(4):
        table.use(40)
        before = committed(table.log, table.last_stable_offset)
        removals = table.log.retention_plan(table.now_ms)
        table.log.remove_segments(removals, now_ms=table.now_ms)
        left = [each for each in before if each.offset >= table.log.log_start_offset]
        table.clean()
        assert view(committed(table.log, table.last_stable_offset)) == view(left)
        assert table.log.first_dirty_offset >= table.log.log_start_offset
