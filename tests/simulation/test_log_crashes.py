"""The log on a disk that crashes and fails: what was flushed survives, whatever the seed.

A failing seed is replayed with ``pytest -k 'crash and <seed>'``; the seed is in the test's name.
"""

from __future__ import annotations

import errno
import random
import struct
import uuid
from typing import NamedTuple

import pytest

from ottla.log.config import LogConfig
from ottla.log.directory import LogDirectory
from ottla.log.errors import LogDirectoryFailed
from ottla.log.names import TopicPartition
from ottla.log.partition_log import Appended, AppendOrigin, PartitionLog
from ottla.ports.disk import Disk
from ottla.records.batch import iter_headers, read_header
from ottla.records.decode import decode_records
from ottla.records.encode import encode_batch
from ottla.records.record import Record
from ottla.testing.simulation.disk import SimulatedDisk

SEEDS = range(320)
DATA = "/data"
PARTITION = TopicPartition("events", 0)
TOPIC_ID = uuid.UUID(int=7 << 64)
DIRECTORY_ID = uuid.UUID(int=9 << 64)


class PowerCut(BaseException):
    """Strikes in the middle of an operation; nothing in the log may catch it."""


class Sent(NamedTuple):
    """A batch the workload sent, as the log should hold it."""

    producer_id: int
    base_sequence: int
    values: tuple[bytes, ...]
    timestamp_ms: int

    def encode(self) -> bytearray:
        records = [
            Record(number, self.timestamp_ms, None, value)
            for number, value in enumerate(self.values)
        ]
        if self.producer_id < 0:
            return bytearray(encode_batch(records))
        return bytearray(
            encode_batch(
                records,
                producer_id=self.producer_id,
                producer_epoch=0,
                base_sequence=self.base_sequence,
            )
        )


def open_directory(disk: Disk, config: LogConfig, now_ms: int) -> LogDirectory:
    return LogDirectory.open(
        disk,
        DATA,
        cluster_id="simulated",
        node_id=1,
        new_directory_id=DIRECTORY_ID,
        config_of=lambda topic: config,
        now_ms=now_ms,
    )


def append(log: PartitionLog, batch: Sent, now_ms: int) -> Appended:
    buffer = batch.encode()
    return log.append(buffer, [(0, read_header(buffer))], leader_epoch=0, now_ms=now_ms)


