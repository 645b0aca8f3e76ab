"""One seed from its first to its last moment: play it, let everything heal, read all, judge."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import NamedTuple

from ottla.testing.history import Anomaly, History, Isolation, Report, check, check_copy
from ottla.testing.simulation.chaos import Chaos
from ottla.testing.simulation.clients.classic_member import ClassicMember
from ottla.testing.simulation.clients.consumer import GroupConsumer
from ottla.testing.simulation.clients.link import Link, Unanswered
from ottla.testing.simulation.clients.producer import IdempotentProducer
from ottla.testing.simulation.clients.reader import Reader
from ottla.testing.simulation.loop import SimulationLoop, run_simulation
from ottla.testing.simulation.machine import Machine
from ottla.testing.simulation.scenario import (
    BROKER_SETTINGS,
    SOURCE,
    TARGET,
    Scenario,
    draw_scenario,
)
from ottla.testing.simulation.world import Client, World
from ottla.wire.api.k19_create_topics import CreateTopicsRequest, TopicToCreate

# Longer than any session, rebalance and transaction timeout, one after the other.
_HEALING_S = 12.0
_READING_S = 30.0
_CREATE_TOPICS_VERSION = 7

Main = Callable[[Client], Awaitable[None]]


class Result(NamedTuple):
    """What came of a seed."""

    scenario: Scenario
    history: History
    report: Report
    unexpected: list[str]
    """Errors that no client should get, and waits without end."""
    trace: list[str]
    digest: str

    @property
    def is_clean(self) -> bool:
        return self.report.is_clean and not self.unexpected

    def __str__(self) -> str:
        lines = [f"seed {self.scenario.seed} ({self.scenario}):", str(self.report)]
        return "\n".join([*lines, *(f"  unexpected: {each}" for each in self.unexpected)])


def run_seed(seed: int, *, bug: Callable[[], AbstractContextManager[None]] = nullcontext) -> Result:
    """Play one seed; the same seed always gives the same result.

    Args:
        bug: a context in which the broker is broken on purpose.
    """
    return run_scenario(draw_scenario(seed), bug=bug)


def run_scenario(
    scenario: Scenario, *, bug: Callable[[], AbstractContextManager[None]] = nullcontext
) -> Result:
    """Play a scenario; see `run_seed`."""

    async def main(loop: SimulationLoop) -> World:
        play = _Play(World(loop, scenario.seed), scenario)
        await play.run()
        return play.world

    with bug():
        world = run_simulation(main, seed=scenario.seed)
    anomalies: list[Anomaly] = [*check(world.history).anomalies]
    return Result(
        scenario,
        world.history,
        Report(anomalies, len(world.history)),
        world.unexpected,
        world.trace.lines,
        world.digest(),
    )


class _Play:
    """The course of one history."""

    def __init__(self, world: World, scenario: Scenario) -> None:
        self.world = world
        self.scenario = scenario
        self.machine = Machine(world, BROKER_SETTINGS)
        self.clients: dict[int, Client] = {}
        self._mains: list[tuple[str, Callable[[], Main]]] = list(self._cast())
        self._incarnations: dict[int, int] = {}

    async def run(self) -> None:
        """From the first start of the broker to the last record read."""
        await self.machine.start()
        setup = self.world.spawn("setup", self._create_topics)
        await self._until(lambda: setup.is_done, _HEALING_S, "the creation of topics")
        for number in range(len(self._mains)):
            self._start(number)
        await Chaos(self.world, self.machine, self.scenario, self.clients, self._start).run()
        await self._until(lambda: self._has_healed(), _HEALING_S, "clients at work")
        await self._read_all()

    def _cast(self) -> Iterator[tuple[str, Callable[[], Main]]]:
        """The clients' names, and what makes their next incarnations."""
        scenario = self.scenario
        end_s = scenario.chaos_s
        for number in range(scenario.producers):
            yield f"producer-{number}", lambda: IdempotentProducer(scenario.sources, end_s).run
        for number in range(scenario.classic_consumers):
            yield f"classic-{number}", partial(self._classic, number)
        yield (
            "reader",
            lambda: Reader([*scenario.sources, *scenario.targets], Isolation.READ_COMMITTED).run,
        )

    def _classic(self, number: int) -> Main:
        instance_id = f"static-{number}" if number % 2 else None

        def member(client: Client) -> ClassicMember:
            return ClassicMember(client, "classic", self.scenario.sources, instance_id)

        return GroupConsumer(member, Isolation.READ_COMMITTED, self.scenario.chaos_s + 1).run

    def _start(self, number: int) -> None:
        name, make = self._mains[number]
        incarnation = self._incarnations.get(number, 0) + 1
        self._incarnations[number] = incarnation
        self.clients[number] = self.world.spawn(f"{name}.{incarnation}", make())

    async def _create_topics(self, client: Client) -> None:
        link = Link(client)
        topics = [
            TopicToCreate(
                name=name,
                num_partitions=self.scenario.partitions,
                replication_factor=1,
                assignments=[],
                configs=[],
            )
            for name in (SOURCE, TARGET)
        ]
        while True:
            try:
                await link.ask(CreateTopicsRequest(topics=topics), _CREATE_TOPICS_VERSION)
            except Unanswered:
                await link.back_off()
                continue
            return

    def _has_healed(self) -> bool:
        return all(
            client.is_done or not client.process.is_alive
            for name, client in self.world.clients.items()
            if not name.startswith("reader")
        )

    async def _read_all(self) -> None:
        """Everything, at both isolation levels, with nobody writing."""
        partitions = [*self.scenario.sources, *self.scenario.targets]
        readers = [
            self.world.spawn(
                f"last-{isolation.value}",
                Reader(partitions, isolation, stops_at_the_end=True).run,
            )
            for isolation in Isolation
        ]
        await self._until(
            lambda: all(reader.is_done for reader in readers), _READING_S, "the last readers"
        )

    async def _until(self, is_so: Callable[[], bool], most_s: float, what: str) -> None:
        """Wait; note it as unexpected if it takes longer than anything may."""
        deadline_s = self.world.loop.time() + most_s
        while not is_so():
            if self.world.loop.time() > deadline_s:
                left = [client.name for client in self.world.clients.values() if client.is_running]
                self.world.wrong("simulation", f"{what}: still waiting for {left}")
                return
            await asyncio.sleep(0.05)


__all__ = ["Result", "check_copy", "run_scenario", "run_seed"]
