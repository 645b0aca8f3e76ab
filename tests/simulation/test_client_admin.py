"""Admin calls in virtual time, to brokers that move, load, hang up, lie or say nothing."""

from __future__ import annotations

from typing import Any

from ottla.client.admin.offsets import OffsetSpec
from ottla.client.admin.topics import NewTopic
from ottla.client.core import admin as core
from ottla.client.engine.administration import perform
from ottla.client.engine.engine import Engine
from ottla.client.enumerations import ConsumerGroupType, IsolationLevel
from ottla.client.errors import KafkaError
from ottla.client.values import ConsumerGroupTopicPartitions, TopicCollection, TopicPartition
from ottla.ports.net import Address
from ottla.testing.simulation.engine_world import World, failure, groups, simulated
from ottla.testing.simulation.scripted_broker import Asked, BrokerConnection, ScriptedBroker
from ottla.wire.api import k75_describe_topic_partitions as k75
from ottla.wire.api.k02_list_offsets import ListedPartition, ListedTopic, ListOffsetsResponse
from ottla.wire.api.k03_metadata import (
    DescribedPartition,
    DescribedTopic,
    ListedBroker,
    MetadataResponse,
)
from ottla.wire.api.k09_offset_fetch import FoundPartition, FoundTopic, OffsetFetchResponse
from ottla.wire.api.k10_find_coordinator import Coordinator, FindCoordinatorResponse
from ottla.wire.api.k15_describe_groups import DescribedGroup, DescribeGroupsResponse
from ottla.wire.api.k19_create_topics import CreatedTopic, CreateTopicsResponse
from ottla.wire.api.k20_delete_topics import DeletedTopic, DeleteTopicsResponse
from ottla.wire.api.k42_delete_groups import DeletedGroup, DeleteGroupsResponse
from ottla.wire.api.k69_consumer_group_describe import (
    ConsumerGroupDescribeResponse,
    DescribedConsumerGroup,
)
from ottla.wire.declare import Message
from ottla.wire.errors import ErrorCode

LIST_OFFSETS, METADATA, OFFSET_FETCH, FIND_COORDINATOR = 2, 3, 9, 10
DESCRIBE_GROUPS, LIST_GROUPS, CREATE_TOPICS, DELETE_TOPICS = 15, 16, 19, 20
DELETE_GROUPS, CONSUMER_GROUP_DESCRIBE, DESCRIBE_TOPIC_PARTITIONS = 42, 69, 75
SECOND = Address("second", 9092)
THIRD = Address("third", 9092)
SOON_MS, LATE_MS = 5_000, 60_000


def create(*names: str) -> Any:
    topics = [NewTopic(name, 1) for name in names]
    return core.topics.create_topics(topics, timeout_ms=1000, validate_only=False)


def created(asked: Asked, *codes: int) -> CreateTopicsResponse:
    """An answer to each topic asked for, with these codes for the first ones."""
    names = [topic.name for topic in asked.request.topics]
    padded = [*codes, *[0] * len(names)]
    return CreateTopicsResponse(
        topics=[
            CreatedTopic(name=name, error_code=code, error_message=None)
            for name, code in zip(names, padded, strict=False)
        ]
    )


def codes_of(outcomes: dict[Any, Any]) -> dict[Any, Any]:
    """The code of each error, None for what is none."""
    return {
        key: outcome.name() if isinstance(outcome, KafkaError) else None
        for key, outcome in outcomes.items()
    }


def in_turn(*handlers: Any) -> Any:
    """A handler that is another one each time; the last one stays."""
    left = list(handlers)

    def handle(connection: BrokerConnection, asked: Asked) -> Message | None:
        handler = left.pop(0) if len(left) > 1 else left[0]
        answer = handler(connection, asked) if callable(handler) else handler
        assert answer is None or isinstance(answer, Message)
        return answer

    return handle


def metadata(
    addresses: dict[int, Address], *, controller_id: int = 1, leaders: dict[int, int] | None = None
) -> MetadataResponse:
    """The cluster, and a topic ``t`` whose partitions these brokers lead."""
    partitions = [
        DescribedPartition(
            error_code=0, partition_index=number, leader_id=leader, replica_nodes=[], isr_nodes=[]
        )
        for number, leader in (leaders or {}).items()
    ]
    return MetadataResponse(
        brokers=[ListedBroker(node_id=i, host=a.host, port=a.port) for i, a in addresses.items()],
        controller_id=controller_id,
        topics=[DescribedTopic(error_code=0, name="t", partitions=partitions)] if leaders else [],
    )


