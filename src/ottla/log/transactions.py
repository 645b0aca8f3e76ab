"""Which transactions keep a partition's records unstable: those open, and those just ended.

A reader of committed records stops at the first unstable offset, or at the high watermark when that
comes first; the lesser of both is the last stable offset (KIP-98).
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import NamedTuple


class CompletedTransaction(NamedTuple):
    """A transaction with records in the partition, from its first one to its end marker."""

    producer_id: int
    first_offset: int
    last_offset: int
    """The marker's."""
    is_aborted: bool


class AbortedTransaction(NamedTuple):
    """What the transaction index keeps; readers skip the producer's records in between."""

    producer_id: int
    first_offset: int
    last_offset: int
    """The marker's."""
    last_stable_offset: int
    """What the end made it, were the high watermark unlimited: no entry after this one concerns
    records below."""


class UnstableTransactions:
    """The open transactions, and the ended ones whose marker isn't below the high watermark.

    The latter still count: a marker may be lost that was never replicated or flushed.
    """

    __slots__ = ("_ended", "_open", "high_watermark")

    def __init__(self, high_watermark: int = 0) -> None:
        # Oldest first, because transactions begin at the log's end.
        self._open: OrderedDict[int, int] = OrderedDict()
        self._ended: deque[CompletedTransaction] = deque()
        self.high_watermark = high_watermark

    def begin(self, producer_id: int, first_offset: int) -> None:
        """A producer's transaction is open since this offset; the first such call counts."""
        self._open.setdefault(producer_id, first_offset)

    def end(self, completed: CompletedTransaction) -> AbortedTransaction | None:
        """A transaction has ended; returns its entry for the transaction index."""
        self._open.pop(completed.producer_id, None)
        if completed.last_offset >= self.high_watermark:
            self._ended.append(completed)
        if not completed.is_aborted:
            return None
        last_stable_offset = next(iter(self._open.values()), completed.last_offset + 1)
        return AbortedTransaction(*completed[:3], last_stable_offset)

    def first_offset(self) -> int | None:
        """Where the oldest unstable transaction starts, or ``None``."""
        first = next(iter(self._open.values()), None)
        for completed in self._ended:
            if first is None or completed.first_offset < first:
                first = completed.first_offset
        return first

    def advance(self, high_watermark: int) -> int:
        """Take note of the high watermark; returns the last stable offset."""
        self.high_watermark = high_watermark
        ended = self._ended
        while ended and ended[0].last_offset < high_watermark:
            ended.popleft()
        if not self._open and not ended:
            return high_watermark
        first = self.first_offset()
        return high_watermark if first is None else min(first, high_watermark)

    def carry_over(self, earlier: UnstableTransactions, end_offset: int) -> None:
        """After a truncation to ``end_offset``: what was known to have ended below still has."""
        known = {completed.last_offset for completed in self._ended}
        kept = [
            completed
            for completed in earlier._ended
            if completed.last_offset < end_offset and completed.last_offset not in known
        ]
        if kept:
            self._ended = deque(sorted([*kept, *self._ended], key=lambda each: each.last_offset))
