"""A whole broker in virtual time, for tests of what its parts do together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from ottla.broker.configuration import configuration_of
from ottla.broker.node import BrokerNode
from ottla.metadata.store.interface import MetadataStore
from ottla.metadata.store.sqlite import IN_MEMORY, SqliteMetadataStore
from ottla.ports.disk import Disk
from ottla.ports.entropy import SeededEntropy
from ottla.testing.raw_client import batch_of
from ottla.testing.simulation.client import SimulatedClient
from ottla.testing.simulation.disk import SimulatedDisk
from ottla.testing.simulation.loop import SimulationLoop, run_simulation
from ottla.testing.simulation.net import SimulatedNetwork
from ottla.testing.simulation.worker import SimulatedWorker
from ottla.wire.api.k00_produce import PartitionToProduce, ProduceRequest, TopicToProduce
from ottla.wire.api.k19_create_topics import CreateTopicsRequest, TopicToCreate


class SimulatedBroker:
    """A broker on a disk, and requests to it."""

    def __init__(
        self,
        loop: SimulationLoop,
        disk: Disk | None = None,
        store: MetadataStore | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.network = SimulatedNetwork(loop)
        self.disk = disk or SimulatedDisk(1)
        self.store = store or SqliteMetadataStore(IN_MEMORY)
        self.node = BrokerNode(
            configuration_of(
                {"listeners": "PLAINTEXT://:9092", "log.dirs": "/data", **(settings or {})},
                origin="test",
            ),
            clock=loop.clock,
            disk=self.disk,
            net=self.network.host("broker"),
            entropy=SeededEntropy(1),
            store=self.store,
            new_worker=SimulatedWorker,
        )

    async def connect(self) -> SimulatedClient:
        net = self.network.host("client")
        return await SimulatedClient.connect(net, self.node.addresses["PLAINTEXT"])

    async def create_topic(self, client: SimulatedClient, name: str, partitions: int = 1) -> None:
        topic = TopicToCreate(
            name=name, num_partitions=partitions, replication_factor=1, assignments=[], configs=[]
        )
        [created] = (await client.ask(CreateTopicsRequest(topics=[topic]), 7)).topics
        assert created.error_code == 0, created

    async def produce(
        self, client: SimulatedClient, topic: str, value: bytes, partition: int = 0
    ) -> Any:
        answer = await self.send(client, topic, value, partition)
        return answer.responses[0].partition_responses[0]

    def send(
        self, client: SimulatedClient, topic: str, value: bytes, partition: int = 0
    ) -> asyncio.Future[Any]:
        data = PartitionToProduce(index=partition, records=batch_of([value], timestamp_ms=1000))
        topic_data = [TopicToProduce(name=topic, partition_data=[data])]
        request = ProduceRequest(acks=-1, timeout_ms=10_000, topic_data=topic_data)
        return client.ask(request, 9)


Story = Callable[[SimulatedBroker, SimulatedClient], Awaitable[None]]


@pytest.fixture
def tell() -> Callable[..., None]:
    """Runs a story on a started broker, and stops the broker."""

    def run(story: Story, **options: Any) -> None:
        async def main(loop: SimulationLoop) -> None:
            broker = SimulatedBroker(loop, **options)
            await broker.node.start()
            client = await broker.connect()
            await story(broker, client)
            await broker.node.stop()

        run_simulation(main, seed=1)

    return run
