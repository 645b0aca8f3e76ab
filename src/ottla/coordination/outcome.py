"""What a coordinator decides: effects as data, in the order in which they must happen."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import NamedTuple

# A batch's header, and what a record costs at most besides its key and value.
_BATCH_OVERHEAD_BYTES = 61
_RECORD_OVERHEAD_BYTES = 32


class CoordinatorRecord(NamedTuple):
    """One record of the coordinator's log; a value of ``None`` is a tombstone."""

    key: bytes
    value: bytes | None


def size_bytes(records: Iterable[CoordinatorRecord]) -> int:
    """The most that a batch of these records takes in the log, uncompressed."""
    return _BATCH_OVERHEAD_BYTES + sum(
        _RECORD_OVERHEAD_BYTES + len(record.key) + len(record.value or b"") for record in records
    )


class SkippedRecord(NamedTuple):
    """A record that a replay passed over, and why: worth a line in the log, no more."""

    reason: str


class TransactionalProducer(NamedTuple):
    """The producer within whose transaction records were written, and its epoch."""

    producer_id: int
    producer_epoch: int
    guard: object = None
    """With which the partition lets the transaction begin; a core passes it on from the command."""


class Reply(NamedTuple):
    """The answer to the command that carried ``token``; each token is answered exactly once."""

    token: object
    response: object


class Timer(NamedTuple):
    """Sets the one timer of that key anew, or cancels it when ``deadline_ms`` is ``None``."""

    key: Hashable
    deadline_ms: int | None


class Outcome:
    """A decision about one command or one expired timer. Its fields are performed in order:

    1. ``records`` are appended to the log (as one batch when ``is_atomic``, else in as many as the
       batch size asks for), then passed to `replay` one by one. If the append fails nothing else
       of the outcome happens: the shard is thrown away and loaded again.
       With a ``producer`` they are part of its transaction: one transactional batch, replayed with
       the producer, which the core lets take effect when `end_transaction` tells of a commit. A
       batch that the log refuses because of its producer refuses the command and nothing else.
    2. ``events`` are passed to `apply`: what a restart may forget.
    3. ``timers`` are set or cancelled.
    4. ``replies`` are released once the high watermark has passed *everything appended so far*, not
       only this outcome's own records: an answer may rest on a record of an earlier outcome that
       isn't durable yet (an assignment, a committed offset).
    5. ``requests`` go to the shard's port at the same moment as the replies: what the world outside
       is asked to do because of what is now durable (write the markers of a transaction).

    The records of an outcome without replies and requests become durable a moment later than
    others, unless somebody comes to wait for them.

    Between `decide` and step 3 nothing else may be decided by the same shard.
    """

    __slots__ = ("events", "is_atomic", "producer", "records", "replies", "requests", "timers")

    def __init__(
        self, *, is_atomic: bool = True, producer: TransactionalProducer | None = None
    ) -> None:
        self.records: list[CoordinatorRecord] = []
        self.events: list[object] = []
        self.replies: list[Reply] = []
        self.timers: list[Timer] = []
        self.requests: list[object] = []
        self.is_atomic = is_atomic
        self.producer = producer

    def reply(self, token: object, response: object) -> None:
        """Answers the command that carried ``token``."""
        self.replies.append(Reply(token, response))

    def set_timer(self, key: Hashable, deadline_ms: int) -> None:
        """Sets the timer of ``key``, replacing an earlier deadline."""
        self.timers.append(Timer(key, deadline_ms))

    def cancel_timer(self, key: Hashable) -> None:
        """Cancels the timer of ``key``, if it is set."""
        self.timers.append(Timer(key, None))

    def clear(self) -> None:
        """Forgets all that was decided so far: the command is refused after all."""
        for part in (self.records, self.events, self.replies, self.timers, self.requests):
            part.clear()

    def __repr__(self) -> str:
        return (
            f"Outcome(records={self.records}, events={self.events}, "
            f"replies={self.replies}, timers={self.timers}, requests={self.requests}, "
            f"is_atomic={self.is_atomic}, producer={self.producer})"
        )
