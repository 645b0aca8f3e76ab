"""Replies that wait for records to be durable: to Produce, and to WriteTxnMarkers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from ottla.broker.errors import error_code_of
from ottla.broker.partition import Partition
from ottla.wire.errors import ErrorCode

# Timeouts are seconds; replies that are late are looked for at this pace.
_SWEEP_INTERVAL_S = 0.5

if TYPE_CHECKING:
    from ottla.wire.declare import Message


class PartitionResult(Protocol):
    """A partition's part of a response."""

    error_code: int


# A partition, the end of the records appended to it, and its part of the response.
WaitingPartition = tuple[Partition, int, PartitionResult]


class DurableReply:
    """Leaves once every partition's high watermark has passed the request's records.

    It is a watermark waiter in which each partition counts once, and a pending answer (see
    ``dispatch.Pending``) without a future or a timer of its own: there is one for each request.
    """

    __slots__ = ("_deadlines", "_has_failed", "_left", "_response", "_send", "_waiting", "deadline")

    def __init__(
        self,
        response: Message,
        waiting: Sequence[WaitingPartition],
        timeout_ms: int,
        deadlines: Deadlines,
    ) -> None:
        self._response = response
        self._waiting = waiting
        self._has_failed = False
        # One more than the partitions waited for, so that it can't be done before `then`.
        self._left = 1 + len(waiting)
        self._send: Callable[[Any], None] | None = None
        self._deadlines = deadlines
        self.deadline = deadlines.add(self, timeout_ms)
        for partition, offset, _ in waiting:
            partition.when_reached(offset, self)

    def then(self, send: Callable[[Any], None]) -> None:
        """Hand the response to ``send`` when it is due."""
        self._send = send
        self.reached()

    def abandon(self) -> None:
        """The client has gone; its records go their way all the same."""

    def reached(self) -> None:
        self._left -= 1
        if not self._left:
            self._finish()

    def failed(self, error: Exception) -> None:
        """The disk failed, or the topic is gone: what was appended may be lost."""
        self._has_failed = True
        self.reached()

    def expire(self) -> None:
        """The client's time is up; what was appended stays appended, as in Kafka."""
        self._has_failed = True
        self._left = 0
        self._finish()

    def _refuse_late(self) -> None:
        """Partitions that made it are answered as such beside those that did not."""
        for partition, offset, produced in self._waiting:
            if partition.high_watermark >= offset:
                continue
            if partition.failure is not None:
                produced.error_code = error_code_of(partition.failure)
            else:
                produced.error_code = ErrorCode.REQUEST_TIMED_OUT

    def _finish(self) -> None:
        if self._has_failed:
            self._refuse_late()
        self._deadlines.remove(self)
        send, self._send = self._send, None
        if send is not None:
            send(self._response)


async def result_of(reply: DurableReply) -> Any:
    """Wait for the response."""
    due: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    reply.then(due.set_result)
    return await due


class Expiring(Protocol):
    """A reply whose time may be up before it can leave."""

    deadline: float
    """In the loop's seconds."""

    def expire(self) -> None: ...


class Deadlines:
    """The replies that wait, and the one timer that finds those whose time is up."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[Expiring, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, reply: Expiring, timeout_ms: int) -> float:
        """Watch a reply; returns when its time is up, in the loop's seconds."""
        self._waiting[reply] = None
        if self._timer is None:
            self._timer = self._loop.call_later(_SWEEP_INTERVAL_S, self._sweep)
        return self._loop.time() + max(timeout_ms, 0) / 1000

    def remove(self, reply: Expiring) -> None:
        """The reply has left."""
        self._waiting.pop(reply, None)

    def stop(self) -> None:
        """Watch nothing any more."""
        if self._timer is not None:
            self._timer.cancel()

    def _sweep(self) -> None:
        now = self._loop.time()
        for reply in [each for each in self._waiting if each.deadline <= now]:
            reply.expire()
        self._timer = None
        if self._waiting:
            self._timer = self._loop.call_later(_SWEEP_INTERVAL_S, self._sweep)
