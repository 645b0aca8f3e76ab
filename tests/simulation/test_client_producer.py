"""The producer's shell in virtual time, among brokers that lead, move, lose answers and hang."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from functools import partial
from typing import Any

from ottla.client.backend import active
from ottla.client.configuration.build import configure_producer
from ottla.client.engine.engine import Engine
from ottla.client.engine.producing import Producing
from ottla.client.errors import KafkaError
from ottla.ports.entropy import SeededEntropy
from ottla.ports.net import Address
from ottla.records.batch import read_header
from ottla.records.decode import decode_records
from ottla.testing.simulation.engine_world import World, simulated
from ottla.testing.simulation.scripted_broker import Asked, BrokerConnection, ScriptedBroker
from ottla.wire.api.k00_produce import (
    CurrentLeader,
    NodeEndpoint,
    ProducedPartition,
    ProducedTopic,
    ProduceResponse,
)
from ottla.wire.api.k03_metadata import (
    DescribedPartition,
    DescribedTopic,
    ListedBroker,
    MetadataResponse,
)
from ottla.wire.api.k22_init_producer_id import InitProducerIdResponse
from ottla.wire.errors import ErrorCode

PRODUCE, METADATA, INIT_PRODUCER_ID = 0, 3, 22


class Log:
    """A partition as brokers keep it: what was appended, and the producer's sequence numbers."""

    def __init__(self) -> None:
        self.values: list[str] = []
        self.identity = (-1, -1)
        self.newest: list[tuple[int, int, int]] = []

    def append(self, records: Any) -> tuple[ErrorCode, int]:
        header = read_header(records, 0)
        identity = (header.producer_id, header.producer_epoch)
        base, count = header.base_sequence, header.record_count
        if base >= 0:
            if identity != self.identity:
                if base != 0:
                    return ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, -1
                self.identity, self.newest = identity, []
            for known, known_count, offset in self.newest:
                if (known, known_count) == (base, count):
                    return ErrorCode.NONE, offset
            if self.newest and sum(self.newest[-1][:2]) != base:
                return ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, -1
        offset = len(self.values)
        self.newest = [*self.newest, (base, count, offset)][-5:]
        self.values += [(record.value or b"").decode() for record in decode_records(records, 0)]
        return ErrorCode.NONE, offset


class Cluster:
    """Brokers 1 and 2 and the topic ``t``; tests change its leaders and what befalls answers."""

    def __init__(self, world: World, partitions: int = 1) -> None:
        self.world = world
        self.logs = [Log() for _ in range(partitions)]
        self.leaders = [1] * partitions
        self.epoch = 0
        self.exists = True
        self.hints = False
        self.brokers: dict[int, ScriptedBroker] = {}
        self.befalls: Callable[[int], str] = lambda count: "answered"
        self.produced = 0

    async def start(self) -> None:
        addresses = {number: Address(f"b{number}", 9092) for number in (1, 2)}
        for number, address in addresses.items():
            broker = await self.world.broker(address, number)
            broker.brokers = addresses
            broker.handlers[METADATA] = self._metadata
            broker.handlers[INIT_PRODUCER_ID] = lambda *_: InitProducerIdResponse(
                error_code=0, producer_id=7, producer_epoch=0
            )
            broker.handlers[PRODUCE] = partial(self._produce, number)
            self.brokers[number] = broker

    def move(self, partition: int, leader: int) -> None:
        self.leaders[partition] = leader
        self.epoch += 1

    def _metadata(self, *_: Any) -> MetadataResponse:
        missing = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        return MetadataResponse(
            brokers=[
                ListedBroker(node_id=number, host=f"b{number}", port=9092) for number in (1, 2)
            ],
            controller_id=1,
            topics=[
                DescribedTopic(
                    error_code=0 if self.exists else missing,
                    name="t",
                    partitions=[
                        DescribedPartition(
                            error_code=0,
                            partition_index=number,
                            leader_id=leader,
                            leader_epoch=self.epoch,
                            replica_nodes=[1, 2],
                            isr_nodes=[1, 2],
                        )
                        for number, leader in enumerate(self.leaders if self.exists else [])
                    ],
                )
            ],
        )

    def _produce(
        self, number: int, connection: BrokerConnection, asked: Asked
    ) -> ProduceResponse | None:
        self.produced += 1
        fate = self.befalls(self.produced)
        if fate == "lost before":
            connection.close()
            return None
        response = self._appended(number, asked.request)
        if fate == "lost after":
            connection.close()
            return None
        return None if fate == "never answered" else response

    def _appended(self, number: int, request: Any) -> ProduceResponse:
        answers = []
        for part in request.topic_data[0].partition_data:
            leader = self.leaders[part.index]
            if not self.exists:
                error, offset = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, -1
            elif leader != number:
                error, offset = ErrorCode.NOT_LEADER_OR_FOLLOWER, -1
            else:
                error, offset = self.logs[part.index].append(part.records)
            hint = error is ErrorCode.NOT_LEADER_OR_FOLLOWER and self.hints
            answers.append(
                ProducedPartition(
                    index=part.index,
                    error_code=error,
                    base_offset=offset,
                    current_leader=(
                        CurrentLeader(leader_id=leader, leader_epoch=self.epoch) if hint else None
                    ),
                )
            )
        endpoints = [NodeEndpoint(node_id=n, host=f"b{n}", port=9092) for n in (1, 2)]
        return ProduceResponse(
            responses=[ProducedTopic(name="t", partition_responses=answers)],
            node_endpoints=endpoints if self.hints else [],
        )


