"""One partition's batches between the accumulator and their outcome, in order."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from ottla.client.errors import KafkaError

if TYPE_CHECKING:
    from ottla.client._reference_batch import ProducerBatch

NO_SEQUENCE = -1
# Brokers remember a producer's newest five batches of a partition, to tell a repetition from a gap.
MAX_OUTSTANDING = 5
# Sequence numbers begin again at 0 after this one.
_MAX_SEQUENCE = 0x7FFFFFFF


class Identity(NamedTuple):
    """Who a producer is for the brokers: an id and how often it was renewed."""

    producer_id: int = -1
    epoch: int = -1


NOBODY = Identity()


def sequence_after(sequence: int, record_count: int) -> int:
    """The sequence number that follows a batch of so many records."""
    return (sequence + record_count) & _MAX_SEQUENCE


class Pending:
    """A batch on its way.

    ``identity`` and ``base_sequence`` are given with the first attempt and stay the same for all
    further ones, so that the broker recognizes what it has already.
    """

    __slots__ = (
        "attempts", "base_sequence", "batch", "broker_id", "deadline_ms", "identity", "is_done",
        "is_refused", "order", "place",
    )  # fmt: skip

    def __init__(self, batch: ProducerBatch, deadline_ms: float | None, order: int) -> None:
        self.batch = batch
        self.deadline_ms = deadline_ms
        self.order = order
        """Orders the partition's batches; the parts of a split batch share it."""
        self.place = 0
        """How many batches were given sequence numbers before it."""
        self.attempts = 0
        self.broker_id = -1
        self.identity = NOBODY
        self.base_sequence = NO_SEQUENCE
        self.is_refused = False
        """The broker said that it has not appended the batch under its sequence number."""
        self.is_done = False
        """Its outcome was told, though the answer to an attempt may still come."""

    @property
    def has_sequence(self) -> bool:
        return self.base_sequence != NO_SEQUENCE

    def forget_sequence(self) -> None:
        """It was never appended under its sequence number: the next attempt gets another."""
        self.identity = NOBODY
        self.base_sequence = NO_SEQUENCE
        self.is_refused = False


class Outcome(NamedTuple):
    """What became of a batch: delivered from ``base_offset`` on (-1: unknown), or the error.

    ``attempt`` is what failed, if the batch was ever sent.
    """

    batch: ProducerBatch
    base_offset: int = -1
    log_append_time_ms: int = -1
    error: KafkaError | None = None
    attempt: Pending | None = None


