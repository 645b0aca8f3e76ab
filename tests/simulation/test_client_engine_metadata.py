"""How the client's engine learns who leads and who coordinates, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from ottla.client.core.targets import Coordinator, KeyType, Lane
from ottla.client.errors import KafkaError
from ottla.ports.net import Address
from ottla.testing.simulation.engine_world import (
    World,
    failure,
    groups,
    list_groups,
    simulated,
)
from ottla.testing.simulation.scripted_broker import Asked, BrokerConnection, ScriptedBroker
from ottla.wire.api.k03_metadata import (
    DescribedPartition,
    DescribedTopic,
    ListedBroker,
    MetadataRequest,
    MetadataResponse,
)
from ottla.wire.api.k10_find_coordinator import Coordinator as FoundCoordinator
from ottla.wire.api.k10_find_coordinator import FindCoordinatorResponse
from ottla.wire.errors import ErrorCode

LIST_GROUPS, METADATA, FIND_COORDINATOR, API_VERSIONS = 16, 3, 10, 18
GROUP = Coordinator(KeyType.GROUP, "g")


# Metadata


@simulated
async def test_when_no_known_broker_answers_the_bootstrap_servers_are_asked_again(
    world: World,
) -> None:
    old = await world.broker(Address("old", 9092), 7)
    front = await world.broker()
    front.brokers = {7: Address("old", 9092)}
    engine = world.engine()
    await engine.wait_connected(5000)
    assert list(engine.cluster.brokers) == [7]
    # The cluster has moved: the old broker is gone, the bootstrap name leads to the new one.
    await old.stop()
    front.brokers = {8: Address("new", 9092)}
    new = await world.broker(Address("new", 9092), 8)
    new.handlers[LIST_GROUPS] = lambda *_: groups("moved")
    engine.refresh_metadata()
    await asyncio.sleep(5)
    assert list(engine.cluster.brokers) == [8]
    assert await list_groups(engine, 8) == ["moved"]


@simulated
async def test_a_broker_that_says_the_client_should_begin_anew(world: World) -> None:
    broker = await world.broker()
    healthy = broker.handlers[METADATA]
    broker.handlers[METADATA] = lambda *_: MetadataResponse(
        brokers=[], topics=[], error_code=ErrorCode.REBOOTSTRAP_REQUIRED
    )
    engine = world.engine()
    await asyncio.sleep(1)
    assert not engine.cluster.brokers
    broker.handlers[METADATA] = healthy
    await engine.wait_connected(3000)


def describes(*partitions: tuple[int, int]) -> Callable[..., MetadataResponse]:
    """Metadata of the topics asked for, with leaders and epochs."""

    def answer(connection: BrokerConnection, asked: Asked) -> MetadataResponse:
        assert isinstance(asked.request, MetadataRequest)
        broker = connection.broker
        return MetadataResponse(
            brokers=[
                ListedBroker(node_id=each, host=address.host, port=address.port)
                for each, address in broker.brokers.items()
            ],
            topics=[
                DescribedTopic(
                    error_code=0 if partitions else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
                    name=topic.name,
                    partitions=[
                        DescribedPartition(
                            error_code=0, partition_index=number, leader_id=leader,
                            leader_epoch=epoch, replica_nodes=[leader], isr_nodes=[leader],
                        )
                        for number, (leader, epoch) in enumerate(partitions)
                    ],
                )
                for topic in asked.request.topics or []
            ],
        )  # fmt: skip

    return answer


@simulated
async def test_a_wanted_topic_is_asked_for_soon_and_again_when_asked_to(world: World) -> None:
    broker = await world.broker()
    broker.handlers[METADATA] = describes((1, 5), (1, 6))
    engine = world.engine()
    await engine.wait_connected(5000)
    changes: list[frozenset[str]] = []
    engine.on_metadata(lambda each: changes.append(each.topics))
    engine.want("t")
    engine.want("t")
    await engine.metadata_updated(1000)
    assert [each.leader_epoch for each in engine.cluster.topics["t"].partitions] == [5, 6]
    broker.handlers[METADATA] = describes((1, 7), (1, 6))
    engine.refresh_metadata()
    await engine.metadata_updated(1000)
    assert engine.cluster.topics["t"].partitions[0].leader_epoch == 7
    assert changes == [frozenset({"t"}), frozenset({"t"})]
    engine.release("t")
    assert "t" in engine.cluster.topics
    engine.release("t")
    assert "t" not in engine.cluster.topics


@simulated
async def test_a_topic_that_does_not_come_is_given_up(world: World) -> None:
    broker = await world.broker()
    broker.handlers[METADATA] = describes()
    engine = world.engine(topic_metadata_propagation_max_ms=3000)
    await engine.wait_connected(5000)
    engine.want("t")
    await asyncio.sleep(2)
    assert not engine.is_given_up("t")
    await asyncio.sleep(3)
    assert engine.is_given_up("t")
    asked = len(broker.asked_for(METADATA))
    await asyncio.sleep(60)
    assert len(broker.asked_for(METADATA)) == asked


@simulated
async def test_who_leads_instead_of_a_broker_that_is_gone_is_asked_at_once(world: World) -> None:
    first, second = await world.broker(), await world.broker(Address("second", 9092), 2)
    for broker in (first, second):
        broker.brokers = {1: Address("kafka", 9092), 2: Address("second", 9092)}
        broker.handlers[METADATA] = describes((1, 5))
    engine = world.engine("kafka:9092,second:9092")
    engine.want("t")
    await engine.metadata_updated(5000)
    engine.connect(1)
    await asyncio.sleep(1)
    await first.stop()
    await asyncio.sleep(3)
    # The others elect a leader when they have missed the old one for a while.
    second.handlers[METADATA] = describes((2, 6))
    engine.connect(1)
    await asyncio.sleep(3)
    assert engine.cluster.topics["t"].partitions[0].leader_id == 2


# Coordinators


def coordinated(broker: ScriptedBroker, *codes: int) -> None:
    """Answer FindCoordinator with these error codes in turn, then with this broker."""
    left = list(codes)

    def answer(_: BrokerConnection, asked: Asked) -> FindCoordinatorResponse:
        code = left.pop(0) if left else 0
        host, port = broker.address
        if asked.version < 4:
            return FindCoordinatorResponse(
                error_code=code, node_id=broker.broker_id, host=host, port=port
            )
        return FindCoordinatorResponse(
            coordinators=[
                FoundCoordinator(
                    key=key, node_id=broker.broker_id, host=host, port=port, error_code=code
                )
                for key in asked.request.coordinator_keys
            ]
        )

    broker.handlers[FIND_COORDINATOR] = answer
    broker.handlers[LIST_GROUPS] = lambda *_: groups("a")


@pytest.mark.parametrize(("newest", "requests"), [(6, 1), (3, 3)])
def test_coordinators_wanted_at_once_are_asked_for_at_once(newest: int, requests: int) -> None:
    @simulated
    async def play(world: World) -> None:
        broker = await world.broker()
        broker.versions[FIND_COORDINATOR] = (0, newest)
        coordinated(broker)
        engine = world.engine()
        targets = [Coordinator(KeyType.GROUP, name) for name in ("g", "h", "i", "g")]
        await asyncio.gather(*(list_groups(engine, each) for each in targets))
        await list_groups(engine, targets[0])
        assert len(broker.asked_for(FIND_COORDINATOR)) == requests
        engine.forget_coordinator(targets[0])
        await list_groups(engine, targets[0])
        assert len(broker.asked_for(FIND_COORDINATOR)) == requests + 1

    play(1)


@simulated
async def test_coordinators_have_a_connection_of_their_own(world: World) -> None:
    broker = await world.broker()
    coordinated(broker)
    engine = world.engine()
    await engine.wait_connected(5000)
    broker.handlers[LIST_GROUPS] = lambda *_: None
    stuck = asyncio.create_task(list_groups(engine, GROUP))
    await asyncio.sleep(1)
    await engine.ask(1, MetadataRequest(topics=[]), MetadataResponse, timeout_ms=1000)
    assert engine.is_ready(1, Lane.COORDINATOR)
    stuck.cancel()


@simulated
async def test_a_coordinator_that_is_not_there_yet_is_waited_for(world: World) -> None:
    broker = await world.broker()
    coordinated(broker, *[ErrorCode.COORDINATOR_NOT_AVAILABLE] * 3)
    engine = world.engine()
    assert await list_groups(engine, GROUP) == ["a"]
    assert len(broker.asked_for(FIND_COORDINATOR)) == 4


@simulated
async def test_a_coordinator_that_stays_away_or_is_forbidden(world: World) -> None:
    broker = await world.broker()
    coordinated(broker, *[ErrorCode.COORDINATOR_NOT_AVAILABLE] * 1000)
    engine = world.engine()
    late = await failure(list_groups(engine, GROUP, timeout_ms=4000))
    assert late == KafkaError._TIMED_OUT
    assert "coordinator" in late.str()
    coordinated(broker, ErrorCode.GROUP_AUTHORIZATION_FAILED)
    error = await failure(list_groups(engine, GROUP))
    assert error == KafkaError.GROUP_AUTHORIZATION_FAILED


@simulated
async def test_brokers_that_cannot_be(world: World) -> None:
    broker = await world.broker()
    broker.brokers |= {-2: Address("kafka", 9092), 7: Address("", 1), 8: Address("kafka", 0)}
    broker.brokers[9] = Address("kafka", 70_000)
    engine = world.engine()
    await engine.wait_connected(5000)
    assert list(engine.cluster.brokers) == [1]


@simulated
async def test_a_broker_that_is_gone_is_told_after_the_call_that_wanted_it(world: World) -> None:
    await world.broker()
    engine = world.engine()
    await engine.wait_connected(5000)
    told: list[KafkaError | None] = []

    def listen(broker_id: int, _: Lane, error: KafkaError | None) -> None:
        if broker_id == 5:
            told.append(error)
            # As one does who still wants it.
            engine.connect(5)

    engine.on_connection(listen)
    engine.connect(5)
    assert told == []
    await asyncio.sleep(10)
    assert 2 <= len(told) <= 20
    assert set(told) == {KafkaError._UNKNOWN_BROKER}


@simulated
async def test_looking_for_a_coordinator_ends_with_the_engine(world: World) -> None:
    broker = await world.broker()
    coordinated(broker, *[ErrorCode.COORDINATOR_NOT_AVAILABLE] * 1000)
    engine = world.engine()
    waiting = asyncio.create_task(failure(list_groups(engine, GROUP)))
    await asyncio.sleep(1)
    began_ms = engine.now_ms()
    await engine.close()
    assert await waiting == KafkaError._DESTROY
    assert engine.now_ms() - began_ms < 2000