class Workload:
    """Random use of one partition, and a model of what its log must contain.

    ``model[offset]`` is the record at an offset; everything below ``acknowledged`` was flushed.
    """

    def __init__(self, seed: int, disk: SimulatedDisk) -> None:
        self.random = random.Random(seed)
        self.disk = disk
        self.config = LogConfig(
            segment_bytes=self.random.choice((600, 2000, 9000)),
            index_interval_bytes=self.random.choice((1, 200, 1000)),
            retention_bytes=self.random.choice((-1, 3000)),
            segment_ms=self.random.choice((1000, 10**9)),
            producer_id_expiration_ms=10**9,
        )
        self.now_ms = 1000
        self.batches: list[tuple[int, Sent]] = []
        self.acknowledged = 0
        self.deleted_before = 0
        self.sequences = {11: 0, 12: 0}
        self.directory = open_directory(disk, self.config, self.now_ms)
        self.log = self.directory.create_partition(
            PARTITION, TOPIC_ID, self.config, now_ms=self.now_ms
        )

    @property
    def end_offset(self) -> int:
        if not self.batches:
            return 0
        offset, batch = self.batches[-1]
        return offset + len(batch.values)

    # What the workload does

    def step(self) -> None:
        self.now_ms += self.random.randrange(1, 50)
        action = self.random.choices(
            (
                self.append_one,
                self.append_several,
                self.retry,
                self.flush,
                self.flush_while_appending,
                self.checkpoint,
                self.roll,
                self.apply_retention,
                self.delete_records,
                self.close_and_open,
            ),
            (40, 8, 6, 14, 8, 6, 4, 6, 3, 2),
        )[0]
        action()

    def step_forever(self) -> None:
        while True:
            self.step()

    def append_and_flush_forever(self) -> None:
        while True:
            self.append_one()
            self.flush()

    def next_batch(self) -> Sent:
        producer_id = self.random.choice((-1, 11, 12))
        values = tuple(
            struct.pack(">I", self.random.getrandbits(32)) * self.random.choice((1, 8, 40))
            for _ in range(self.random.randrange(1, 4))
        )
        sequence = self.sequences.get(producer_id, -1)
        # Timestamps stray from arrival order, as producers' clocks do.
        return Sent(producer_id, sequence, values, self.now_ms + self.random.randrange(-300, 300))

    def record(self, first_offset: int, batch: Sent) -> None:
        assert first_offset == self.end_offset
        self.batches.append((first_offset, batch))
        if batch.producer_id >= 0:
            self.sequences[batch.producer_id] = batch.base_sequence + len(batch.values)

    def append_one(self) -> None:
        batch = self.next_batch()
        appended = append(self.log, batch, self.now_ms)
        assert not appended.is_duplicate
        self.record(appended.first_offset, batch)

    def append_several(self) -> None:
        batches = [
            self.next_batch()._replace(producer_id=-1) for _ in range(self.random.randrange(2, 4))
        ]
        buffer = bytearray().join(batch.encode() for batch in batches)
        if len(buffer) > self.config.segment_bytes:
            return
        appended = self.log.append(
            buffer,
            list(iter_headers(buffer)),
            leader_epoch=0,
            now_ms=self.now_ms,
            origin=AppendOrigin.COORDINATOR,
        )
        offset = appended.first_offset
        for batch in batches:
            self.record(offset, batch)
            offset += len(batch.values)

    def retry(self) -> None:
        for producer_id in self.sequences:
            sent = [each for each in self.batches if each[1].producer_id == producer_id]
            # A producer whose records were all deleted may be forgotten, and start anywhere.
            if sent and sent[-1][0] >= max(self.log.log_start_offset, self.deleted_before):
                offset, batch = sent[-1]
                appended = append(self.log, batch, self.now_ms)
                assert (appended.first_offset, appended.is_duplicate) == (offset, True)

    def flush(self) -> None:
        self.log.flush()
        self.acknowledge()

    def flush_while_appending(self) -> None:
        target = self.log.flush_target()
        if target is None:
            return
        self.append_one()
        target.sync()
        self.append_one()
        self.log.flushed(target)
        self.acknowledge()

    def acknowledge(self) -> None:
        self.acknowledged = self.log.flushed_offset
        self.log.high_watermark = self.acknowledged

    def checkpoint(self) -> None:
        self.directory.checkpoint()

    def roll(self) -> None:
        self.log.roll(now_ms=self.now_ms)

    def apply_retention(self) -> None:
        paths = self.log.remove_segments(self.log.retention_plan(self.now_ms), now_ms=self.now_ms)
        self.acknowledged = max(self.acknowledged, self.log.log_start_offset)
        for path in paths:
            if self.random.random() < 0.7:
                self.remove(path)

    def remove(self, path: str) -> None:
        try:
            self.disk.remove(path)
        except OSError as error:
            raise self.directory.fail(error) from error

    def delete_records(self) -> None:
        start, end = self.log.log_start_offset, self.log.high_watermark
        if end > start:
            self.log.delete_records_before(self.random.randrange(start, end + 1))

    def close_and_open(self) -> None:
        end_offset = self.end_offset
        self.directory.close()
        self.acknowledged = end_offset
        self.reopen()
        assert self.log.log_end_offset == end_offset
        assert self.log.recovered.scanned_bytes == 0

    def reopen(self) -> None:
        self.directory = open_directory(self.disk, self.config, self.now_ms)
        if PARTITION in self.directory.partitions:
            self.log = self.directory.partitions[PARTITION]
        else:
            assert self.acknowledged == 0
            self.log = self.directory.create_partition(
                PARTITION, TOPIC_ID, self.config, now_ms=self.now_ms
            )

    def crash(self) -> None:
        self.deleted_before = max(self.deleted_before, self.log.log_start_offset)
        self.disk = self.disk.crash()
        self.reopen()
        self.adopt_survivors()

    def adopt_survivors(self) -> None:
        """After a crash: forget what was lost, having made sure that nothing flushed was."""
        assert self.log.log_end_offset >= self.acknowledged
        assert not self.log.recovered.cut_below_recovery_point
        end_offset = self.log.log_end_offset
        assert end_offset <= self.end_offset
        # Of what was never flushed the oldest segments may be lost as well as the newest.
        if self.acknowledged > self.deleted_before:
            assert self.log.log_start_offset <= self.deleted_before
        self.deleted_before = max(self.deleted_before, self.log.log_start_offset)
        while self.batches and self.batches[-1][0] >= end_offset:
            _, lost = self.batches.pop()
            if lost.producer_id >= 0:
                self.sequences[lost.producer_id] = lost.base_sequence
        if self.log.log_start_offset > self.acknowledged:
            # The producers send everything again, from the first batch that was lost.
            for producer in self.log.producers:
                self.sequences[producer.producer_id] = producer.last_sequence + 1
        assert end_offset == max(self.end_offset, self.log.log_start_offset)
        self.log.high_watermark = self.acknowledged

    # What must hold

    def verify(self) -> None:
        self.verify_records()
        self.verify_indexes()
        self.verify_times()
        for producer_id, next_sequence in self.sequences.items():
            producer = self.log.producers.get(producer_id)
            # Of records that came back from deletion an old state may be learned.
            if producer is not None and producer.last_offset >= self.deleted_before:
                assert producer.last_sequence == next_sequence - 1

    def verify_records(self) -> None:
        """Reading from start to end gives exactly the batches sent, offset by offset."""
        log = self.log
        # Deleted segments may come back in part, until retention deletes them again.
        offset = max(log.log_start_offset, self.deleted_before)
        expected = dict(self.batches)
        while offset < log.log_end_offset:
            with log.read(offset, self.random.choice((1, 300, 5000))) as found:
                data = found.read()
                first_offset = found.first_offset
            assert first_offset <= offset
            header = read_header(data)
            assert header.base_offset == first_offset
            records = decode_records(data[: header.size_bytes])
            batch = expected[first_offset]
            assert tuple(record.value for record in records) == batch.values
            assert header.producer_id == batch.producer_id
            offset = header.next_offset
        assert offset == log.log_end_offset

    def verify_indexes(self) -> None:
        """Every index entry points at what a full scan finds there."""
        for segment in self.log._segments:
            segment.open_indexes()
            content = segment.file.read(segment.size_bytes, 0)
            ends = dict(iter_headers(content))
            last_offsets = {header.last_offset for header in ends.values()}
            for header in ends.values():
                found = segment.find(header.last_offset)
                assert found is not None
                assert ends[found[0]] == header
            times = [header.max_timestamp_ms for header in ends.values()]
            assert segment.largest.timestamp_ms == max(times, default=-1)
            if times:
                assert segment.largest.offset in last_offsets

    def verify_times(self) -> None:
        start = max(self.log.log_start_offset, self.deleted_before)
        end = self.log.log_end_offset
        stamped = [
            (offset, batch.timestamp_ms)
            for first, batch in self.batches
            for offset in range(first, first + len(batch.values))
            if start <= offset < end
        ]
        wanted_ms = self.now_ms + self.random.randrange(-2000, 400)
        expected = next((each for each in stamped if each[1] >= wanted_ms), None)
        found = self.log.offset_for_timestamp(wanted_ms)
        if found is not None and found.offset < start:
            return
        assert (found and (found.offset, found.timestamp_ms)) == expected


