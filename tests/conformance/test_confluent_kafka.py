"""confluent-kafka (librdkafka): producing, consuming, offsets."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import (
    TIMESTAMP_CREATE_TIME,
    TIMESTAMP_LOG_APPEND_TIME,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)

from ottla.testing.waiting import eventually

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
# (key, value, headers, timestamp)
RECORDS: list[tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]], int]] = [
    (b"key", b"value", [("h", b"1"), ("h", b"2"), ("e", b""), ("null", None)], 1_600_000_000_000),
    (None, b"no key", [], 1_600_000_000_001),
    (b"tombstone", None, [], 1_600_000_000_002),
    (None, None, [], 1_600_000_000_003),
    (b"", b"", [], 1_600_000_000_004),
    ("käse".encode(), "größe".encode() * 1000, [("ключ", "значение".encode())], 1_600_000_000_005),
]  # fmt: skip


def produce_all(producer: Producer, topic: str, partitions: int, rounds: int = 1) -> None:
    errors: list[KafkaError] = []

    def delivered(error: KafkaError | None, message: Message) -> None:
        if error is not None:
            errors.append(error)

    for _ in range(rounds):
        for partition in range(partitions):
            for key, value, headers, timestamp in RECORDS:
                producer.produce(
                    topic,
                    value,
                    key,
                    partition,
                    on_delivery=delivered,
                    timestamp=timestamp,
                    headers=headers,
                )
    assert producer.flush(20) == 0
    assert errors == []


def consume(consumer: Consumer, count: int, timeout_seconds: float = 20) -> list[Message]:
    """Exactly ``count`` messages, and none with an error."""
    messages: list[Message] = []
    deadline = time.monotonic() + timeout_seconds
    while len(messages) < count:
        assert time.monotonic() < deadline, f"{len(messages)} of {count} messages came"
        for message in consumer.consume(count - len(messages), timeout=0.5):
            assert message.error() is None, message.error()
            messages.append(message)
    return messages


@pytest.fixture
def consumer(bootstrap: str, unique: Callable[[str], str]) -> Any:
    made = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": unique("group"),
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    yield made
    made.close()


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("acks", ["0", "1", "all"])
def test_records_come_back_as_they_went(
    acks: str, codec: str, bootstrap: str, new_topic: Callable[..., str], consumer: Consumer
) -> None:
    topic = new_topic(3)
    producer = Producer({"bootstrap.servers": bootstrap, "acks": acks, "compression.type": codec})
    produce_all(producer, topic, 3, rounds=2)
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(3)])
    messages = consume(consumer, 3 * 2 * len(RECORDS))
    for partition in range(3):
        here = [message for message in messages if message.partition() == partition]
        assert [message.offset() for message in here] == list(range(2 * len(RECORDS)))
        assert [
            (
                message.key(),
                message.value(),
                message.headers() or [],
                message.timestamp(),
            )
            for message in here
        ] == [
            (key, value, headers, (TIMESTAMP_CREATE_TIME, timestamp))
            for key, value, headers, timestamp in RECORDS * 2
        ]


def test_an_idempotent_producer_delivers_each_record_once_and_in_order(
    bootstrap: str, new_topic: Callable[..., str], consumer: Consumer
) -> None:
    topic = new_topic()
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "enable.idempotence": True,
            "linger.ms": 0,
            "batch.num.messages": 7,
        }
    )
    for number in range(2000):
        producer.produce(topic, b"%d" % number)
    assert producer.flush(20) == 0
    consumer.assign([TopicPartition(topic, 0, 0)])
    values = [int(message.value()) for message in consume(consumer, 2000)]
    assert values == list(range(2000))
    assert consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=10) == (0, 2000)


def test_large_messages(bootstrap: str, new_topic: Callable[..., str], consumer: Consumer) -> None:
    topic = new_topic(1, **{"max.message.bytes": "10485760"})
    producer = Producer({"bootstrap.servers": bootstrap, "message.max.bytes": 10_485_760})
    values = [bytes([number]) * (3 << 20) for number in range(4)]
    for value in values:
        producer.produce(topic, value)
    assert producer.flush(20) == 0
    consumer.assign([TopicPartition(topic, 0, 0)])
    assert [message.value() for message in consume(consumer, 4)] == values


def test_log_append_time_is_the_brokers(
    bootstrap: str, new_topic: Callable[..., str], consumer: Consumer
) -> None:
    topic = new_topic(1, **{"message.timestamp.type": "LogAppendTime"})
    before_ms = time.time_ns() // 1_000_000
    produce_all(Producer({"bootstrap.servers": bootstrap}), topic, 1)
    after_ms = time.time_ns() // 1_000_000
    consumer.assign([TopicPartition(topic, 0, 0)])
    for message in consume(consumer, len(RECORDS)):
        kind, timestamp_ms = message.timestamp()
        assert kind == TIMESTAMP_LOG_APPEND_TIME
        assert before_ms <= timestamp_ms <= after_ms


def test_offsets_are_found_by_time(
    bootstrap: str, new_topic: Callable[..., str], consumer: Consumer
) -> None:
    topic = new_topic()
    producer = Producer({"bootstrap.servers": bootstrap})
    for number in range(100):
        producer.produce(topic, b"x", timestamp=1_600_000_000_000 + number * 1000)
        if number % 10 == 9:
            assert producer.flush(20) == 0  # several batches
    found = consumer.offsets_for_times(
        [TopicPartition(topic, 0, 1_600_000_000_000 + 42_001)], timeout=10
    )
    assert [each.offset for each in found] == [43]
    beyond = consumer.offsets_for_times([TopicPartition(topic, 0, 1_700_000_000_000)], timeout=10)
    assert [each.offset for each in beyond] == [-1]  # librdkafka's OFFSET_END


@pytest.mark.parametrize(("reset", "expected"), [("earliest", b"old"), ("latest", b"new")])
def test_auto_offset_reset(
    reset: str,
    expected: bytes,
    bootstrap: str,
    new_topic: Callable[..., str],
    unique: Callable[[str], str],
) -> None:
    topic = new_topic()
    producer = Producer({"bootstrap.servers": bootstrap})
    producer.produce(topic, b"old")
    assert producer.flush(20) == 0
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": unique("group"),
            "auto.offset.reset": reset,
        }
    )
    consumer.subscribe([topic])
    if reset == "latest":
        # The position becomes known with the first fetch's answer; "new" is produced after it.
        eventually(lambda: consumer.poll(0.05) is None and consumer.assignment(), what="assignment")
        sought = TopicPartition(topic, 0)
        eventually(
            lambda: consumer.poll(0.05) is None and fetch_position(consumer, sought) == 1,
            what="the end is found",
        )
        producer.produce(topic, b"new")
        assert producer.flush(20) == 0
    first = consume(consumer, 1)[0]
    assert first.value() == expected
    consumer.close()


def fetch_position(consumer: Consumer, partition: TopicPartition) -> int:
    """Where librdkafka's fetcher stands; it shows through the cached watermarks."""
    return int(consumer.get_watermark_offsets(partition, cached=True)[1])


