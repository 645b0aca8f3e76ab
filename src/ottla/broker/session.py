"""One client connection: frames in, replies out in the order of the requests.

Replies keep the order of their requests, as Kafka's clients rely on. Produce requests overlap: the
next is appended while earlier ones wait for the group commit. Any other request that has to wait
stops its connection, as in Kafka; so does a client that does not read its replies.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

from ottla.broker.frames import FrameReader, FrameRefusedError
from ottla.broker.replies import (
    UNSENT_HIGH_BYTES,
    UNSENT_LOW_BYTES,
    FileSender,
    Parts,
    contains_file_slice,
    join,
)
from ottla.wire.errors import ProtocolError

if TYPE_CHECKING:
    from ottla.broker.connections import Connections
    from ottla.broker.repeated_fetch import RepeatedFetch
    from ottla.broker.repeated_produce import RepeatedProduces

_logger = logging.getLogger(__name__)

# Kafka's clients keep 5 requests in flight when idempotent; raw load generators more.
_MAX_OVERLAPPING_REQUESTS = 128
# How many requests of one connection are answered before the others have their turn.
_REQUESTS_PER_TURN = 16
# So many bytes take as long to append as a small request takes to answer, or longer.
_BYTES_LIKE_A_REQUEST = 32 * 1024
# From here on a request is so much work that only one of them runs between two looks at the others.
_LARGE_REQUEST_BYTES = 256 * 1024


class Reply:
    """A place in the order of replies; ready once ``parts`` is set (empty: nothing is sent)."""

    __slots__ = ("on_abandoned", "overlaps", "parts")

    def __init__(self, *, overlaps: bool) -> None:
        self.parts: Parts | None = None
        self.overlaps = overlaps
        self.on_abandoned: Callable[[], object] | None = None


class KnownHeader(NamedTuple):
    """The part of a request header that a client repeats, and what it says."""

    data: bytes
    end: int
    client_id: str | None


class RequestExecutor(Protocol):
    """Decodes and runs one request on behalf of a session."""

    def execute(self, session: Session, frame: memoryview) -> Reply | Parts:
        """The reply's parts, or a ``Reply`` which is completed later through
        ``session.complete``.

        Raises:
            ProtocolError: the bytes are not a request; the connection must be closed.
        """
        ...

    def overlaps(self, frame: memoryview) -> bool:
        """Whether the request may run while earlier ones of its kind wait for their answers."""
        ...


class Session(asyncio.BufferedProtocol):
    """The broker's side of one connection."""

    __slots__ = (
        "_awaits_turn",
        "_blocked",
        "_connections",
        "_executor",
        "_is_in_turn",
        "_is_stopping",
        "_postponed",
        "_reader",
        "_replies",
        "_sender",
        "_transport",
        "_turn_left",
        "_unsent",
        "_writing_paused",
        "client_host",
        "known_header",
        "last_active",
        "listener_name",
        "local_host",
        "repeated_fetch",
        "repeated_produces",
    )

    def __init__(
        self,
        connections: Connections,
        executor: RequestExecutor,
        reader: FrameReader,
        listener_name: str,
    ) -> None:
        self._connections = connections
        self._executor = executor
        self._reader = reader
        self._replies: deque[Reply] = deque()
        self._sender: FileSender | None = None
        self._transport: asyncio.Transport | None = None
        self._awaits_turn = False
        self._blocked = False
        self._is_stopping = False
        self._writing_paused = False
        self._turn_left = _REQUESTS_PER_TURN
        self._is_in_turn = False
        self._unsent: list[bytes] = []
        self._postponed: bytes | None = None
        self.listener_name = listener_name
        self.client_host = ""
        self.local_host = ""
        self.last_active = 0.0
        self.known_header: KnownHeader | None = None
        self.repeated_fetch: RepeatedFetch | None = None
        self.repeated_produces: RepeatedProduces | None = None

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        local = transport.get_extra_info("sockname")
        connection = transport.get_extra_info("socket")
        if connection is not None:
            self._connections.set_buffers(connection)
        self.client_host = peer[0] if peer else "unknown"
        self.local_host = local[0] if local else ""
        self._transport.set_write_buffer_limits(UNSENT_HIGH_BYTES, UNSENT_LOW_BYTES)
        self._connections.opened(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        for reply in self._replies:
            if reply.on_abandoned is not None and reply.parts is None:
                reply.on_abandoned()
        self._replies.clear()
        self._reader.release()
        if self._sender is not None:
            self._sender.close()
            self._sender = None
        self._connections.closed(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._reader.buffer()

    def buffer_updated(self, nbytes: int) -> None:
        self.last_active = self._connections.now()
        self._turn_left = _REQUESTS_PER_TURN
        self._is_in_turn = True
        try:
            self._reader.received(nbytes, self._on_frame)
        except (FrameRefusedError, ProtocolError) as error:
            self.refuse(error)
        except Exception:
            self._fail()
        self._is_in_turn = False
        if self._unsent:
            self.flush()

    def pause_writing(self) -> None:
        self._writing_paused = True

    def resume_writing(self) -> None:
        self._writing_paused = False
        if self._sender is not None:
            self._sender.drained()
        self._unblock()

    # What the broker calls.

    @property
    def is_closed(self) -> bool:
        return self._transport is None

    def stop_reading(self) -> None:
        """Begin no more requests; replies to those that have begun still leave."""
        self._is_stopping = True
        self._block()

    def close(self) -> None:
        """Close at once; replies still waiting are dropped."""
        if self._transport is not None:
            self._transport.abort()

    def refuse(self, reason: object) -> None:
        """Close because of what the client sent, with one log line."""
        _logger.warning("closing %s: %s", self.client_host, reason)
        self.close()

    def may_begin(self, size_bytes: int) -> bool:
        """Whether a complete frame may run now; a large one waits while others are running."""
        if size_bytes < _LARGE_REQUEST_BYTES or self._connections.take_turn(self):
            return True
        self._awaits_turn = True
        self._block()
        return False

    def begin_turn(self) -> None:
        """It is the turn of the large frame that had to wait."""
        self._awaits_turn = False
        self._unblock()

    def complete(self, reply: Reply, parts: Parts) -> None:
        """Fill in a reply that was left open; it leaves when all before it have left."""
        reply.parts = parts
        self._send_ready_replies()
        self._unblock()

    def _fail(self) -> None:
        _logger.exception("closing %s: the broker failed on its request", self.client_host)
        self.close()

    def _on_frame(self, frame: memoryview) -> bool:
        """Run one request; answers whether the next may follow now."""
        if self._replies and not self._executor.overlaps(frame):
            # A fetch sees what was produced before it on the same connection.
            self._postponed = bytes(frame)
            self._block()
            return False
        outcome = self._executor.execute(self, frame)
        if isinstance(outcome, Reply):
            if outcome.parts is None or self._replies:
                self._replies.append(outcome)
            elif outcome.parts:
                self._send(outcome.parts)
        elif self._replies:
            reply = Reply(overlaps=True)
            reply.parts = outcome
            self._replies.append(reply)
        elif outcome:
            self._send(outcome)
        may_wait = (
            self._replies or self._sender is not None or self._writing_paused or self._is_stopping
        )
        if may_wait and self._must_wait():
            return False
        return not self._has_had_its_turn(len(frame))

    def _has_had_its_turn(self, size_bytes: int) -> bool:
        """Whether it is the other connections' turn: one that pipelines must not starve them.

        The event loop would go on reading from a socket that is never empty; a large request is a
        turn of its own.
        """
        self._turn_left -= 1 + size_bytes // _BYTES_LIKE_A_REQUEST
        if self._turn_left > 0:
            return False
        self._block()
        asyncio.get_running_loop().call_soon(self._unblock)
        return True

    def _must_wait(self) -> bool:
        replies = self._replies
        self._blocked = (
            self._writing_paused
            or self._is_stopping
            or self._awaits_turn
            or (bool(replies) and self._postponed is not None)
            or (self._sender is not None and self._sender.is_busy)
            or (bool(replies) and not replies[-1].overlaps)
            or len(replies) >= _MAX_OVERLAPPING_REQUESTS
        )
        if self._blocked:
            self._block()
        return self._blocked

    def _block(self) -> None:
        self._blocked = True
        if self._transport is not None:
            self._transport.pause_reading()

    def _unblock(self) -> None:
        if self._blocked and self._transport is not None and not self._must_wait():
            self._resume()

    def _resume(self) -> None:
        """Go on with what arrived meanwhile, then with the socket."""
        postponed, self._postponed = self._postponed, None
        self._turn_left = _REQUESTS_PER_TURN
        self._is_in_turn = True
        try:
            if postponed is None or self._on_frame(memoryview(postponed)):
                self._reader.resume(self._on_frame)
        except (FrameRefusedError, ProtocolError) as error:
            self.refuse(error)
        except Exception:
            self._fail()
        self._is_in_turn = False
        self.flush()
        if not self._blocked and self._transport is not None:
            self._transport.resume_reading()

    def _send_ready_replies(self) -> None:
        replies = self._replies
        while replies and replies[0].parts is not None:
            if self._sender is not None and self._sender.is_busy:
                return
            parts = replies.popleft().parts
            if parts:
                self._send(parts)

    def _send(self, parts: Parts) -> None:
        transport = self._transport
        if transport is None:
            return
        first = parts[0]
        if len(parts) == 1 and isinstance(first, bytes):
            self._write(first)
            return
        if not contains_file_slice(parts):
            self._write(join(parts))
            return
        self.flush()
        self.last_active = self._connections.now()
        if self._sender is None:
            self._sender = FileSender(transport, self._connections.socket_room, self._sender_idle)
        self._sender.send(parts)

    def _write(self, data: bytes) -> None:
        """Send with the other replies of this turn, in one call to the system."""
        if not self._is_in_turn and not self._unsent:
            self._connections.flush_soon(self)
        self._unsent.append(data)

    def flush(self) -> None:
        """Send what has been written."""
        unsent, transport = self._unsent, self._transport
        if unsent and transport is not None:
            transport.write(unsent[0] if len(unsent) == 1 else b"".join(unsent))
        unsent.clear()

    def _sender_idle(self) -> None:
        """The last file slice has left (or the connection failed)."""
        self._send_ready_replies()
        self._unblock()
