"""What a coordinator decides: effects as data, in the order in which they must happen."""

from __future__ import annotations

from collections.abc import Hashable
from typing import NamedTuple


class CoordinatorRecord(NamedTuple):
    """One record of the coordinator's log; a value of ``None`` is a tombstone."""

    key: bytes
    value: bytes | None


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
    2. ``events`` are passed to `apply`: what a restart may forget.
    3. ``timers`` are set or cancelled.
    4. ``replies`` are released once the high watermark has passed *everything appended so far*, not
       only this outcome's own records: an answer may rest on a record of an earlier outcome that
       isn't durable yet (an assignment, a committed offset).

    Between `decide` and step 3 nothing else may be decided by the same shard.
    """

    __slots__ = ("events", "is_atomic", "records", "replies", "timers")

    def __init__(self, *, is_atomic: bool = True) -> None:
        self.records: list[CoordinatorRecord] = []
        self.events: list[object] = []
        self.replies: list[Reply] = []
        self.timers: list[Timer] = []
        self.is_atomic = is_atomic

    def reply(self, token: object, response: object) -> None:
        """Answers the command that carried ``token``."""
        self.replies.append(Reply(token, response))

    def set_timer(self, key: Hashable, deadline_ms: int) -> None:
        """Sets the timer of ``key``, replacing an earlier deadline."""
        self.timers.append(Timer(key, deadline_ms))

    def cancel_timer(self, key: Hashable) -> None:
        """Cancels the timer of ``key``, if it is set."""
        self.timers.append(Timer(key, None))

    def __repr__(self) -> str:
        return (
            f"Outcome(records={self.records}, events={self.events}, "
            f"replies={self.replies}, timers={self.timers}, is_atomic={self.is_atomic})"
        )
