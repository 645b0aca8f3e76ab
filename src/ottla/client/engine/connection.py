"""One connection to a broker: requests out, answers in, in order."""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Protocol, TypeAlias, cast

from ottla.client.backend import ReceiveMemory
from ottla.client.core.statistics import Window
from ottla.client.engine.failures import lost_failure
from ottla.client.engine.runtime import Runtime
from ottla.client.errors import KafkaError
from ottla.wire.apis import API_VERSIONS, APIS
from ottla.wire.declare import Buffer
from ottla.wire.errors import ProtocolError
from ottla.wire.primitives import read_unknown_tags

Reply: TypeAlias = memoryview | KafkaError
OnReply: TypeAlias = Callable[[Reply], None]

_SIZE: Final = struct.Struct(">i")
_REQUEST_START: Final = struct.Struct(">ihhi")
# What precedes the client id in a header: API key, version and correlation id.
_HEADER_START_BYTES: Final = 8
_CORRELATION_BYTES: Final = 4
_NO_TAGS: Final = b"\0"
# Most answers fit in here; a larger one gets a buffer of its own, into which it is received.
_RECEIVE_BUFFER_BYTES: Final = 64 * 1024
# How much may wait to be written before the connection counts as full.
_HIGH_WATER_BYTES: Final = 2 * 1024 * 1024
_LOW_WATER_BYTES: Final = 512 * 1024
_MAX_CORRELATION_ID: Final = 0x7FFFFFFF
_NEVER_MS: Final = float("inf")
# How often to look whether a full socket has taken everything.
_LOOK_AGAIN_MS: Final = 1.0


class ConnectionOwner(Protocol):
    """Who is told what becomes of a connection."""

    def connection_failed(self, connection: Connection, error: KafkaError) -> None:
        """It is gone; called once, after all its requests were told so."""

    def connection_writable(self, connection: Connection) -> None:
        """It was full and takes requests again."""


class Traffic:
    """What went over the connections of one broker, for the statistics."""

    __slots__ = (
        "by_api", "correlation_errors", "last_received_ms", "last_sent_ms",
        "measures_round_trips", "receive_errors", "received_bytes", "received_count",
        "round_trips_us", "sent_bytes", "sent_count", "timed_out",
    )  # fmt: skip

    def __init__(self, *, measures_round_trips: bool = False) -> None:
        self.by_api: dict[int, int] = {}
        self.sent_count = self.sent_bytes = 0
        self.received_count = self.received_bytes = 0
        self.receive_errors = self.correlation_errors = self.timed_out = 0
        self.last_sent_ms = self.last_received_ms = 0.0
        self.measures_round_trips = measures_round_trips
        self.round_trips_us = Window()


class _Request:
    """A request that waits for its answer."""

    __slots__ = ("api_key", "correlation_id", "deadline_ms", "on_reply", "sent_ms", "version")

    def __init__(
        self,
        api_key: int,
        version: int,
        correlation_id: int,
        on_reply: OnReply,
        sent_ms: float,
        deadline_ms: float,
    ) -> None:
        self.api_key = api_key
        self.version = version
        self.correlation_id = correlation_id
        self.on_reply = on_reply
        self.sent_ms = sent_ms
        self.deadline_ms = deadline_ms


