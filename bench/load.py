"""The load generator: one process, non-blocking sockets, requests built in advance.

It is the same for every broker, and does little per request: bytes are sent as they are, replies
are counted by their size and checked where their error codes are.
"""

from __future__ import annotations

import select
import socket
import time
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from bench.requests import ReplyShape, UnexpectedReply

_RECEIVE_BYTES = 64 * 1024
_STALLED_SECONDS = 30.0
# The kernel wakes a sleeper about this late; the rest of a wait is spent looking at the clock.
_WAKE_LATE_SECONDS = 100e-6
_READ, _READ_WRITE = select.EPOLLIN, select.EPOLLIN | select.EPOLLOUT


class Throughput(NamedTuple):
    """What a closed loop achieved."""

    replies: int
    seconds: float

    @property
    def per_second(self) -> float:
        return self.replies / self.seconds


class LoadConnection:
    """One connection that sends frames in turn, over and over.

    Args:
        address: host and port.
        frames: sent one after the other, then again from the first.
        shape: of every reply.
        in_flight: how many requests it keeps unanswered.
        first: which of the frames comes first.
    """

    def __init__(
        self,
        address: tuple[str, int],
        frames: Sequence[bytes],
        shape: ReplyShape,
        *,
        in_flight: int = 1,
        first: int = 0,
    ) -> None:
        self.socket = socket.create_connection(address, timeout=_STALLED_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.in_flight = in_flight
        self.unanswered = 0
        self._frames = frames
        self._next = first % len(frames)
        self._shape = shape
        capacity = max(1, _RECEIVE_BYTES // shape.size_bytes) * shape.size_bytes
        self._received = memoryview(bytearray(capacity))
        self._filled = 0
        self._unsent = memoryview(b"")

    @property
    def has_unsent(self) -> bool:
        """Whether the socket has to take more bytes before requests are complete."""
        return bool(self._unsent)

    def request(self, count: int) -> None:
        """Send the next ``count`` frames, as far as the socket takes them now."""
        self.unanswered += count
        frames, start = self._frames, self._next
        if len(frames) == 1:
            data = frames[0] if count == 1 else frames[0] * count
        elif count == 1:
            data = frames[start]
        else:
            data = b"".join([frames[(start + each) % len(frames)] for each in range(count)])
        self._next = (start + count) % len(frames)
        if self._unsent:
            self._unsent = memoryview(bytes(self._unsent) + data)
            return
        sent = self._send(data)
        if sent < len(data):
            self._unsent = memoryview(data)[sent:]

    def flush(self) -> None:
        """Send what was left over."""
        self._unsent = self._unsent[self._send(self._unsent) :]

    def replies(self) -> int:
        """Receive what there is; returns how many replies became complete.

        Raises:
            UnexpectedReply: a reply isn't of the expected shape.
            ConnectionError: the broker closed the connection.
        """
        try:
            count = self.socket.recv_into(self._received[self._filled :])
        except BlockingIOError:
            return 0
        if not count:
            raise ConnectionError("the broker closed a connection")
        filled = self._filled + count
        size_bytes = self._shape.size_bytes
        if filled < size_bytes:
            self._filled = filled
            return 0
        complete = filled // size_bytes
        end = complete * size_bytes
        self._check(end)
        if end < filled:
            self._received[: filled - end] = bytes(self._received[end:filled])
        self._filled = filled - end
        self.unanswered -= complete
        return complete

    def close(self) -> None:
        self.socket.close()

    def _send(self, data: bytes | memoryview) -> int:
        try:
            return self.socket.send(data)
        except BlockingIOError:
            return 0

    def _check(self, end: int) -> None:
        size_bytes = self._shape.size_bytes
        received = self._received
        # The length prefix, and each error code in all replies at once.
        length = int.from_bytes(received[:4], "big")
        if length != size_bytes - 4 or any(
            any(received[position:end:size_bytes]) for position in self._shape.error_positions
        ):
            raise UnexpectedReply(f"a reply of {length + 4} bytes with an error, or out of shape")


class Connections:
    """Several load connections to one broker, closed together."""

    def __init__(
        self,
        address: tuple[str, int],
        frames: Sequence[bytes],
        shape: ReplyShape,
        *,
        connections: int,
        in_flight: int = 1,
    ) -> None:
        self._poll = select.epoll()
        self.all: list[LoadConnection] = []
        for number in range(connections):
            # Apart from each other, so that not all read the same.
            first = number * len(frames) // connections
            connection = LoadConnection(address, frames, shape, in_flight=in_flight, first=first)
            self.all.append(connection)
        self._by_descriptor = {each.socket.fileno(): each for each in self.all}
        self._waits_to_send: set[int] = set()
        for descriptor in self._by_descriptor:
            self._poll.register(descriptor, _READ)

    def __enter__(self) -> Connections:
        return self

    def __exit__(self, *_: object) -> None:
        for each in self.all:
            each.close()
        self._poll.close()

    def closed_loop(self, *, seconds: float, max_requests: int | None = None) -> Throughput:
        """Keep every connection's requests in flight for a time, or up to a number of requests."""
        left = max_requests if max_requests is not None else 1 << 62
        start = time.perf_counter()
        deadline = start + seconds
        for connection in self.all:
            count = min(connection.in_flight, left)
            left -= count
            self._request(connection, count)
        done = 0
        now = start
        while now < deadline and (left or self._is_waiting()):
            for connection in self._ready(_STALLED_SECONDS):
                complete = connection.replies()
                if complete:
                    done += complete
                    again = min(complete, left)
                    if again:
                        left -= again
                        self._request(connection, again)
            now = time.perf_counter()
        elapsed = now - start
        self._drain()
        return Throughput(done, elapsed)

    def open_loop(self, *, per_second: float, seconds: float) -> list[float]:
        """Send at a steady rate, whatever the answers do, the connections taking turns.

        Returns each request's seconds from when it should have been sent until its answer was
        there: a broker that stalls is charged for all it delays (no coordinated omission).
        """
        intended: dict[LoadConnection, deque[float]] = {each: deque() for each in self.all}
        latencies: list[float] = []
        count = int(per_second * seconds)
        interval = 1 / per_second
        start = time.perf_counter() + interval
        issued = 0
        while len(latencies) < count:
            now = time.perf_counter()
            while issued < count and start + issued * interval <= now:
                connection = self.all[issued % len(self.all)]
                intended[connection].append(start + issued * interval)
                self._request(connection, 1)
                issued += 1
            due = start + issued * interval if issued < count else now + _STALLED_SECONDS
            for connection in self._ready(due - time.perf_counter()):
                complete = connection.replies()
                now = time.perf_counter()
                waiting = intended[connection]
                latencies.extend([now - waiting.popleft() for _ in range(complete)])
        return latencies

    def _request(self, connection: LoadConnection, count: int) -> None:
        connection.request(count)
        if connection.has_unsent:
            descriptor = connection.socket.fileno()
            self._waits_to_send.add(descriptor)
            self._poll.modify(descriptor, _READ_WRITE)

    def _ready(self, seconds: float) -> list[LoadConnection]:
        """The connections with something to receive, after at most ``seconds``."""
        events = self._wait(seconds)
        readable = []
        for descriptor, mask in events:
            connection = self._by_descriptor[descriptor]
            if mask & select.EPOLLOUT:
                connection.flush()
                if not connection.has_unsent:
                    self._waits_to_send.discard(descriptor)
                    self._poll.modify(descriptor, _READ)
            if mask & ~select.EPOLLOUT:
                readable.append(connection)
        return readable

    def _wait(self, seconds: float) -> list[tuple[int, int]]:
        if seconds >= 1:
            events = self._poll.poll(seconds)
            if not events:
                raise TimeoutError(f"no broker answered for {seconds:.0f} s")
            return events
        # epoll counts in milliseconds, select on its descriptor in microseconds.
        if seconds > _WAKE_LATE_SECONDS:
            select.select([self._poll], [], [], seconds - _WAKE_LATE_SECONDS)
        return self._poll.poll(0)

    def _is_waiting(self) -> bool:
        return any(each.unanswered for each in self.all)

    def _drain(self) -> None:
        while self._is_waiting():
            for connection in self._ready(_STALLED_SECONDS):
                connection.replies()


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that ``percent`` of all values don't exceed."""
    ordered = sorted(values)
    rank = max(0, -(-len(ordered) * percent // 100) - 1)
    return ordered[int(rank)]
