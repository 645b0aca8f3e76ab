"""Finding records by time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ottla.log.scan import iter_file_headers, read_batch
from ottla.log.segment import Segment
from ottla.records.batch import BatchHeader


class FoundOffset(NamedTuple):
    """A record found by time, and the leader epoch that wrote it."""

    offset: int
    timestamp_ms: int
    leader_epoch: int


def find_by_timestamp(
    segments: Sequence[Segment], timestamp_ms: int, start_offset: int
) -> FoundOffset | None:
    """The first record at or after ``start_offset`` whose timestamp is at least this."""
    for segment in segments:
        largest = segment.largest
        if largest.timestamp_ms < timestamp_ms:
            continue
        entry = segment.time_index.floor(timestamp_ms)
        position = segment.offset_index.floor(max(entry.offset, start_offset))
        for at, header in iter_file_headers(segment.file, position, segment.size_bytes):
            if header.max_timestamp_ms >= timestamp_ms and header.last_offset >= start_offset:
                found = _first_record(segment, at, header, timestamp_ms, start_offset)
                if found is not None:
                    return found
    return None


def find_max_timestamp(segments: Sequence[Segment], start_offset: int) -> FoundOffset | None:
    """The first record at or after ``start_offset`` with the largest timestamp of all."""
    found: FoundOffset | None = None
    # Of several segments with the same largest timestamp, the first.
    for segment in sorted(segments, key=lambda each: -each.largest.timestamp_ms):
        largest_ms, offset = segment.largest
        if largest_ms < 0 or (found is not None and largest_ms <= found.timestamp_ms):
            break
        position = segment.offset_index.floor(offset)
        latest = _latest_record(segment, position, largest_ms, largest_ms, start_offset)
        if latest is None:
            # The batch lies before the start, or compaction left only its header.
            latest = _latest_record(segment, 0, 0, largest_ms, start_offset)
        if latest is not None and (found is None or latest.timestamp_ms > found.timestamp_ms):
            found = latest
    return found


def _latest_record(
    segment: Segment, position: int, least_ms: int, most_ms: int, start_offset: int
) -> FoundOffset | None:
    """The first record with the largest timestamp from a position on, if it has ``least_ms``.

    Nothing is looked at after a record with ``most_ms``.
    """
    from ottla.records.decode import decode_records

    found: FoundOffset | None = None
    for at, header in iter_file_headers(segment.file, position, segment.size_bytes):
        if header.max_timestamp_ms < least_ms or header.last_offset < start_offset:
            continue
        for record in decode_records(read_batch(segment.file, at, header)):
            if record.timestamp_ms >= least_ms and record.offset >= start_offset:
                found = FoundOffset(
                    record.offset, record.timestamp_ms, header.partition_leader_epoch
                )
                least_ms = record.timestamp_ms + 1
        if least_ms > most_ms:
            break
    return found


def _first_record(
    segment: Segment, position: int, header: BatchHeader, timestamp_ms: int, start_offset: int
) -> FoundOffset | None:
    from ottla.records.decode import decode_records

    for record in decode_records(read_batch(segment.file, position, header)):
        if record.timestamp_ms >= timestamp_ms and record.offset >= start_offset:
            return FoundOffset(record.offset, record.timestamp_ms, header.partition_leader_epoch)
    return None