def knows(brokers: list[ScriptedBroker], **known: Any) -> None:
    """Have all of them tell the same of the cluster from now on."""
    addresses = {broker.broker_id: broker.address for broker in brokers}
    for broker in brokers:
        broker.handlers[METADATA] = lambda *_: metadata(addresses, **known)


async def two_brokers(world: World) -> list[ScriptedBroker]:
    brokers = [await world.broker(), await world.broker(SECOND, 2)]
    knows(brokers)
    return brokers


def coordinator(broker: ScriptedBroker, error_code: int = 0) -> Any:
    """A handler of FindCoordinator that names this broker."""

    def handle(_: BrokerConnection, asked: Asked) -> FindCoordinatorResponse:
        address = broker.address
        found: dict[str, Any] = {
            "node_id": broker.broker_id, "host": address.host, "port": address.port,
            "error_code": error_code,
        }  # fmt: skip
        if asked.version < 4:
            return FindCoordinatorResponse(**found)
        keys = asked.request.coordinator_keys
        return FindCoordinatorResponse(
            coordinators=[Coordinator(key=key, error_message=None, **found) for key in keys]
        )

    return handle


def deleted(*codes: int) -> Any:
    def handle(_: BrokerConnection, asked: Asked) -> DeleteGroupsResponse:
        padded = [*codes, *[0] * len(asked.request.groups_names)]
        return DeleteGroupsResponse(
            results=[
                DeletedGroup(group_id=group, error_code=code)
                for group, code in zip(asked.request.groups_names, padded, strict=False)
            ]
        )

    return handle


async def results(engine: Engine, operation: Any, timeout_ms: float = LATE_MS) -> Any:
    """What the operation returns."""
    return await perform(engine, operation, timeout_ms)


async def outcomes(engine: Engine, operation: Any, timeout_ms: float = LATE_MS) -> dict[Any, Any]:
    """The codes of the errors in what the operation returns."""
    return codes_of(await results(engine, operation, timeout_ms))


# The controller


@simulated
async def test_the_controller_has_moved(world: World) -> None:
    first, second = brokers = await two_brokers(world)
    engine = world.engine()
    await engine.wait_connected(SOON_MS)

    def not_any_more(_: BrokerConnection, asked: Asked) -> Message:
        knows(brokers, controller_id=2)
        return created(asked, 0, ErrorCode.NOT_CONTROLLER)

    first.handlers[CREATE_TOPICS] = not_any_more
    second.handlers[CREATE_TOPICS] = lambda _, asked: created(asked)
    assert await outcomes(engine, create("a", "b", "c")) == {"a": None, "b": None, "c": None}
    # What was done is not asked for again.
    [asked] = second.asked_for(CREATE_TOPICS)
    assert [topic.name for topic in asked.request.topics] == ["b"]


@simulated
async def test_a_quota_is_waited_for(world: World) -> None:
    broker = await world.broker()
    refused = ErrorCode.THROTTLING_QUOTA_EXCEEDED
    broker.handlers[CREATE_TOPICS] = in_turn(
        lambda _, asked: created(asked, refused, 0, refused), lambda _, asked: created(asked)
    )
    assert set((await outcomes(world.engine(), create("a", "b", "c"))).values()) == {None}
    names = [[t.name for t in each.request.topics] for each in broker.asked_for(CREATE_TOPICS)]
    assert names == [["a", "b", "c"], ["a", "c"]]


@simulated
async def test_errors_of_items_are_theirs(world: World) -> None:
    broker = await world.broker()
    exists = ErrorCode.TOPIC_ALREADY_EXISTS
    broker.handlers[CREATE_TOPICS] = lambda _, asked: created(asked, 0, exists)
    found = await outcomes(world.engine(), create("a", "b", "c"))
    assert found == {"a": None, "b": "TOPIC_ALREADY_EXISTS", "c": None}
    assert len(broker.asked_for(CREATE_TOPICS)) == 1


@simulated
async def test_a_broker_that_hangs_up_is_asked_again(world: World) -> None:
    broker = await world.broker()
    broker.handlers[CREATE_TOPICS] = in_turn(
        lambda connection, _: connection.close(),
        lambda connection, _: connection.close(),
        lambda _, asked: created(asked),
    )
    assert await outcomes(world.engine(), create("a")) == {"a": None}
    assert len(broker.asked_for(CREATE_TOPICS)) == 3


