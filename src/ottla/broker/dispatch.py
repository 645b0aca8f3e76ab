"""From a frame to a handler and back: decode, call, encode.

The table of what is advertised (`broker/api/__init__.py`) holds literals only; a handler and its
declaration are imported, and its codec compiled, when the first request for it arrives.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import struct
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol, cast

from ottla.broker.api import ADVERTISED, STEMS
from ottla.broker.replies import FileSlice, Parts
from ottla.broker.session import KnownHeader, Reply, Session
from ottla.wire import apis, frames
from ottla.wire.declare import Message
from ottla.wire.errors import ErrorCode, ProtocolError

if TYPE_CHECKING:
    from ottla.broker.node import BrokerNode

_logger = logging.getLogger(__name__)

_PRODUCE = 0
_API_VERSIONS = 18

# Structs and strings in all arrays of one request: a few bytes each on the wire, a hundred here.
_MAX_ELEMENTS = 2**17
# What is asked of groups takes longer for each element, of which no client sends so many: Kafka
# would take seconds, too, but in a thread of its own.
_MAX_GROUP_ELEMENTS = 2**16
_GROUP_APIS = frozenset({8, 9, 10, 11, 13, 14, 15, 16, 28, 42, 47, 68, 69, 76, 77, 90, 91, 92})
_NO_TAGS = b"\0"
_RESPONSE_START = struct.Struct(">ii")
_CORRELATION_ID_BYTES = 4
# Before it: API key, API version, correlation id; from it on the client id and its length.
_AFTER_CORRELATION_ID = 8
_LENGTH_BYTES = 2
# A longer client id is decoded each time: an idle connection shall not keep 64 KiB.
_MAX_KNOWN_CLIENT_ID_BYTES = 256


class RequestContext:
    """Who asks, and of whom: what a handler gets beside the request itself."""

    __slots__ = ("broker", "client_id", "session", "version")

    def __init__(
        self, broker: BrokerNode, session: Session, version: int, client_id: str | None
    ) -> None:
        self.broker = broker
        self.session = session
        self.version = version
        self.client_id = client_id or ""


Handler = Callable[[RequestContext, Any], Any]


class WithSlices:
    """A response that carries slices of log files, to be sent from where they lie."""

    __slots__ = ("response",)

    def __init__(self, response: Message) -> None:
        self.response = response


class EncodedParts:
    """The body of a response: bytes, and slices of log files between them."""

    __slots__ = ("parts", "size_bytes")

    def __init__(self, parts: list[bytes | FileSlice], size_bytes: int) -> None:
        self.parts = parts
        """The first one is bytes."""
        self.size_bytes = size_bytes


class Pending(Protocol):
    """An answer that comes later."""

    def then(self, send: Callable[[Any], None]) -> None:
        """Hand the response to ``send`` when it is due, or at once when it is already; an exception
        in its place closes the connection."""
        ...

    def abandon(self) -> None:
        """The connection is gone; ``send`` need not be called any more."""
        ...


class _Api:
    """One API at one version, ready to run."""

    __slots__ = (
        "decode",
        "handle",
        "is_flexible",
        "is_function_of_image",
        "key",
        "max_elements",
        "recall",
        "remember",
        "response_class",
        "response_tags",
        "version",
    )

    def __init__(self, key: int, version: int) -> None:
        request, self.response_class = apis.declaration(key)
        self.is_flexible = apis.APIS[key].is_flexible(version)
        has_tags = frames.response_header_version(key, version) == 1
        self.response_tags = _NO_TAGS if has_tags else b""
        self.key = key
        self.max_elements = _MAX_GROUP_ELEMENTS if key in _GROUP_APIS else _MAX_ELEMENTS
        self.version = version
        self.decode = request.decode
        module = importlib.import_module(f"ottla.broker.api.{STEMS[key]}")
        self.handle: Handler = module.handle
        self.remember: Callable[..., None] | None = getattr(module, "remember", None)
        self.recall: Callable[..., Any] | None = getattr(module, "recall", None)
        self.is_function_of_image: bool = getattr(module, "IS_FUNCTION_OF_IMAGE", False)


class Dispatcher:
    """Runs requests for the broker's sessions."""

    def __init__(self, broker: BrokerNode) -> None:
        self._broker = broker
        self._apis: dict[tuple[int, int], _Api] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._answers = ImageAnswers()

    def execute(self, session: Session, frame: memoryview) -> Reply | Parts:
        """See ``RequestExecutor.execute``."""
        repeated = session.repeated_produces
        if repeated is not None:
            outcome = repeated.answer(session, frame)
            if outcome is not None:
                return outcome
        key, version, correlation_id = frames.peek_request(frame)
        api = self._apis.get((key, version))
        if api is None:
            if key == _API_VERSIONS and not _is_advertised(key, version):
                return self._refuse_api_versions(session, correlation_id)
            api = self._find(key, version)
        if api.is_function_of_image:
            return self._answer_from_image(session, api, correlation_id, frame)
        result = self._call(session, api, frame)
        if type(result) is api.response_class:
            return [_framed(api, correlation_id, result.encode(version))]
        return self._answer(session, api, correlation_id, result)

    def overlaps(self, frame: memoryview) -> bool:
        """See ``RequestExecutor.overlaps``."""
        return frames.peek_request(frame)[0] == _PRODUCE

    def _call(self, session: Session, api: _Api, frame: memoryview) -> Any:
        if api.recall is not None:
            result = api.recall(self._broker, session, frame, api.version)
            if result is not None:
                return result
        client_id, position = _read_header(frame, api, session)
        # As in Kafka, what follows the request is ignored: librdkafka sends a few bytes too many.
        request = api.decode(
            frame, api.version, position, allow_trailing=True, max_elements=api.max_elements
        )
        if api.remember is not None:
            api.remember(self._broker, session, frame, position, api.version, request)
        return api.handle(RequestContext(self._broker, session, api.version, client_id), request)

    def _answer_from_image(
        self, session: Session, api: _Api, correlation_id: int, frame: memoryview
    ) -> Reply | Parts:
        """Clients ask the same again and again; the answer changes with the metadata only."""
        image = self._broker.cluster.image
        key = (api.key, api.version, session.listener_name, session.local_host)
        question = bytes(frame[_AFTER_CORRELATION_ID:])
        body = self._answers.get(image, key, question)
        if body is None:
            result = self._call(session, api, frame)
            if type(result) is not api.response_class:
                return self._answer(session, api, correlation_id, result)
            body = result.encode(api.version)
            self._answers.put(image, key, question, body)
        return [_framed(api, correlation_id, body)]

    def _answer(
        self, session: Session, api: _Api, correlation_id: int, result: Any
    ) -> Reply | Parts:
        if result is None:
            return ()
        if isinstance(result, EncodedParts | Message | WithSlices):
            return _encode(api, correlation_id, result)
        if isinstance(result, Awaitable):
            return self._park(session, api, correlation_id, result)
        return self._wait(session, api, correlation_id, result)

    def _find(self, key: int, version: int) -> _Api:
        if not _is_advertised(key, version):
            raise ProtocolError(
                ErrorCode.UNSUPPORTED_VERSION, f"API {key} version {version} is not offered here"
            )
        api = self._apis[key, version] = _Api(key, version)
        return api

    def _refuse_api_versions(self, session: Session, correlation_id: int) -> Parts:
        """An unknown ApiVersions version is answered in version 0, so that the client can try
        again with one that both know (KIP-511)."""
        api = self._find(_API_VERSIONS, 0)
        module = importlib.import_module(f"ottla.broker.api.{STEMS[_API_VERSIONS]}")
        response = module.unsupported_version(RequestContext(self._broker, session, 0, None))
        return _encode(api, correlation_id, response)

    @staticmethod
    def _wait(session: Session, api: _Api, correlation_id: int, pending: Pending) -> Reply:
        reply = Reply(overlaps=api.key == _PRODUCE)

        def send(response: Any) -> None:
            try:
                if isinstance(response, Exception):
                    raise response
                session.complete(reply, _encode(api, correlation_id, response))
            except Exception:
                # Whoever waits beside this connection must still be told.
                _logger.exception("closing %s: %s failed", session.client_host, STEMS[api.key])
                session.close()

        reply.on_abandoned = pending.abandon
        pending.then(send)
        return reply

    def _park(
        self, session: Session, api: _Api, correlation_id: int, pending: Awaitable[Any]
    ) -> Reply:
        # Nothing may overtake it, as a produce could: its records aren't appended yet.
        reply = Reply(overlaps=False)

        def finish(done: asyncio.Future[Any]) -> None:
            if done.cancelled() or (session.is_closed and done.exception() is None):
                return
            try:
                response = done.result()
                # A produce with acks=0 that had to be verified first is never answered.
                parts = () if response is None else _encode(api, correlation_id, response)
                session.complete(reply, parts)
            except Exception:
                _logger.exception("closing %s: %s failed", session.client_host, STEMS[api.key])
                session.close()

        if asyncio.iscoroutine(pending):
            # It may be in the middle of a change: it goes on when its client has gone.
            task = asyncio.get_running_loop().create_task(pending)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            task.add_done_callback(finish)
        else:
            future: asyncio.Future[Any] = asyncio.ensure_future(pending)
            future.add_done_callback(finish)
            # A mere wait ends with its connection.
            reply.on_abandoned = future.cancel
        return reply


