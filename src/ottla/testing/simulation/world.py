"""One simulated history: a broker on its machine, clients around it, and what they were told."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

from ottla.ports.net import Address
from ottla.testing.history import History
from ottla.testing.simulation.loop import SimulationLoop
from ottla.testing.simulation.net import SimulatedNet, SimulatedNetwork
from ottla.testing.simulation.process import SimulatedProcess

BROKER_HOST = "broker"
BROKER_PORT = 9092


class Trace:
    """What happened, one line each, for people and for comparing two runs."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self.lines: list[str] = []
        self._now_s = now_s

    def note(self, who: str, what: str) -> None:
        """Add a line."""
        self.lines.append(f"{self._now_s() * 1000:10.3f} {who}: {what}")


class World:
    """What clients and faults share.

    Attributes:
        history: every operation of every client.
        unexpected: errors that no client should ever get.
        is_quiet: nobody writes any more, and transactions left open have timed out.
        read_to_the_end: source partitions that copiers have come to the end of since then.
    """

    def __init__(self, loop: SimulationLoop, seed: int) -> None:
        self.loop = loop
        self.seed = seed
        self.network = SimulatedNetwork(loop)
        self.trace = Trace(loop.time)
        self.history = History(lambda: loop.time() * 1000)
        self.unexpected: list[str] = []
        self.clients: dict[str, Client] = {}
        self.is_quiet = False
        self.read_to_the_end: set[str] = set()

    def random(self, name: str) -> random.Random:
        """The source of randomness of that name; others don't disturb it."""
        return random.Random(f"{self.seed} {name}")  # noqa: S311 - reproducibility is the point

    def spawn(self, name: str, main: Callable[[Client], Awaitable[None]]) -> Client:
        """Start a client as a process of its own."""
        client = Client(self, name)
        self.clients[name] = client
        client.start(main)
        return client

    def wrong(self, who: str, what: str) -> None:
        """Note an error that should not be possible."""
        self.trace.note(who, f"UNEXPECTED {what}")
        self.unexpected.append(f"{who} at {self.loop.time() * 1000:.1f} ms: {what}")


class Client:
    """A client process on a host of its own.

    Attributes:
        name: its process in the history, and its host.
        random: its own source of randomness.
        is_done: whether it came to its end by itself.
        is_fenced: whether it ended because another has taken its place, or so it was told.
    """

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.random = world.random(name)
        self.process = SimulatedProcess(name)
        self.net: SimulatedNet = world.network.host(name)
        self.broker = Address(BROKER_HOST, BROKER_PORT)
        self.is_done = False
        self.is_fenced = False
        self._task: asyncio.Task[None] | None = None

    @property
    def is_running(self) -> bool:
        return self.process.is_alive and not self.is_done

    @property
    def history(self) -> History:
        return self.world.history

    def start(self, main: Callable[[Client], Awaitable[None]]) -> None:
        """Run ``main`` as this process."""

        async def run() -> None:
            try:
                await main(self)
            except Exception as error:
                self.world.wrong(self.name, repr(error))
            self.is_done = True
            self.note("ends")

        self.note("starts")
        self._task = self.process.run(lambda: self.world.loop.create_task(run()))

    def kill(self) -> None:
        """End it as ``kill -9`` does; what it has sent still arrives."""
        self.note("is killed")
        self.world.loop.kill(self.process)
        self.world.network.hang_up(self.name)

    def note(self, what: str) -> None:
        """Add a line to the trace."""
        self.world.trace.note(self.name, what)

    async def pause(self, least_s: float, most_s: float) -> None:
        """Do nothing for a while."""
        await asyncio.sleep(self.random.uniform(least_s, most_s))