@simulated
async def test_nobody_answers_in_time(world: World) -> None:
    broker = await world.broker()
    broker.handlers[CREATE_TOPICS] = lambda *_: None
    engine = world.engine()
    began_ms = engine.now_ms()
    found = await results(engine, create("a", "b"), 3_000)
    assert engine.now_ms() - began_ms == 3_000
    assert codes_of(found) == {"a": "_TIMED_OUT", "b": "_TIMED_OUT"}
    assert found["a"].str() == "Failed while waiting for response from broker: Local: Timed out"
    assert len(broker.asked_for(CREATE_TOPICS)) == 1


@simulated
async def test_what_is_known_in_time_counts(world: World) -> None:
    broker = await world.broker()
    broker.handlers[CREATE_TOPICS] = lambda _, asked: created(
        asked, 0 if asked.request.topics[0].name == "a" else ErrorCode.NOT_CONTROLLER,
        ErrorCode.NOT_CONTROLLER,
    )  # fmt: skip
    found = await outcomes(world.engine(), create("a", "b"), SOON_MS)
    assert found == {"a": None, "b": "_TIMED_OUT"}
    # It was tried with a growing distance, not all the time.
    assert 4 <= len(broker.asked_for(CREATE_TOPICS)) <= 20


@simulated
async def test_nobody_is_there(world: World) -> None:
    engine = world.engine()
    began_ms = engine.now_ms()
    found = await results(engine, create("a"), 2_000)
    assert engine.now_ms() - began_ms == 2_000
    assert found["a"].str() == "Failed while waiting for controller: Local: Timed out"
    await world.broker()


@simulated
async def test_a_broker_comes_late(world: World) -> None:
    engine = world.engine()
    operation = create("a")
    world.loop.call_later(7, lambda: world.loop.create_task(_start_late(world)))
    assert await outcomes(engine, operation) == {"a": None}


async def _start_late(world: World) -> None:
    broker = await world.broker()
    broker.handlers[CREATE_TOPICS] = lambda _, asked: created(asked)


@simulated
async def test_the_client_is_closed_meanwhile(world: World) -> None:
    broker = await world.broker()
    engine = world.engine()

    def close_it(*_: object) -> None:
        world.loop.create_task(engine.close())

    broker.handlers[CREATE_TOPICS] = close_it
    assert await outcomes(engine, create("a")) == {"a": "_DESTROY"}


# Coordinators


@simulated
async def test_a_coordinator_that_is_not_there_yet_and_then_loads(world: World) -> None:
    broker = await world.broker()
    broker.handlers[FIND_COORDINATOR] = in_turn(
        coordinator(broker, ErrorCode.COORDINATOR_NOT_AVAILABLE), coordinator(broker)
    )
    broker.handlers[DELETE_GROUPS] = in_turn(
        deleted(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS), deleted(0)
    )
    operation = core.groups.delete_consumer_groups(["g"])
    assert await outcomes(world.engine(), operation) == {"g": None}


@simulated
async def test_the_coordinator_has_moved(world: World) -> None:
    first, second = await two_brokers(world)
    for broker in (first, second):
        broker.handlers[FIND_COORDINATOR] = in_turn(coordinator(first), coordinator(second))
    first.handlers[DELETE_GROUPS] = deleted(ErrorCode.NOT_COORDINATOR)
    second.handlers[DELETE_GROUPS] = deleted()
    operation = core.groups.delete_consumer_groups(["g"])
    assert await outcomes(world.engine(), operation, LATE_MS) == {"g": None}


@simulated
async def test_one_request_for_all_groups_of_a_coordinator(world: World) -> None:
    broker = await world.broker()
    broker.handlers[FIND_COORDINATOR] = coordinator(broker)
    broker.handlers[DELETE_GROUPS] = deleted(0, ErrorCode.NON_EMPTY_GROUP)
    operation = core.groups.delete_consumer_groups(["g", "h", "i"])
    found = await outcomes(world.engine(), operation)
    assert list(found) == ["g", "h", "i"]
    assert sorted(found.values(), key=str) == ["NON_EMPTY_GROUP", None, None]
    assert len(broker.asked_for(FIND_COORDINATOR)) == len(broker.asked_for(DELETE_GROUPS)) == 1


