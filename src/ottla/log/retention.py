"""Which segments retention deletes: a pure plan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import NamedTuple

from ottla.log.config import LogConfig


class SegmentFacts(NamedTuple):
    """What retention needs to know of a segment."""

    base_offset: int
    end_offset: int
    size_bytes: int
    largest_timestamp_ms: int


class Reason(Enum):
    """Why a segment goes."""

    LOG_START = "all its records lie before the log start offset"
    SIZE = "the log is larger than retention.bytes"
    TIME = "its records are older than retention.ms"


class Removal(NamedTuple):
    """A segment to delete."""

    base_offset: int
    end_offset: int
    reason: Reason


def retention_plan(
    segments: Sequence[SegmentFacts],
    config: LogConfig,
    now_ms: int,
    *,
    log_start_offset: int,
    high_watermark: int,
) -> list[Removal]:
    """The oldest segments that may go now, oldest first.

    Only a prefix of the log is ever deleted, never an empty last segment, and nothing at or above
    the high watermark, so that the log's start can't pass it.
    """
    plan: list[Removal] = []

    def take_while(reason: Reason, is_due: Callable[[int, SegmentFacts], bool]) -> None:
        for number in range(len(plan), len(segments)):
            facts = segments[number]
            is_last = number == len(segments) - 1
            if facts.end_offset > high_watermark or (is_last and facts.size_bytes == 0):
                return
            if not is_due(number, facts):
                return
            plan.append(Removal(facts.base_offset, facts.end_offset, reason))

    take_while(
        Reason.LOG_START,
        lambda number, facts: number + 1 < len(segments) and facts.end_offset <= log_start_offset,
    )
    if not config.deletes_old_segments:
        return plan
    if config.retention_bytes >= 0:
        excess_bytes = sum(facts.size_bytes for facts in segments[len(plan) :])
        excess_bytes -= config.retention_bytes
        # The sizes that still go, counted down: a segment goes when the rest stays large enough.
        budget = {}
        for number in range(len(plan), len(segments)):
            excess_bytes -= segments[number].size_bytes
            budget[number] = excess_bytes
        take_while(Reason.SIZE, lambda number, facts: budget[number] >= 0)
    if config.retention_ms >= 0:
        take_while(
            Reason.TIME,
            lambda number, facts: now_ms - facts.largest_timestamp_ms > config.retention_ms,
        )
    return plan
