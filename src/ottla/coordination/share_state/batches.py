"""State batches: runs of offsets with the same delivery state, and how newer ones cover older."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

_FINISHED: Final = frozenset({2, 4})


class StateBatch(NamedTuple):
    """The delivery state of the offsets from ``first_offset`` to ``last_offset``, inclusive.

    delivery_state: 0 available, 2 acknowledged, 4 archived; who holds a lock is not remembered.
    """

    first_offset: int
    last_offset: int
    delivery_state: int
    delivery_count: int

    @property
    def is_finished(self) -> bool:
        """Whether the records are never delivered again."""
        return self.delivery_state in _FINISHED


def combine(
    older: Sequence[StateBatch], newer: Iterable[StateBatch], start_offset: int
) -> list[StateBatch]:
    """Every batch in effect, in order and without overlap: a newer one covers what it overlaps.

    Args:
        start_offset: what lies below is dropped; -1 keeps everything.
    """
    combined = sorted(older)
    run: list[StateBatch] = []
    for batch in newer:
        if run and batch.first_offset <= run[-1].last_offset:
            combined = _cover(combined, run)
            run = []
        run.append(batch)
    return _merge_neighbours(_from(start_offset, _cover(combined, run)))


def _cover(older: Sequence[StateBatch], newer: Sequence[StateBatch]) -> list[StateBatch]:
    """Both in order and without overlap, so that one pass is enough."""
    left: list[StateBatch] = []
    index = 0
    for batch in older:
        first = batch.first_offset
        while index < len(newer) and newer[index].last_offset < first:
            index += 1
        for cover in range(index, len(newer)):
            if newer[cover].first_offset > batch.last_offset:
                break
            if newer[cover].first_offset > first:
                last = newer[cover].first_offset - 1
                left.append(batch._replace(first_offset=first, last_offset=last))
            first = newer[cover].last_offset + 1
        if first <= batch.last_offset:
            left.append(batch._replace(first_offset=first))
    return sorted([*left, *newer])


def _from(start_offset: int, batches: Iterable[StateBatch]) -> list[StateBatch]:
    return [
        batch._replace(first_offset=max(batch.first_offset, start_offset))
        for batch in batches
        if batch.last_offset >= start_offset
    ]


def _merge_neighbours(batches: Iterable[StateBatch]) -> list[StateBatch]:
    merged: list[StateBatch] = []
    for batch in batches:
        previous = merged[-1] if merged else None
        if (
            previous is not None
            and previous.last_offset + 1 == batch.first_offset
            and previous[2:] == batch[2:]
        ):
            merged[-1] = previous._replace(last_offset=batch.last_offset)
        else:
            merged.append(batch)
    return merged
