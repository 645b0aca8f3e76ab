"""A simulated network: hosts, listeners and connections with seeded latency, in virtual time.

Bytes of one connection and direction arrive in order and complete, as TCP promises; those of
different connections overtake one another. Pieces are cut and joined at random. A partition holds
what is under way (TCP would send it again) until it heals; a reset loses it.
"""

from __future__ import annotations

import asyncio
import contextvars
import errno
import os
from collections.abc import Collection
from typing import TYPE_CHECKING

from ottla.ports.net import Address
from ottla.testing.simulation.loop import SimulationLoop
from ottla.testing.simulation.transport import SimulatedTransport, connect_pair

if TYPE_CHECKING:
    from ottla.ports.net import ProtocolFactory

DEFAULT_LATENCY_S = (0.000_05, 0.002)
CONNECT_TIMEOUT_S = 20.0

_FIRST_EPHEMERAL_PORT = 32768
# Names by which a host calls itself, or all of its interfaces.
_OWN_NAMES = frozenset({"", "localhost", "127.0.0.1", "::1", "0.0.0.0", "::"})  # noqa: S104


class SimulatedNetwork:
    """Every host of a simulation and what lies between them.

    Args:
        loop: whose time passes and whose seed decides.
        latency_s: the shortest and longest one-way delay of a packet, in seconds.
        connect_timeout_s: how long :meth:`SimulatedNet.connect` tries across a partition.
    """

    def __init__(
        self,
        loop: SimulationLoop,
        *,
        latency_s: tuple[float, float] = DEFAULT_LATENCY_S,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
    ) -> None:
        self.loop = loop
        self.context = contextvars.Context()
        """What is under way belongs to no process: it arrives though its sender has died."""
        self.latency_s = latency_s
        self.connect_timeout_s = connect_timeout_s
        self._listeners: dict[Address, SimulatedListener] = {}
        self._connections: list[tuple[SimulatedTransport, SimulatedTransport]] = []
        self._side_of: dict[str, int] = {}
        self._changed = asyncio.Event()
        self._next_port = _FIRST_EPHEMERAL_PORT

    def host(self, name: str) -> SimulatedNet:
        """The network as the host ``name`` sees it: its ``Net`` port."""
        return SimulatedNet(self, name)

    def latency(self) -> float:
        """A fresh one-way delay in seconds."""
        return self.loop.random.uniform(*self.latency_s)

    def reachable(self, first: str, second: str) -> bool:
        """Whether packets pass between two hosts now."""
        first_side, second_side = self._side_of.get(first), self._side_of.get(second)
        return first_side is None or second_side is None or first_side == second_side

    def partition(self, *sides: Collection[str]) -> None:
        """Cut the hosts of each side off from all other sides; hosts not named reach everyone."""
        self._side_of = {host: number for number, side in enumerate(sides) for host in side}
        self._resume()

    def heal(self) -> None:
        """Let everyone reach everyone; what partitions held arrives now."""
        self.partition()

    def reset_connections(self, first: str, second: str | None = None) -> int:
        """Break the connections of ``first`` (only those with ``second``); returns how many."""
        broken = 0
        for client, server in list(self._connections):
            hosts = {client.host, server.host}
            if first in hosts and (second is None or hosts == {first, second}):
                client.break_off(ConnectionResetError(errno.ECONNRESET, "simulated reset"))
                server.break_off(ConnectionResetError(errno.ECONNRESET, "simulated reset"))
                broken += 1
        self._forget_broken()
        return broken

    def crash(self, host: str) -> None:
        """Take a host's process away: its listeners and connections end without a farewell."""
        for address in [address for address in self._listeners if address.host == host]:
            del self._listeners[address]
        self.reset_connections(host)

    def hang_up(self, host: str) -> None:
        """A host's process has ended: what it has sent arrives, then its connections' ends."""
        for client, server in list(self._connections):
            for end in (client, server):
                if end.host == host:
                    end.close()
        self._forget_broken()

    def take_port(self) -> int:
        """A port nobody listens on."""
        self._next_port += 1
        return self._next_port

    def bind(self, listener: SimulatedListener) -> None:
        """Make ``listener`` answer at its address.

        Raises:
            OSError: (``EADDRINUSE``) somebody does already.
        """
        if listener.address in self._listeners:
            raise OSError(errno.EADDRINUSE, f"{os.strerror(errno.EADDRINUSE)}: {listener.address}")
        self._listeners[listener.address] = listener

    def unbind(self, listener: SimulatedListener) -> None:
        if self._listeners.get(listener.address) is listener:
            del self._listeners[listener.address]

    async def connect(
        self, host: str, factory: ProtocolFactory, target: Address
    ) -> SimulatedTransport:
        """Shake hands with the listener at ``target``; the connection's client side."""
        await self._until_reachable(host, target.host)
        await asyncio.sleep(self.latency())
        listener = self._listeners.get(target)
        if listener is None:
            raise ConnectionRefusedError(errno.ECONNREFUSED, f"nobody listens at {target}")
        client, server = connect_pair(self, Address(host, self.take_port()), target)
        self._forget_broken()
        self._connections.append((client, server))
        answer_s = self.latency()
        listener.accept(server, earliest_arrival=self.loop.time() + answer_s)
        try:
            await asyncio.sleep(answer_s)
        except asyncio.CancelledError:
            server.break_off(ConnectionResetError(errno.ECONNRESET, "the client gave up"))
            raise
        if client.is_closing():
            raise ConnectionResetError(errno.ECONNRESET, "reset while connecting")
        client.open(factory(), earliest_arrival=self.loop.time())
        return client

    async def _until_reachable(self, host: str, target: str) -> None:
        deadline = self.loop.time() + self.connect_timeout_s
        while not self.reachable(host, target):
            try:
                async with asyncio.timeout_at(deadline):
                    await self._changed.wait()
            except TimeoutError:
                reason = f"{target} did not answer {host} in {self.connect_timeout_s} s"
                raise TimeoutError(errno.ETIMEDOUT, reason) from None

    def _resume(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
        for client, server in self._connections:
            if self.reachable(client.host, server.host):
                client.resume_arrivals()
                server.resume_arrivals()

    def _forget_broken(self) -> None:
        self._connections = [
            pair for pair in self._connections if not (pair[0].is_lost and pair[1].is_lost)
        ]


class SimulatedListener:
    """A listening socket of a simulated host."""

    def __init__(
        self, network: SimulatedNetwork, factory: ProtocolFactory, address: Address
    ) -> None:
        self._network = network
        self._address = address
        self._factory = factory
        self._context = contextvars.copy_context()

    @property
    def address(self) -> Address:
        return self._address

    def accept(self, server: SimulatedTransport, *, earliest_arrival: float) -> None:
        """A connection comes in: the listening process takes it."""

        def take() -> None:
            server.open(self._factory(), earliest_arrival=earliest_arrival)

        self._context.copy().run(take)

    async def close(self) -> None:
        self._network.unbind(self)


class SimulatedNet:
    """One host's ``Net`` port; its own name is its address."""

    def __init__(self, network: SimulatedNetwork, host: str) -> None:
        self._network = network
        self._host = host

    async def listen(self, factory: ProtocolFactory, address: Address) -> SimulatedListener:
        port = address.port or self._network.take_port()
        listener = SimulatedListener(self._network, factory, self._resolve(address, port))
        self._network.bind(listener)
        return listener

    async def connect(self, factory: ProtocolFactory, address: Address) -> SimulatedTransport:
        target = self._resolve(address, address.port)
        return await self._network.connect(self._host, factory, target)

    def _resolve(self, address: Address, port: int) -> Address:
        return Address(self._host if address.host in _OWN_NAMES else address.host, port)