class ImageAnswers:
    """Encoded answers that hold as long as the cluster's metadata is what it was."""

    _MAX_ANSWERS = 256
    _MAX_BYTES = 64 * 1024

    def __init__(self) -> None:
        self._image: object = None
        self._bodies: dict[tuple[Any, bytes], bytes] = {}

    def get(self, image: object, key: Any, question: bytes) -> bytes | None:
        """The answer given before, if nothing has changed since."""
        if image is not self._image:
            self._image = image
            self._bodies.clear()
        return self._bodies.get((key, question))

    def put(self, image: object, key: Any, question: bytes, body: bytes) -> None:
        """Remember an answer, unless it is large or no longer true."""
        if image is not self._image or len(question) + len(body) > self._MAX_BYTES:
            return
        if len(self._bodies) >= self._MAX_ANSWERS:
            self._bodies.clear()
        self._bodies[key, question] = body


def _encode(api: _Api, correlation_id: int, result: Any) -> Parts:
    if isinstance(result, EncodedParts):
        parts = result.parts
        size = _CORRELATION_ID_BYTES + len(api.response_tags) + result.size_bytes
        start = _RESPONSE_START.pack(size, correlation_id)
        parts[0] = b"".join((start, api.response_tags, cast(bytes, parts[0])))
        return parts
    if isinstance(result, WithSlices):
        # What a fetch carries beside bytes are slices of the log.
        return cast(
            Parts,
            frames.encode_response_parts(
                result.response, api.version, correlation_id=correlation_id
            ),
        )
    return [_framed(api, correlation_id, result.encode(api.version))]


