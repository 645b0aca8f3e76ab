"""Which part of a log is cleaned, when that is due, and into which segments."""

from __future__ import annotations

import pytest

from ottla.log.compaction.plan import CleaningPlan, group_segments, plan_cleaning
from ottla.log.compaction.throttle import Throttle
from ottla.log.config import LogConfig

NOW_MS = 1_000_000


class FakeSegment:
    """A segment as planning sees it."""

    def __init__(
        self,
        base_offset: int,
        size_bytes: int = 100,
        *,
        largest_ms: int = 0,
        first_ms: int = 0,
        index_bytes: int = 8,
    ) -> None:
        self.base_offset = base_offset
        self.size_bytes = size_bytes
        self.index_bytes = index_bytes
        self._largest_ms = largest_ms
        self._first_ms = first_ms

    def largest_timestamp_ms(self) -> int:
        return self._largest_ms

    def first_timestamp_ms(self) -> int:
        return self._first_ms


class ClosedSegment(FakeSegment):
    """A segment whose times nobody should look up."""

    def largest_timestamp_ms(self) -> int:
        raise AssertionError("its times cost reads")

    first_timestamp_ms = largest_timestamp_ms


def plan(
    segments: list[FakeSegment],
    config: LogConfig = LogConfig(),  # noqa: B008 - immutable
    *,
    first_dirty: int = 0,
    start: int = 0,
    end: int = 500,
    stable: int = 500,
) -> CleaningPlan:
    return plan_cleaning(
        segments,
        config,
        NOW_MS,
        first_dirty_offset=first_dirty,
        log_start_offset=start,
        log_end_offset=end,
        last_stable_offset=stable,
    )


def closed(*bases: int) -> list[FakeSegment]:
    return [ClosedSegment(base) for base in bases]


def test_all_but_the_active_segment_can_be_cleaned() -> None:
    found = plan(closed(0, 100, 200))
    assert (found.first_dirty_offset, found.end_offset) == (0, 200)
    assert (found.clean_bytes, found.dirty_bytes, found.overdue_ms) == (0, 200, 0)
    assert found.dirty_ratio == 1


def test_what_is_clean_counts_against_what_is_dirty() -> None:
    found = plan(closed(0, 100, 200, 300, 400), first_dirty=300)
    assert (found.clean_bytes, found.dirty_bytes, found.end_offset) == (300, 100, 400)
    assert found.dirty_ratio == 0.25
    assert found.is_due(0.2)
    assert not found.is_due(0.25)


def test_a_log_of_one_segment_has_nothing_to_clean() -> None:
    found = plan(closed(0))
    assert (found.dirty_bytes, found.dirty_ratio) == (0, 0)
    assert not found.is_due(0)


@pytest.mark.parametrize(
    ("stable", "end_offset"), [(0, 0), (99, 0), (100, 100), (150, 100), (200, 200), (450, 300)]
)
def test_no_segment_is_cleaned_that_reaches_beyond_the_last_stable_offset(
    stable: int, end_offset: int
) -> None:
    assert plan(closed(0, 100, 200, 300), stable=stable).end_offset == end_offset


def test_young_segments_and_all_after_them_are_left_alone() -> None:
    segments = [
        FakeSegment(0, largest_ms=NOW_MS - 5000),
        FakeSegment(100, largest_ms=NOW_MS - 1000),
        FakeSegment(200, largest_ms=NOW_MS - 5000),
        FakeSegment(300),
    ]
    config = LogConfig(min_compaction_lag_ms=2000)
    assert plan(segments, config).end_offset == 100
    # Only dirty segments are looked at.
    assert plan(segments, config, first_dirty=200).end_offset == 300


def test_the_oldest_dirty_batch_decides_what_is_overdue() -> None:
    segments = [
        FakeSegment(0, first_ms=1),
        FakeSegment(100, first_ms=NOW_MS - 3000),
        FakeSegment(200, first_ms=-1),
        FakeSegment(300),
    ]
    config = LogConfig(max_compaction_lag_ms=1000)
    assert plan(segments, config, first_dirty=100).overdue_ms == 2000
    found = plan(segments, config, first_dirty=200)
    assert found.overdue_ms == 0
    assert plan(segments, config).is_due(1)
    # With nothing that can be cleaned, waiting longer changes nothing.
    assert not plan(segments, config, stable=50).is_due(1)


@pytest.mark.parametrize(("first_dirty", "start", "expected"), [(50, 100, 100), (900, 0, 0)])
def test_a_first_dirty_offset_outside_of_the_log_says_nothing(
    first_dirty: int, start: int, expected: int
) -> None:
    found = plan(closed(0, 100, 200), first_dirty=first_dirty, start=start)
    assert found.first_dirty_offset == expected


def bases(groups: list[list[FakeSegment]]) -> list[list[int]]:
    return [[each.base_offset for each in group] for group in groups]


def test_segments_are_grouped_up_to_the_size_of_one() -> None:
    segments = [FakeSegment(base, size) for base, size in ((0, 40), (10, 50), (20, 20), (30, 90))]
    config = LogConfig(segment_bytes=100)
    assert bases(group_segments(segments, config, 40)) == [[0, 10], [20], [30]]
    assert group_segments([], config, 40) == []


def test_an_oversized_segment_is_a_group_of_its_own() -> None:
    segments = [FakeSegment(0, 500), FakeSegment(10, 1), FakeSegment(20, 1)]
    assert bases(group_segments(segments, LogConfig(segment_bytes=100), 30)) == [[0], [10, 20]]


def test_groups_are_limited_by_their_indexes() -> None:
    segments = [FakeSegment(base, index_bytes=60) for base in (0, 10, 20)]
    config = LogConfig(segment_index_bytes=120)
    assert bases(group_segments(segments, config, 30)) == [[0, 10], [20]]


def test_groups_are_limited_by_the_offsets_an_index_can_express() -> None:
    far = 2**31
    segments = [FakeSegment(0), FakeSegment(far - 1), FakeSegment(far), FakeSegment(far + 5, 0)]
    found = bases(group_segments(segments, LogConfig(), far + 10))
    assert found == [[0, far - 1], [far, far + 5]]
    # An empty segment has no offset to express.
    emptied = [FakeSegment(0), FakeSegment(2 * far, 0), FakeSegment(4 * far, 0)]
    assert bases(group_segments(emptied, LogConfig(), 5 * far)) == [[0, 2 * far, 4 * far]]


def test_the_throttle_asks_for_rest_beyond_the_burst() -> None:
    throttle = Throttle(burst_s=0.5)
    assert throttle.pause_s(400, 1000, now_s=10) == 0
    assert throttle.pause_s(1100, 1000, now_s=10) == pytest.approx(1.0)
    assert throttle.pause_s(0, 1000, now_s=11) == 0
    # What was not used for long is lost.
    assert throttle.pause_s(1000, 1000, now_s=100) == pytest.approx(0.5)
