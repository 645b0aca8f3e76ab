"""The load generator: what it counts, and what it doesn't let pass."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from bench.load import Connections
from bench.peers import address_of
from bench.requests import (
    ReplyShape,
    Request,
    UnexpectedReply,
    ask,
    batch_of,
    fetch,
    learn_shape,
    metadata,
    produce,
    single_record,
)
from ottla.testing import Broker


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    with Broker() as running:
        yield running


@pytest.fixture
def topic(broker: Broker) -> str:
    return broker.create_unique_topic(partitions=2)


def end_offset(broker: Broker, topic: str) -> int:
    reply = ask(broker.bootstrap_servers, fetch(topic, [(0, 0)], partition_bytes=1))
    high_watermark: int = reply.responses[0].partitions[0].high_watermark
    return high_watermark


def connect(broker: Broker, request: Request, **arguments: int) -> Connections:
    shape = learn_shape(broker.bootstrap_servers, request)
    address = address_of(broker.bootstrap_servers)
    return Connections(address, [request.frame], shape, **arguments)


def test_every_counted_reply_is_an_appended_record(broker: Broker, topic: str) -> None:
    request = produce(topic, [(0, single_record(10))])
    with connect(broker, request, connections=3, in_flight=4) as load:
        done = load.closed_loop(seconds=30, max_requests=100)
    assert done.replies == 100
    # One more was asked to learn what the reply looks like.
    assert end_offset(broker, topic) == 101


def test_large_frames_arrive_whole(broker: Broker, topic: str) -> None:
    batch = batch_of(1000, max_bytes=1 << 20)
    request = produce(topic, [(0, batch)])
    with connect(broker, request, connections=2, in_flight=3) as load:
        load.closed_loop(seconds=30, max_requests=8)
    assert end_offset(broker, topic) == 9 * batch.record_count


def test_an_open_loop_measures_each_request(broker: Broker, topic: str) -> None:
    with connect(broker, metadata(topic), connections=2) as load:
        latencies = load.open_loop(per_second=2000, seconds=0.05)
    assert len(latencies) == 100
    assert min(latencies) > 0


def test_an_error_is_no_reply(broker: Broker, topic: str) -> None:
    good = produce(topic, [(0, single_record(10))])
    shape = learn_shape(broker.bootstrap_servers, good)
    missing = produce(topic, [(5, single_record(10))])
    address = address_of(broker.bootstrap_servers)
    with (
        Connections(address, [missing.frame], shape, connections=1) as load,
        pytest.raises(UnexpectedReply),
    ):
        load.closed_loop(seconds=30, max_requests=10)


def test_error_codes_are_found_in_every_partition(broker: Broker, topic: str) -> None:
    request = produce(topic, [(0, single_record(10)), (1, single_record(10))])
    shape = learn_shape(broker.bootstrap_servers, request)
    assert isinstance(shape, ReplyShape)
    # Two partitions, two bytes each.
    assert len(shape.error_positions) == 4


def test_asking_for_what_is_missing_says_why(broker: Broker) -> None:
    request = produce("nowhere" + os.urandom(4).hex(), [(7, single_record(10))])
    with pytest.raises(UnexpectedReply, match="UNKNOWN_TOPIC_OR_PARTITION"):
        ask(broker.bootstrap_servers, request)


@pytest.mark.parametrize("record_bytes", [100, 1024, 10240])
def test_batches_fill_what_they_may(record_bytes: int) -> None:
    batch = batch_of(record_bytes, max_bytes=1 << 20)
    assert (1 << 20) - 2 * record_bytes - 100 < len(batch.data) <= 1 << 20
