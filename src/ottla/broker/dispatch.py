"""From a frame to a handler and back: decode, call, encode.

The table of what is advertised (`broker/api/__init__.py`) holds literals only; a handler and its
declaration are imported, and its codec compiled, when the first request for it arrives.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, cast

from ottla.broker.api import ADVERTISED, STEMS
from ottla.broker.replies import Parts
from ottla.broker.session import Reply, Session
from ottla.wire import apis, frames
from ottla.wire.errors import ErrorCode, ProtocolError

if TYPE_CHECKING:
    from ottla.broker.node import BrokerNode

_logger = logging.getLogger(__name__)

_PRODUCE = 0
_FETCH = 1
_API_VERSIONS = 18


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


class _Api:
    """One API at one version, ready to run."""

    __slots__ = ("decode", "handle", "key", "version")

    def __init__(self, key: int, version: int) -> None:
        request, _ = apis.declaration(key)
        self.key = key
        self.version = version
        self.decode = request.decode
        module = importlib.import_module(f"ottla.broker.api.{STEMS[key]}")
        self.handle: Handler = module.handle


class Dispatcher:
    """Runs requests for the broker's sessions."""

    def __init__(self, broker: BrokerNode) -> None:
        self._broker = broker
        self._apis: dict[tuple[int, int], _Api] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    def execute(self, session: Session, frame: memoryview) -> Reply | Parts:
        """See ``RequestExecutor.execute``."""
        key, version, correlation_id = frames.peek_request(frame)
        api = self._apis.get((key, version))
        if api is None:
            if key == _API_VERSIONS and not _is_advertised(key, version):
                return self._refuse_api_versions(session, correlation_id)
            api = self._find(key, version)
        header, position = frames.RequestHeader.decode(frame)
        request = api.decode(frame[position:], version)
        context = RequestContext(self._broker, session, version, header.client_id)
        result = api.handle(context, request)
        if result is None:
            return ()
        if isinstance(result, Awaitable):
            return self._park(session, api, correlation_id, result)
        return _encode(api, correlation_id, result)

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

    def _park(
        self, session: Session, api: _Api, correlation_id: int, pending: Awaitable[Any]
    ) -> Reply:
        reply = Reply(overlaps=api.key == _PRODUCE)

        def finish(done: asyncio.Future[Any]) -> None:
            if done.cancelled() or (session.is_closed and done.exception() is None):
                return
            try:
                response = done.result()
                session.complete(reply, _encode(api, correlation_id, response))
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


def _encode(api: _Api, correlation_id: int, response: Any) -> Parts:
    if api.key == _FETCH:
        parts = frames.encode_response_parts(response, api.version, correlation_id=correlation_id)
        # What a fetch carries beside bytes are slices of the log.
        return cast(Parts, parts)
    return [frames.encode_response(response, api.version, correlation_id=correlation_id)]


def _is_advertised(key: int, version: int) -> bool:
    versions = ADVERTISED.get(key)
    return versions is not None and versions[0] <= version <= versions[1]
