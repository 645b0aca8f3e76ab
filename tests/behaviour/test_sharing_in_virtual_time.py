"""Share consumers against our own broker in virtual time: connections break, members vanish.

Whatever happens, every record is settled in the end, and what the broker has confirmed to be
settled is delivered to nobody again.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from typing import Any

import pytest

from ottla import AcknowledgeType, IllegalStateException
from ottla.admin import (
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)
from ottla.aio import AdminClient, Producer, ShareConsumer
from ottla.broker.configuration import configuration_of
from ottla.broker.node import BrokerNode
from ottla.client.engine.engine import Engine
from ottla.metadata.store.sqlite import IN_MEMORY, SqliteMetadataStore
from ottla.ports.entropy import SeededEntropy
from ottla.testing.memory_disk import MemoryDisk
from ottla.testing.simulation.loop import SimulationLoop, run_simulation
from ottla.testing.simulation.net import SimulatedNetwork
from ottla.testing.simulation.worker import SimulatedWorker

RECORDS = 120
MEMBERS = 3
PARTITIONS = 2
DELIVERY_LIMIT = 10
# Locks hold for 30 seconds.
QUIET_SECONDS = 45
CLIENT: dict[str, Any] = {"bootstrap.servers": "broker:9092", "log_level": 0}
Key = tuple[int, int]


class World:
    """A broker and everybody who talks to it, each on a host of its own."""

    def __init__(self, loop: SimulationLoop, seed: int) -> None:
        self.network = SimulatedNetwork(loop)
        self.chance = random.Random(seed)
        self.clock = loop.clock
        self.seed = seed
        self.hosts = itertools.count()
        settings = {
            "listeners": "PLAINTEXT://broker:9092",
            "log.dirs": "/data",
            "group.share.delivery.count.limit": str(DELIVERY_LIMIT),
        }
        self.node = BrokerNode(
            configuration_of(settings, origin="test"),
            clock=loop.clock,
            disk=MemoryDisk(loop.clock),
            net=self.network.host("broker"),
            entropy=SeededEntropy(seed),
            store=SqliteMetadataStore(IN_MEMORY),
            new_worker=SimulatedWorker,
        )

    def engine(self, *args: Any, **keywords: Any) -> Engine:
        number = next(self.hosts)
        ports = {
            "net": self.network.host(f"client-{number}"),
            "clock": self.clock,
            "entropy": SeededEntropy(self.seed * 100 + number),
        }
        return Engine(*args, **keywords, **ports)

    async def prepare(self) -> None:
        """Have a topic, and a group that begins where it begins."""
        await self.node.start()
        async with AdminClient(CLIENT) as admin:
            await admin.create_topics([NewTopic("t", PARTITIONS, 1)])
            entry = ConfigEntry(
                "share.auto.offset.reset",
                "earliest",
                incremental_operation=AlterConfigOpType.SET,
            )
            group = ConfigResource(ResourceType.GROUP, "g", incremental_configs=[entry])
            await admin.incremental_alter_configs([group])

    async def disturb(self) -> None:
        """Break connections, or part the broker from everybody for a while, again and again."""
        while True:
            await asyncio.sleep(self.chance.uniform(0.1, 3.0))
            clients = [f"client-{number}" for number in range(1, MEMBERS + 3)]
            if self.chance.random() < 0.3:
                self.network.partition({"broker"}, set(clients))
                await asyncio.sleep(self.chance.uniform(0.1, 3.0))
                self.network.heal()
            else:
                self.network.reset_connections("broker", self.chance.choice(clients))


class Books:
    """Who got what, how often, and what became of it."""

    def __init__(self) -> None:
        self.deliveries: dict[Key, int] = {}
        self.settled: dict[Key, AcknowledgeType] = {}
        # The broker may have heard, but its answer was lost.
        self.maybe_settled: set[Key] = set()
        self.last_delivery = 0.0
        self.problems: list[str] = []

    @property
    def is_done(self) -> bool:
        """Whether nothing is left, and nothing has come back for longer than any lock holds."""
        given_up = {key for key, count in self.deliveries.items() if count >= DELIVERY_LIMIT}
        quiet_seconds = asyncio.get_running_loop().time() - self.last_delivery
        done = self.settled.keys() | self.maybe_settled | given_up
        return len(done) == RECORDS and quiet_seconds > QUIET_SECONDS

    def delivered(self, key: Key, count: int | None) -> None:
        self.last_delivery = asyncio.get_running_loop().time()
        self.maybe_settled.discard(key)
        if key in self.settled:
            self.problems.append(f"{key} is delivered though {self.settled[key]!r}")
        if count is None or count <= self.deliveries.get(key, 0):
            self.problems.append(f"{key} is delivered for the {count}. time again")
        self.deliveries[key] = max(count or 0, self.deliveries.get(key, 0))


async def work(world: World, books: Books, consumer: ShareConsumer) -> None:
    """Take records, and settle each in one way or another."""
    kinds = [AcknowledgeType.ACCEPT] * 6 + [AcknowledgeType.RELEASE, AcknowledgeType.REJECT]
    decided: dict[Key, AcknowledgeType] = {}

    def told(offsets: dict[Any, set[int]], failure: BaseException | None) -> None:
        for partition, numbers in offsets.items():
            for offset in numbers:
                key = partition.partition, offset
                kind = decided.pop(key)
                if kind is AcknowledgeType.RELEASE:
                    continue
                if failure is None:
                    books.settled[key] = kind
                else:
                    books.maybe_settled.add(key)

    await consumer.set_acknowledgement_commit_callback(told)
    await consumer.subscribe(["t"])
    while not books.is_done:
        for message in await consumer.poll(world.chance.uniform(0.01, 2.0)):
            if message.error() is not None:
                continue
            key = message.partition() or 0, message.offset() or 0
            books.delivered(key, message.delivery_count())
            decided[key] = world.chance.choice(kinds)
            await consumer.acknowledge(message, decided[key])
        if world.chance.random() < 0.3:
            await consumer.commit_sync(5)
        await asyncio.sleep(world.chance.uniform(0, 0.2))


async def vanish(world: World, books: Books) -> None:
    """A member that takes records and is gone."""
    consumer = ShareConsumer({**CLIENT, "group.id": "g", "share.acknowledgement.mode": "explicit"})
    await consumer.subscribe(["t"])
    for message in await consumer.poll(20):
        if message.error() is None:
            key = message.partition() or 0, message.offset() or 0
            books.delivered(key, message.delivery_count())
    assert consumer._engine is not None
    await consumer._engine.close()


async def produce(world: World) -> None:
    async with Producer({**CLIENT, "enable.idempotence": True}) as producer:
        for number in range(RECORDS):
            # The native accumulator looks at the real clock.
            producer.send(
                "t", b"%d" % number, partition=number % PARTITIONS, timestamp=world.clock.wall_ms()
            )
            if world.chance.random() < 0.2:
                await asyncio.sleep(world.chance.uniform(0, 0.5))
        await producer.flush()


@pytest.mark.parametrize("seed", range(6))
def test_every_record_is_settled_once(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    books = Books()

    async def main(loop: SimulationLoop) -> None:
        world = World(loop, seed)
        for module in ("admin_calls", "producer", "share_consumer"):
            monkeypatch.setattr(f"ottla.client.aio.{module}.Engine", world.engine)
        await world.prepare()
        settings = {**CLIENT, "group.id": "g", "share.acknowledgement.mode": "explicit"}
        consumers = [ShareConsumer(settings) for _ in range(MEMBERS)]
        disturbing = asyncio.ensure_future(world.disturb())
        working = [asyncio.ensure_future(work(world, books, each)) for each in consumers]
        await asyncio.gather(produce(world), vanish(world, books))
        await asyncio.gather(*working)
        disturbing.cancel()
        world.network.heal()
        for consumer in consumers:
            await consumer.close()
            with pytest.raises(IllegalStateException):
                await consumer.poll(0)
        await world.node.stop()

    run_simulation(main, seed=seed)
    assert books.problems == []
    assert len(books.deliveries) == RECORDS
