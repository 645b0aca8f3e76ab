"""Kafka's protocol by hand: any request in any version, over one blocking connection.

with Connection(broker.bootstrap_servers) as connection:
    response = connection.ask(MetadataRequest(topics=[]), version=12)
"""

from __future__ import annotations

import socket
import struct
from types import TracebackType
from typing import Any

from ottla.wire.apis import API_VERSIONS, declaration
from ottla.wire.declare import Message
from ottla.wire.frames import ResponseHeader, encode_request

_LENGTH = struct.Struct(">i")


class ConnectionClosed(ConnectionError):  # noqa: N818 - it says what happened
    """The broker closed the connection."""


class Connection:
    """One connection to a broker; requests are answered in order.

    Args:
        bootstrap_servers: ``host:port``; an IPv6 address stands in brackets.
        timeout_seconds: for connecting and for each wait for bytes.
        client_id: sent in every request.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        *,
        timeout_seconds: float = 30,
        client_id: str | None = "ottla-testing",
    ) -> None:
        host, _, port = bootstrap_servers.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        self._socket = socket.create_connection((host, int(port)), timeout=timeout_seconds)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._client_id = client_id
        self._correlation_id = 0
        self._awaited: list[tuple[type[Message], int, int]] = []

    def ask(self, request: Message, version: int) -> Any:
        """Send one request and return its response.

        Raises:
            ConnectionClosed: the broker closed the connection instead.
            TimeoutError: no answer in time.
        """
        self.send(request, version)
        return self.receive()

    def send(self, request: Message, version: int) -> None:
        """Send a request; `receive` returns its response in its turn."""
        self._correlation_id += 1
        if request.API_KEY is None:
            raise ValueError(f"{type(request).__name__} is no request")
        response_class = declaration(request.API_KEY)[1]
        self._awaited.append((response_class, version, self._correlation_id))
        self.send_bytes(
            encode_request(
                request, version, correlation_id=self._correlation_id, client_id=self._client_id
            )
        )

    def send_bytes(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._socket.sendall(data)

    def receive(self) -> Any:
        """The response to the oldest request not answered yet.

        Raises:
            ConnectionClosed: the broker closed the connection instead.
            TimeoutError: no answer in time.
        """
        response_class, version, correlation_id = self._awaited.pop(0)
        frame = self.receive_frame()
        key = response_class.API_KEY
        if key is None:
            raise ValueError(f"{response_class.__name__} is no response")
        header, position = ResponseHeader.decode(frame, key, version)
        if header.correlation_id != correlation_id:
            raise ValueError(f"answer to {header.correlation_id}, not to {correlation_id}")
        # The broker answers an ApiVersions request of a version it lacks in version 0 (KIP-511).
        if key == API_VERSIONS and frame[position : position + 2] == b"\0\x23":
            version = 0
        return response_class.decode(frame, version, position)

    def receive_frame(self) -> bytes:
        """The next frame without its length.

        Raises:
            ConnectionClosed: the broker closed the connection instead.
            TimeoutError: no answer in time.
        """
        (length,) = _LENGTH.unpack(self._receive_exactly(_LENGTH.size))
        return self._receive_exactly(length)

    def is_closed_by_broker(self) -> bool:
        """Wait until the broker closes the connection; False if it sends something instead.

        Raises:
            TimeoutError: it does neither.
        """
        try:
            return self._socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _receive_exactly(self, count: int) -> bytes:
        received = bytearray()
        while len(received) < count:
            try:
                chunk = self._socket.recv(min(count - len(received), 1 << 20))
            except ConnectionResetError:
                chunk = b""
            if not chunk:
                raise ConnectionClosed(f"closed after {len(received)} of {count} bytes")
            received += chunk
        return bytes(received)
