"""A coordinator shard's runtime in virtual time, over a log in memory.

It drives a shard as the broker does, and nothing moves unless it is told to: time with
`advance_to`, the high watermark with `flush`, and `crash` loses what a crash may lose.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

from ottla.coordination.core import CoordinatorCore
from ottla.coordination.outcome import CoordinatorRecord, Outcome, Reply, TransactionalProducer


class LoggedRecord(NamedTuple):
    """A record in the log, and whose transaction it is part of."""

    record: CoordinatorRecord
    producer: TransactionalProducer | None


class LoggedEnd(NamedTuple):
    """The end marker of a transaction in the log."""

    producer: TransactionalProducer
    is_committed: bool


class ShardRuntime:
    """Owns a shard, its log, its timers and what waits for the high watermark.

    Args:
        on_request: the shard's port.
    """

    def __init__(
        self,
        new_shard: Callable[[], CoordinatorCore],
        on_reply: Callable[[Reply], None],
        *,
        on_request: Callable[[Any], None] | None = None,
        now_ms: int = 0,
        flushes_at_once: bool = True,
    ) -> None:
        self.now_ms = now_ms
        self.entries: list[LoggedRecord | LoggedEnd] = []
        self.high_watermark = 0
        self._new_shard = new_shard
        self._on_reply = on_reply
        self._on_request = on_request
        self._flushes_at_once = flushes_at_once
        self._parked: list[tuple[list[Reply], list[object]]] = []
        self._deadlines: dict[Hashable, tuple[int, int]] = {}
        self._heap: list[tuple[int, int, Hashable]] = []
        self._timer_count = 0
        self._load()

    @property
    def log(self) -> list[CoordinatorRecord]:
        """The records of the log, without end markers."""
        return [entry.record for entry in self.entries if isinstance(entry, LoggedRecord)]

    def submit(self, command: object) -> Outcome:
        """Decides the command and performs what comes out."""
        return self._perform(self.shard.decide(command, self.now_ms))

    def submit_together(self, commands: Sequence[object]) -> list[Outcome]:
        """Decides commands that came at the same moment, and performs each outcome."""
        shard: Any = self.shard
        return [
            self._perform(outcome) for _, outcome in shard.decide_together(commands, self.now_ms)
        ]

    def end_transaction(self, producer_id: int, producer_epoch: int, *, is_committed: bool) -> None:
        """Appends an end marker, as a transaction coordinator does."""
        producer = TransactionalProducer(producer_id, producer_epoch)
        self.entries.append(LoggedEnd(producer, is_committed))
        self.shard.end_transaction(producer_id, producer_epoch, is_committed)
        if self._flushes_at_once:
            self.flush()

    def flush(self) -> None:
        """Makes all of the log durable and lets what waited for it go."""
        self.high_watermark = len(self.entries)
        parked, self._parked = self._parked, []
        for replies, requests in parked:
            for reply in replies:
                self._on_reply(reply)
            for request in requests:
                assert self._on_request is not None, f"nobody takes {request}"
                self._on_request(request)

    def next_deadline_ms(self) -> int | None:
        """When the next timer fires."""
        while self._heap:
            deadline_ms, mark, key = self._heap[0]
            if self._deadlines.get(key) == (deadline_ms, mark):
                return deadline_ms
            heapq.heappop(self._heap)
        return None

    def deadline_ms(self, key: Hashable) -> int | None:
        """When the timer of that key fires; ``None`` if it isn't set."""
        found = self._deadlines.get(key)
        return None if found is None else found[0]

    def advance_to(self, now_ms: int) -> None:
        """Moves the clock, firing every timer on the way at its own time."""
        while (deadline_ms := self.next_deadline_ms()) is not None and deadline_ms <= now_ms:
            _, _, key = heapq.heappop(self._heap)
            del self._deadlines[key]
            self.now_ms = max(self.now_ms, deadline_ms)
            self._perform(self.shard.on_timer(key, self.now_ms))
        self.now_ms = max(self.now_ms, now_ms)

    def crash(self, log_end: int | None = None) -> None:
        """Restarts over the durable part of the log, or up to ``log_end`` beyond it.

        Replies that wait are lost, with the connections they would have gone to.
        """
        end = self.high_watermark if log_end is None else log_end
        assert self.high_watermark <= end <= len(self.entries)
        del self.entries[end:]
        self.high_watermark = end
        self._parked.clear()
        self._deadlines.clear()
        self._heap.clear()
        self._load()

    def _load(self) -> None:
        self.shard = self._new_shard()
        for entry in self.entries:
            if isinstance(entry, LoggedRecord):
                self.shard.replay(entry.record, entry.producer)
            else:
                producer_id, producer_epoch, _ = entry.producer
                self.shard.end_transaction(producer_id, producer_epoch, entry.is_committed)
        self._perform(self.shard.loaded(self.now_ms))

    def _perform(self, outcome: Outcome) -> Outcome:
        for record in outcome.records:
            # A log holds bytes and nothing else that the record may know.
            self.entries.append(LoggedRecord(CoordinatorRecord(*record), outcome.producer))
            self.shard.replay(record, outcome.producer)
        for event in outcome.events:
            self.shard.apply(event)
        for timer in outcome.timers:
            self._deadlines.pop(timer.key, None)
            if timer.deadline_ms is not None:
                self._timer_count += 1
                mark = (timer.deadline_ms, self._timer_count)
                self._deadlines[timer.key] = mark
                heapq.heappush(self._heap, (*mark, timer.key))
        if outcome.replies or outcome.requests:
            self._parked.append((outcome.replies, outcome.requests))
        if self._flushes_at_once or self.high_watermark == len(self.entries):
            self.flush()
        return outcome


class ShardDesk:
    """In front of one shard: what is asked is answered by token, at once or some time later.

    Args:
        runtime_arguments: as `ShardRuntime` has them.
    """

    def __init__(self, new_shard: Callable[[], CoordinatorCore], **runtime_arguments: Any) -> None:
        self.answers: dict[object, Any] = {}
        self.runtime = ShardRuntime(new_shard, self._on_reply, **runtime_arguments)

    def _on_reply(self, reply: Reply) -> None:
        assert reply.token not in self.answers, "a token is answered once"
        self.answers[reply.token] = reply.response

    def wait(self, duration_ms: int) -> None:
        """Lets time pass."""
        self.runtime.advance_to(self.runtime.now_ms + duration_ms)

    def restart(self) -> None:
        """Crashes and loads again."""
        self.runtime.crash()
