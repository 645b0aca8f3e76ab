"""A coordinator shard's runtime in virtual time, over a log in memory.

It drives a shard as the broker does, and nothing moves unless it is told to: time with
`advance_to`, the high watermark with `flush`, and `crash` loses what a crash may lose.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Hashable
from typing import Any, Protocol

from ottla.coordination.outcome import CoordinatorRecord, Outcome, Reply


class Shard(Protocol):
    """What every kind of coordinator shard can do."""

    def decide(self, command: Any, now_ms: int) -> Outcome:
        """What a command leads to."""

    def on_timer(self, key: Any, now_ms: int) -> Outcome:
        """What a timer's expiry leads to."""

    def loaded(self, now_ms: int) -> Outcome:
        """What there is to do after the replay of the log."""

    def replay(self, record: CoordinatorRecord) -> object:
        """Takes in a record."""

    def apply(self, event: Any) -> None:
        """Takes in an event."""


class ShardRuntime:
    """Owns a shard, its log, its timers and the replies that wait for the high watermark."""

    def __init__(
        self,
        new_shard: Callable[[], Shard],
        on_reply: Callable[[Reply], None],
        *,
        now_ms: int = 0,
        flushes_at_once: bool = True,
    ) -> None:
        self.now_ms = now_ms
        self.log: list[CoordinatorRecord] = []
        self.high_watermark = 0
        self._new_shard = new_shard
        self._on_reply = on_reply
        self._flushes_at_once = flushes_at_once
        self._parked: list[tuple[int, Reply]] = []
        self._deadlines: dict[Hashable, tuple[int, int]] = {}
        self._heap: list[tuple[int, int, Hashable]] = []
        self._timer_count = 0
        self._load()

    def submit(self, command: object) -> Outcome:
        """Decides the command and performs what comes out."""
        return self._perform(self.shard.decide(command, self.now_ms))

    def flush(self) -> None:
        """Makes all of the log durable and lets the replies go that waited for it."""
        self.high_watermark = len(self.log)
        parked, self._parked = self._parked, []
        for _, reply in parked:
            self._on_reply(reply)

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
        assert self.high_watermark <= end <= len(self.log)
        del self.log[end:]
        self.high_watermark = end
        self._parked.clear()
        self._deadlines.clear()
        self._heap.clear()
        self._load()

    def _load(self) -> None:
        self.shard = self._new_shard()
        for record in self.log:
            self.shard.replay(record)
        self._perform(self.shard.loaded(self.now_ms))

    def _perform(self, outcome: Outcome) -> Outcome:
        self.log.extend(outcome.records)
        for record in outcome.records:
            self.shard.replay(record)
        for event in outcome.events:
            self.shard.apply(event)
        for timer in outcome.timers:
            self._deadlines.pop(timer.key, None)
            if timer.deadline_ms is not None:
                self._timer_count += 1
                mark = (timer.deadline_ms, self._timer_count)
                self._deadlines[timer.key] = mark
                heapq.heappush(self._heap, (*mark, timer.key))
        self._parked.extend((len(self.log), reply) for reply in outcome.replies)
        if self._flushes_at_once or self.high_watermark == len(self.log):
            self.flush()
        return outcome
