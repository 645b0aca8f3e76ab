"""One partition's log: appending, rolling, reading, shortening, flushing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ottla.log.config import LOG_APPEND_TIME
from ottla.log.errors import (
    LogDirectoryFailed,
    MessageTooLarge,
    OffsetOutOfRange,
    RecordListTooLarge,
    UnexpectedAppendOffset,
)
from ottla.log.partition_log import AppendOrigin
from ottla.records.batch import iter_headers, read_header
from ottla.records.decode import decode_records
from ottla.records.stamp import stamp

OffsetsIn = Callable[[bytes], list[int]]


def test_batches_are_stamped_in_place(under_test: Any) -> None:
    buffer = under_test.batch(b"a", b"b") + under_test.batch(b"c")
    assert under_test.append(buffer, leader_epoch=7) == (0, 2)
    headers = [header for _, header in iter_headers(buffer)]
    assert [header.base_offset for header in headers] == [0, 2]
    assert [header.partition_leader_epoch for header in headers] == [7, 7]
    assert under_test.log.read(0, 10_000).read() == bytes(buffer)


def test_log_append_time_replaces_the_producers(under_test: Any) -> None:
    log = under_test.log
    log.config = log.config._replace(message_timestamp_type=LOG_APPEND_TIME)
    buffer = under_test.batch(b"a")
    appended = log.append(buffer, [(0, read_header(buffer))], leader_epoch=0, now_ms=77_000)
    assert appended.log_append_time_ms == 77_000
    (record,) = decode_records(log.read(0, 1000).read())
    assert record.timestamp_ms == 77_000


def test_a_repeated_batch_is_answered_with_its_first_offset(under_test: Any) -> None:
    fields = {"producer_id": 5, "producer_epoch": 0, "base_sequence": 0}
    under_test.fill(3)
    assert under_test.append(under_test.batch(b"a", b"b", **fields)) == (3, 4)
    again = under_test.batch(b"a", b"b", **fields)
    appended = under_test.log.append(
        again, [(0, read_header(again))], leader_epoch=0, now_ms=99_000
    )
    assert (appended.first_offset, appended.last_offset, appended.is_duplicate) == (3, 4, True)
    assert under_test.log.log_end_offset == 5


def test_what_is_too_large_is_refused_and_leaves_no_trace(under_test: Any) -> None:
    under_test.log.config = under_test.config._replace(max_message_bytes=200)
    with pytest.raises(MessageTooLarge):
        under_test.append(under_test.batch(b"x" * 300))
    with pytest.raises(RecordListTooLarge):
        under_test.append(under_test.batch(b"x" * 1000))
    assert under_test.log.log_end_offset == under_test.log.size_bytes == 0


def replicated(buffer: bytearray, base_offset: int, leader_epoch: int) -> bytearray:
    """A batch as its leader has it in the log."""
    stamp(buffer, 0, base_offset, leader_epoch)
    return buffer


def test_a_replica_keeps_its_leaders_offsets_and_epochs(under_test: Any) -> None:
    buffer = replicated(under_test.batch(b"a"), 5, 3)
    copy = bytes(buffer)
    assert under_test.append(buffer, leader_epoch=9, origin=AppendOrigin.REPLICATION) == (5, 5)
    assert bytes(buffer) == copy
    assert under_test.log.leader_epochs.entries == [(3, 5)]
    with pytest.raises(UnexpectedAppendOffset):
        under_test.append(replicated(under_test.batch(b"b"), 5, 3), origin=AppendOrigin.REPLICATION)


def test_segments_roll_by_size_and_keep_a_snapshot_each(under_test: Any) -> None:
    under_test.fill(10)
    # 170 bytes a batch: five fit into 1000.
    assert under_test.names(".log") == [f"{0:020d}.log", f"{5:020d}.log"]
    assert under_test.names(".snapshot") == [f"{5:020d}.snapshot"]
    assert under_test.names(".index") == [f"{0:020d}.index"]


def test_segments_roll_by_the_records_time(under_test: Any) -> None:
    under_test.log.config = under_test.config._replace(segment_ms=100)
    for timestamp_ms in (1000, 1100, 1101):
        under_test.append(under_test.batch(b"x", timestamp_ms=timestamp_ms))
    assert under_test.names(".log") == [f"{0:020d}.log", f"{2:020d}.log"]


def test_segments_without_timestamps_roll_by_the_clock(under_test: Any) -> None:
    under_test.log.config = under_test.config._replace(segment_ms=100)
    for now_ms in (10_000, 10_100, 10_101):
        under_test.append(under_test.batch(b"x", timestamp_ms=-1), now_ms=now_ms)
    assert under_test.log.segment_count == 2


def test_segments_roll_when_their_index_is_full(under_test: Any) -> None:
    under_test.log.config = under_test.config._replace(segment_bytes=10**6, segment_index_bytes=36)
    # The first batch of a segment has no entry: four batches make three.
    under_test.fill(9)
    assert under_test.log.segment_count == 3


def test_reading_starts_with_the_batch_that_has_the_offset(
    under_test: Any, offsets_in: OffsetsIn
) -> None:
    under_test.append(under_test.batch(b"a", b"b", b"c"))
    under_test.append(under_test.batch(b"d"))
    for offset in (0, 1, 2):
        with under_test.log.read(offset, 10_000) as found:
            assert found.first_offset == 0
            assert offsets_in(found.read()) == [0, 3]
    assert offsets_in(under_test.log.read(3, 10_000).read()) == [3]


def test_the_first_batch_is_whole_or_not_there(under_test: Any, offsets_in: OffsetsIn) -> None:
    under_test.fill(3)
    assert offsets_in(under_test.log.read(0, 1).read()) == [0]
    assert under_test.log.read(0, 1).size_bytes == 170
    assert under_test.log.read(0, 1, at_least_one_batch=False).size_bytes == 0
    assert under_test.log.read(0, 200, at_least_one_batch=False).size_bytes == 200


def test_nothing_is_read_at_or_beyond_the_end_offset(
    under_test: Any, offsets_in: OffsetsIn
) -> None:
    under_test.fill(8)
    assert offsets_in(under_test.log.read(0, 10_000, end_offset=3).read()) == [0, 1, 2]
    assert offsets_in(under_test.log.read(5, 10_000, end_offset=7).read()) == [5, 6]
    assert under_test.log.read(3, 10_000, end_offset=3).read() == b""
    assert under_test.log.read(8, 10_000).read() == b""


def test_every_offset_is_found_after_a_restart_too(under_test: Any, offsets_in: OffsetsIn) -> None:
    under_test.fill(60)
    for was_clean in (True, False):
        under_test.log.close()
        log = under_test.reopen(was_clean=was_clean, recovery_point=60)
        assert [log.read(offset, 1).first_offset for offset in range(60)] == list(range(60))
        assert log.log_end_offset == 60


@pytest.mark.parametrize("offset", [-1, 4])
def test_offsets_outside_the_log_are_refused(under_test: Any, offset: int) -> None:
    under_test.fill(3)
    with pytest.raises(OffsetOutOfRange):
        under_test.log.read(offset, 100)


def test_lookup_by_time_finds_the_first_record_that_is_late_enough(under_test: Any) -> None:
    for timestamp_ms in (1000, 3000, 2000, 5000, 4000):
        under_test.append(under_test.batch(b"a", b"b", timestamp_ms=timestamp_ms))
    log = under_test.log
    found = [log.offset_for_timestamp(wanted) for wanted in (0, 1001, 1002, 3002, 5001)]
    assert [each and each.offset for each in found] == [0, 1, 2, 6, 7]
    assert log.offset_for_timestamp(5002) is None
    assert log.max_timestamp_offset()[:2] == (7, 5001)


def test_lookup_by_time_spans_segments_and_respects_the_start(under_test: Any) -> None:
    under_test.fill(20)
    log = under_test.log
    assert [log.offset_for_timestamp(1000 + n).offset for n in range(20)] == list(range(20))
    log.delete_records_before(7)
    assert log.offset_for_timestamp(1000).offset == 7


def test_deleted_segments_are_renamed_and_still_read_by_who_holds_them(
    under_test: Any, offsets_in: OffsetsIn
) -> None:
    under_test.fill(12)
    log = under_test.log
    held = log.read(0, 10_000)
    assert log.delete_records_before(6) == 6
    paths = log.remove_segments(log.retention_plan(0), now_ms=0)
    assert sorted(paths) == [
        under_test.path(f"{0:020d}{suffix}.deleted") for suffix in (".index", ".log", ".timeindex")
    ]
    for path in paths:
        under_test.disk.remove(path)
    assert offsets_in(held.read()) == [0, 1, 2, 3, 4]
    held.release()
    assert held.read() == b""
    with pytest.raises(OffsetOutOfRange):
        log.read(5, 100)


def test_retention_of_everything_leaves_an_empty_log_at_the_same_end(under_test: Any) -> None:
    under_test.fill(7)
    log = under_test.log
    log.config = log.config._replace(retention_ms=1)
    log.remove_segments(log.retention_plan(10**12), now_ms=10**12)
    assert (log.log_start_offset, log.log_end_offset, log.size_bytes) == (7, 7, 0)
    log.close()
    assert under_test.reopen(was_clean=True).log_end_offset == 7
    assert under_test.append(under_test.batch(b"next")) == (7, 7)


def test_records_are_deleted_up_to_the_high_watermark_only(under_test: Any) -> None:
    under_test.fill(5)
    under_test.log.high_watermark = 3
    with pytest.raises(OffsetOutOfRange):
        under_test.log.delete_records_before(4)
    assert under_test.log.delete_records_before(3) == 3
    assert under_test.log.delete_records_before(1) == 3


@pytest.mark.parametrize("offset", [0, 3, 5, 7, 12])
def test_truncation_drops_the_end(under_test: Any, offset: int) -> None:
    under_test.fill(12)
    log = under_test.log
    log.flush()
    log.truncate_to(offset, now_ms=0)
    assert (log.log_end_offset, log.flushed_offset) == (offset, offset)
    under_test.fill(3)
    assert [log.read(each, 1).first_offset for each in range(offset + 3)] == [*range(offset + 3)]
    log.close()
    assert under_test.reopen(was_clean=True).log_end_offset == offset + 3


def test_truncation_never_cuts_a_batch_in_two(under_test: Any) -> None:
    under_test.append(under_test.batch(b"a", b"b"))
    under_test.append(under_test.batch(b"c", b"d"))
    under_test.log.truncate_to(3, now_ms=0)
    assert under_test.log.log_end_offset == 2


def test_truncation_forgets_what_producers_wrote_after_it(under_test: Any) -> None:
    for sequence in range(3):
        fields = {"producer_id": 5, "producer_epoch": 0, "base_sequence": sequence}
        under_test.append(under_test.batch(b"x", **fields), leader_epoch=sequence)
    under_test.log.truncate_to(1, now_ms=0)
    assert under_test.log.producers.get(5).last_sequence == 0
    assert under_test.log.leader_epochs.entries == [(0, 0)]


def test_starting_over_elsewhere_drops_everything(under_test: Any) -> None:
    under_test.fill(12)
    under_test.log.start_over_at(100, now_ms=0)
    assert under_test.append(under_test.batch(b"x")) == (100, 100)
    assert under_test.log.log_start_offset == 100
    assert under_test.names(".log") == [f"{100:020d}.log"]


def test_a_flush_covers_what_was_appended_before_it(under_test: Any) -> None:
    log = under_test.log
    under_test.fill(7)
    target = log.flush_target()
    under_test.fill(2)
    target.sync()
    assert log.flushed_offset == 0
    log.flushed(target)
    assert log.flushed_offset == 7
    log.flush()
    assert (log.flushed_offset, log.flush_target()) == (9, None)


def test_a_flush_from_before_a_truncation_moves_nothing(under_test: Any) -> None:
    log = under_test.log
    under_test.fill(4)
    target = log.flush_target()
    log.truncate_to(1, now_ms=0)
    under_test.fill(5)
    target.sync()
    log.flushed(target)
    assert log.flushed_offset == 0


def test_leader_epochs_survive_a_restart(under_test: Any) -> None:
    for epoch in (0, 0, 2):
        under_test.append(under_test.batch(b"x"), leader_epoch=epoch)
    assert under_test.log.end_offset_for_epoch(0) == (0, 2)
    under_test.log.close()
    log = under_test.reopen(was_clean=True)
    assert log.leader_epochs.entries == [(0, 0), (2, 2)]


def test_a_closed_log_refuses_appends(under_test: Any) -> None:
    under_test.log.close()
    with pytest.raises(LogDirectoryFailed):
        under_test.fill(1)