class PartitionQueue:
    """The batches of one partition, and the sequence numbers of an idempotent producer.

    A gap is a sequence number of a batch that was given up. The broker accepts nothing after a gap
    (unless the batch was appended, unknown to us), so the partition begins again at 0 under another
    epoch: once nothing is in flight, and nothing waits of which the broker has not said that it
    lacks it.
    """

    __slots__ = (
        "_held",
        "_next_order",
        "_numbered",
        "failures",
        "gap_sequence",
        "identity",
        "in_flight",
        "next_acknowledged",
        "next_sequence",
        "number",
        "ready_at_ms",
        "topic",
        "waiting",
    )  # fmt: skip

    def __init__(self, topic: str, number: int) -> None:
        self.topic = topic
        self.number = number
        self._next_order = 0
        self._numbered = 0
        # Deliveries of which nobody was told, because an earlier batch has no outcome yet.
        self._held: list[tuple[Pending, Outcome]] = []
        self.waiting: deque[Pending] = deque()
        self.in_flight: list[Pending] = []
        self.failures = 0
        self.ready_at_ms = 0.0
        self.identity = NOBODY
        self.next_sequence = 0
        self.next_acknowledged = 0
        self.gap_sequence = NO_SEQUENCE

    def add(self, batch: ProducerBatch, deadline_ms: float | None) -> None:
        """Put a new batch behind all others."""
        self.waiting.append(Pending(batch, deadline_ms, self._next_order))
        self._next_order += 1

    @property
    def is_idle(self) -> bool:
        return not self.waiting and not self.in_flight

    @property
    def has_gap(self) -> bool:
        return self.gap_sequence != NO_SEQUENCE

    def next_to_send(self) -> Pending | None:
        """The batch whose turn it is, None while the outcome of others has to be known first."""
        if not self.waiting:
            return None
        if not self.has_gap:
            return self.waiting[0]
        for pending in self.waiting:
            if pending.has_sequence and not pending.is_refused:
                return pending
        return None

    @property
    def may_begin_anew(self) -> bool:
        """Whether the old sequence numbers can be given up without doubling anything."""
        return not self.in_flight and all(
            pending.is_refused or not pending.has_sequence for pending in self.waiting
        )

    def begin_anew(self, identity: Identity) -> None:
        """Number the batches from 0 on, as ``identity``."""
        self.identity = identity
        self.next_sequence = self.next_acknowledged = 0
        self.gap_sequence = NO_SEQUENCE
        for pending in self.waiting:
            pending.forget_sequence()

    @property
    def may_send_next(self) -> bool:
        """Whether the broker could still recognize every batch without an outcome when the next
        one is appended: it knows the newest five."""
        if self._numbered == 0 or (self.waiting and self.waiting[0].has_sequence):
            return True
        outstanding = [pending.place for pending in self.in_flight if pending.has_sequence]
        outstanding += [pending.place for pending in self.waiting if pending.has_sequence]
        return self._numbered - min(outstanding, default=self._numbered) < MAX_OUTSTANDING

    def number_next(self, pending: Pending) -> None:
        """Give a batch its sequence number."""
        pending.place = self._numbered
        self._numbered += 1
        pending.identity = self.identity
        pending.base_sequence = self.next_sequence
        self.next_sequence = sequence_after(self.next_sequence, pending.batch.record_count)

    def put_parts_back(self, whole: Pending, parts: list[Pending]) -> None:
        """A batch was split: its parts share its order and its sequence numbers."""
        sequence = whole.base_sequence
        for part in parts:
            part.identity = whole.identity
            part.place = whole.place
            if whole.has_sequence:
                part.base_sequence = sequence
                sequence = sequence_after(sequence, part.batch.record_count)
        if whole.has_sequence:
            self._numbered += len(parts) - 1
        for part in reversed(parts):
            self.put_back(part)

    def put_back(self, pending: Pending) -> None:
        """A batch is to be sent again: before all that came after it."""
        position = 0
        while position < len(self.waiting) and self.waiting[position].order < pending.order:
            position += 1
        self.waiting.insert(position, pending)

    def acknowledged(self, pending: Pending) -> None:
        """A batch was appended; so was everything before it, then."""
        self.failures = 0
        if not self._is_current(pending):
            return
        self.next_acknowledged = sequence_after(pending.base_sequence, pending.batch.record_count)
        if self.has_gap and not precedes(pending.base_sequence, self.gap_sequence):
            self.gap_sequence = NO_SEQUENCE

    def given_up(self, pending: Pending) -> None:
        """A batch has failed; maybe it was appended all the same."""
        if self._is_current(pending) and (
            not self.has_gap or precedes(self.gap_sequence, pending.base_sequence)
        ):
            self.gap_sequence = pending.base_sequence

    def hold_if_early(self, pending: Pending, outcome: Outcome) -> bool:
        """Keep a delivery back while a batch before it has no outcome; whether that is so.

        The broker appends in order, but it may answer that an earlier batch took too long, and
        only the repetition of that one brings its offset.
        """
        if not self._is_early(pending):
            return False
        position = len(self._held)
        while position and _is_before(pending, self._held[position - 1][0]):
            position -= 1
        self._held.insert(position, (pending, outcome))
        return True

    def take_released(self) -> list[Outcome]:
        """The deliveries that nothing earlier keeps back any more, in order."""
        released: list[Outcome] = []
        while self._held and not self._is_early(self._held[0][0]):
            released.append(self._held.pop(0)[1])
        return released

    def _is_early(self, pending: Pending) -> bool:
        return pending.has_sequence and any(
            _is_before(other, pending) and not other.is_done
            for batches in (self.waiting, self.in_flight)
            for other in batches
        )

    def is_behind_gap(self, pending: Pending) -> bool:
        """Whether the broker lacks a sequence number before this batch's for good."""
        return self.has_gap and precedes(self.gap_sequence, pending.base_sequence)

    def _is_current(self, pending: Pending) -> bool:
        return pending.has_sequence and pending.identity == self.identity


def _is_before(first: Pending, second: Pending) -> bool:
    """Whether a batch has a lower sequence number than another of the same producer."""
    is_comparable = first.has_sequence and first.identity == second.identity
    return is_comparable and precedes(first.base_sequence, second.base_sequence)


def precedes(first: int, second: int) -> bool:
    """Whether a sequence number comes before another, wherever between them they began again."""
    return 0 < ((second - first) & _MAX_SEQUENCE) <= _MAX_SEQUENCE // 2