@simulated
async def test_coordinators_are_found_one_by_one_by_a_broker_that_knows_no_better(
    world: World,
) -> None:
    broker = await world.broker()
    broker.versions[FIND_COORDINATOR] = (0, 3)
    broker.handlers[FIND_COORDINATOR] = coordinator(broker)
    broker.handlers[DELETE_GROUPS] = deleted()
    operation = core.groups.delete_consumer_groups(["g", "h"])
    assert await outcomes(world.engine(), operation) == {"g": None, "h": None}


@simulated
async def test_a_group_that_may_not_be_looked_up(world: World) -> None:
    broker = await world.broker()
    broker.handlers[FIND_COORDINATOR] = coordinator(broker, ErrorCode.GROUP_AUTHORIZATION_FAILED)
    operation = core.groups.delete_consumer_groups(["g"])
    assert await outcomes(world.engine(), operation) == {"g": "GROUP_AUTHORIZATION_FAILED"}


def _consumer_groups(asked: Asked) -> ConsumerGroupDescribeResponse:
    """Only ``new`` is of the new protocol."""
    return ConsumerGroupDescribeResponse(
        groups=[
            DescribedConsumerGroup(
                error_code=0 if group == "new" else ErrorCode.GROUP_ID_NOT_FOUND,
                group_id=group, group_state="Stable", group_epoch=3, assignment_epoch=3,
                assignor_name="uniform", members=[],
            )
            for group in asked.request.group_ids
        ]
    )  # fmt: skip


def _classic_groups(asked: Asked) -> DescribeGroupsResponse:
    return DescribeGroupsResponse(
        groups=[
            DescribedGroup(
                error_code=0, group_id=group, group_state="Empty", protocol_type="consumer",
                protocol_data="range", members=[],
            )
            for group in asked.request.groups
        ]
    )  # fmt: skip


@simulated
async def test_groups_of_either_protocol_are_described(world: World) -> None:
    broker = await world.broker()
    broker.handlers[FIND_COORDINATOR] = coordinator(broker)
    broker.handlers[CONSUMER_GROUP_DESCRIBE] = lambda _, asked: _consumer_groups(asked)
    broker.handlers[DESCRIBE_GROUPS] = lambda _, asked: _classic_groups(asked)
    operation = core.groups.describe_consumer_groups(
        ["old", "new"], include_authorized_operations=False
    )
    found = await results(world.engine(), operation, LATE_MS)
    types = [(key, each.type, each.coordinator.host) for key, each in found.items()]
    assert types == [
        ("old", ConsumerGroupType.CLASSIC, "kafka"), ("new", ConsumerGroupType.CONSUMER, "kafka"),
    ]  # fmt: skip
    [asked] = broker.asked_for(DESCRIBE_GROUPS)
    assert asked.request.groups == ["old"]


@simulated
async def test_groups_are_described_by_a_broker_of_the_old_protocol(world: World) -> None:
    broker = await world.broker()
    del broker.versions[CONSUMER_GROUP_DESCRIBE]
    broker.versions[FIND_COORDINATOR] = (0, 2)
    broker.versions[DESCRIBE_GROUPS] = (0, 2)
    broker.handlers[FIND_COORDINATOR] = coordinator(broker)
    broker.handlers[DESCRIBE_GROUPS] = lambda _, asked: _classic_groups(asked)
    operation = core.groups.describe_consumer_groups(["g"], include_authorized_operations=False)
    found = await results(world.engine(), operation, LATE_MS)
    assert found["g"].type is ConsumerGroupType.CLASSIC


# Leaders


def listed(code_of: dict[int, int], offset: int) -> Any:
    def handle(_: BrokerConnection, asked: Asked) -> ListOffsetsResponse:
        [topic] = asked.request.topics
        partitions = [
            ListedPartition(
                partition_index=each.partition_index,
                error_code=code_of.get(each.partition_index, 0),
                offset=offset,
            )
            for each in topic.partitions
        ]
        return ListOffsetsResponse(topics=[ListedTopic(name="t", partitions=partitions)])

    return handle


def latest(*numbers: int) -> Any:
    return core.offsets.list_offsets(
        {TopicPartition("t", number): OffsetSpec.latest() for number in numbers},
        isolation_level=IsolationLevel.READ_UNCOMMITTED,
        timeout_ms=1000,
    )


