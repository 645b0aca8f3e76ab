"""The network as an argument: stream sockets behind asyncio's transports and protocols."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple, Protocol


class Address(NamedTuple):
    """Where a listener listens or a peer sits."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Listener(Protocol):
    """An open listening socket."""

    @property
    def address(self) -> Address:
        """The bound address, with the port the system chose when 0 was asked for."""
        ...

    async def close(self) -> None:
        """Stop accepting; connections already made live on."""
        ...


ProtocolFactory = Callable[[], asyncio.BaseProtocol]


class Net(Protocol):
    """Opens listeners and connections; a simulation passes its own."""

    async def listen(self, factory: ProtocolFactory, address: Address) -> Listener:
        """Accept connections at ``address``, each served by a new protocol of ``factory``.

        Raises:
            OSError: the address can't be bound.
        """
        ...

    async def connect(self, factory: ProtocolFactory, address: Address) -> asyncio.BaseTransport:
        """Open a connection served by a new protocol of ``factory``.

        Raises:
            OSError: nobody answers at ``address``.
        """
        ...


class SystemListener:
    """A server of the running event loop."""

    def __init__(self, server: asyncio.Server, address: Address) -> None:
        self._server = server
        self._address = address

    @property
    def address(self) -> Address:
        return self._address

    async def close(self) -> None:
        self._server.close()


# Kafka's own default (socket.listen.backlog.size) is 50: too few for a thundering herd of clients.
_LISTEN_BACKLOG = 1024


class SystemNet:
    """TCP through the running asyncio (or uvloop) event loop."""

    async def listen(self, factory: ProtocolFactory, address: Address) -> SystemListener:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            factory, address.host or None, address.port, backlog=_LISTEN_BACKLOG
        )
        port: int = server.sockets[0].getsockname()[1]
        return SystemListener(server, Address(address.host, port))

    async def connect(self, factory: ProtocolFactory, address: Address) -> asyncio.BaseTransport:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_connection(factory, address.host, address.port)
        return transport
