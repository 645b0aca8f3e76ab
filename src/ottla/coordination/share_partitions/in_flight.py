"""The records in flight, as runs of offsets that share one state."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from operator import attrgetter
from typing import TYPE_CHECKING

from ottla.coordination.share_partitions.states import RecordState

if TYPE_CHECKING:
    from ottla.coordination.share_partitions.transition import Transition

_LAST_OFFSET = attrgetter("last_offset")


class Span:
    """Offsets of one state.

    Attributes:
        last_offset: inclusive.
        member_id: who holds the lock; ``None`` unless the state is ACQUIRED.
        deadline_ms: when the lock runs out; 0 unless the state is ACQUIRED.
        batch_size: records of the range they were first delivered in, a measure for deliveries in
            smaller portions.
        pending: the change of state that waits to be durable; until then the state is the old one.
    """

    __slots__ = (
        "batch_size",
        "deadline_ms",
        "delivery_count",
        "first_offset",
        "last_offset",
        "member_id",
        "pending",
        "state",
    )

    def __init__(
        self,
        first_offset: int,
        last_offset: int,
        state: RecordState,
        delivery_count: int,
        *,
        member_id: str | None = None,
        deadline_ms: int = 0,
        batch_size: int | None = None,
    ) -> None:
        self.first_offset = first_offset
        self.last_offset = last_offset
        self.state = state
        self.delivery_count = delivery_count
        self.member_id = member_id
        self.deadline_ms = deadline_ms
        self.batch_size = last_offset - first_offset + 1 if batch_size is None else batch_size
        self.pending: Transition | None = None

    @property
    def size(self) -> int:
        """How many offsets there are."""
        return self.last_offset - self.first_offset + 1

    @property
    def is_locked(self) -> bool:
        """Whether it is acquired, and no change of that is under way."""
        return self.state is RecordState.ACQUIRED and self.pending is None

    def lock(self, member_id: str, deadline_ms: int) -> None:
        """Delivers the records to a member, once more."""
        self.state = RecordState.ACQUIRED
        self.delivery_count += 1
        self.member_id = member_id
        self.deadline_ms = deadline_ms

    def unlock(self, state: RecordState) -> None:
        """Ends the delivery."""
        self.state = state
        self.member_id = None
        self.deadline_ms = 0

    def _split(self, offset: int) -> Span:
        """Keeps what is below the offset; the rest is returned."""
        rest = Span(
            offset,
            self.last_offset,
            self.state,
            self.delivery_count,
            member_id=self.member_id,
            deadline_ms=self.deadline_ms,
            batch_size=self.batch_size,
        )
        self.last_offset = offset - 1
        return rest

    def __repr__(self) -> str:
        text = f"{self.first_offset}-{self.last_offset} {self.state.name}/{self.delivery_count}"
        return f"<{text} {self.member_id or ''}{' pending' if self.pending else ''}>"


class InFlight:
    """Disjoint spans in the order of their offsets. Between them may be offsets never seen."""

    __slots__ = ("_spans",)

    def __init__(self) -> None:
        self._spans: list[Span] = []

    def __iter__(self) -> Iterator[Span]:
        return iter(self._spans)

    def __len__(self) -> int:
        return len(self._spans)

    def add(self, span: Span) -> None:
        """Puts a span where there is none yet."""
        index = self._index(span.first_offset)
        assert index == len(self._spans) or self._spans[index].first_offset > span.last_offset
        self._spans.insert(index, span)

    def first_overlapping(self, first_offset: int, last_offset: int) -> Span | None:
        """The first of the spans that have offsets in a range."""
        index = self._index(first_offset)
        if index < len(self._spans) and self._spans[index].first_offset <= last_offset:
            return self._spans[index]
        return None

    def overlapping(self, first_offset: int, last_offset: int) -> list[Span]:
        """The spans that have offsets in a range, whole."""
        found = []
        for index in range(self._index(first_offset), len(self._spans)):
            span = self._spans[index]
            if span.first_offset > last_offset:
                break
            found.append(span)
        return found

    def within(self, first_offset: int, last_offset: int) -> list[Span]:
        """As `overlapping`, cut at the range's ends; a span with a pending change must not be."""
        self.cut(first_offset)
        self.cut(last_offset + 1)
        return self.overlapping(first_offset, last_offset)

    def cut(self, offset: int) -> None:
        """Makes a span end before the offset and another begin there, if one contains both."""
        index = self._index(offset)
        if index < len(self._spans) and self._spans[index].first_offset < offset:
            span = self._spans[index]
            assert span.pending is None
            self._spans.insert(index + 1, span._split(offset))

    def unseen(self, first_offset: int, last_offset: int) -> list[tuple[int, int]]:
        """The parts of a range (inclusive) that no span covers."""
        parts = []
        for span in self.overlapping(first_offset, last_offset):
            if first_offset < span.first_offset:
                parts.append((first_offset, span.first_offset - 1))
            first_offset = span.last_offset + 1
        if first_offset <= last_offset:
            parts.append((first_offset, last_offset))
        return parts

    def drop_below(self, offset: int) -> None:
        """Forgets everything below the offset."""
        del self._spans[: self._index(offset)]
        if self._spans and self._spans[0].first_offset < offset:
            self._spans[0].first_offset = offset

    def merge_finished(self) -> None:
        """Makes one of neighbours that are never delivered again: nobody asks how they ended."""
        merged: list[Span] = []
        for span in self._spans:
            previous = merged[-1] if merged else None
            if (
                previous is not None
                and previous.state.is_terminal
                and span.state.is_terminal
                and previous.last_offset + 1 == span.first_offset
            ):
                previous.last_offset = span.last_offset
            else:
                merged.append(span)
        self._spans = merged

    def _index(self, offset: int) -> int:
        """The first span that ends at or after the offset."""
        return bisect_left(self._spans, offset, key=_LAST_OFFSET)
