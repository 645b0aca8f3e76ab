"""Compaction of one log: who keeps what, and every state an interrupted one can leave."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from ottla.log.compaction.run import Abandoned
from ottla.log.config import LogConfig
from ottla.log.directory import LogDirectory
from ottla.log.names import CLEANER_CHECKPOINT, RECOVERY_POINT_CHECKPOINT, TopicPartition
from ottla.log.partition_log import PartitionLog
from ottla.log.text_files import parse_offset_checkpoint
from ottla.records.batch import BatchHeader, iter_headers
from ottla.records.decode import decode_records
from ottla.records.encode import encode_batch
from ottla.records.errors import CorruptBatch
from ottla.records.record import Record
from ottla.testing.compaction import SMALL, clean_now
from ottla.testing.memory_disk import MemoryDisk

DATA = "/data"
NAME = TopicPartition("table", 0)
DIRECTORY = f"{DATA}/{NAME}"
NOW_MS = 1_000_000
CONFIG = LogConfig(
    segment_bytes=1000, index_interval_bytes=100, compacts=True, deletes_old_segments=False
)


class Table:
    """A compacted log on a disk in memory."""

    def __init__(self) -> None:
        self.disk = MemoryDisk()
        self.directory = self.open()
        self.log = self.directory.create_partition(
            NAME, uuid.UUID(int=1 << 70), CONFIG, now_ms=NOW_MS
        )

    def open(self) -> LogDirectory:
        return LogDirectory.open(
            self.disk,
            DATA,
            cluster_id="cluster",
            node_id=1,
            new_directory_id=uuid.UUID(int=2 << 70),
            config_of=lambda topic: LogConfig(),
            now_ms=NOW_MS,
        )

    def reopen(self) -> None:
        """As after a crash."""
        self.directory.abandon()
        self.directory = self.open()
        self.log = self.directory.partitions[NAME]
        self.log.config = CONFIG

    def append(self, key: bytes, value: bytes | None = b"v" * 60, producer_id: int = -1) -> int:
        batch = bytearray(encode_batch([Record(0, NOW_MS, key, value)], producer_id=producer_id))
        appended = self.log.append(batch, list(iter_headers(batch)), leader_epoch=0, now_ms=NOW_MS)
        self.log.advance_high_watermark(self.log.log_end_offset)
        return appended.first_offset

    def fill(self, count: int, keys: int = 3) -> None:
        for number in range(count):
            self.append(b"%d" % (number % keys))
        self.log.flush()

    def clean(self) -> None:
        clean_now(self.disk, self.directory, self.log, NOW_MS)

    def names(self) -> list[str]:
        return self.disk.list_directory(DIRECTORY)

    def files(self) -> dict[str, bytes]:
        return {name: self.disk.read_file(f"{DIRECTORY}/{name}") for name in self.names()}

    def restore(self, files: dict[str, bytes]) -> None:
        for name in self.names():
            self.disk.remove(f"{DIRECTORY}/{name}")
        for name, data in files.items():
            self.disk.open(f"{DIRECTORY}/{name}", create=True).write([data], 0)


def headers(log: PartitionLog) -> Iterator[tuple[BatchHeader, bytes]]:
    offset = log.log_start_offset
    while offset < log.log_end_offset:
        with log.read(offset, 1 << 20, end_offset=log.log_end_offset) as found:
            data = found.read()
        for position, header in iter_headers(data):
            yield header, data[position : position + header.size_bytes]
            offset = header.next_offset


def offsets(log: PartitionLog) -> list[int]:
    return [record.offset for _, batch in headers(log) for record in decode_records(batch)]


@pytest.fixture
def table() -> Table:
    return Table()


def test_segments_become_fewer_and_offsets_stay(table: Table) -> None:
    table.fill(40)
    table.clean()
    # They were full before; now several fit into one.
    table.fill(40)
    before = table.log.segment_count
    table.clean()
    assert table.log.segment_count < before - 2
    first_dirty = table.log.first_dirty_offset
    assert first_dirty == list(table.log.compaction.segments)[-1].base_offset
    kept = offsets(table.log)
    # The last of each key in the clean part; the header of the last batch of all is among them.
    assert [each for each in kept if each < first_dirty] == list(
        range(first_dirty - 3, first_dirty)
    )
    assert kept[-1] == table.log.log_end_offset - 1 == 79
    assert not [name for name in table.names() if name.endswith((".cleaned", ".swap", ".deleted"))]


def test_a_reader_goes_on_with_the_segment_it_has(table: Table) -> None:
    table.fill(40)
    with table.log.read(0, 5000) as found:
        before = found.read()
        table.clean()
        assert found.read() == before


def test_the_snapshots_of_segments_that_are_gone_go_with_them(table: Table) -> None:
    for number in range(40):
        table.append(b"%d" % (number % 3), producer_id=7 if number % 2 else -1)
    table.log.flush()
    table.clean()
    starts = {each.base_offset for each in table.log.compaction.segments}
    snapshots = {int(name[:20]) for name in table.names() if name.endswith(".snapshot")}
    assert snapshots <= starts


def test_nothing_is_rewritten_that_would_stay_as_it_is(table: Table) -> None:
    table.fill(40, keys=40)
    before = list(table.log.compaction.segments)
    table.clean()
    assert list(table.log.compaction.segments) == before
    assert table.log.first_dirty_offset == before[-1].base_offset


def test_how_far_it_is_clean_survives_a_restart(table: Table) -> None:
    table.fill(40)
    table.clean()
    cleaned = table.log.first_dirty_offset
    kept = offsets(table.log)
    table.reopen()
    assert (table.log.first_dirty_offset, offsets(table.log)) == (cleaned, kept)
    table.directory.close()
    table.directory = table.open()
    table.log = table.directory.partitions[NAME]
    assert (table.log.first_dirty_offset, offsets(table.log)) == (cleaned, kept)


def test_gaps_are_no_loss_even_when_the_recovery_point_is_gone(table: Table) -> None:
    table.fill(60)
    table.clean()
    table.fill(30)
    kept = offsets(table.log)
    table.disk.remove(f"{DATA}/{RECOVERY_POINT_CHECKPOINT}")
    table.reopen()
    assert offsets(table.log) == kept
    assert table.log.recovered.removed_segments == 0


def test_a_truncated_log_is_dirty_from_there_on(table: Table) -> None:
    table.fill(40)
    table.clean()
    table.log.truncate_to(5, now_ms=NOW_MS)
    assert table.log.first_dirty_offset <= 5
    table.log.start_over_at(100, now_ms=NOW_MS)
    assert table.log.first_dirty_offset == 100


def test_a_deleted_partition_leaves_no_checkpoint_for_its_successor(table: Table) -> None:
    table.fill(40)
    table.clean()
    checkpoint = f"{DATA}/{CLEANER_CHECKPOINT}"
    assert NAME in parse_offset_checkpoint(table.disk.read_file(checkpoint))
    table.directory.delete_partition(NAME, uuid.uuid4())
    assert parse_offset_checkpoint(table.disk.read_file(checkpoint)) == {}


def test_a_checkpoint_of_a_partition_that_is_not_there_is_dropped(table: Table) -> None:
    path = f"{DATA}/{CLEANER_CHECKPOINT}"
    table.disk.open(path, create=True).write([b"0\n1\ngone 0 77\n"], 0)
    table.reopen()
    assert parse_offset_checkpoint(table.disk.read_file(path)) == {}


def test_a_damaged_batch_stops_it_and_leaves_the_log_alone(table: Table) -> None:
    table.fill(40)
    before = offsets(table.log)
    path = f"{DIRECTORY}/{0:020d}.log"
    data = table.disk.read_file(path)
    table.disk.open(path).write([bytes([data[90] ^ 1])], 90)
    with pytest.raises(CorruptBatch):
        table.clean()
    table.disk.open(path).write([data[90:91]], 90)
    assert offsets(table.log) == before
    assert table.log.first_dirty_offset == 0


def test_a_segment_deleted_meanwhile_ends_it(table: Table) -> None:
    table.fill(40)
    table.log.config = CONFIG._replace(retention_bytes=1500, deletes_old_segments=True)
    steps = iter(range(1000))

    def delete_old_segments() -> None:
        if next(steps) == 3:
            plan = table.log.retention_plan(NOW_MS)
            assert plan
            table.log.remove_segments(plan, now_ms=NOW_MS)

    with pytest.raises((Abandoned, FileNotFoundError)):
        clean_now(
            table.disk, table.directory, table.log, NOW_MS,
            settings=SMALL._replace(piece_bytes=500), between_steps=delete_old_segments,
        )  # fmt: skip
    assert not [name for name in table.names() if name.endswith((".cleaned", ".swap"))]
    kept = offsets(table.log)
    assert kept == list(range(table.log.log_start_offset, 40))


def interrupted_states(table: Table) -> Iterator[dict[str, bytes]]:
    """The partition's files after every step of a cleaning."""
    states = [table.files()]

    def note() -> None:
        files = table.files()
        if files != states[-1]:
            states.append(files)

    clean_now(
        table.disk, table.directory, table.log, NOW_MS,
        settings=SMALL._replace(piece_bytes=1), between_steps=note,
    )  # fmt: skip
    yield from states


def test_every_interrupted_state_is_undone_or_completed(table: Table) -> None:
    table.fill(60)
    for producer_id in (7, 8):
        table.append(b"p", producer_id=producer_id)
    table.fill(30)
    table.directory.checkpoint()
    before = {
        record.key: record.offset for _, batch in headers(table.log)
        for record in decode_records(batch)
    }  # fmt: skip
    states = list(interrupted_states(table))
    kinds = {name.rpartition(".")[2] for files in states for name in files}
    assert kinds >= {"cleaned", "swap", "log"}
    for files in states:
        table.restore(files)
        table.reopen()
        assert table.log.log_end_offset == 92
        found = {
            record.key: record.offset for _, batch in headers(table.log)
            for record in decode_records(batch)
        }  # fmt: skip
        assert found == before
        names = table.names()
        assert not [name for name in names if name.endswith((".cleaned", ".swap", ".deleted"))]
        logs = {name[:20] for name in names if name.endswith(".log")}
        indexes = {name[:20] for name in names if name.endswith(("index",))}
        assert indexes <= logs