class Application:
    """Produces to partition 0 and notes what becomes of it."""

    def __init__(self, world: World, **settings: Any) -> None:
        conf = {"bootstrap.servers": "b1:9092,b2:9092", "linger.ms": 1}
        conf |= {name.replace("_", "."): value for name, value in settings.items()}
        configuration = configure_producer((conf,), {})
        clock = world.loop.clock
        self.engine = Engine(
            configuration,
            "producer",
            net=world.network.host("client"),
            clock=clock,
            entropy=SeededEntropy(1),
        )
        self.accumulator = active.Accumulator(clock=clock, linger_ms=1)
        self.producing = Producing(
            self.engine, configuration, self.accumulator, self._deliver, lambda records: None
        )
        self.delivered: list[str] = []
        self.failed: list[tuple[str, int]] = []
        world.engines.append(self.engine)
        self.engine.start()

    def _deliver(self, deliveries: Any) -> None:
        for _, message in deliveries:
            value = message.value().decode()
            if deliveries.error is None:
                self.delivered.append(value)
            else:
                self.failed.append((value, deliveries.error.code()))

    def produce(self, value: str, partition: int = 0) -> None:
        self.accumulator.append("t", partition, None, value, callback=self)
        self.producing.wake()

    async def emptied(self, within_s: float) -> None:
        async with asyncio.timeout(within_s):
            await self.producing.emptied()


@simulated
async def test_a_leader_that_moved_is_followed(world: World) -> None:
    cluster = Cluster(world)
    await cluster.start()
    application = Application(world)
    application.produce("a")
    await application.emptied(5)
    cluster.move(0, 2)
    application.produce("b")
    await application.emptied(5)
    assert application.delivered == cluster.logs[0].values == ["a", "b"]
    assert len(cluster.brokers[2].asked_for(PRODUCE)) == 1


@simulated
async def test_a_hint_at_the_new_leader_spares_the_detour_over_metadata(world: World) -> None:
    cluster = Cluster(world)
    cluster.hints = True
    await cluster.start()
    application = Application(world)
    application.produce("a")
    await application.emptied(5)
    asked = sum(len(broker.asked_for(METADATA)) for broker in cluster.brokers.values())
    cluster.move(0, 2)
    began_s = world.loop.time()
    application.produce("b")
    await application.emptied(5)
    assert world.loop.time() - began_s < 0.05
    again = sum(len(broker.asked_for(METADATA)) for broker in cluster.brokers.values())
    assert again == asked
    assert cluster.logs[0].values == ["a", "b"]


