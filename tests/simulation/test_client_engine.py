"""The engine's connections in virtual time, to brokers that behave, misbehave and disappear."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
from typing import Any

import pytest

from ottla.client.core.targets import ANY, CONTROLLER, Coordinator, KeyType
from ottla.client.errors import KafkaError
from ottla.client.values import ThrottleEvent
from ottla.testing.simulation.engine_world import (
    World,
    failure,
    groups,
    list_groups,
    simulated,
)
from ottla.testing.simulation.scripted_broker import Asked, BrokerConnection
from ottla.wire.api.k16_list_groups import ListGroupsRequest, ListGroupsResponse

LIST_GROUPS, METADATA, FIND_COORDINATOR, API_VERSIONS = 16, 3, 10, 18
GROUP = Coordinator(KeyType.GROUP, "g")


# Connecting


@simulated
async def test_a_bootstrap_connection_becomes_that_of_the_broker_behind_it(world: World) -> None:
    broker = await world.broker()
    broker.handlers[LIST_GROUPS] = lambda *_: groups("a", "b")
    engine = world.engine(client_id="me")
    await engine.wait_connected(5000)
    assert await list_groups(engine, 1) == ["a", "b"]
    assert await list_groups(engine, CONTROLLER) == ["a", "b"]
    assert len(broker.connections) == 1
    assert {each.client_id for each in broker.asked} == {"me"}
    assert broker.asked[0].request.client_software_name == "ottla"
    assert world.errors == []


@simulated
async def test_a_broker_from_before_the_newest_api_versions(world: World) -> None:
    broker = await world.broker()
    broker.versions = {API_VERSIONS: (0, 2), METADATA: (0, 7), LIST_GROUPS: (0, 2)}
    broker.handlers[LIST_GROUPS] = lambda *_: groups("old")
    engine = world.engine()
    assert await list_groups(engine) == ["old"]
    assert [each.version for each in broker.asked_for(API_VERSIONS)] == [4, 2]
    assert broker.asked_for(LIST_GROUPS)[0].version == 2
    unsupported = await failure(list_groups(engine, at_least=3))
    assert unsupported == KafkaError._UNSUPPORTED_FEATURE


@simulated
async def test_one_of_several_bootstrap_servers_is_enough(world: World) -> None:
    broker = await world.broker()
    broker.handlers[LIST_GROUPS] = lambda *_: groups("a")
    engine = world.engine("nobody:1,kafka:9092,nobody:2")
    assert await list_groups(engine, timeout_ms=5000) == ["a"]
    assert KafkaError._ALL_BROKERS_DOWN not in world.errors


@simulated
async def test_nobody_there_is_said_once_and_tried_ever_more_seldom(world: World) -> None:
    engine = world.engine(reconnect_backoff_ms=100, reconnect_backoff_max_ms=2000)
    error = await failure(engine.wait_connected(20_000))
    assert error == KafkaError._TRANSPORT
    assert "refused" in error.str()
    assert world.errors == [KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN]
    broker = await world.broker()
    await engine.wait_connected(3000)
    await broker.stop()
    await asyncio.sleep(1)
    assert [each.name() for each in world.errors[2:]].count("_ALL_BROKERS_DOWN") <= 1


@simulated
async def test_backoff_between_attempts(world: World) -> None:
    engine = world.engine(reconnect_backoff_ms=100, reconnect_backoff_max_ms=1000)
    failed_ms: list[float] = []
    engine.on_connection(lambda *_: failed_ms.append(engine.now_ms()))
    await asyncio.sleep(10)
    gaps = [after - before for before, after in itertools.pairwise(failed_ms)]
    assert all(gap >= 80 for gap in gaps)
    assert all(gap <= 2300 for gap in gaps)
    assert gaps[-1] >= 800


@simulated
async def test_a_broker_that_accepts_and_says_nothing(world: World) -> None:
    broker = await world.broker()
    broker.handlers[API_VERSIONS] = lambda *_: None
    engine = world.engine()
    error = await failure(engine.wait_connected(31_000))
    assert error.code() in (KafkaError._TIMED_OUT, KafkaError._TRANSPORT)
    assert "no answer in" in error.str()


@simulated
async def test_idle_connections_are_closed_and_made_anew(world: World) -> None:
    broker = await world.broker()
    broker.handlers[LIST_GROUPS] = lambda *_: groups("a")
    engine = world.engine(connections_max_idle_ms=5000, topic_metadata_refresh_interval_ms=-1)
    await list_groups(engine, 1 if engine.cluster.brokers else ANY)
    await asyncio.sleep(12)
    assert not any(each.is_open for each in broker.connections)
    assert await list_groups(engine) == ["a"]
    assert world.errors == []


# Answers


@simulated
async def test_requests_of_a_connection_are_pipelined_and_answered_in_order(world: World) -> None:
    broker = await world.broker()
    waiting: list[tuple[BrokerConnection, Asked]] = []
    broker.handlers[LIST_GROUPS] = lambda *asked: waiting.append(asked)
    engine = world.engine()
    await engine.wait_connected(5000)
    told: list[str] = []
    versions = engine.versions(1)
    assert versions is not None

    def on_reply(reply: ListGroupsResponse | KafkaError) -> None:
        assert isinstance(reply, ListGroupsResponse)
        told.append(reply.groups[0].group_id)

    for _ in range(5):
        engine.send(
            1, ListGroupsRequest(), ListGroupsResponse, on_reply,
            version=versions.choose(LIST_GROUPS), timeout_ms=1000,
        )  # fmt: skip
    assert told == []
    await asyncio.sleep(0.1)
    assert len(waiting) == 5
    for number, (connection, asked) in enumerate(waiting):
        connection.answer(asked, groups(str(number)))
    await asyncio.sleep(0.1)
    assert told == ["0", "1", "2", "3", "4"]


@simulated
async def test_answers_of_all_sizes_in_pieces(world: World) -> None:
    broker = await world.broker()
    sizes = [0, 1, 100, 65_520, 65_536, 65_540, 200_000, 3, 1_000_000, 70_000, 12]
    names = iter("x" * (size % 30_000) for size in sizes)
    repeats = iter(1 + size // 30_000 for size in sizes)

    def answer(connection: BrokerConnection, asked: Asked) -> None:
        connection.answer(asked, groups(*[next(names)] * next(repeats)))

    broker.handlers[LIST_GROUPS] = answer
    engine = world.engine()
    await engine.wait_connected(5000)
    answers = await asyncio.gather(*(list_groups(engine, 1) for _ in sizes))
    assert [sum(map(len, names)) for names in answers] == [
        (1 + size // 30_000) * (size % 30_000) for size in sizes
    ]


@simulated
async def test_raw_answers_own_their_bytes_and_some_requests_have_none(world: World) -> None:
    broker = await world.broker()
    broker.handlers[LIST_GROUPS] = lambda *_: groups("a")
    engine = world.engine()
    await engine.wait_connected(5000)
    told: list[memoryview | KafkaError] = []
    body: list[bytes | memoryview] = [b"", memoryview(ListGroupsRequest().encode(3))]
    engine.send_buffers(1, LIST_GROUPS, 3, body, told.append, timeout_ms=1000)
    await asyncio.sleep(0.1)
    broker.handlers[LIST_GROUPS] = lambda *_: None
    engine.send_buffers(1, LIST_GROUPS, 3, body, told.append, timeout_ms=1000, has_answer=False)
    await asyncio.sleep(5)
    first, second = told
    assert isinstance(first, memoryview)
    assert ListGroupsResponse.decode(first, 3) == groups("a")
    assert isinstance(second, memoryview)
    assert len(second) == 0
    assert engine.is_ready(1)


@simulated
async def test_a_request_without_answer_is_done_when_it_is_written_out(world: World) -> None:
    broker = await world.broker()
    engine = world.engine()
    await engine.wait_connected(5000)
    transport = broker.connections[0].transport
    assert transport is not None
    transport.pause_reading()
    told: list[memoryview | KafkaError] = []
    body = ListGroupsRequest(states_filter=["x" * 30_000] * 10).encode(4)

    def send() -> None:
        engine.send_buffers(
            1, LIST_GROUPS, 4, [body], told.append, timeout_ms=1000, has_answer=False
        )

    send()
    send()
    await asyncio.sleep(5)
    assert told == []
    transport.resume_reading()
    await asyncio.sleep(1)
    assert [len(each) for each in told if isinstance(each, memoryview)] == [0, 0]
    transport.pause_reading()
    send()
    await engine.close()
    assert told[2:] == [KafkaError._DESTROY]


def frame(size_bytes: int, rest: bytes) -> bytes:
    return size_bytes.to_bytes(4, signed=True) + rest


@pytest.mark.parametrize(
    "garbage",
    [
        frame(-1, b""),
        frame(3, b"abc"),
        frame(0, b""),
        frame(2**31 - 1, b"abcd"),
        frame(100_000_001, b"abcd"),
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        frame(4, (12345).to_bytes(4)),
        frame(5, (3).to_bytes(4) + b"\xff"),
        frame(10, (3).to_bytes(4) + b"\x01\x01\x7fabc"),
        frame(8, (3).to_bytes(4) + b"\0abc"),
    ],
)
def test_garbage_costs_the_connection_and_nothing_else(garbage: bytes) -> None:
    @simulated
    async def play(world: World) -> None:
        broker = await world.broker()
        broker.handlers[LIST_GROUPS] = lambda connection, _: connection.write(garbage)
        engine = world.engine()
        await engine.wait_connected(5000)
        first, second = await asyncio.gather(
            failure(list_groups(engine, 1, timeout_ms=3000)),
            failure(list_groups(engine, 1, timeout_ms=3000)),
        )
        assert first == KafkaError._BAD_MSG
        assert second.code() in (KafkaError._BAD_MSG, KafkaError._TRANSPORT, KafkaError._TIMED_OUT)
        broker.handlers[LIST_GROUPS] = lambda *_: groups("a")
        await asyncio.sleep(1)
        assert await list_groups(engine, 1) == ["a"]

    play(1)


@simulated
async def test_a_greeting_that_nobody_asked_for(world: World) -> None:
    broker = await world.broker()
    broker.greeting = b"SSH-2.0-OpenSSH_9.6\r\n"
    engine = world.engine()
    error = await failure(engine.wait_connected(2000))
    assert error == KafkaError._BAD_MSG
    assert "security.protocol" in error.str()


@simulated
async def test_a_connection_closed_in_the_middle_of_an_answer(world: World) -> None:
    broker = await world.broker()

    def half(connection: BrokerConnection, asked: Asked) -> None:
        connection.write(frame(1000, asked.correlation_id.to_bytes(4) + b"\0" * 10))
        connection.close()

    broker.handlers[LIST_GROUPS] = half
    engine = world.engine()
    await engine.wait_connected(5000)
    assert await failure(list_groups(engine, 1)) == KafkaError._TRANSPORT


@simulated
async def test_an_answer_that_never_comes_ends_the_connection_in_time(world: World) -> None:
    broker = await world.broker()
    broker.handlers[LIST_GROUPS] = lambda *_: None
    engine = world.engine(socket_timeout_ms=2000)
    await engine.wait_connected(5000)
    began_ms = engine.now_ms()
    error = await failure(list_groups(engine, 1))
    assert error == KafkaError._TIMED_OUT
    assert 1990 <= engine.now_ms() - began_ms <= 2100
    await asyncio.sleep(0.1)
    assert not broker.connections[0].is_open


@simulated
async def test_who_has_less_time_than_the_socket_leaves_the_connection_alone(
    world: World,
) -> None:
    broker = await world.broker()
    broker.handlers[LIST_GROUPS] = lambda *asked: late.append(asked)
    late: list[tuple[BrokerConnection, Asked]] = []
    engine = world.engine()
    await engine.wait_connected(5000)
    assert await failure(list_groups(engine, 1, timeout_ms=500)) == KafkaError._TIMED_OUT
    connection, asked = late[0]
    connection.answer(asked, groups("late"))
    broker.handlers[LIST_GROUPS] = lambda *_: groups("in time")
    assert await list_groups(engine, 1) == ["in time"]
    assert len(broker.connections) == 1


@simulated
async def test_requests_may_time_out_without_costing_the_connection(world: World) -> None:
    broker = await world.broker()
    late: list[tuple[BrokerConnection, Asked]] = []
    broker.handlers[LIST_GROUPS] = lambda *asked: late.append(asked)
    engine = world.engine(socket_timeout_ms=1000, socket_max_fails=0)
    await engine.wait_connected(5000)
    told: list[ListGroupsResponse | KafkaError] = []
    for _ in range(2):
        engine.send(
            1, ListGroupsRequest(), ListGroupsResponse, told.append, version=3, timeout_ms=1000
        )
    await asyncio.sleep(5)
    assert told == [KafkaError._TIMED_OUT] * 2
    for connection, asked in late:
        connection.answer(asked, groups("late"))
    broker.handlers[LIST_GROUPS] = lambda *_: groups("in time")
    assert await list_groups(engine, 1) == ["in time"]
    assert len(told) == 2
    assert len(broker.connections) == 1


@simulated
async def test_what_is_said_is_logged_if_wanted(world: World) -> None:
    await world.broker()
    records: list[logging.LogRecord] = []
    logger = logging.Logger("mine")

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    logger.addHandler(Handler())
    engine = world.engine(debug="protocol", logger=logger)
    await engine.wait_connected(5000)
    texts = [record.getMessage() for record in records if record.levelno == logging.DEBUG]
    assert texts[0].startswith(f"SEND [{engine.name}] kafka:9092/bootstrap: Sent ApiVersions v4 (")
    assert texts[1].startswith(f"RECV [{engine.name}] kafka:9092/bootstrap: Received ApiVersions")
    quiet = world.engine(logger=logger)
    records.clear()
    await quiet.wait_connected(5000)
    assert records == []


@simulated
async def test_throttling_is_told_and_kept(world: World) -> None:
    broker = await world.broker()
    broker.handlers[LIST_GROUPS] = lambda *_: groups("a", throttle_time_ms=1500)
    events: list[ThrottleEvent] = []
    engine = world.engine(throttle_cb=events.append)
    await engine.wait_connected(5000)
    await list_groups(engine, 1)
    assert [(each.broker_id, each.throttle_time) for each in events] == [(1, 1.5)]
    assert not engine.is_ready(1)
    began_ms = engine.now_ms()
    await list_groups(engine, 1)
    assert engine.now_ms() - began_ms >= 1499


@simulated
async def test_closing_fails_what_is_under_way(world: World) -> None:
    broker = await world.broker()
    broker.handlers[LIST_GROUPS] = lambda *_: None
    engine = world.engine()
    await engine.wait_connected(5000)
    waiting = asyncio.create_task(failure(list_groups(engine, 1)))
    other = asyncio.create_task(failure(list_groups(engine, 99)))
    await asyncio.sleep(0.1)
    await engine.close()
    await engine.close()
    assert await waiting == KafkaError._DESTROY
    assert await other == KafkaError._UNKNOWN_BROKER
    assert await failure(list_groups(engine, 1)) == KafkaError._DESTROY


# Statistics


@simulated
async def test_statistics_are_told_as_often_as_wanted(world: World) -> None:
    broker = await world.broker()
    broker.handlers[LIST_GROUPS] = lambda *_: groups("a", throttle_time_ms=20)
    told: list[dict[str, Any]] = []
    engine = world.engine(
        statistics_interval_ms=1000, stats_cb=lambda text: told.append(json.loads(text))
    )
    engine.statistics.append(lambda: {"msg_cnt": 5, "topics": {"t": {"topic": "t", "age": 1}}})
    engine.statistics.append(lambda: {"cgrp": {"state": "up"}, "topics": {"t": {"lag": 2}}})
    await engine.wait_connected(5000)
    for _ in range(3):
        await list_groups(engine, 1)
    await asyncio.sleep(4)
    assert 3 <= len(told) <= 5
    first, second = told[:2]
    assert first["name"] == engine.name
    assert (first["type"], first["msg_cnt"], first["cgrp"]) == ("producer", 5, {"state": "up"})
    assert first["topics"] == {"t": {"topic": "t", "age": 1, "lag": 2}}
    entry = first["brokers"]["kafka:9092/1"]
    assert (entry["nodeid"], entry["source"], entry["state"]) == (1, "learned", "UP")
    assert entry["req"] == {"ApiVersion": 1, "Metadata": 1, "ListGroups": 3}
    assert entry["tx"] == entry["rx"] == first["tx"] == 5
    assert entry["rtt"]["cnt"] == 5
    assert 100 <= entry["rtt"]["min"] <= entry["rtt"]["p50"] <= entry["rtt"]["max"] <= 10_000
    assert (entry["throttle"]["cnt"], entry["throttle"]["max"]) == (3, 20)
    assert second["brokers"]["kafka:9092/1"]["rtt"]["cnt"] == 0
    assert second["age"] - first["age"] == pytest.approx(1_000_000, abs=1000)


@simulated
async def test_a_callback_that_raises_stops_nothing(world: World) -> None:
    await world.broker()
    told: list[str] = []

    def callback(text: str) -> None:
        told.append(text)
        raise LookupError(text[:10])

    engine = world.engine(statistics_interval_ms=1000, stats_cb=callback)
    await engine.wait_connected(5000)
    await asyncio.sleep(5)
    assert len(told) >= 4


@simulated
async def test_a_listener_that_greets_and_then_hangs_up_on_every_request(world: World) -> None:
    """So does one that wants SASL from a client that has none configured."""
    broker = await world.broker()

    def hang_up(connection: BrokerConnection, _: Asked) -> None:
        connection.close()

    broker.handlers[METADATA] = hang_up
    engine = world.engine()
    error = await failure(engine.wait_connected(5000))
    assert error == KafkaError._TRANSPORT
    assert "security.protocol" in error.str()
