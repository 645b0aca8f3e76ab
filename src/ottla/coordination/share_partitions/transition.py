"""A change of delivery states on its way to being durable."""

from __future__ import annotations

from typing import NamedTuple

from ottla.coordination.share_partitions.in_flight import Span
from ottla.coordination.share_partitions.states import RecordState
from ottla.coordination.share_state.batches import StateBatch


class StateWrite(NamedTuple):
    """What the share coordinator is to remember.

    start_offset: of the share partition before the change is made; never less than in a write
        before this one.
    delivery_complete_count: records from there on that are never delivered again.
    """

    start_offset: int
    delivery_complete_count: int
    state_batches: list[StateBatch]


class Transition:
    """Spans and the states they will have. ``write`` is ``None`` when nothing has to be durable."""

    __slots__ = ("targets", "write")

    def __init__(self, targets: list[tuple[Span, RecordState]]) -> None:
        self.targets = targets
        self.write: StateWrite | None = None

    def state_batches(self) -> list[StateBatch]:
        """The new states, neighbours put together."""
        batches: list[StateBatch] = []
        for span, state in sorted(self.targets, key=lambda target: target[0].first_offset):
            last = batches[-1] if batches else None
            if (
                last is not None
                and last.last_offset + 1 == span.first_offset
                and (last.delivery_state, last.delivery_count) == (state, span.delivery_count)
            ):
                batches[-1] = last._replace(last_offset=span.last_offset)
            else:
                batches.append(
                    StateBatch(span.first_offset, span.last_offset, state, span.delivery_count)
                )
        return batches