@simulated
async def test_lost_answers_double_nothing_with_idempotence(world: World) -> None:
    """Connections break before and after appends, and the leader moves."""
    chance = random.Random(world.loop.random.random())
    cluster = Cluster(world)
    await cluster.start()
    application = Application(world, enable_idempotence=True, retry_backoff_ms=10)
    fates = ["answered"] * 5 + ["lost before", "lost after"]
    cluster.befalls = lambda count: chance.choice(fates) if count < 60 else "answered"
    expected = [str(number) for number in range(300)]
    for value in expected:
        application.produce(value)
        if chance.random() < 0.3:
            await asyncio.sleep(chance.random() * 0.05)
        if chance.random() < 0.02:
            cluster.move(0, chance.choice((1, 2)))
    await application.emptied(120)
    assert application.failed == []
    assert application.delivered == cluster.logs[0].values == expected


@simulated
async def test_lost_answers_lose_nothing_without_idempotence(world: World) -> None:
    chance = random.Random(world.loop.random.random())
    cluster = Cluster(world)
    await cluster.start()
    application = Application(world, retry_backoff_ms=10)
    fates = ["answered"] * 3 + ["lost before", "lost after"]
    cluster.befalls = lambda count: chance.choice(fates) if count < 40 else "answered"
    expected = [str(number) for number in range(100)]
    for value in expected:
        application.produce(value)
        await asyncio.sleep(0.003)
    await application.emptied(120)
    assert application.failed == []
    assert sorted(application.delivered, key=int) == expected
    assert set(cluster.logs[0].values) == set(expected)


@simulated
async def test_a_broker_that_never_answers_costs_no_more_than_the_timeout(world: World) -> None:
    cluster = Cluster(world)
    await cluster.start()
    application = Application(world, message_timeout_ms=2_000, request_timeout_ms=500)
    cluster.befalls = lambda count: "never answered"
    application.produce("a")
    began_s = world.loop.time()
    await application.emptied(10)
    assert application.failed == [("a", KafkaError._MSG_TIMED_OUT)]
    assert 2.0 <= world.loop.time() - began_s < 2.5


@simulated
async def test_a_request_without_an_answer_is_repeated_on_another_connection(world: World) -> None:
    cluster = Cluster(world)
    await cluster.start()
    application = Application(world, request_timeout_ms=500, enable_idempotence=True)
    cluster.befalls = lambda count: "never answered" if count == 1 else "answered"
    application.produce("a")
    await application.emptied(10)
    assert application.delivered == cluster.logs[0].values == ["a"]
    assert len(cluster.brokers[1].asked_for(PRODUCE)) == 2


@simulated
async def test_a_topic_deleted_underneath_fails_its_messages(world: World) -> None:
    cluster = Cluster(world)
    await cluster.start()
    application = Application(world, topic_metadata_propagation_max_ms=1_000)
    application.produce("a")
    await application.emptied(5)
    cluster.exists = False
    application.produce("b")
    await application.emptied(10)
    assert application.failed == [("b", ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)]
    assert application.accumulator.append("t", 0, None, "c") == 5


@simulated
async def test_no_broker_at_all(world: World) -> None:
    application = Application(world, message_timeout_ms=1_000)
    application.produce("a")
    await application.emptied(5)
    assert application.failed == [("a", KafkaError._MSG_TIMED_OUT)]


@simulated
async def test_partitions_on_two_brokers(world: World) -> None:
    cluster = Cluster(world, partitions=4)
    cluster.leaders = [1, 2, 1, 2]
    await cluster.start()
    application = Application(world)
    for number in range(40):
        application.produce(str(number), number % 4)
    await application.emptied(5)
    for partition, log in enumerate(cluster.logs):
        assert log.values == [str(number) for number in range(partition, 40, 4)]
    for broker in cluster.brokers.values():
        requests = [asked.request for asked in broker.asked_for(PRODUCE)]
        assert any(len(request.topic_data[0].partition_data) == 2 for request in requests)