@pytest.mark.parametrize("seed", SEEDS)
def test_what_was_flushed_survives_a_crash(seed: int) -> None:
    workload = Workload(seed, SimulatedDisk(seed))
    for _ in range(3):
        for _ in range(workload.random.randrange(5, 45)):
            workload.step()
        workload.crash()
        workload.verify()


@pytest.mark.parametrize("seed", SEEDS)
def test_what_was_flushed_survives_a_crash_in_the_middle_of_an_operation(seed: int) -> None:
    workload = Workload(seed, SimulatedDisk(seed))
    workload.flush()
    strike_at = workload.disk.operations + workload.random.randrange(1, 250)

    def strike(operation: str, path: str) -> None:
        if workload.disk.operations >= strike_at:
            raise PowerCut

    workload.disk.on_operation = strike
    with pytest.raises(PowerCut):
        workload.step_forever()
    interrupted = workload.disk.crash()
    survivor = open_directory(interrupted, workload.config, workload.now_ms)
    log = survivor.partitions[PARTITION]
    assert log.log_end_offset >= workload.acknowledged
    # The interrupted append may be in the log, though the model doesn't know it.
    workload.deleted_before = workload.log.log_start_offset
    workload.disk, workload.directory, workload.log = interrupted, survivor, log
    if log.log_end_offset > workload.end_offset:
        log.truncate_to(workload.end_offset, now_ms=workload.now_ms)
        survivor.checkpoint()
    workload.adopt_survivors()
    workload.verify()
    for _ in range(10):
        workload.step()
    workload.crash()
    workload.verify()


def _use_with_failures(workload: Workload) -> None:
    for _ in range(30):
        workload.step()
    workload.directory.close()


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC])
@pytest.mark.parametrize("seed", range(4))
def test_each_failing_call_takes_the_directory_offline_and_loses_nothing(
    seed: int, error: int
) -> None:
    """Fail the first call, then the second, ... until a run meets no failure."""
    number = 0
    while True:
        disk = SimulatedDisk(seed)
        workload = Workload(seed, disk)
        workload.flush()
        disk.fail_operation(number, error)
        try:
            _use_with_failures(workload)
        # A flush target's own error is the disk's, for the thread that syncs it.
        except (LogDirectoryFailed, OSError):
            assert workload.disk.operations > number
        else:
            assert number > 100
            return
        with pytest.raises(LogDirectoryFailed):
            workload.append_one()
        workload.directory.abandon()
        workload.disk = disk.crash()
        survivor = open_directory(workload.disk, workload.config, workload.now_ms)
        assert survivor.partitions[PARTITION].log_end_offset >= workload.acknowledged
        number += 1


def test_a_full_disk_refuses_appends_and_keeps_what_was_acknowledged() -> None:
    disk = SimulatedDisk(1)
    workload = Workload(1, disk)
    disk.capacity_bytes = 20_000
    with pytest.raises(LogDirectoryFailed):
        workload.append_and_flush_forever()
    workload.disk = disk.crash()
    workload.disk.capacity_bytes = None
    log = open_directory(workload.disk, workload.config, workload.now_ms).partitions[PARTITION]
    assert log.log_end_offset >= workload.acknowledged > 0
