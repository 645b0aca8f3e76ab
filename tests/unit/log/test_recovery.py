"""Opening logs that a crash, a compaction or bad luck left behind."""

from __future__ import annotations

from typing import Any

import pytest

from ottla.log.errors import OutOfOrderSequence
from ottla.log.scan import SCAN_CHUNK_BYTES
from ottla.testing.memory_disk import MemoryDisk


def write(disk: MemoryDisk, path: str, data: bytes, position: int = 0) -> None:
    disk.open(path, create=True).write([data], position)


@pytest.mark.parametrize(
    "garbage", [b"\0" * 500, b"\xff" * 500, b"\0" * 8 + b"\x7f\xff\xff\xff" + b"\2" * 90, b"x"]
)
def test_garbage_after_the_last_batch_is_cut(under_test: Any, garbage: bytes) -> None:
    under_test.fill(8)
    write(under_test.disk, under_test.path(f"{5:020d}.log"), garbage, 3 * 170)
    log = under_test.reopen(was_clean=False)
    assert (log.log_end_offset, log.recovered.cut_bytes) == (8, len(garbage))
    assert not log.recovered.cut_below_recovery_point
    assert under_test.append(under_test.batch(b"next")) == (8, 8)


def test_a_flipped_bit_cuts_the_log_there_and_is_reported(under_test: Any) -> None:
    under_test.fill(12)
    write(under_test.disk, under_test.path(f"{5:020d}.log"), b"!", 2 * 170 + 100)
    log = under_test.reopen(was_clean=False, recovery_point=8)
    assert log.log_end_offset == 7
    assert log.recovered.removed_segments == 1
    assert log.recovered.cut_below_recovery_point
    assert under_test.names(".log") == [f"{0:020d}.log", f"{5:020d}.log"]


def test_segments_after_a_gap_go_unless_compaction_makes_gaps(under_test: Any) -> None:
    under_test.fill(12)
    under_test.disk.open(under_test.path(f"{5:020d}.log")).truncate(2 * 170)
    under_test.config = under_test.config._replace(compacts=True)
    log = under_test.reopen(was_clean=False)
    assert (log.log_end_offset, log.segment_count) == (12, 3)
    assert log.read(7, 1000).first_offset == 10
    under_test.config = under_test.config._replace(compacts=False)
    log = under_test.reopen(was_clean=False)
    assert (log.log_end_offset, log.segment_count) == (7, 2)


def test_batches_larger_than_a_chunk_are_checked_too(under_test: Any) -> None:
    under_test.log.config = under_test.config._replace(
        segment_bytes=10 * SCAN_CHUNK_BYTES, max_message_bytes=10 * SCAN_CHUNK_BYTES
    )
    for size_bytes in (10, 2 * SCAN_CHUNK_BYTES + 5, 10, SCAN_CHUNK_BYTES):
        under_test.append(under_test.batch(b"x" * size_bytes))
    log = under_test.reopen(was_clean=False)
    assert (log.log_end_offset, log.recovered.cut_bytes) == (4, 0)
    write(under_test.disk, under_test.path(f"{0:020d}.log"), b"!", 2 * SCAN_CHUNK_BYTES)
    assert under_test.reopen(was_clean=False).log_end_offset == 1


def test_missing_torn_and_preallocated_indexes_are_rebuilt(under_test: Any) -> None:
    under_test.fill(12)
    under_test.log.close()
    index = under_test.path(f"{0:020d}.index")
    times = under_test.path(f"{5:020d}.timeindex")
    expected = under_test.disk.read_file(index)
    assert len(expected) >= 2 * 8
    for damage in (
        lambda: under_test.disk.remove(index),
        lambda: under_test.disk.open(index).truncate(len(expected) - 3),
        lambda: under_test.disk.open(index).truncate(10_000),
        lambda: under_test.disk.open(times).truncate(12_000),
    ):
        damage()
        log = under_test.reopen(was_clean=True)
        assert [log.read(offset, 1).first_offset for offset in range(12)] == [*range(12)]
        assert [log.offset_for_timestamp(1000 + n).offset for n in range(12)] == [*range(12)]
        write(under_test.disk, index, expected)


def test_a_clean_mark_is_not_believed_when_the_end_is_torn(under_test: Any) -> None:
    under_test.fill(3)
    under_test.log.close()
    write(under_test.disk, under_test.path(f"{0:020d}.log"), b"torn", 3 * 170)
    log = under_test.reopen(was_clean=True)
    assert (log.log_end_offset, log.recovered.cut_bytes) == (3, 4)


