"""All client connections: their limits, their idle times, their end."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import Counter, deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from ottla.broker.socket_room import SocketRoom

if TYPE_CHECKING:
    from ottla.broker.session import Session

_logger = logging.getLogger(__name__)

# How often idle connections are looked for; the idle limit itself is minutes.
_SWEEP_INTERVAL_S = 5.0


class Connections:
    """The sessions of one event loop.

    Args:
        max_connections: further connections are closed as they come (``max.connections``, and no
            more than the open files allow).
        max_per_host: the same per client address (``max.connections.per.ip``).
        max_idle_ms: a connection without traffic for this long is closed
            (``connections.max.idle.ms``; negative: never).
        send_buffer_bytes: the sockets' send buffers; negative leaves them to the system, which
            grows them beyond what fits the processor's cache.
        receive_buffer_bytes: the same for what is received.
    """

    def __init__(
        self,
        *,
        max_connections: int,
        max_per_host: int,
        max_idle_ms: int,
        send_buffer_bytes: int = -1,
        receive_buffer_bytes: int = -1,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._max_connections = max_connections
        self._max_per_host = max_per_host
        self._max_idle_ms = max_idle_ms
        self._send_buffer_bytes = send_buffer_bytes
        self._receive_buffer_bytes = receive_buffer_bytes
        self._unflushed: list[Session] = []
        self._is_turn_taken = False
        self._awaiting_turn: deque[Session] = deque()
        self._sessions: set[Session] = set()
        self._per_host: Counter[str] = Counter()
        self._closed_listeners: dict[Session, list[Callable[[], None]]] = {}
        self._sweep_timer: asyncio.TimerHandle | None = None
        self.socket_room = SocketRoom()
        """For replies larger than a socket's send buffer."""

    def __len__(self) -> int:
        return len(self._sessions)

    def __iter__(self) -> Iterator[Session]:
        return iter(self._sessions)

    def now(self) -> float:
        """The event loop's time in seconds, cached by it per iteration."""
        return self._loop.time()

    def start(self) -> None:
        """Begin closing idle connections."""
        if self._max_idle_ms >= 0:
            self._sweep_timer = self._loop.call_later(_SWEEP_INTERVAL_S, self._sweep)

    def opened(self, session: Session) -> None:
        """Admit a session, or close it when a limit is reached."""
        host = session.client_host
        session.last_active = self.now()
        self._sessions.add(session)
        self._per_host[host] += 1
        if len(self._sessions) > self._max_connections:
            session.refuse(f"max.connections={self._max_connections} is reached")
        elif self._per_host[host] > self._max_per_host:
            session.refuse(f"max.connections.per.ip={self._max_per_host} is reached")

    def closed(self, session: Session) -> None:
        """Forget a session."""
        if session not in self._sessions:
            return
        self._sessions.discard(session)
        host = session.client_host
        self._per_host[host] -= 1
        if not self._per_host[host]:
            del self._per_host[host]
        for tell in self._closed_listeners.pop(session, ()):
            tell()

    def when_closed(self, session: Session, tell: Callable[[], None]) -> None:
        """Call ``tell`` when the session is over; at once if it is already."""
        if session in self._sessions:
            self._closed_listeners.setdefault(session, []).append(tell)
        else:
            tell()

    def forget_when_closed(self, session: Session, tell: Callable[[], None]) -> None:
        """Undo `when_closed`."""
        listeners = self._closed_listeners.get(session)
        if listeners is not None and tell in listeners:
            listeners.remove(tell)
            if not listeners:
                del self._closed_listeners[session]

    def flush_soon(self, session: Session) -> None:
        """Send the session's replies at the end of the loop's iteration: those that one group
        commit releases leave together."""
        if not self._unflushed:
            self._loop.call_soon(self._flush)
        self._unflushed.append(session)

    def take_turn(self, session: Session) -> bool:
        """Whether a large request may run in this iteration of the loop: one of all connections
        does, so that small ones are never behind more than that. Otherwise ``begin_turn`` is called
        when it may."""
        if self._is_turn_taken:
            self._awaiting_turn.append(session)
            return False
        self._is_turn_taken = True
        self._loop.call_soon(self._next_turn)
        return True

    def _next_turn(self) -> None:
        if not self._awaiting_turn:
            self._is_turn_taken = False
            return
        self._loop.call_soon(self._next_turn)
        self._awaiting_turn.popleft().begin_turn()

    def set_buffers(self, connection: socket.socket) -> None:
        """Give a new connection the configured buffers."""
        for option, size_bytes in (
            (socket.SO_SNDBUF, self._send_buffer_bytes),
            (socket.SO_RCVBUF, self._receive_buffer_bytes),
        ):
            if size_bytes >= 0:
                connection.setsockopt(socket.SOL_SOCKET, option, size_bytes)

    def _flush(self) -> None:
        sessions, self._unflushed = self._unflushed, []
        for session in sessions:
            session.flush()

    def stop_reading(self) -> None:
        """Begin no more requests; those that have begun go on."""
        for session in self._sessions:
            session.stop_reading()

    def close_all(self) -> None:
        """End every session and the search for idle ones."""
        if self._sweep_timer is not None:
            self._sweep_timer.cancel()
        for session in list(self._sessions):
            session.close()
        self.socket_room.close()

    def _sweep(self) -> None:
        limit = self.now() - self._max_idle_ms / 1000
        for session in [each for each in self._sessions if each.last_active < limit]:
            _logger.info("closing %s: idle for %d ms", session.client_host, self._max_idle_ms)
            session.close()
        self._sweep_timer = self._loop.call_later(_SWEEP_INTERVAL_S, self._sweep)