@simulated
async def test_each_leader_is_asked_and_again_when_it_has_moved(world: World) -> None:
    first, second = brokers = await two_brokers(world)
    knows(brokers, leaders={0: 1, 1: 2, 2: 1})

    def moved(connection: BrokerConnection, asked: Asked) -> Message:
        knows(brokers, leaders={0: 1, 1: 2, 2: 2})
        answer = listed({2: ErrorCode.NOT_LEADER_OR_FOLLOWER}, 10)(connection, asked)
        assert isinstance(answer, Message)
        return answer

    first.handlers[LIST_OFFSETS] = moved
    second.handlers[LIST_OFFSETS] = listed({}, 20)
    found = await results(world.engine(), latest(0, 1, 2), LATE_MS)
    offsets = {partition.partition: info.offset for partition, info in found.items()}
    assert offsets == {0: 10, 1: 20, 2: 20}
    assert len(first.asked_for(LIST_OFFSETS)) == 1


@simulated
async def test_partitions_without_a_leader_are_waited_for(world: World) -> None:
    broker = await world.broker()
    known = {1: broker.address}
    broker.handlers[METADATA] = in_turn(
        *[metadata(known, leaders={0: -1, 1: 1})] * 6, metadata(known, leaders={0: 1, 1: 1})
    )
    broker.handlers[LIST_OFFSETS] = listed({}, 5)
    assert set((await outcomes(world.engine(), latest(0, 1))).values()) == {None}


@simulated
async def test_partitions_that_do_not_exist(world: World) -> None:
    broker = await world.broker()
    knows([broker], leaders={0: 1})
    broker.handlers[LIST_OFFSETS] = listed({}, 5)
    found = await outcomes(world.engine(), latest(0, 7), SOON_MS)
    assert list(found.values()) == [None, "UNKNOWN_TOPIC_OR_PART"]


@simulated
async def test_groups_are_listed_by_the_brokers_that_are_up(world: World) -> None:
    brokers = [await world.broker(), await world.broker(SECOND, 2), await world.broker(THIRD, 3)]
    knows(brokers)
    for broker in brokers:
        broker.handlers[LIST_GROUPS] = lambda *_, name=f"g{broker.broker_id}": groups(name)
    await brokers[2].stop()
    operation = core.groups.list_consumer_groups(None, None)
    found = await results(world.engine(), operation, SOON_MS)
    assert sorted(group.group_id for group in found.valid) == ["g1", "g2"]
    assert [error.name() for error in found.errors] == ["_TIMED_OUT"]
    error = await failure(perform(world.engine(), core.groups.list_all_groups((), (), ()), SOON_MS))
    assert error == KafkaError._TIMED_OUT


@simulated
async def test_what_a_broker_cannot_do_is_said_at_once(world: World) -> None:
    broker = await world.broker()
    broker.versions[LIST_GROUPS] = (0, 3)
    del broker.versions[CREATE_TOPICS]
    engine = world.engine()
    began_ms = engine.now_ms()
    assert await outcomes(engine, create("a")) == {"a": "_UNSUPPORTED_FEATURE"}
    filtered = core.groups.list_consumer_groups(None, {ConsumerGroupType.CLASSIC})
    found = await results(engine, filtered, LATE_MS)
    assert [error.name() for error in found.errors] == ["_UNSUPPORTED_FEATURE"]
    assert engine.now_ms() - began_ms < 1000


@simulated
async def test_topics_are_deleted_by_a_broker_that_knows_no_ids(world: World) -> None:
    broker = await world.broker()
    broker.versions[DELETE_TOPICS] = (0, 3)
    broker.handlers[DELETE_TOPICS] = lambda _, asked: DeleteTopicsResponse(
        responses=[DeletedTopic(name=name, error_code=0) for name in asked.request.topic_names]
    )
    operation = core.topics.delete_topics(["a", "b"], timeout_ms=1000)
    assert await outcomes(world.engine(), operation) == {"a": None, "b": None}


