"""When a segment is full or old enough for a new one."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import NamedTuple

from ottla.log.config import LOG_APPEND_TIME, LogConfig
from ottla.log.indexes import MAX_RELATIVE_OFFSET, TIME_ENTRY_SIZE
from ottla.log.segment import Segment


def is_roll_due(
    active: Segment,
    config: LogConfig,
    size_bytes: int,
    batches: Sequence[tuple[int, int, int]],
    now_ms: int,
) -> bool:
    """Whether an append of these batches (size, last offset, largest timestamp) needs a new one.

    A segment's age counts from its first batch's timestamp to the newest one's, so that segments
    cover about ``segment.ms`` of the records' time even when old records are loaded in bulk.
    """
    present_bytes = active.size_bytes
    if present_bytes == 0:
        return False
    # Each batch adds one entry at most; time entries are the larger ones.
    entry_count = len(active.time_index) + len(batches)
    if (
        present_bytes + size_bytes > config.segment_bytes
        or entry_count * TIME_ENTRY_SIZE > config.segment_index_bytes
        or not active.can_hold(batches[-1][1])
    ):
        return True
    limit_ms = config.segment_ms - _jitter_ms(active, config)
    first_timestamp_ms = active.first_timestamp_ms()
    if first_timestamp_ms < 0:
        return now_ms - active.created_ms > limit_ms
    return max([batch[2] for batch in batches]) - first_timestamp_ms > limit_ms


class Room(NamedTuple):
    """How far a segment may grow before it has to be asked again whether a new one is due."""

    segment: Segment
    config: LogConfig
    end_position: int
    """0 where nothing can be said in advance."""
    last_offset: int
    max_timestamp_ms: int


# No batch is smaller, so no more than one index entry is made for so many bytes.
_LEAST_BYTES_PER_ENTRY = 61


def room_in(active: Segment, config: LogConfig) -> Room:
    """Bounds within which `is_roll_due` says no, whatever batches they are reached with."""
    first_timestamp_ms = active.first_timestamp_ms()
    end_position = 0
    is_append_time = config.message_timestamp_type == LOG_APPEND_TIME
    if active.size_bytes > 0 and first_timestamp_ms >= 0 and not is_append_time:
        entries_left = config.segment_index_bytes // TIME_ENTRY_SIZE - len(active.time_index) - 1
        bytes_per_entry = max(config.index_interval_bytes, _LEAST_BYTES_PER_ENTRY)
        end_position = min(
            config.segment_bytes, active.size_bytes + max(entries_left, 0) * bytes_per_entry
        )
    return Room(
        active,
        config,
        end_position,
        active.base_offset + MAX_RELATIVE_OFFSET,
        first_timestamp_ms + config.segment_ms - _jitter_ms(active, config),
    )


def _jitter_ms(segment: Segment, config: LogConfig) -> int:
    """Up to ``segment.jitter.ms``, the same at every look: segments shouldn't roll together."""
    most_ms = min(config.segment_jitter_ms, config.segment_ms)
    if most_ms <= 0:
        return 0
    return zlib.crc32(segment.path("").encode()) % most_ms