def _framed(api: _Api, correlation_id: int, body: bytes) -> bytes:
    size = _CORRELATION_ID_BYTES + len(api.response_tags) + len(body)
    return b"".join((_RESPONSE_START.pack(size, correlation_id), api.response_tags, body))


def _read_header(frame: memoryview, api: _Api, session: Session) -> tuple[str | None, int]:
    """The client id and where the body starts.

    A client sends the same header with each request but for the correlation id, so the session
    remembers it: what is equal byte for byte need not be decoded again.
    """
    known = session.known_header
    if known is not None and frame[_AFTER_CORRELATION_ID : known.end] == known.data:
        end = known.end
        if not api.is_flexible:
            return known.client_id, end
        if len(frame) > end and frame[end] == 0:
            return known.client_id, end + 1
    header, position = frames.RequestHeader.decode(frame)
    size = len((header.client_id or "").encode())
    end = _AFTER_CORRELATION_ID + _LENGTH_BYTES + size
    if size <= _MAX_KNOWN_CLIENT_ID_BYTES:
        session.known_header = KnownHeader(
            bytes(frame[_AFTER_CORRELATION_ID:end]), end, header.client_id
        )
    return header.client_id, position


def _is_advertised(key: int, version: int) -> bool:
    versions = ADVERTISED.get(key)
    return versions is not None and versions[0] <= version <= versions[1]
