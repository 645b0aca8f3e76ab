"""What retention deletes, and in what order of reasons."""

from __future__ import annotations

from ottla.log.config import LogConfig
from ottla.log.retention import Reason, SegmentFacts, retention_plan

HOUR_MS = 3_600_000


def facts(*sizes_and_hours: tuple[int, int]) -> list[SegmentFacts]:
    """Segments of ten offsets each, with size and largest timestamp in hours."""
    return [
        SegmentFacts(10 * number, 10 * number + 10, size_bytes, hours * HOUR_MS)
        for number, (size_bytes, hours) in enumerate(sizes_and_hours)
    ]


def plan(
    segments: list[SegmentFacts],
    *,
    retention_ms: int = -1,
    retention_bytes: int = -1,
    log_start_offset: int = 0,
    high_watermark: int = 10**9,
    deletes: bool = True,
) -> list[tuple[int, Reason]]:
    config = LogConfig(
        retention_ms=retention_ms, retention_bytes=retention_bytes, deletes_old_segments=deletes
    )
    removals = retention_plan(
        segments,
        config,
        100 * HOUR_MS,
        log_start_offset=log_start_offset,
        high_watermark=high_watermark,
    )
    return [(removal.base_offset, removal.reason) for removal in removals]


def test_nothing_goes_without_limits() -> None:
    assert plan(facts((100, 0), (100, 1))) == []


def test_old_segments_go_until_the_first_that_is_young_enough() -> None:
    segments = facts((100, 10), (100, 80), (100, 20), (100, 100))
    assert plan(segments, retention_ms=50 * HOUR_MS) == [(0, Reason.TIME)]


def test_an_age_of_exactly_the_limit_stays() -> None:
    assert plan(facts((100, 50), (1, 100)), retention_ms=50 * HOUR_MS) == []


def test_segments_go_while_the_rest_is_at_least_as_large_as_allowed() -> None:
    segments = facts((100, 1), (100, 1), (100, 1), (50, 1))
    assert plan(segments, retention_bytes=200) == [(0, Reason.SIZE)]
    assert plan(segments, retention_bytes=150) == [(0, Reason.SIZE), (10, Reason.SIZE)]
    assert plan(segments, retention_bytes=351) == []


def test_even_the_active_segment_goes_but_never_an_empty_one() -> None:
    assert plan(facts((100, 1)), retention_ms=HOUR_MS) == [(0, Reason.TIME)]
    assert plan(facts((100, 1), (0, 1)), retention_ms=HOUR_MS) == [(0, Reason.TIME)]


def test_nothing_at_or_above_the_high_watermark_goes() -> None:
    segments = facts((100, 1), (100, 1), (100, 1))
    assert plan(segments, retention_ms=HOUR_MS, high_watermark=19) == [(0, Reason.TIME)]


def test_segments_before_the_log_start_go_whatever_the_policy() -> None:
    segments = facts((100, 99), (100, 99), (100, 99))
    assert plan(segments, log_start_offset=25, deletes=False) == [
        (0, Reason.LOG_START),
        (10, Reason.LOG_START),
    ]
    assert plan(segments, retention_bytes=0, deletes=False) == []


def test_reasons_follow_each_other() -> None:
    segments = facts((100, 1), (100, 1), (100, 1), (100, 99))
    assert plan(segments, log_start_offset=10, retention_bytes=250, retention_ms=50 * HOUR_MS) == [
        (0, Reason.LOG_START),
        (10, Reason.TIME),
        (20, Reason.TIME),
    ]
