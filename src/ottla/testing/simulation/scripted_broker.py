"""A broker that says what a test wants it to say: for clients that meet strange ones."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ottla.ports.net import Address, Listener, Net
from ottla.wire.api.k03_metadata import ListedBroker, MetadataRequest, MetadataResponse
from ottla.wire.api.k18_api_versions import ApiVersion, ApiVersionsResponse
from ottla.wire.apis import API_VERSIONS, APIS, declaration
from ottla.wire.declare import Message
from ottla.wire.errors import ErrorCode
from ottla.wire.frames import RequestHeader, encode_response, peek_request

METADATA = 3
_PREFIX = struct.Struct(">i")


class Asked(NamedTuple):
    """A request that came in; the request is None where its version is not known."""

    api_key: int
    version: int
    correlation_id: int
    client_id: str | None
    request: Any


class BrokerConnection(asyncio.Protocol):
    """One client's connection, as handlers get it."""

    def __init__(self, broker: ScriptedBroker) -> None:
        self.broker = broker
        self.transport: asyncio.Transport | None = None
        self._received = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.broker.connections.append(self)
        if self.broker.greeting:
            self.write(self.broker.greeting)

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None

    @property
    def is_open(self) -> bool:
        """Whether the client is still there."""
        return self.transport is not None and not self.transport.is_closing()

    def write(self, data: bytes) -> None:
        """Send bytes as they are."""
        if self.transport is not None:
            self.transport.write(data)

    def answer(self, asked: Asked, response: Message) -> None:
        """Answer a request."""
        data = encode_response(response, asked.version, correlation_id=asked.correlation_id)
        self.write(data)

    def close(self) -> None:
        """Hang up."""
        if self.transport is not None:
            self.transport.close()

    def data_received(self, data: bytes) -> None:
        self._received += data
        while len(self._received) >= _PREFIX.size:
            (size_bytes,) = _PREFIX.unpack_from(self._received)
            end = _PREFIX.size + size_bytes
            if len(self._received) < end:
                return
            frame = bytes(self._received[_PREFIX.size : end])
            del self._received[:end]
            self.broker.take(self, frame)


Handler = Callable[[BrokerConnection, Asked], Message | None]


class ScriptedBroker:
    """Listens at an address of a simulated network and answers by its handlers.

    Args:
        net: the network of its host.
        address: where it listens.
        broker_id: the id that its Metadata answers give it.
        versions: what it offers; by default all APIs as they are now.

    Attributes:
        handlers: by API key; what one returns is the answer, None if it answers by itself or
            never. ApiVersions and Metadata have handlers already.
        asked: all requests, in order.
        connections: all connections that were made.
        greeting: bytes that it sends as soon as somebody connects.
    """

    def __init__(
        self,
        net: Net,
        address: Address,
        broker_id: int = 1,
        versions: Mapping[int, tuple[int, int]] | None = None,
    ) -> None:
        self.address = address
        self.broker_id = broker_id
        self.versions = dict(
            versions
            if versions is not None
            else {key: (api.min_version, api.max_version) for key, api in APIS.items()}
        )
        self.brokers = {broker_id: address}
        self.handlers: dict[int, Handler] = {
            API_VERSIONS: self._api_versions,
            METADATA: self._metadata,
        }
        self.asked: list[Asked] = []
        self.connections: list[BrokerConnection] = []
        self.greeting = b""
        self._net = net
        self._listener: Listener | None = None

    async def start(self) -> None:
        """Begin to listen."""
        self._listener = await self._net.listen(lambda: BrokerConnection(self), self.address)

    async def stop(self) -> None:
        """Listen no more, and hang up on everybody."""
        assert self._listener is not None
        await self._listener.close()
        for connection in self.connections:
            connection.close()

    def asked_for(self, api_key: int) -> list[Asked]:
        """The requests of one API so far."""
        return [each for each in self.asked if each.api_key == api_key]

    def take(self, connection: BrokerConnection, frame: bytes) -> None:
        """A request has come."""
        api_key, version, correlation_id = peek_request(frame)
        oldest, newest = self.versions.get(api_key, (0, -1))
        if not oldest <= version <= newest:
            asked = Asked(api_key, version, correlation_id, None, None)
            self.asked.append(asked)
            self._refuse_version(connection, asked)
            return
        header, position = RequestHeader.decode(frame)
        request_class, _ = declaration(api_key)
        request = request_class.decode(frame, version, position)
        asked = Asked(api_key, version, correlation_id, header.client_id, request)
        self.asked.append(asked)
        handler = self.handlers.get(api_key)
        response = handler(connection, asked) if handler is not None else None
        if response is not None:
            connection.answer(asked, response)

    def _refuse_version(self, connection: BrokerConnection, asked: Asked) -> None:
        """As brokers do: ApiVersions is answered in version 0, everything else by hanging up."""
        if asked.api_key != API_VERSIONS:
            connection.close()
            return
        response = self._offer(ErrorCode.UNSUPPORTED_VERSION)
        connection.answer(asked._replace(version=0), response)

    def _api_versions(self, _: BrokerConnection, __: Asked) -> Message:
        return self._offer(ErrorCode.NONE)

    def _offer(self, error: ErrorCode) -> ApiVersionsResponse:
        return ApiVersionsResponse(
            error_code=error,
            api_keys=[
                ApiVersion(api_key=key, min_version=oldest, max_version=newest)
                for key, (oldest, newest) in self.versions.items()
            ],
        )

    def _metadata(self, _: BrokerConnection, asked: Asked) -> Message:
        assert isinstance(asked.request, MetadataRequest)
        return MetadataResponse(
            brokers=[
                ListedBroker(node_id=broker_id, host=address.host, port=address.port)
                for broker_id, address in self.brokers.items()
            ],
            controller_id=self.broker_id,
            topics=[],
        )
