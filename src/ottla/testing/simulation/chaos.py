"""What befalls a history: crashes of the broker and of clients, partitions, slow disks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from ottla.testing.simulation.loop import EXECUTOR_LATENCY_S
from ottla.testing.simulation.machine import Machine
from ottla.testing.simulation.scenario import Scenario
from ottla.testing.simulation.world import BROKER_HOST, Client, World

_SLOW_DISK_S = (0.02, 0.4)
# Most crashes are to hit the disk in the midst of something.
_CALLS_UNTIL_POWER_FAILS = 40
# Between a coordinator's decision and what follows from it.
_CALLS_AFTER_A_DECISION = 14
_AFTER_A_DECISION_S = (0.000_5, 0.005)
_COORDINATORS_LOGS = ("/__transaction_state", "/__transaction_state", "/__consumer_offsets")
_OUTAGES_S = (0.0, 0.2, 1.0)

StartClient = Callable[[int], None]


class Chaos:
    """Plays a scenario's faults at seeded moments; ``over`` ends them all.

    Args:
        start_client: starts the next incarnation of the client of that number.
        clients: the incarnations now running, by number.
    """

    def __init__(
        self,
        world: World,
        machine: Machine,
        scenario: Scenario,
        clients: dict[int, Client],
        start_client: StartClient,
    ) -> None:
        self._world = world
        self._machine = machine
        self._scenario = scenario
        self._clients = clients
        self._start_client = start_client
        self._random = world.random("chaos")
        self._cut_off: set[str] = set()

    async def run(self) -> None:
        """Until the scenario's time is over and everything is well again."""
        scenario = self._scenario
        plan: list[tuple[float, Callable[[], Awaitable[None]]]] = []
        for count, fault in (
            (scenario.power_cuts, self._lose_power),
            (scenario.kills, self._kill_broker),
            (scenario.clean_stops, self._stop_broker),
            (scenario.client_kills, self._kill_client),
            (scenario.partitions_of_network, self._cut_off_client),
            (scenario.slow_disk_episodes, self._slow_disk),
        ):
            plan += [(self._random.uniform(0.3, scenario.chaos_s), fault) for _ in range(count)]
        faults = [asyncio.ensure_future(self._at(when_s, fault)) for when_s, fault in plan]
        await asyncio.sleep(scenario.chaos_s)
        await asyncio.gather(*faults)
        self._world.trace.note("chaos", "is over")

    async def _at(self, when_s: float, fault: Callable[[], Awaitable[None]]) -> None:
        await asyncio.sleep(when_s)
        await fault()

    # The broker

    async def _lose_power(self) -> None:
        if self._machine.is_up:
            died = self._machine.died()
            self._plan_power_cut()
            try:
                async with asyncio.timeout(1):
                    await died
            except TimeoutError:
                self._machine.lose_power()
            await self._come_back()

    def _plan_power_cut(self) -> None:
        machine, rng = self._machine, self._random
        decision = rng.choice(_COORDINATORS_LOGS)
        match rng.randrange(4):
            case 0:
                calls = rng.randint(1, _CALLS_AFTER_A_DECISION)
                machine.lose_power_at_call(calls, after_sync_of=decision)
            case 1:
                machine.lose_power_soon_after_sync(decision, rng.uniform(*_AFTER_A_DECISION_S))
            case _:
                machine.lose_power_at_call(rng.randint(1, _CALLS_UNTIL_POWER_FAILS))

    async def _kill_broker(self) -> None:
        if self._machine.is_up:
            self._machine.kill()
            await self._come_back()

    async def _stop_broker(self) -> None:
        await self._machine.stop()
        await self._come_back()

    async def _come_back(self) -> None:
        await asyncio.sleep(self._random.choice(_OUTAGES_S))
        if not self._machine.is_up:
            await self._machine.start()
            if not self._machine.is_up:
                await self._come_back()

    # Clients

    def _choose(self) -> int | None:
        running = [number for number, client in self._clients.items() if client.is_running]
        return self._random.choice(running) if running else None

    async def _kill_client(self) -> None:
        number = self._choose()
        if number is not None:
            self._clients[number].kill()
            await asyncio.sleep(self._random.choice((0.0, 0.1, 2.5)))
            self._start_client(number)

    async def _cut_off_client(self) -> None:
        """Its place is taken meanwhile, perhaps, and it comes back as a zombie."""
        number = self._choose()
        if number is None:
            return
        client = self._clients[number]
        client.note("is cut off")
        self._cut_off.add(client.name)
        self._divide()
        await asyncio.sleep(self._random.choice((0.3, 1.0, 2.5)))
        if self._random.random() < 0.6:
            self._start_client(number)
            await asyncio.sleep(self._random.choice((0.1, 1.0)))
        client.note("is back")
        self._cut_off.discard(client.name)
        self._divide()

    def _divide(self) -> None:
        self._world.network.partition(*({name} for name in sorted(self._cut_off)), {BROKER_HOST})

    # The disk

    async def _slow_disk(self) -> None:
        loop = self._world.loop
        self._world.trace.note("disk", "is slow")
        loop.executor_latency_s = lambda: loop.random.uniform(*_SLOW_DISK_S)
        await asyncio.sleep(self._random.uniform(0.3, 1.5))
        loop.executor_latency_s = lambda: loop.random.uniform(*EXECUTOR_LATENCY_S)
        self._world.trace.note("disk", "is fast again")
