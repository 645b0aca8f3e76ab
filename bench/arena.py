"""Where the contestants meet: servers started once, measured in turns, on chosen cores."""

from __future__ import annotations

import os
import pathlib
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import NamedTuple, TypeVar

from bench.peers import (
    COMMON_SETTINGS,
    FLUSH_EACH_APPEND,
    KAFKA_SETTINGS,
    KafkaServer,
    OttlaServer,
    Server,
    address_of,
    place,
    placed_here,
    warm_up,
)
from bench.results import Samples

Measured = TypeVar("Measured")

OTTLA, KAFKA, KAFKA_ALL_CORES = "ottla", "kafka", "kafka_all_cores"
PAGE_CACHE, DURABLE = "page cache", "durable"
PROMISES = (PAGE_CACHE, DURABLE)


@dataclass(frozen=True)
class Effort:
    """How long to measure."""

    repeats: int
    seconds: float
    """Of one sample."""
    discarded_seconds: float
    """Of load before the first sample of a row that counts."""
    warm_up_seconds: float
    """Of mixed load once after a JVM's start."""
    bulk_mebibytes: int
    starts: int
    idle_connections: int
    kafka_on_one_core: bool
    """Whether Kafka is also measured on Ottla's core alone."""


QUICK = Effort(1, 0.5, 0.2, 5.0, 256, 1, 2_000, False)
FULL = Effort(3, 1.0, 0.5, 20.0, 512, 5, 8_000, True)


class Contestant(NamedTuple):
    """A server on certain cores, with a promise about what an acknowledgement means."""

    label: str
    server: Server
    cores: set[int]
    topic_settings: Mapping[str, str]

    @property
    def address(self) -> tuple[str, int]:
        return address_of(self.server.bootstrap_servers)

    @property
    def bootstrap_servers(self) -> str:
        return self.server.bootstrap_servers


class Arena:
    """Everything a row needs; servers start with the first row that needs them.

    Args:
        parent: the directory in which all data lies, Ottla's, Kafka's and the limits' alike.
    """

    def __init__(self, parent: pathlib.Path, effort: Effort, *, with_kafka: bool = True) -> None:
        parent.mkdir(parents=True, exist_ok=True)
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="bench-", dir=parent))
        self.effort = effort
        self.with_kafka = with_kafka
        self.all_cores = os.sched_getaffinity(0)
        first, *others = sorted(self.all_cores)
        self.server_cores = {first}
        self.load_cores = {others[0]} if others else {first}
        self._servers: dict[str, Server] = {}
        self._topics = 0

    def __enter__(self) -> Arena:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for server in self._servers.values():
            server.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def ottla(self, promise: str) -> Server:
        """An Ottla that keeps the promise."""
        policy = "group" if promise == DURABLE else "os"
        settings = {**COMMON_SETTINGS, "log.flush.policy": policy}
        return self._server(
            f"ottla-{policy}", lambda directory: OttlaServer(directory, settings), warm_seconds=1.0
        )

    def kafka(self) -> Server:
        """Apache Kafka, warmed up; topics say which promise it keeps."""
        return self._server(
            "kafka",
            lambda directory: KafkaServer(directory, KAFKA_SETTINGS),
            warm_seconds=self.effort.warm_up_seconds,
        )

    def contestants(self, promise: str, *, on_all_cores: bool = False) -> list[Contestant]:
        """Who takes part, in the order of the turns.

        Args:
            on_all_cores: nobody is kept to one core.
        """
        cores = self.all_cores if on_all_cores else self.server_cores
        found = [Contestant(OTTLA, self.ottla(promise), cores, {})]
        if self.with_kafka:
            settings = FLUSH_EACH_APPEND if promise == DURABLE else {}
            kafka = self.kafka()
            if self.effort.kafka_on_one_core and not on_all_cores:
                found.append(Contestant(KAFKA, kafka, self.server_cores, settings))
            if on_all_cores or self.all_cores != self.server_cores:
                found.append(Contestant(KAFKA_ALL_CORES, kafka, self.all_cores, settings))
        return found

    def take_turns(
        self,
        promise: str,
        measure: Callable[[Contestant, float], Measured],
        *,
        on_all_cores: bool = False,
    ) -> dict[str, list[Measured]]:
        """Measure every contestant, one after the other, as often as the effort says.

        ``measure`` gets the contestant and the seconds to measure; the first turn is a warm-up and
        doesn't count. On one core of its own a server that waits for single requests falls asleep
        after each, and waking a sleeping core takes longer than the answer: where that would be
        measured, everybody runs ``on_all_cores``.
        """
        contestants = self.contestants(promise, on_all_cores=on_all_cores)
        results: dict[str, list[Measured]] = {each.label: [] for each in contestants}
        for turn in range(self.effort.repeats + 1):
            seconds = self.effort.seconds if turn else self.effort.discarded_seconds
            for contestant in contestants:
                place(contestant.server.pid, contestant.cores)
                with placed_here(self.load_cores):
                    measured = measure(contestant, seconds)
                if turn:
                    results[contestant.label].append(measured)
        return results

    def topic_name(self) -> str:
        """A name no topic has had."""
        self._topics += 1
        return f"bench{self._topics}"

    def _server(
        self, name: str, make: Callable[[pathlib.Path], Server], *, warm_seconds: float
    ) -> Server:
        server = self._servers.get(name)
        if server is None:
            server = make(self.directory / name)
            server.start()
            self._servers[name] = server
            warm_up(server, warm_seconds)
        return server


def figures(
    results: Mapping[str, list[Measured]], figure: Callable[[Measured], float]
) -> dict[str, Samples]:
    """One figure of what each contestant's turns measured, by the names of ``Row``'s fields."""
    return {
        label: Samples.of([figure(each) for each in measured])
        for label, measured in results.items()
        if measured
    }
