"""A client that speaks Kafka's protocol by hand in virtual time; ``protocol.Connection``'s twin.

client = await SimulatedClient.connect(network.host("client"), node.addresses["PLAINTEXT"])
response = await client.ask(MetadataRequest(topics=[]), version=12)
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from ottla.ports.net import Address, Net
from ottla.wire.apis import declaration
from ottla.wire.declare import Message
from ottla.wire.frames import ResponseHeader, encode_request

_PREFIX_BYTES = 4


class SimulatedClient(asyncio.Protocol):
    """One connection; requests are answered in order."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._awaited: deque[tuple[int, int, asyncio.Future[Any]]] = deque()
        self._sent = 0

    @classmethod
    async def connect(cls, net: Net, address: Address) -> SimulatedClient:
        """Open a connection.

        Raises:
            OSError: nobody answers.
        """
        client = cls()
        await net.connect(lambda: client, address)
        return client

    def ask(self, request: Message, version: int) -> asyncio.Future[Any]:
        """Send a request; its response, or ``ConnectionError`` when there will be none."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if self._transport is None:
            answer.set_exception(ConnectionError("closed"))
            return answer
        self._sent += 1
        assert request.API_KEY is not None
        frame = encode_request(request, version, correlation_id=self._sent, client_id="simulated")
        self._awaited.append((request.API_KEY, version, answer))
        self._transport.write(frame)
        return answer

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.close()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while len(self._received) >= _PREFIX_BYTES:
            end = _PREFIX_BYTES + int.from_bytes(self._received[:_PREFIX_BYTES], "big")
            if len(self._received) < end:
                return
            frame = bytes(self._received[_PREFIX_BYTES:end])
            del self._received[:end]
            self._answer(frame)

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        while self._awaited:
            _, _, answer = self._awaited.popleft()
            if not answer.done():
                answer.set_exception(ConnectionError("the broker closed the connection"))

    def _answer(self, frame: bytes) -> None:
        key, version, answer = self._awaited.popleft()
        _, position = ResponseHeader.decode(frame, key, version)
        if not answer.done():
            answer.set_result(declaration(key)[1].decode(frame, version, position))
