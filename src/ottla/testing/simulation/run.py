"""One seed from its first to its last moment: play it, let everything heal, read all, judge."""

from __future__ import annotations

import asyncio
import hashlib
import io
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

from ottla.testing.history import (
    Anomaly,
    Cleaning,
    History,
    Isolation,
    Report,
    check,
    check_copy,
    write_json_lines,
)
from ottla.testing.simulation.cast import cast_of
from ottla.testing.simulation.chaos import Chaos
from ottla.testing.simulation.clients.copier import origin
from ottla.testing.simulation.clients.link import Link, Unanswered
from ottla.testing.simulation.clients.reader import Reader
from ottla.testing.simulation.clients.transactional import TRANSACTION_TIMEOUT_MS
from ottla.testing.simulation.loop import SimulationLoop, run_simulation
from ottla.testing.simulation.machine import Machine
from ottla.testing.simulation.scenario import (
    BROKER_SETTINGS,
    COMPACTED,
    EXPIRING,
    SOURCE,
    TARGET,
    TOPIC_SETTINGS,
    Scenario,
    draw_scenario,
)
from ottla.testing.simulation.world import Client, World
from ottla.wire.api.k19_create_topics import ConfigToSet, CreateTopicsRequest, TopicToCreate

# Longer than any session, rebalance and transaction timeout, one after the other.
_HEALING_S = 20.0
_MARKERS_ARE_WRITTEN_S = 0.7
_CREATE_TOPICS_VERSION = 7

_WRITERS = ("producer", "keyed-producer", "expiring-producer", "writer")
_CONSUMERS = ("classic", "consumer", "copier")

Bug = Callable[[], AbstractContextManager[None]]


class Result(NamedTuple):
    """What came of a seed."""

    scenario: Scenario
    history: History
    report: Report
    unexpected: list[str]
    """Errors that no client should get, and waits without end."""
    trace: list[str]

    @property
    def is_clean(self) -> bool:
        return self.report.is_clean and not self.unexpected

    def digest(self) -> str:
        """The same for two runs exactly when all was the same."""
        file = io.StringIO()
        write_json_lines(self.history, file)
        told = "\n".join([*self.trace, file.getvalue()])
        return hashlib.sha256(told.encode()).hexdigest()

    def __str__(self) -> str:
        lines = [f"seed {self.scenario.seed} ({self.scenario}):", str(self.report)]
        return "\n".join([*lines, *(f"  unexpected: {each}" for each in self.unexpected)])


def run_seed(seed: int, *, bug: Bug = nullcontext) -> Result:
    """Play one seed; the same seed always gives the same result.

    Args:
        bug: a context in which the broker is broken on purpose.
    """
    return run_scenario(draw_scenario(seed), bug=bug)


def run_scenario(scenario: Scenario, *, bug: Bug = nullcontext) -> Result:
    """Play a scenario; see `run_seed`."""

    async def main(loop: SimulationLoop) -> tuple[World, Cleaning]:
        play = _Play(World(loop, scenario.seed), scenario)
        await play.run()
        return play.world, play.cleaning()

    with bug():
        world, cleaning = run_simulation(main, seed=scenario.seed)
    anomalies: list[Anomaly] = [*check(world.history, cleaning).anomalies]
    if scenario.copiers:
        anomalies += check_copy(world.history, scenario.sources, scenario.targets, origin)
    return Result(
        scenario,
        world.history,
        Report(anomalies, len(world.history)),
        world.unexpected,
        world.trace.lines,
    )


class _Play:
    """The course of one history."""

    def __init__(self, world: World, scenario: Scenario) -> None:
        self.world = world
        self._scenario = scenario
        self._machine = Machine(world, BROKER_SETTINGS)
        self._cast = list(cast_of(scenario))
        self._incarnations: dict[int, int] = {}
        # The incarnation of each role that now counts; others are dead, or zombies.
        self._clients: dict[int, Client] = {}

    async def run(self) -> None:
        """From the first start of the broker to the last record read."""
        await self._machine.start()
        setup = self.world.spawn("setup", self._create_topics)
        await self._until(lambda: setup.is_done, "the creation of topics")
        for number in range(len(self._cast)):
            self._start(number)
        chaos = Chaos(self.world, self._machine, self._scenario, self._clients, self._start)
        await chaos.run()
        await self._until(lambda: not self._left(_WRITERS), "writers at work")
        await asyncio.sleep(TRANSACTION_TIMEOUT_MS / 1000 + _MARKERS_ARE_WRITTEN_S)
        self.world.is_quiet = True
        await self._until(lambda: not self._left(_WRITERS + _CONSUMERS), "clients at work")
        await self._read_all()

    def cleaning(self) -> Cleaning:
        """What compaction and retention may have removed."""
        starts = {name: self._machine.log_start_offset(name) for name in self._scenario.expiring}
        return Cleaning(frozenset(self._scenario.compacted), starts)

    def _start(self, number: int) -> None:
        """Start the next incarnation of a role."""
        name, make = self._cast[number]
        incarnation = self._incarnations.get(number, 0) + 1
        self._incarnations[number] = incarnation
        live = make()

        async def main(client: Client) -> None:
            await live(client)
            if client.is_fenced and self._clients[number] is client:
                # Its transaction timed out, say: nobody has its place, so it starts anew.
                self._start(number)

        self._clients[number] = self.world.spawn(f"{name}.{incarnation}", main)

    async def _create_topics(self, client: Client) -> None:
        link = Link(client)
        topics = [
            TopicToCreate(
                name=name,
                num_partitions=self._scenario.partitions,
                replication_factor=1,
                assignments=[],
                configs=[
                    ConfigToSet(name=key, value=value)
                    for key, value in TOPIC_SETTINGS.get(name, {}).items()
                ],
            )
            for name in (SOURCE, TARGET, COMPACTED, EXPIRING)
        ]
        while True:
            try:
                await link.ask(CreateTopicsRequest(topics=topics), _CREATE_TOPICS_VERSION)
            except Unanswered:
                await link.back_off()
                continue
            return

    def _left(self, roles: tuple[str, ...]) -> list[str]:
        """Clients of these roles that still run."""
        clients = self.world.clients.items()
        return [name for name, each in clients if each.is_running and name.startswith(roles)]

    async def _read_all(self) -> None:
        """Everything, at both isolation levels, with nobody writing."""
        readers = [
            self.world.spawn(
                f"last-{isolation.value}",
                Reader(self._scenario.all_partitions, isolation, stops_at_the_end=True).run,
            )
            for isolation in Isolation
        ]
        await self._until(lambda: all(each.is_done for each in readers), "the last readers")

    async def _until(self, is_so: Callable[[], bool], what: str) -> None:
        """Wait; note it as unexpected if it takes longer than anything may."""
        deadline_s = self.world.loop.time() + _HEALING_S
        while not is_so():
            if self.world.loop.time() > deadline_s:
                left = self._left(("",))
                self.world.wrong("simulation", f"{what}: still waiting for {left}")
                return
            await asyncio.sleep(0.05)
