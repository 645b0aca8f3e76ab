"""Fetch (key 1): every version, sessions, long polls, limits."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from ottla.records.batch import iter_headers
from ottla.records.decode import decode_records
from ottla.records.encode import encode_batch
from ottla.records.record import Record
from ottla.testing.protocol import Connection
from ottla.wire.api.k00_produce import PartitionToProduce, ProduceRequest, TopicToProduce
from ottla.wire.api.k01_fetch import (
    FetchRequest,
    ForgottenTopic,
    PartitionToFetch,
    TopicToFetch,
)
from ottla.wire.apis import APIS
from ottla.wire.errors import ErrorCode

Produce = Callable[..., Any]
NewTopic = Callable[..., str]


def batch(*values: bytes) -> bytes:
    return encode_batch(
        [
            Record(offset=n, timestamp_ms=1000 + n, key=None, value=value)
            for n, value in enumerate(values)
        ]
    )


def fetch_request(
    topic: dict[str, Any], offset: int = 0, *, max_wait_ms: int = 0, **fields: Any
) -> FetchRequest:
    partition = PartitionToFetch(
        partition=0,
        fetch_offset=offset,
        partition_max_bytes=fields.pop("partition_max_bytes", 1 << 20),
        current_leader_epoch=fields.pop("current_leader_epoch", -1),
    )
    return FetchRequest(
        max_wait_ms=max_wait_ms,
        min_bytes=fields.pop("min_bytes", 1),
        topics=[TopicToFetch(**topic, partitions=[partition])],
        **fields,
    )


def only_partition(response: Any) -> Any:
    assert response.error_code == ErrorCode.NONE
    [topic] = response.responses
    [partition] = topic.partitions
    return partition


def values_of(partition: Any) -> list[tuple[int, bytes | None]]:
    data = bytes(partition.records or b"")
    return [
        (record.offset, record.value)
        for position, _ in iter_headers(data)
        for record in decode_records(data, position)
    ]


@pytest.mark.parametrize("version", APIS[1].versions)
def test_every_version_fetches(
    version: int,
    connection: Connection,
    new_topic: NewTopic,
    topic_id: Callable[[str], uuid.UUID],
    produce: Produce,
) -> None:
    name = new_topic()
    produce(name, batch(b"a", b"b"))
    produce(name, batch(b"c"))
    known = {"topic_id": topic_id(name)} if version >= 13 else {"topic": name}
    partition = only_partition(connection.ask(fetch_request(known), version))
    assert partition.error_code == ErrorCode.NONE
    assert values_of(partition) == [(0, b"a"), (1, b"b"), (2, b"c")]
    assert partition.high_watermark == 3
    assert partition.last_stable_offset == 3
    # A fetch from inside a batch brings the whole batch.
    partition = only_partition(connection.ask(fetch_request(known, 1), version))
    assert values_of(partition)[0] == (0, b"a")
    at_the_end = only_partition(connection.ask(fetch_request(known, 3), version))
    assert values_of(at_the_end) == []


def test_a_long_poll_ends_with_the_record_it_waits_for(
    bootstrap: str, new_topic: NewTopic, produce: Produce
) -> None:
    name = new_topic()
    with Connection(bootstrap) as waiting:
        # Answered only by a record: the wait is longer than this connection's patience.
        waiting.send(fetch_request({"topic": name}, max_wait_ms=60_000), 12)
        produce(name, batch(b"x"))
        assert values_of(only_partition(waiting.receive())) == [(0, b"x")]


def test_a_long_poll_ends_after_its_time(connection: Connection, new_topic: NewTopic) -> None:
    started = time.monotonic()
    request = fetch_request({"topic": new_topic()}, max_wait_ms=300)
    assert values_of(only_partition(connection.ask(request, 12))) == []
    assert time.monotonic() - started >= 0.29


def test_limits_in_bytes_still_let_one_batch_through(
    connection: Connection, new_topic: NewTopic, produce: Produce
) -> None:
    name = new_topic()
    for _ in range(3):
        produce(name, batch(b"x" * 1000))
    for limits in ({"partition_max_bytes": 1}, {"max_bytes": 1}):
        partition = only_partition(connection.ask(fetch_request({"topic": name}, **limits), 12))
        data = bytes(partition.records)
        complete = next(iter_headers(data[: len(batch(b"x" * 1000))]))[1]
        assert complete.base_offset == 0
        assert len(data) < 2 * len(batch(b"x" * 1000))


@pytest.mark.parametrize("offset", [-1, 5])
def test_an_offset_out_of_range(
    offset: int, connection: Connection, new_topic: NewTopic, produce: Produce
) -> None:
    name = new_topic()
    produce(name, batch(b"a"))
    partition = only_partition(connection.ask(fetch_request({"topic": name}, offset), 12))
    assert partition.error_code == ErrorCode.OFFSET_OUT_OF_RANGE
    assert not bytes(partition.records or b"")


def test_unknown_topics_partitions_and_epochs(
    connection: Connection, new_topic: NewTopic, unique: Callable[[str], str]
) -> None:
    nowhere = only_partition(connection.ask(fetch_request({"topic": unique("nowhere")}), 12))
    assert nowhere.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    stranger = only_partition(connection.ask(fetch_request({"topic_id": uuid.uuid4()}), 16))
    assert stranger.error_code == ErrorCode.UNKNOWN_TOPIC_ID
    request = fetch_request({"topic": new_topic()}, current_leader_epoch=100)
    newer = only_partition(connection.ask(request, 12))
    assert newer.error_code == ErrorCode.UNKNOWN_LEADER_EPOCH


def test_an_incremental_session(
    connection: Connection, new_topic: NewTopic, produce: Produce
) -> None:
    first, second = new_topic(), new_topic()

    def ask(epoch: int, topics: list[TopicToFetch], session: int, **more: Any) -> Any:
        request = FetchRequest(
            max_wait_ms=0,
            min_bytes=0,
            session_id=session,
            session_epoch=epoch,
            topics=topics,
            **more,
        )
        return connection.ask(request, 12)

    def wanted(name: str, offset: int) -> TopicToFetch:
        partition = PartitionToFetch(partition=0, fetch_offset=offset, partition_max_bytes=1 << 20)
        return TopicToFetch(topic=name, partitions=[partition])

    opened = ask(0, [wanted(first, 0), wanted(second, 0)], 0)
    session = opened.session_id
    assert session > 0
    assert {topic.topic for topic in opened.responses} == {first, second}
    # Nothing new: nothing is said.
    assert ask(1, [], session).responses == []
    produce(second, batch(b"x"))
    told = ask(2, [], session)
    assert [topic.topic for topic in told.responses] == [second]
    assert values_of(told.responses[0].partitions[0]) == [(0, b"x")]
    forget = [ForgottenTopic(topic=second, partitions=[0])]
    assert ask(3, [], session, forgotten_topics_data=forget).responses == []
    wrong_epoch = ask(9, [], session)
    assert wrong_epoch.error_code == ErrorCode.INVALID_FETCH_SESSION_EPOCH
    no_such_session = ask(1, [], session + 1)
    assert no_such_session.error_code == ErrorCode.FETCH_SESSION_ID_NOT_FOUND


def test_requests_of_one_connection_are_answered_in_order(
    bootstrap: str, new_topic: NewTopic
) -> None:
    name = new_topic()
    data = TopicToProduce(
        name=name, partition_data=[PartitionToProduce(index=0, records=batch(b"x"))]
    )
    with Connection(bootstrap) as own:
        for _ in range(5):
            own.send(ProduceRequest(acks=-1, timeout_ms=10_000, topic_data=[data]), 12)
            own.send(fetch_request({"topic": name}), 12)
        for count in range(1, 6):
            [produced] = own.receive().responses
            assert produced.partition_responses[0].base_offset == count - 1
            assert len(values_of(only_partition(own.receive()))) >= count
