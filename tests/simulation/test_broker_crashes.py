"""A whole broker whose power fails again and again, in virtual time.

Whatever was acknowledged, or read by a consumer, is there after every restart: once, in order.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial

import pytest

from ottla.broker.configuration import configuration_of
from ottla.broker.node import BrokerNode
from ottla.metadata.store.sqlite import IN_MEMORY, SqliteMetadataStore
from ottla.ports.entropy import SeededEntropy
from ottla.records.batch import iter_complete_headers
from ottla.records.decode import decode_records
from ottla.testing.raw_client import ProducerIdentity, batch_of, produce_request
from ottla.testing.simulation.client import SimulatedClient
from ottla.testing.simulation.clock import DEFAULT_START_MS, VirtualClock
from ottla.testing.simulation.disk import SimulatedDisk
from ottla.testing.simulation.loop import SimulationLoop, run_simulation
from ottla.testing.simulation.net import SimulatedNetwork
from ottla.testing.simulation.worker import SimulatedWorker
from ottla.wire.api.k01_fetch import FetchRequest, PartitionToFetch, TopicToFetch
from ottla.wire.api.k08_offset_commit import (
    OffsetCommitRequest,
    PartitionToCommit,
    TopicToCommit,
)
from ottla.wire.api.k09_offset_fetch import OffsetFetchRequest, TopicToLookUp
from ottla.wire.api.k19_create_topics import CreateTopicsRequest, TopicToCreate
from ottla.wire.api.k22_init_producer_id import InitProducerIdRequest

SEEDS = range(60)
LIVES = 4
TOPIC = "t"
PARTITIONS = 2
GROUP = "g"
SETTINGS = {
    "listeners": "PLAINTEXT://:9092",
    "log.dirs": "/data",
    # Often, so that crashes also hit segments being rolled and checkpoints being written.
    "log.roll.ms": "50",
    "log.flush.offset.checkpoint.interval.ms": "100",
    "offsets.topic.num.partitions": "2",
}


class Producer:
    """Sends numbered values to one partition; knows which were acknowledged.

    An idempotent one sends what was not acknowledged again, with the same sequence numbers.
    """

    def __init__(self, name: str, partition: int, *, is_idempotent: bool) -> None:
        self.name = name
        self.partition = partition
        self.is_idempotent = is_idempotent
        self.identity: ProducerIdentity | None = None
        self.acknowledged: set[bytes] = set()
        self.unacknowledged: list[int] = []
        self.sent = 0

    def value(self, number: int) -> bytes:
        return f"{self.name}-{number}".encode()

    async def run(self, rng: random.Random, client: SimulatedClient) -> None:
        if self.is_idempotent and self.identity is None:
            answer = await client.ask(
                InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=1000), 4
            )
            self.identity = ProducerIdentity(answer.producer_id, answer.producer_epoch)
        again = self.unacknowledged if self.is_idempotent else []
        self.unacknowledged = []
        for number in again:
            await self.send(client, number)
        while True:
            numbers = range(self.sent, self.sent + rng.randint(1, 3))
            self.sent = numbers.stop
            # Several in flight: a crash may keep the first of them and lose the others.
            sends = [asyncio.ensure_future(self.send(client, number)) for number in numbers]
            await asyncio.gather(*sends)
            await asyncio.sleep(rng.uniform(0, 0.01))

    async def send(self, client: SimulatedClient, number: int) -> None:
        value = self.value(number)
        now_ms = DEFAULT_START_MS + int(asyncio.get_running_loop().time() * 1000)
        batch = batch_of([value], identity=self.identity, base_sequence=number, timestamp_ms=now_ms)
        self.unacknowledged.append(number)
        answer = await client.ask(produce_request(TOPIC, {self.partition: batch}), 9)
        produced = answer.responses[0].partition_responses[0]
        if produced.error_code:
            raise ConnectionError(f"{value!r}: error {produced.error_code}")
        self.acknowledged.add(value)
        self.unacknowledged.remove(number)


class History:
    """What clients were told, over all lives of the broker."""

    def __init__(self) -> None:
        self.producers = [
            Producer(f"p{number}", number % PARTITIONS, is_idempotent=number < 3)
            for number in range(4)
        ]
        self.read: dict[int, dict[int, bytes]] = {index: {} for index in range(PARTITIONS)}
        self.committed = -1
        self.sent_commit = -1

    async def consume(self, partition: int, client: SimulatedClient) -> None:
        offset = 0
        while True:
            for found, value in await fetch(client, partition, offset, max_wait_ms=50):
                self.read[partition][found] = value
                offset = found + 1

    async def commit(self, client: SimulatedClient) -> None:
        while True:
            self.sent_commit += 1
            wanted = PartitionToCommit(
                partition_index=0, committed_offset=self.sent_commit, committed_metadata=""
            )
            topic = TopicToCommit(name=TOPIC, partitions=[wanted])
            answer = await client.ask(OffsetCommitRequest(group_id=GROUP, topics=[topic]), 8)
            if answer.topics[0].partitions[0].error_code:
                raise ConnectionError("commit refused")
            self.committed = self.sent_commit

    async def check(self, client: SimulatedClient) -> None:
        """All of it is still so."""
        for partition in range(PARTITIONS):
            kept = dict([each async for each in read_all(client, partition)])
            values = list(kept.values())
            assert len(set(values)) == len(values), "a record is there twice"
            for offset, value in self.read[partition].items():
                assert kept.get(offset) == value, "what a consumer read has changed"
            for producer in self.producers:
                if producer.partition == partition:
                    assert producer.acknowledged <= set(values), "an acknowledged record is lost"
                    prefix = f"{producer.name}-".encode()
                    numbers = [int(each.split(b"-")[1]) for each in values if each[:3] == prefix]
                    assert numbers == sorted(numbers), "out of order"
        wanted = TopicToLookUp(name=TOPIC, partition_indexes=[0])
        answer = await client.ask(OffsetFetchRequest(group_id=GROUP, topics=[wanted]), 7)
        assert answer.error_code == 0
        found = answer.topics[0].partitions[0].committed_offset
        assert self.committed <= found <= self.sent_commit, "a committed offset is lost"


async def fetch(
    client: SimulatedClient, partition: int, offset: int, *, max_wait_ms: int
) -> list[tuple[int, bytes]]:
    wanted = PartitionToFetch(partition=partition, fetch_offset=offset, partition_max_bytes=1 << 20)
    request = FetchRequest(
        max_wait_ms=max_wait_ms,
        min_bytes=1,
        max_bytes=1 << 20,
        topics=[TopicToFetch(topic=TOPIC, partitions=[wanted])],
    )
    answer = (await client.ask(request, 12)).responses[0].partitions[0]
    if answer.error_code:
        raise ConnectionError(f"fetch: error {answer.error_code}")
    data = bytes(answer.records or b"")
    return [
        (record.offset, record.value or b"")
        for position, _ in iter_complete_headers(data)
        for record in decode_records(data, position)
        if record.offset >= offset
    ]


async def read_all(client: SimulatedClient, partition: int) -> AsyncIterator[tuple[int, bytes]]:
    offset = 0
    while found := await fetch(client, partition, offset, max_wait_ms=0):
        for each in found:
            yield each
        offset = found[-1][0] + 1


class Machine:
    """A disk and a metadata store that outlive their broker."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.disk = SimulatedDisk(seed)
        self.store = SqliteMetadataStore(IN_MEMORY)
        self.clock = VirtualClock()
        self.history = History()
        self.has_crashed = False

    def live(self, seed: int) -> None:
        """One life of the broker, from its start to the loss of power."""

        async def main(loop: SimulationLoop) -> None:
            network = SimulatedNetwork(loop)
            node = BrokerNode(
                configuration_of(SETTINGS, origin="test"),
                clock=loop.clock,
                disk=self.disk,
                net=network.host("broker"),
                entropy=SeededEntropy(seed),
                store=self.store,
                new_worker=SimulatedWorker,
            )
            await node.start()
            address = node.addresses["PLAINTEXT"]
            checker = await SimulatedClient.connect(network.host("checker"), address)
            await create_topic(checker)
            await self.history.check(checker)
            crashed = asyncio.Event()
            tasks: list[asyncio.Future[None]] = []
            for work in self.clients():
                client = await SimulatedClient.connect(network.host("client"), address)
                tasks.append(asyncio.ensure_future(self.until_crash(work(client))))
            self.plan_crash(crashed)
            await crashed.wait()
            # Long enough for whatever was answered before the crash to be told.
            await asyncio.sleep(1)
            for task in tasks:
                if task.done():
                    task.result()

        run_simulation(main, seed=seed, clock=self.clock)

    def clients(self) -> Iterator[Callable[[SimulatedClient], Awaitable[None]]]:
        for producer in self.history.producers:
            yield partial(producer.run, self.rng)
        for partition in range(PARTITIONS):
            yield partial(self.history.consume, partition)
        yield self.history.commit

    async def until_crash(self, work: Awaitable[None]) -> None:
        try:
            await work
        except ConnectionError:
            assert self.has_crashed

    def plan_crash(self, crashed: asyncio.Event) -> None:
        """In the midst of some call to the disk, soon."""
        disk = self.disk
        self.has_crashed = False
        calls_left = self.rng.randint(1, 600)

        def count(operation: str, path: str) -> None:
            nonlocal calls_left
            calls_left -= 1
            if calls_left == 0:
                disk.on_operation = None
                self.has_crashed = True
                self.disk = disk.crash()
                crashed.set()
                raise OSError(5, "the power failed", path)

        disk.on_operation = count


async def create_topic(client: SimulatedClient) -> None:
    topic = TopicToCreate(
        name=TOPIC,
        num_partitions=PARTITIONS,
        replication_factor=1,
        assignments=[],
        configs=[],
    )
    await client.ask(CreateTopicsRequest(topics=[topic]), 7)


@pytest.mark.parametrize("seed", SEEDS)
def test_what_clients_were_told_survives_every_crash(seed: int) -> None:
    machine = Machine(seed)
    for life in range(LIVES):
        machine.live(seed * LIVES + life)
    told = machine.history
    assert sum(len(each.acknowledged) for each in told.producers) > 0
