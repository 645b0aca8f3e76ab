"""One partition as a share group sees it: which records are to be delivered, and to whom.

                 start offset                         end offset
                      │                                   │
    ──────────────────┼───────────────────────────────────┼──────────────► offsets of the log
      done with       │ in flight: available, acquired,   │ never delivered
                      │ acknowledged or archived          │

Acquiring is forgotten by a restart, which gives the records to others. Any other change of state is
a `Transition`: it happens (`settle`) once the share coordinator has made it durable, or never
(`roll_back`). Only locks that run out let go of their records at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ottla.coordination.share_partitions import acknowledging
from ottla.coordination.share_partitions.acquiring import Acquisition
from ottla.coordination.share_partitions.commands import (
    Acknowledgement,
    AcquiredRange,
    AcquireLimits,
    LogBatch,
)
from ottla.coordination.share_partitions.in_flight import InFlight, Span
from ottla.coordination.share_partitions.settings import ShareSettings
from ottla.coordination.share_partitions.states import RecordState
from ottla.coordination.share_partitions.transition import StateWrite, Transition
from ottla.coordination.share_state.batches import StateBatch


class SharePartition:
    """The delivery state of one partition for one share group.

    Attributes:
        start_offset: the first record not done with (the share-partition start offset, SPSO).
        end_offset: the first record never delivered.
        settings: may be replaced at any time.
    """

    __slots__ = ("end_offset", "in_flight", "settings", "start_offset")

    def __init__(
        self,
        start_offset: int,
        state_batches: Iterable[StateBatch] = (),
        settings: ShareSettings | None = None,
    ) -> None:
        """
        Args:
            start_offset: as remembered by the share coordinator, or where a new group begins.
            state_batches: as remembered; in order, without overlap.
        """
        self.settings = ShareSettings() if settings is None else settings
        self.start_offset = self.end_offset = start_offset
        self.in_flight = InFlight()
        for batch in state_batches:
            first_offset = max(batch.first_offset, start_offset)
            if first_offset <= batch.last_offset:
                state = RecordState(batch.delivery_state)
                span = Span(first_offset, batch.last_offset, state, batch.delivery_count)
                self.in_flight.add(span)
                self.end_offset = span.last_offset + 1
        self._advance()

    # Questions

    @property
    def next_fetch_offset(self) -> int:
        """The first record that may be delivered now."""
        offset = self.start_offset
        for span in self.in_flight:
            if span.first_offset > offset or span.state is RecordState.AVAILABLE:
                break
            offset = span.last_offset + 1
        return offset

    @property
    def unfinished_count(self) -> int:
        """How many offsets are in flight, in whatever state but a final one."""
        finished = sum(span.size for span in self.in_flight if span.state.is_terminal)
        return self.end_offset - self.start_offset - finished

    @property
    def can_acquire(self) -> bool:
        """Whether anything could be acquired: the limit holds for records never delivered."""
        return (
            self.next_fetch_offset < self.end_offset
            or self.unfinished_count < self.settings.max_record_locks
        )

    @property
    def next_deadline_ms(self) -> int | None:
        """When the next lock runs out."""
        return min((span.deadline_ms for span in self.in_flight if span.is_locked), default=None)

    def has_locks(self, member_id: str) -> bool:
        """Whether the member holds records."""
        return any(span.member_id == member_id for span in self.in_flight)

    # Delivery

    def acquire(
        self,
        member_id: str,
        fetch_offset: int,
        batches: Sequence[LogBatch],
        limits: AcquireLimits,
        now_ms: int,
    ) -> list[AcquiredRange]:
        """Locks what is available of the batches read from ``fetch_offset`` on for a member."""
        return Acquisition(self, member_id, limits, now_ms).run(fetch_offset, batches)

    def acknowledge(
        self, member_id: str, acknowledgements: Sequence[Acknowledgement], now_ms: int
    ) -> Transition:
        """Begins what a member says of records it holds; renewed locks are renewed at once.

        Raises:
            ProtocolError: INVALID_REQUEST for offsets never delivered or what can't be understood,
                INVALID_RECORD_STATE for records the member doesn't hold. Nothing is changed.
        """
        acknowledging.check(acknowledgements)
        renewed, targets = acknowledging.resolve(self, member_id, acknowledgements)
        for span in renewed:
            span.deadline_ms = now_ms + self.settings.record_lock_duration_ms
        return self._begin(targets)

    def release(self, member_id: str) -> Transition:
        """Begins the release of everything a member holds, because it is gone."""
        return self._begin(
            [
                (span, self.state_after_release(span))
                for span in self.in_flight
                if span.is_locked and span.member_id == member_id
            ]
        )

    def expire_locks(self, now_ms: int) -> StateWrite | None:
        """Takes away the locks that ran out: the records are available at once.

        What is to be written need not succeed; ``None`` if no lock ran out.
        """
        transition = self._begin(
            [
                (span, self.state_after_release(span))
                for span in self.in_flight
                if span.is_locked and span.deadline_ms <= now_ms
            ]
        )
        self.settle(transition)
        return transition.write

    def settle(self, transition: Transition) -> None:
        """The transition is durable."""
        for span, state in transition.targets:
            span.pending = None
            span.unlock(state)
        self.in_flight.merge_finished()
        self._advance()

    def roll_back(self, transition: Transition) -> None:
        """The transition could not be made durable; the locks are held as before."""
        for span, _ in transition.targets:
            span.pending = None

    def forget_below(self, log_start_offset: int) -> None:
        """Lets go of records that the log has no more."""
        if log_start_offset > self.start_offset:
            self.start_offset = log_start_offset
            self.end_offset = max(self.end_offset, log_start_offset)
            self.in_flight.drop_below(log_start_offset)
            self._advance()

    def state_after_release(self, span: Span) -> RecordState:
        """Available again, unless the records were delivered too often."""
        if span.delivery_count >= self.settings.delivery_count_limit:
            return RecordState.ARCHIVED
        return RecordState.AVAILABLE

    # Internals

    def _begin(self, targets: list[tuple[Span, RecordState]]) -> Transition:
        transition = Transition(targets)
        if targets:
            for span, _ in targets:
                span.pending = transition
            transition.write = self._write_of(transition)
        return transition

    def _write_of(self, transition: Transition) -> StateWrite:
        """What is to be durable if this transition succeeds, whatever becomes of the others.

        The start offset is the one of now: were it moved by a transition under way, the next write
        could not but move it back, and what lay between would be forgotten.
        """
        targets = {id(span): state for span, state in transition.targets}
        complete_count = sum(
            span.size for span in self.in_flight if targets.get(id(span), span.state).is_terminal
        )
        return StateWrite(self.start_offset, complete_count, transition.state_batches())

    def _advance(self) -> None:
        """Moves the start offset past what is done with."""
        for span in self.in_flight:
            if span.first_offset != self.start_offset or not span.state.is_terminal:
                break
            self.start_offset = span.last_offset + 1
        self.in_flight.drop_below(self.start_offset)
