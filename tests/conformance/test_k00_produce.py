"""Produce (key 0): every version, and batches a broker must refuse."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from ottla.records.compression import Codec
from ottla.records.encode import encode_batch
from ottla.records.record import Record
from ottla.testing.protocol import Connection
from ottla.testing.waiting import eventually
from ottla.wire.api.k00_produce import PartitionToProduce, ProduceRequest, TopicToProduce
from ottla.wire.api.k22_init_producer_id import InitProducerIdRequest
from ottla.wire.apis import APIS
from ottla.wire.errors import ErrorCode

Produce = Callable[..., Any]
NewTopic = Callable[..., str]


def batch(*values: bytes, **fields: Any) -> bytes:
    records = [
        Record(offset=n, timestamp_ms=1000 + n, key=None, value=value)
        for n, value in enumerate(values)
    ]
    return encode_batch(records, **fields)


@pytest.mark.parametrize("version", APIS[0].versions)
def test_every_version_appends(
    version: int,
    connection: Connection,
    new_topic: NewTopic,
    topic_id: Callable[[str], uuid.UUID],
) -> None:
    name = new_topic()
    known = {"topic_id": topic_id(name)} if version >= 13 else {"name": name}
    data = TopicToProduce(
        **known, partition_data=[PartitionToProduce(index=0, records=batch(b"a", b"b"))]
    )
    request = ProduceRequest(acks=-1, timeout_ms=10_000, topic_data=[data])
    for base_offset in (0, 2):
        [answered] = connection.ask(request, version).responses
        [partition] = answered.partition_responses
        assert partition.error_code == ErrorCode.NONE
        assert partition.base_offset == base_offset
        assert partition.log_append_time_ms == -1
        assert partition.log_start_offset == (0 if version >= 5 else -1)


def test_acks_zero_is_not_answered(bootstrap: str, new_topic: NewTopic, produce: Produce) -> None:
    name = new_topic()
    data = TopicToProduce(
        name=name, partition_data=[PartitionToProduce(index=0, records=batch(b"unanswered"))]
    )
    request = ProduceRequest(acks=0, timeout_ms=10_000, topic_data=[data])
    follow_up = ProduceRequest(acks=1, timeout_ms=10_000, topic_data=[data])
    with Connection(bootstrap) as own:
        own.send(request, 9)
        own._awaited.clear()
        [answered] = own.ask(follow_up, 9).responses
    assert answered.partition_responses[0].base_offset == 1


@pytest.mark.parametrize("acks", [2, -2])
def test_odd_acks_are_refused(acks: int, new_topic: NewTopic, produce: Produce) -> None:
    answered = produce(new_topic(), batch(b"x"), acks=acks)
    assert answered.error_code == ErrorCode.INVALID_REQUIRED_ACKS


def corrupted(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


@pytest.mark.parametrize(
    ("records", "code"),
    [
        (corrupted(batch(b"x")), ErrorCode.CORRUPT_MESSAGE),
        (batch(b"x") + batch(b"y"), ErrorCode.INVALID_RECORD),
        (batch(b"x", is_control=True), ErrorCode.INVALID_RECORD),
    ],
    ids=["bad CRC", "two batches", "control batch"],
)
def test_bad_batches_are_refused(
    records: bytes, code: ErrorCode, new_topic: NewTopic, produce: Produce
) -> None:
    name = new_topic()
    assert ErrorCode(produce(name, records).error_code) == code
    # Nothing of it was kept, and the connection lives.
    assert produce(name, batch(b"good")).base_offset == 0


def test_unknown_topics_and_partitions(
    connection: Connection, new_topic: NewTopic, produce: Produce, unique: Callable[[str], str]
) -> None:
    answered = produce(unique("nowhere"), batch(b"x"))
    assert answered.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    partition = PartitionToProduce(index=7, records=batch(b"x"))
    data = TopicToProduce(name=new_topic(), partition_data=[partition])
    request = ProduceRequest(acks=1, timeout_ms=10_000, topic_data=[data])
    [answered] = connection.ask(request, 12).responses
    code = answered.partition_responses[0].error_code
    assert code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    stranger = TopicToProduce(topic_id=uuid.uuid4(), partition_data=[partition])
    request = ProduceRequest(acks=1, timeout_ms=10_000, topic_data=[stranger])
    [answered] = connection.ask(request, 13).responses
    assert answered.partition_responses[0].error_code == ErrorCode.UNKNOWN_TOPIC_ID


def test_a_batch_over_the_limit_is_refused(new_topic: NewTopic, produce: Produce) -> None:
    name = new_topic(1, **{"max.message.bytes": "1000"})
    answered = produce(name, batch(b"x" * 1000))
    assert answered.error_code == ErrorCode.MESSAGE_TOO_LARGE
    # It is the size as sent that counts.
    assert produce(name, batch(b"x" * 5000, codec=Codec.GZIP)).error_code == ErrorCode.NONE


def test_a_compacted_topic_wants_keys(new_topic: NewTopic, produce: Produce) -> None:
    answered = produce(new_topic(1, **{"cleanup.policy": "compact"}), batch(b"no key"))
    assert answered.error_code == ErrorCode.INVALID_RECORD
    assert [error.batch_index for error in answered.record_errors] == [0]


def test_log_append_time_is_answered(new_topic: NewTopic, produce: Produce) -> None:
    name = new_topic(1, **{"message.timestamp.type": "LogAppendTime"})
    assert produce(name, batch(b"x")).log_append_time_ms > 1_600_000_000_000


def test_timestamps_out_of_bounds_are_refused(new_topic: NewTopic, produce: Produce) -> None:
    name = new_topic(1, **{"message.timestamp.before.max.ms": "1000"})
    answered = produce(name, batch(b"from 1970"))
    assert answered.error_code == ErrorCode.INVALID_TIMESTAMP


def test_a_producers_sequence(
    connection: Connection, new_topic: NewTopic, produce: Produce
) -> None:
    name = new_topic()
    request = InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=60_000)

    def initialised() -> Any:
        # Kafka fetches a block of ids first and asks for patience until it has it.
        answer = connection.ask(request, 4)
        assert answer.error_code in (ErrorCode.NONE, ErrorCode.COORDINATOR_LOAD_IN_PROGRESS)
        return answer if answer.error_code == ErrorCode.NONE else None

    producer = eventually(initialised, what="a producer id")

    def send(sequence: int, epoch: int = producer.producer_epoch) -> Any:
        return produce(
            name,
            batch(
                b"a",
                b"b",
                producer_id=producer.producer_id,
                producer_epoch=epoch,
                base_sequence=sequence,
            ),
        )

    assert send(0).base_offset == 0
    assert send(2).base_offset == 2
    # A retried batch is answered with its first offset, and a gap is refused.
    assert [send(0).base_offset, send(2).base_offset] == [0, 2]
    assert send(6).error_code == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert send(0, epoch=producer.producer_epoch + 1).base_offset == 4
    assert send(4).error_code == ErrorCode.INVALID_PRODUCER_EPOCH