@pytest.mark.parametrize("was_clean", [True, False])
def test_producers_are_restored(under_test: Any, was_clean: bool) -> None:
    for sequence in range(14):
        fields = {"producer_id": 5, "producer_epoch": 1, "base_sequence": sequence}
        under_test.append(under_test.batch(b"x" * 100, **fields))
    if was_clean:
        under_test.log.close()
    log = under_test.reopen(was_clean=was_clean)
    producer = log.producers.get(5)
    assert (producer.last_sequence, producer.producer_epoch, producer.last_offset) == (13, 1, 13)
    assert [each.producer_id for each in log.producers] == [5]
    log.producers.remove_expired(10**12, log.config.producer_id_expiration_ms)
    log.producers.remove_expired(2 * 10**12, log.config.producer_id_expiration_ms)
    assert list(log.producers) == []


def test_a_corrupt_snapshot_is_replaced_by_reading_the_log(under_test: Any) -> None:
    for sequence in range(14):
        fields = {"producer_id": 5, "producer_epoch": 1, "base_sequence": sequence}
        under_test.append(under_test.batch(b"x" * 100, **fields))
    for name in under_test.names(".snapshot"):
        write(under_test.disk, under_test.path(name), b"broken")
    log = under_test.reopen(was_clean=False, recovery_point=14)
    assert log.producers.get(5).last_sequence == 13


def test_leftovers_of_deletion_and_cleaning_go(under_test: Any) -> None:
    under_test.fill(3)
    under_test.log.close()
    for suffix in (".log.deleted", ".log.cleaned", ".index.cleaned", ".tmp"):
        write(under_test.disk, under_test.path(f"{900:020d}{suffix}"), b"rest")
    write(under_test.disk, under_test.path(f"{77:020d}.index"), b"orphan")
    under_test.reopen(was_clean=True)
    left = under_test.disk.list_directory(under_test.path("")[:-1])
    assert [name for name in left if name.startswith((f"{900:020d}", f"{77:020d}"))] == []


def test_a_finished_swap_takes_the_place_of_what_it_spans(under_test: Any) -> None:
    under_test.fill(12)
    under_test.log.close()
    merged = b"".join(
        under_test.disk.read_file(under_test.path(f"{base:020d}.log")) for base in (0, 5)
    )
    write(under_test.disk, under_test.path(f"{0:020d}.log.swap"), merged)
    log = under_test.reopen(was_clean=True)
    assert under_test.names(".log") == [f"{0:020d}.log", f"{10:020d}.log"]
    assert [log.read(offset, 1).first_offset for offset in range(12)] == [*range(12)]


def test_a_log_before_its_start_offset_starts_over_there(under_test: Any) -> None:
    under_test.fill(3)
    log = under_test.reopen(was_clean=False, log_start_offset=50)
    assert (log.log_start_offset, log.log_end_offset) == (50, 50)
    assert under_test.append(under_test.batch(b"x")) == (50, 50)


def test_lost_leader_epochs_are_found_in_the_batches(under_test: Any) -> None:
    for epoch in (1, 1, 4):
        under_test.append(under_test.batch(b"x"), leader_epoch=epoch)
    log = under_test.reopen(was_clean=False)
    assert log.leader_epochs.entries == [(1, 0), (4, 2)]
    write(under_test.disk, under_test.path("leader-epoch-checkpoint"), b"0\n9\ntorn")
    assert under_test.reopen(was_clean=False).leader_epochs.entries == [(1, 0), (4, 2)]


@pytest.mark.parametrize("rolls", [False, True])
def test_all_five_batches_in_flight_are_remembered_over_a_clean_stop(
    rolls: bool, under_test: Any
) -> None:
    # A producer's snapshot has room for its last batch only.
    def batch(sequence: int) -> bytearray:
        made: bytearray = under_test.batch(
            b"value", producer_id=7, producer_epoch=0, base_sequence=sequence
        )
        return made

    for sequence in range(9):
        under_test.append(batch(sequence))
        under_test.append(under_test.batch(b"another's"))
    if rolls:
        under_test.log.roll(now_ms=10_000)
    under_test.log.close()
    log = under_test.reopen(was_clean=True, recovery_point=under_test.log.log_end_offset)
    for sequence in range(4, 9):
        assert under_test.append(batch(sequence)) == (2 * sequence, 2 * sequence)
    assert log.log_end_offset == 18
    with pytest.raises(OutOfOrderSequence):
        under_test.append(batch(3))
    assert under_test.append(batch(9)) == (18, 18)
