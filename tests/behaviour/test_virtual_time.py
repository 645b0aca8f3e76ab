"""``ottla.aio`` against our own broker in virtual time: connections break and networks part."""

from __future__ import annotations

import asyncio
import random
from functools import partial
from typing import Any

import pytest

import ottla
from ottla.aio import Consumer, Producer
from ottla.broker.configuration import configuration_of
from ottla.broker.node import BrokerNode
from ottla.client.engine.engine import Engine
from ottla.metadata.store.sqlite import IN_MEMORY, SqliteMetadataStore
from ottla.ports.entropy import SeededEntropy
from ottla.testing.memory_disk import MemoryDisk
from ottla.testing.simulation.loop import SimulationLoop, run_simulation
from ottla.testing.simulation.net import SimulatedNetwork
from ottla.testing.simulation.worker import SimulatedWorker

_MESSAGES = 200
_SETTINGS: dict[str, Any] = {"bootstrap.servers": "broker:9092", "log_level": 0}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes a network with a broker on it, from which the clients' engines get their ports."""

    async def make(loop: SimulationLoop, seed: int) -> tuple[SimulatedNetwork, BrokerNode]:
        network = SimulatedNetwork(loop)
        settings = {
            "listeners": "PLAINTEXT://broker:9092",
            "log.dirs": "/data",
            "group.initial.rebalance.delay.ms": "0",
        }
        node = BrokerNode(
            configuration_of(settings, origin="test"),
            clock=loop.clock,
            disk=MemoryDisk(loop.clock),
            net=network.host("broker"),
            entropy=SeededEntropy(seed),
            store=SqliteMetadataStore(IN_MEMORY),
            new_worker=SimulatedWorker,
        )
        await node.start()
        for module in ("producer", "consumer_reading"):
            ports = {
                "net": network.host(module),
                "clock": loop.clock,
                "entropy": SeededEntropy(seed),
            }
            name = f"ottla.client.aio.{module}.Engine"
            monkeypatch.setattr(name, partial(Engine, **ports))
        return network, node

    return make


async def disturb(network: SimulatedNetwork, chance: random.Random) -> None:
    """Break connections, or part the broker from everybody for a while, again and again."""
    while True:
        await asyncio.sleep(chance.uniform(0.1, 2.0))
        what = chance.choice(["producer", "consumer_reading", "everybody"])
        if what == "everybody":
            network.partition({"broker"}, {"producer", "consumer_reading"})
            await asyncio.sleep(chance.uniform(0.1, 3.0))
            network.heal()
        else:
            network.reset_connections("broker", what)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_nothing_is_lost_doubled_or_out_of_order(world: Any, seed: int, protocol: str) -> None:
    values: list[int] = []
    offsets: list[int | None] = []

    async def receive(consumer: Consumer) -> None:
        await consumer.subscribe(["t"])
        async for message in consumer:
            if message.error() is None:
                values.append(int(message.value() or b""))
            if len(values) == _MESSAGES:
                return

    async def main(loop: SimulationLoop) -> None:
        network, node = await world(loop, seed)
        chance = random.Random(seed)
        reading = {"group.id": "g", "group.protocol": protocol, "auto.offset.reset": "earliest"}
        async with (
            Producer({**_SETTINGS, "enable.idempotence": True}) as producer,
            Consumer({**_SETTINGS, **reading}) as consumer,
        ):

            def send(number: int) -> asyncio.Future[ottla.Message]:
                # The native accumulator looks at the real clock.
                return producer.send("t", b"%d" % number, timestamp=loop.clock.wall_ms())

            first = await send(0)
            receiving = asyncio.ensure_future(receive(consumer))
            disturbing = asyncio.ensure_future(disturb(network, chance))
            sent = [send(1)]
            for number in range(2, _MESSAGES):
                if chance.random() < 0.2:
                    await asyncio.sleep(chance.uniform(0, 0.5))
                sent.append(send(number))
            delivered: list[ottla.Message] = await asyncio.gather(*sent)
            await receiving
            disturbing.cancel()
            network.heal()
            offsets.extend(message.offset() for message in [first, *delivered])
        await node.stop()

    run_simulation(main, seed=seed)
    assert offsets == list(range(_MESSAGES))
    assert values == list(range(_MESSAGES))