class Connection(asyncio.BufferedProtocol):
    """Speaks Kafka's framing; what the frames say is the owner's business.

    Args:
        owner: told of the connection's end.
        name: the broker's name in error texts.
        runtime: the time, the log, and what the configuration says.
        traffic: counts what goes over it.
    """

    fills_buffers = True
    """Whether a large buffer has exactly the room for what is still to come."""

    def __init__(
        self, owner: ConnectionOwner, name: str, runtime: Runtime, traffic: Traffic
    ) -> None:
        configuration = runtime.configuration
        self.owner = owner
        self.name = name
        self.traffic = traffic
        self.is_full = False
        self.made_ms = runtime.now_ms()
        self._loop = runtime.loop
        self._now_ms = runtime.now_ms
        self._call_at = runtime.call_at
        self._log = runtime.log if runtime.log.debugs("protocol") else None
        self._max_frame_bytes = configuration.receive_message_max_bytes
        self._most_timeouts = configuration.socket_max_fails
        self._timeouts = 0
        encoded_id = configuration.client_id.encode()
        self._plain_id = struct.pack(">h", len(encoded_id)) + encoded_id
        self._flexible_id = self._plain_id + _NO_TAGS
        self._transport: asyncio.Transport | None = None
        self._error: KafkaError | None = None
        self._correlation_id = 0
        self._answer_count = 0
        self._waiting: deque[_Request] = deque()
        # Of requests that have no answer and may not be written out yet.
        self._unanswered: list[OnReply] = []
        self._held: list[tuple[int, int, Sequence[Buffer], OnReply, float, bool]] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_ms = _NEVER_MS
        # What was received and not yet understood lies in _buffer[_start:_end], unless an answer
        # is received into a buffer of its own, which is full up to _large_end.
        self._buffer = bytearray(_RECEIVE_BUFFER_BYTES)
        self._view = memoryview(self._buffer)
        self._start = self._end = 0
        self._large_memory = ReceiveMemory()
        self._large: memoryview | None = None
        self._large_end = 0

    # What the owner calls

    @property
    def waiting_count(self) -> int:
        """How many requests wait for their answers."""
        return len(self._waiting)

    @property
    def is_open(self) -> bool:
        """Whether requests can be sent."""
        return self._transport is not None and self._error is None

    @property
    def is_held(self) -> bool:
        """Whether requests are held back."""
        return self._held is not None

    def hold(self) -> None:
        """Hold requests back: the connection is being authenticated again."""
        self._held = []

    def resume(self) -> None:
        """Send what was held back."""
        held, self._held = self._held, None
        for api_key, version, body, on_reply, timeout_ms, has_answer in held or ():
            self.request(api_key, version, body, on_reply, timeout_ms, has_answer=has_answer)
        if self._error is None:
            self.owner.connection_writable(self)

    def request(
        self,
        api_key: int,
        version: int,
        body: Sequence[Buffer],
        on_reply: OnReply,
        timeout_ms: float,
        *,
        has_answer: bool = True,
    ) -> None:
        """Send a request. ``on_reply`` is told the answer's body or what went wrong, once."""
        if self._held is None:
            self.request_at_once(
                api_key, version, body, on_reply, timeout_ms, has_answer=has_answer
            )
        else:
            self._held.append((api_key, version, body, on_reply, timeout_ms, has_answer))

    def request_at_once(
        self,
        api_key: int,
        version: int,
        body: Sequence[Buffer],
        on_reply: OnReply,
        timeout_ms: float,
        *,
        has_answer: bool = True,
    ) -> None:
        """As :meth:`request`, even while others are held back."""
        transport = self._transport
        if transport is None or self._error is not None:
            error = self._error or KafkaError(KafkaError._TRANSPORT, f"{self.name}: not connected")
            self._loop.call_soon(on_reply, error)
            return
        self._correlation_id = correlation_id = (self._correlation_id + 1) & _MAX_CORRELATION_ID
        is_flexible = APIS[api_key].is_flexible(version)
        client_id = self._flexible_id if is_flexible else self._plain_id
        size_bytes = _HEADER_START_BYTES + len(client_id) + sum(map(len, body))
        header = _REQUEST_START.pack(size_bytes, api_key, version, correlation_id) + client_id
        now_ms = self._now_ms()
        traffic = self.traffic
        traffic.sent_count += 1
        traffic.sent_bytes += _SIZE.size + size_bytes
        traffic.last_sent_ms = now_ms
        traffic.by_api[api_key] = traffic.by_api.get(api_key, 0) + 1
        if has_answer:
            deadline_ms = now_ms + timeout_ms
            self._waiting.append(
                _Request(api_key, version, correlation_id, on_reply, now_ms, deadline_ms)
            )
            if deadline_ms < self._timer_ms:
                self._set_timer(deadline_ms)
        else:
            self._unanswered.append(on_reply)
            if len(self._unanswered) == 1:
                self._loop.call_soon(self._check_written)
        if self._log is not None:
            self._trace("SEND", "Sent", api_key, version, correlation_id, size_bytes)
        transport.writelines((header, *body))

    def close(self, error: KafkaError) -> None:
        """Close the connection; requests under way are told the error, and so is the owner."""
        if self._error is not None:
            return
        self._error = error
        if self._transport is not None:
            self._transport.abort()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting, self._waiting = self._waiting, deque()
        for request in waiting:
            self._tell(request.on_reply, error)
        self._tell_unanswered(error)
        self.owner.connection_failed(self, error)

    # What the loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not every loop's transports (uvloop's aren't) have asyncio's as their base.
        transport = cast(asyncio.Transport, transport)
        transport.set_write_buffer_limits(_HIGH_WATER_BYTES, _LOW_WATER_BYTES)
        self._transport = transport
        self.made_ms = self._now_ms()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        # Greeted, and then hung up on: so does a listener that wants another protocol.
        is_at_first = exc is None and self._answer_count <= 1 and bool(self._waiting)
        after_ms = self._now_ms() - self.made_ms
        self.close(lost_failure(self.name, exc, after_ms, is_at_first=is_at_first))

    def eof_received(self) -> None:
        return None

    def pause_writing(self) -> None:
        self.is_full = True

    def resume_writing(self) -> None:
        self.is_full = False
        if self._error is None:
            self.owner.connection_writable(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        if self._large is not None:
            return self._large[self._large_end :]
        return self._view[self._end :]

    def buffer_updated(self, nbytes: int) -> None:
        self.traffic.received_bytes += nbytes
        if self._large is None:
            self._end += nbytes
            self._take_frames()
            return
        self._large_end += nbytes
        if self._large_end == len(self._large):
            frame, self._large = self._large, None
            self._take(frame)

    # Frames

    def _take_frames(self) -> None:
        start, end = self._start, self._end
        while end - start >= _SIZE.size and self._error is None:
            (size_bytes,) = _SIZE.unpack_from(self._buffer, start)
            body_start = start + _SIZE.size
            if not _CORRELATION_BYTES <= size_bytes <= self._max_frame_bytes:
                self._refuse_size(size_bytes)
                return
            if end - body_start < size_bytes:
                break
            start = body_start + size_bytes
            # Large answers seem to be over for the time being.
            self._large_memory.give_back()
            # A copy of its own: what reads it may keep parts of it.
            self._take(memoryview(bytes(self._view[body_start:start])))
        if start == end:
            self._start = self._end = 0
        else:
            self._make_room(start, end)

    def _make_room(self, start: int, end: int) -> None:
        """Prepare for the rest of the frame that begins at ``start``."""
        self._start, self._end = start, end
        if end - start >= _SIZE.size:
            (size_bytes,) = _SIZE.unpack_from(self._buffer, start)
            if _SIZE.size + size_bytes > _RECEIVE_BUFFER_BYTES:
                self._large_end = end - start - _SIZE.size
                self._large = memoryview(self._large_memory.room(size_bytes))
                self._large[: self._large_end] = self._view[start + _SIZE.size : end]
                self._start = self._end = 0
                return
            if start + _SIZE.size + size_bytes <= _RECEIVE_BUFFER_BYTES:
                return
        elif start + _SIZE.size <= _RECEIVE_BUFFER_BYTES:
            return
        self._buffer[: end - start] = self._buffer[start:end]
        self._start, self._end = 0, end - start

    def _take(self, frame: memoryview) -> None:
        """A whole frame has come: tell whoever asked."""
        now_ms = self._now_ms()
        traffic = self.traffic
        traffic.received_count += 1
        traffic.last_received_ms = now_ms
        (correlation_id,) = _SIZE.unpack_from(frame)
        if not self._waiting or self._waiting[0].correlation_id != correlation_id:
            traffic.correlation_errors += 1
            expected = self._waiting[0].correlation_id if self._waiting else "none"
            self._fail_on_answer(
                f"an answer with correlation id {correlation_id}, expected was {expected}"
            )
            return
        request = self._waiting[0]
        position = _CORRELATION_BYTES
        # ApiVersions answers with the oldest header, for its asker knows no versions yet.
        if request.api_key != API_VERSIONS and APIS[request.api_key].is_flexible(request.version):
            try:
                position = _after_tags(frame, position)
            except ProtocolError as error:
                self._fail_on_answer(f"a header that makes no sense: {error}")
                return
        self._waiting.popleft()
        self._answer_count += 1
        self._timeouts = 0
        if self._log is not None:
            number, version = request.correlation_id, request.version
            self._trace("RECV", "Received", request.api_key, version, number, len(frame))
        if traffic.measures_round_trips:
            traffic.round_trips_us.add((now_ms - request.sent_ms) * 1000)
        self._tell(request.on_reply, frame[position:])

    def _trace(
        self, facility: str, verb: str, api_key: int, version: int, correlation_id: int, size: int
    ) -> None:
        assert self._log is not None
        text = (
            f"{self.name}: {verb} {APIS[api_key].name} v{version} "
            f"({size} bytes, CorrId {correlation_id})"
        )
        self._log.debug("protocol", facility, text)

    def _refuse_size(self, size_bytes: int) -> None:
        self._fail_on_answer(
            f"an answer of {size_bytes} bytes, receive.message.max.bytes={self._max_frame_bytes}: "
            "this may be no Kafka broker, or its listener may want another security.protocol"
        )

    def _fail_on_answer(self, reason: str) -> None:
        self.traffic.receive_errors += 1
        self.close(KafkaError(KafkaError._BAD_MSG, f"{self.name}: received {reason}"))

    def _tell(self, on_reply: OnReply, reply: Reply) -> None:
        try:
            on_reply(reply)
        except Exception as error:
            # One listener's fault must not cost the others their connection.
            self._loop.call_exception_handler(
                {"message": "the handler of an answer failed", "exception": error}
            )

    def _check_written(self) -> None:
        """Requests without an answer are done when the system has them."""
        if self._transport is None or self._error is not None:
            return
        if self._transport.get_write_buffer_size() == 0:
            self._tell_unanswered(memoryview(b""))
        else:
            self._call_at(self._now_ms() + _LOOK_AGAIN_MS, self._check_written)

    def _tell_unanswered(self, reply: Reply) -> None:
        unanswered, self._unanswered = self._unanswered, []
        for on_reply in unanswered:
            self._tell(on_reply, reply)

    # Time

    def _set_timer(self, deadline_ms: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_ms = deadline_ms
        self._timer = self._call_at(deadline_ms, self._check_deadlines)

    def _check_deadlines(self) -> None:
        self._timer = None
        self._timer_ms = _NEVER_MS
        if not self._waiting or self._error is not None:
            return
        now_ms = self._now_ms()
        # Answers come in order: when one is overdue, those after it are stuck behind it.
        overdue = [each for each in self._waiting if each.deadline_ms <= now_ms]
        if not overdue:
            self._watch_deadlines()
            return
        self.traffic.timed_out += len(overdue)
        self._timeouts += len(overdue)
        late_ms = now_ms - overdue[0].sent_ms
        error = KafkaError(
            KafkaError._TIMED_OUT, f"{self.name}: no answer in {late_ms:.0f}ms to a request"
        )
        for request in overdue:
            # It keeps its place: its answer may still come, before those of later ones.
            on_reply, request.on_reply = request.on_reply, _ignore
            request.deadline_ms = _NEVER_MS
            self._tell(on_reply, error)
        if 0 < self._most_timeouts <= self._timeouts:
            text = (
                f"{self.name}: {self._timeouts} request(s) timed out: disconnect "
                f"(after {now_ms - self.made_ms:.0f}ms)"
            )
            self.close(KafkaError(KafkaError._TRANSPORT, text))
        else:
            self._watch_deadlines()

    def _watch_deadlines(self) -> None:
        """Look again when the next of them is due; answers that nobody waits for have none."""
        next_ms = min((each.deadline_ms for each in self._waiting), default=_NEVER_MS)
        if next_ms < _NEVER_MS and self._error is None:
            self._set_timer(next_ms)


def _ignore(_: Reply) -> None:
    """What nobody waits for any more."""


def _after_tags(frame: memoryview, position: int) -> int:
    """Where the body begins after the header's tagged fields, of which there are mostly none."""
    if len(frame) > position and frame[position] == 0:
        return position + 1
    _, position = read_unknown_tags(frame, position)
    return position
