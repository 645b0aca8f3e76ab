"""Which part of a log compaction may clean, whether that is due, and into which segments: pure.

The clean part ends at the first dirty offset. What is dirty can be cleaned up to the first segment
that is active, holds anything beyond the last stable offset, or is younger than
``min.compaction.lag.ms``: only whole segments are replaced.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol, TypeVar

from ottla.log.config import LogConfig
from ottla.log.indexes import MAX_RELATIVE_OFFSET

_NO_LAG_LIMIT_MS = 2**63 - 1


class SegmentState(Protocol):
    """What is asked of a segment; times are looked up only where the configuration needs them."""

    @property
    def base_offset(self) -> int: ...

    @property
    def size_bytes(self) -> int: ...

    def largest_timestamp_ms(self) -> int: ...

    def first_timestamp_ms(self) -> int: ...


class CleaningPlan(NamedTuple):
    """What of one log could be cleaned now."""

    first_dirty_offset: int
    end_offset: int
    """Where the first segment starts that can't be cleaned."""
    clean_bytes: int
    dirty_bytes: int
    """Of what can be cleaned."""
    overdue_ms: int
    """For how long ``max.compaction.lag.ms`` has been exceeded; 0: it is not."""

    @property
    def dirty_ratio(self) -> float:
        """The share of dirty bytes, as ``min.cleanable.dirty.ratio`` counts it."""
        total_bytes = self.clean_bytes + self.dirty_bytes
        return self.dirty_bytes / total_bytes if total_bytes else 0.0

    def is_due(self, min_cleanable_dirty_ratio: float) -> bool:
        """Whether it is dirty enough, or has waited long enough, to be cleaned."""
        if self.overdue_ms > 0 and self.dirty_bytes > 0:
            return True
        return self.dirty_ratio > min_cleanable_dirty_ratio


def plan_cleaning(
    segments: Sequence[SegmentState],
    config: LogConfig,
    now_ms: int,
    *,
    first_dirty_offset: int,
    log_start_offset: int,
    log_end_offset: int,
    last_stable_offset: int,
) -> CleaningPlan:
    """What can be cleaned of a log whose segments these are; the last one is active.

    A first dirty offset that the log doesn't reach any more says nothing: all of it is dirty.
    """
    if not log_start_offset <= first_dirty_offset <= log_end_offset:
        first_dirty_offset = log_start_offset
    sealed, active = segments[:-1], segments[-1]
    ends = [segment.base_offset for segment in segments[1:]]
    dirty = [segment for segment, end in zip(sealed, ends, strict=True) if end > first_dirty_offset]
    end_offset = active.base_offset
    for segment, following in zip(sealed, ends, strict=True):
        if following > last_stable_offset:
            end_offset = segment.base_offset
            break
    if config.min_compaction_lag_ms > 0:
        for segment in dirty:
            if segment.base_offset >= end_offset:
                break
            if segment.largest_timestamp_ms() > now_ms - config.min_compaction_lag_ms:
                end_offset = segment.base_offset
                break
    return CleaningPlan(
        first_dirty_offset,
        end_offset,
        sum(each.size_bytes for each in sealed if each.base_offset < first_dirty_offset),
        sum(each.size_bytes for each in dirty if each.base_offset < end_offset),
        _overdue_ms(dirty, config, now_ms),
    )


def _overdue_ms(dirty: Sequence[SegmentState], config: LogConfig, now_ms: int) -> int:
    if config.max_compaction_lag_ms >= _NO_LAG_LIMIT_MS:
        return 0
    times = [each.first_timestamp_ms() for each in dirty]
    earliest_ms = min((time_ms for time_ms in times if time_ms > 0), default=now_ms)
    return max(0, now_ms - config.max_compaction_lag_ms - earliest_ms)


class IndexedSegment(Protocol):
    """What grouping asks of a segment."""

    @property
    def base_offset(self) -> int: ...

    @property
    def size_bytes(self) -> int: ...

    @property
    def index_bytes(self) -> int:
        """The size of the larger one of its indexes by offset and by time."""
        ...


Indexed = TypeVar("Indexed", bound=IndexedSegment)


def group_segments(
    segments: Sequence[Indexed], config: LogConfig, end_offset: int
) -> list[list[Indexed]]:
    """Which segments become one, so that cleaning doesn't leave ever smaller ones.

    A group is not larger than a segment may be before cleaning, in bytes, in index entries, and in
    the offsets that a segment's index can express.
    """
    groups: list[list[Indexed]] = []
    size_bytes = index_bytes = 0
    for number, segment in enumerate(segments):
        following = segments[number + 1].base_offset if number + 1 < len(segments) else end_offset
        size_bytes += segment.size_bytes
        index_bytes += segment.index_bytes
        fits = (
            bool(groups)
            and size_bytes <= config.segment_bytes
            and index_bytes <= config.segment_index_bytes
            and (
                segment.size_bytes == 0
                or following - 1 - groups[-1][0].base_offset <= MAX_RELATIVE_OFFSET
            )
        )
        if fits:
            groups[-1].append(segment)
        else:
            groups.append([segment])
            size_bytes, index_bytes = segment.size_bytes, segment.index_bytes
    return groups
