"""How records are acquired: of what was read from the log, as much as is available and wanted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ottla.coordination.share_partitions.commands import (
    AcquiredRange,
    AcquireLimits,
    LogBatch,
)
from ottla.coordination.share_partitions.in_flight import Span
from ottla.coordination.share_partitions.states import RecordState

if TYPE_CHECKING:
    from ottla.coordination.share_partitions.share_partition import SharePartition

_FEWEST_FULL_DELIVERIES = 2


class Acquisition:
    """One fetch of one member at one share partition.

    A record that makes its consumer fail takes down the records delivered with it, time and again.
    So, after half of the deliveries that are allowed, records are delivered in ever smaller
    portions and in the end alone: only the bad one is given up (KIP-932, throttled delivery).
    """

    __slots__ = (
        "_acquired",
        "_acquired_count",
        "_deadline_ms",
        "_free_lock_count",
        "_fresh",
        "_is_over",
        "_limits",
        "_member_id",
        "_partition",
    )

    def __init__(
        self, partition: SharePartition, member_id: str, limits: AcquireLimits, now_ms: int
    ) -> None:
        self._partition = partition
        self._member_id = member_id
        self._limits = limits
        self._deadline_ms = now_ms + partition.settings.record_lock_duration_ms
        self._acquired: list[Span] = []
        self._acquired_count = 0
        #: The span that records delivered for the first time are added to, batch by batch.
        self._fresh: Span | None = None
        self._free_lock_count: int | None = None
        self._is_over = limits.max_records <= 0

    def run(self, fetch_offset: int, batches: Sequence[LogBatch]) -> list[AcquiredRange]:
        """Acquires; what the log no longer has, or must not be delivered, is archived."""
        expected_offset = fetch_offset
        for batch in batches:
            if self._is_over:
                break
            if batch.base_offset > expected_offset:
                self._archive(expected_offset, batch.base_offset - 1)
            if batch.is_deliverable:
                self._acquire_of(batch)
            else:
                self._archive(batch.base_offset, batch.last_offset)
            expected_offset = batch.last_offset + 1
        self._partition._advance()
        return [
            AcquiredRange(span.first_offset, span.last_offset, span.delivery_count)
            for span in self._acquired
        ]

    @property
    def _wanted_count(self) -> int:
        return self._limits.max_records - self._acquired_count

    def _acquire_of(self, batch: LogBatch) -> None:
        in_flight = self._partition.in_flight
        first = max(batch.base_offset, self._partition.start_offset)
        last = batch.last_offset
        is_strict = self._limits.is_record_limit
        # A batch is acquired as a whole: its records are sent anyway.
        while first <= last and not self._is_over and (self._wanted_count > 0 or not is_strict):
            span = in_flight.first_overlapping(first, last)
            if span is None or span.first_offset > first:
                unseen_last = last if span is None else span.first_offset - 1
                first = self._acquire_unseen(first, unseen_last)
            else:
                first = self._acquire_again(span, first, last)
        if self._wanted_count <= 0:
            self._is_over = True

    def _acquire_unseen(self, first: int, last: int) -> int:
        """Delivers records for the first time; where to go on."""
        partition = self._partition
        allowed_count = self._wanted_count
        if first >= partition.end_offset:
            allowed_count = min(allowed_count, self._free_locks())
            if allowed_count <= 0:
                self._is_over = True
                return first
        if self._limits.is_record_limit:
            last = min(last, first + allowed_count - 1)
        self._add_fresh(first, last)
        count = last - first + 1
        self._acquired_count += count
        if self._free_lock_count is not None:
            self._free_lock_count -= count
        partition.end_offset = max(partition.end_offset, last + 1)
        return last + 1

    def _free_locks(self) -> int:
        """How many more records may be in flight; counted once, because counting takes a while."""
        if self._free_lock_count is None:
            partition = self._partition
            locks = partition.settings.max_record_locks
            self._free_lock_count = locks - partition.unfinished_count
        return self._free_lock_count

    def _add_fresh(self, first: int, last: int) -> None:
        fresh = self._fresh
        size = last - first + 1
        if (
            fresh is not None
            and fresh.last_offset + 1 == first
            and fresh.size + size <= self._limits.batch_size
        ):
            fresh.last_offset = last
            fresh.batch_size = fresh.size
            return
        self._fresh = fresh = Span(first, last, RecordState.AVAILABLE, 0)
        self._partition.in_flight.add(fresh)
        self._take(fresh)

    def _acquire_again(self, span: Span, first: int, last: int) -> int:
        """Delivers what is available of a span once more; where to go on."""
        next_offset = min(span.last_offset, last) + 1
        if span.state is not RecordState.AVAILABLE:
            return next_offset
        settings = self._partition.settings
        if span.delivery_count >= settings.delivery_count_limit:
            # The limit was lowered meanwhile.
            self._archive(first, next_offset - 1)
            return next_offset
        portion = self._portion(span)
        if portion is not None and self._acquired_count:
            self._is_over = True
            return first
        count = next_offset - first
        if portion is not None:
            count = min(count, portion)
            self._is_over = True
        if self._limits.is_record_limit:
            count = min(count, self._wanted_count)
        again = self._partition.in_flight.within(first, first + count - 1)[0]
        self._take(again)
        self._acquired_count += count
        return first + count

    def _portion(self, span: Span) -> int | None:
        """How many records of the span may be delivered together; ``None`` for all of them."""
        limit = self._partition.settings.delivery_count_limit
        full_deliveries = max(_FEWEST_FULL_DELIVERIES, (limit + 1) // 2)
        excess = span.delivery_count - full_deliveries
        if limit <= _FEWEST_FULL_DELIVERIES or excess < 0:
            return None
        if span.delivery_count == limit - 1:
            return 1
        return max(1, span.batch_size >> (excess + 1))

    def _take(self, span: Span) -> None:
        span.lock(self._member_id, self._deadline_ms)
        self._acquired.append(span)

    def _archive(self, first: int, last: int) -> None:
        """Gives up offsets that can't be delivered, and so never become durable: a restart comes
        to the same conclusion."""
        partition = self._partition
        first = max(first, partition.start_offset)
        if first > last:
            return
        for span in partition.in_flight.overlapping(first, last):
            if span.state is RecordState.AVAILABLE:
                kept = max(span.first_offset, first), min(span.last_offset, last)
                for part in partition.in_flight.within(*kept):
                    part.unlock(RecordState.ARCHIVED)
        for unseen in partition.in_flight.unseen(first, last):
            partition.in_flight.add(Span(*unseen, RecordState.ARCHIVED, 0))
        partition.end_offset = max(partition.end_offset, last + 1)
        partition.in_flight.merge_finished()