@simulated
async def test_offsets_are_listed_by_a_broker_that_knows_one_group_at_a_time(world: World) -> None:
    broker = await world.broker()
    broker.versions[OFFSET_FETCH] = (0, 4)
    broker.handlers[FIND_COORDINATOR] = coordinator(broker)
    partition = FoundPartition(partition_index=0, committed_offset=7, metadata=None, error_code=0)
    broker.handlers[OFFSET_FETCH] = lambda *_: OffsetFetchResponse(
        topics=[FoundTopic(name="t", partitions=[partition])]
    )
    one = [ConsumerGroupTopicPartitions("g", [TopicPartition("t", 0), TopicPartition("t", 1)])]
    engine = world.engine()
    found = await results(
        engine, core.group_offsets.list_consumer_group_offsets(one, require_stable=False), LATE_MS
    )
    assert [each.offset for each in found["g"].topic_partitions] == [7, -1001]
    stable = core.group_offsets.list_consumer_group_offsets(one, require_stable=True)
    assert await outcomes(engine, stable) == {"g": "_UNSUPPORTED_FEATURE"}


@simulated
async def test_answers_about_something_else(world: World) -> None:
    broker = await world.broker()
    broker.handlers[CREATE_TOPICS] = lambda *_: CreateTopicsResponse(
        topics=[
            CreatedTopic(name=name, error_code=0, error_message=None) for name in ("x", "b", "b")
        ]
    )
    found = await outcomes(world.engine(), create("a", "b"))
    assert found == {"a": "_BAD_MSG", "b": None}


@simulated
async def test_names_that_no_value_can_have(world: World) -> None:
    broker = await world.broker()
    knows([broker], leaders={0: 1})
    broker.handlers[LIST_OFFSETS] = lambda *_: ListOffsetsResponse(
        topics=[
            ListedTopic(name="t\0", partitions=[ListedPartition(partition_index=0, error_code=0)])
        ]
    )
    assert list((await outcomes(world.engine(), latest(0))).values()) == ["_BAD_MSG"]


@simulated
async def test_groups_that_nobody_asked_about(world: World) -> None:
    broker = await world.broker()
    broker.handlers[FIND_COORDINATOR] = coordinator(broker)
    broker.handlers[CONSUMER_GROUP_DESCRIBE] = lambda *_: ConsumerGroupDescribeResponse(
        groups=[
            DescribedConsumerGroup(
                error_code=0, group_id="other", group_state="Stable", group_epoch=1,
                assignment_epoch=1, assignor_name="uniform", members=[],
            )
        ]
    )  # fmt: skip
    operation = core.groups.describe_consumer_groups(["g"], include_authorized_operations=False)
    assert await outcomes(world.engine(), operation) == {"g": "_BAD_MSG"}


@simulated
async def test_a_topic_that_the_description_leaves_out(world: World) -> None:
    await world.broker()
    operation = core.topics.describe_topics(
        TopicCollection(["t"]), include_authorized_operations=False
    )
    assert await outcomes(world.engine(), operation) == {"t": "_BAD_MSG"}


def _page(first: int, count: int, cursor: k75.Cursor | None) -> k75.DescribeTopicPartitionsResponse:
    partitions = [
        k75.DescribedPartition(
            error_code=0, partition_index=number, leader_id=1, replica_nodes=[1], isr_nodes=[1]
        )
        for number in range(first, first + count)
    ]
    return k75.DescribeTopicPartitionsResponse(
        topics=[k75.DescribedTopic(error_code=0, name="t", partitions=partitions)],
        next_cursor=cursor,
    )


@simulated
async def test_partitions_come_page_by_page(world: World) -> None:
    broker = await world.broker()
    broker.handlers[DESCRIBE_TOPIC_PARTITIONS] = in_turn(
        _page(0, 2, k75.Cursor(topic_name="t", partition_index=2)),
        _page(2, 2, k75.Cursor(topic_name="t", partition_index=4)),
        _page(4, 1, None),
    )
    operation = core.topic_partitions.describe_topic_partitions(["t"], partitions_per_request=2)
    found = await results(world.engine(), operation, LATE_MS)
    assert [each.partition for each in found["t"].partitions] == [0, 1, 2, 3, 4]


@simulated
async def test_pages_that_go_round(world: World) -> None:
    broker = await world.broker()
    broker.handlers[DESCRIBE_TOPIC_PARTITIONS] = lambda *_: _page(
        0, 2, k75.Cursor(topic_name="t", partition_index=2)
    )
    operation = core.topic_partitions.describe_topic_partitions(["t"], partitions_per_request=2)
    await perform(world.engine(), operation, LATE_MS)
    assert len(broker.asked_for(DESCRIBE_TOPIC_PARTITIONS)) == 2