def test_commits_synchronous_and_asynchronous(
    bootstrap: str, new_topic: Callable[..., str], unique: Callable[[str], str]
) -> None:
    topic, group = new_topic(2), unique("group")
    reports: list[tuple[KafkaError | None, list[TopicPartition]]] = []
    config = {
        "bootstrap.servers": bootstrap,
        "group.id": group,
        "enable.auto.commit": False,
        "on_commit": lambda error, partitions: reports.append((error, partitions)),
    }
    consumer = Consumer(config)
    first = TopicPartition(topic, 0, 5, metadata="what I know")
    second = TopicPartition(topic, 1, 7)
    consumer.commit(offsets=[first], asynchronous=False)
    consumer.commit(offsets=[second], asynchronous=True)
    # Only the asynchronous commit reports through the callback.
    eventually(lambda: consumer.poll(0.1) is None and reports, what="the commit's callback")
    assert [(error, [p.offset for p in where]) for error, where in reports] == [(None, [7])]
    consumer.close()

    again = Consumer(config)
    committed = again.committed([TopicPartition(topic, n) for n in range(2)], timeout=10)
    assert [(each.offset, each.metadata) for each in committed] == [(5, "what I know"), (7, None)]
    unknown = again.committed([TopicPartition(topic, 99)], timeout=10)
    assert [each.offset for each in unknown] == [-1001]
    again.close()


def test_a_message_too_large_is_refused(bootstrap: str, new_topic: Callable[..., str]) -> None:
    topic = new_topic(1, **{"max.message.bytes": "10000"})
    errors: list[int] = []
    producer = Producer({"bootstrap.servers": bootstrap, "message.max.bytes": 10_000_000})
    producer.produce(topic, b"x" * 20_000, on_delivery=lambda e, _: errors.append(e.code()))
    assert producer.flush(20) == 0
    assert errors == [KafkaError.MSG_SIZE_TOO_LARGE]


def test_topics_unknown_and_badly_named(
    bootstrap: str, unique: Callable[[str], str], consumer: Consumer
) -> None:
    with pytest.raises(KafkaException) as caught:
        consumer.get_watermark_offsets(TopicPartition(unique("nowhere"), 0), timeout=10)
    assert caught.value.args[0].code() in (
        KafkaError._UNKNOWN_PARTITION,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
    )
    errors: list[int] = []
    producer = Producer({"bootstrap.servers": bootstrap, "message.timeout.ms": 10_000})
    producer.produce("no/such?name", b"x", on_delivery=lambda e, _: errors.append(e.code()))
    assert producer.flush(20) == 0
    assert errors == [KafkaError.TOPIC_EXCEPTION]


def test_producing_creates_a_topic(
    bootstrap: str, unique: Callable[[str], str], consumer: Consumer
) -> None:
    topic = unique("created")
    producer = Producer({"bootstrap.servers": bootstrap})
    producer.produce(topic, b"first")
    assert producer.flush(20) == 0
    consumer.assign([TopicPartition(topic, 0, 0)])
    assert consume(consumer, 1)[0].value() == b"first"


def test_seek_pause_and_resume(
    bootstrap: str, new_topic: Callable[..., str], consumer: Consumer
) -> None:
    topic = new_topic(2)
    produce_all(Producer({"bootstrap.servers": bootstrap}), topic, 2)
    both = [TopicPartition(topic, 0, 0), TopicPartition(topic, 1, 0)]
    consumer.assign(both)
    consume(consumer, 2 * len(RECORDS))
    consumer.pause([both[1]])
    consumer.seek(TopicPartition(topic, 0, 3))
    consumer.seek(TopicPartition(topic, 1, 0))
    assert {m.partition() for m in consume(consumer, len(RECORDS) - 3)} == {0}
    consumer.resume([both[1]])
    assert {m.partition() for m in consume(consumer, len(RECORDS))} == {1}


def test_an_offset_out_of_range_is_reported(
    bootstrap: str, new_topic: Callable[..., str], unique: Callable[[str], str]
) -> None:
    topic = new_topic()
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": unique("group"),
            "auto.offset.reset": "error",
        }
    )
    consumer.assign([TopicPartition(topic, 0, 1000)])
    message = eventually(lambda: consumer.poll(0.5), what="an error message")
    assert message.error().code() == KafkaError._AUTO_OFFSET_RESET
    assert "out of range" in message.error().str().lower()
    consumer.close()
