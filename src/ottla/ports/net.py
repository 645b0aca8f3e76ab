"""The network as an argument: stream sockets behind asyncio's transports and protocols."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    import asyncio

    ProtocolFactory = Callable[[], asyncio.BaseProtocol]


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
    """Servers of the running event loop, one per address family, on one port."""

    def __init__(self, servers: list[asyncio.Server], address: Address) -> None:
        self._servers = servers
        self._address = address

    @property
    def address(self) -> Address:
        return self._address

    async def close(self) -> None:
        for server in self._servers:
            server.close()


# Kafka's own default (socket.listen.backlog.size) is 50: too few for a thundering herd of clients.
_LISTEN_BACKLOG = 1024
# How often a port that the system chose for IPv4 may be somebody's on IPv6.
_PORT_ATTEMPTS = 20
# The machine has no IPv6, or has it switched off.
_FAMILY_MISSING = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT})


class SystemNet:
    """TCP through the running asyncio (or uvloop) event loop."""

    def __init__(self) -> None:
        self._opened: list[tuple[Address, list[socket.socket]]] = []

    def open(self, address: Address) -> None:
        """Open a port that ``listen`` will serve: until then, connections wait for it.

        Raises:
            OSError: the address can't be bound.
        """
        sockets = _bind(address)
        self._opened.append((address, sockets))
        for each in sockets:
            each.listen(_LISTEN_BACKLOG)

    def close(self) -> None:
        """Close the ports that nobody has begun to serve."""
        while self._opened:
            _, sockets = self._opened.pop()
            for each in sockets:
                each.close()

    async def listen(self, factory: ProtocolFactory, address: Address) -> SystemListener:
        import asyncio

        loop = asyncio.get_running_loop()
        sockets = self._take(address) or _bind(address)
        port: int = sockets[0].getsockname()[1]
        servers = [
            await loop.create_server(factory, sock=each, backlog=_LISTEN_BACKLOG)
            for each in sockets
        ]
        return SystemListener(servers, Address(address.host, port))

    def _take(self, address: Address) -> list[socket.socket]:
        for position, (opened, sockets) in enumerate(self._opened):
            if opened == address:
                del self._opened[position]
                return sockets
        return []

    async def connect(self, factory: ProtocolFactory, address: Address) -> asyncio.BaseTransport:
        import asyncio

        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_connection(factory, address.host, address.port)
        return transport


def _bind(address: Address) -> list[socket.socket]:
    """One socket for each address the host's name stands for, all on the same port.

    Raises:
        OSError: a port is taken, or no address of the host can be bound.
    """
    # Looked up in place: a broker starts with it, and has nobody to serve yet.
    host = address.host
    found = socket.getaddrinfo(
        # As bytes where that will do: for text Python loads its tables of international names.
        (host.encode() if host.isascii() else host) or None,
        address.port,
        type=socket.SOCK_STREAM,
        flags=socket.AI_PASSIVE,
    )
    # Machines without IPv6 list its addresses, too; IPv4 first, for it is what picks the port.
    families = sorted(dict.fromkeys((each[0], each[4]) for each in found), key=_ipv4_first)
    for attempt in range(_PORT_ATTEMPTS):
        try:
            return _bind_all(families)
        except OSError as error:
            if address.port or error.errno != errno.EADDRINUSE or attempt == _PORT_ATTEMPTS - 1:
                raise
    raise AssertionError("the last attempt returned or raised")


def _ipv4_first(each: tuple[socket.AddressFamily, Any]) -> bool:
    return each[0] != socket.AF_INET


def _bind_all(families: Sequence[tuple[socket.AddressFamily, Any]]) -> list[socket.socket]:
    bound: list[socket.socket] = []
    missing: OSError | None = None
    try:
        for family, (host, port, *rest) in families:
            if bound:
                port = bound[0].getsockname()[1]
            try:
                bound.append(_bind_one(family, (host, port, *rest)))
            except OSError as error:
                if error.errno not in _FAMILY_MISSING:
                    raise
                missing = missing or error
        if missing is not None and not bound:
            raise missing
    except OSError:
        for each in bound:
            each.close()
        raise
    return bound


def _bind_one(family: socket.AddressFamily, target: tuple[Any, ...]) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setblocking(False)
        # A broker that comes back need not wait for its old connections to be forgotten.
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(target)
    except OSError:
        made.close()
        raise
    return made
