"""aiokafka: producing, consuming, offsets."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import (
    MessageSizeTooLargeError,
    TopicAlreadyExistsError,
)
from aiokafka.structs import OffsetAndMetadata

NewTopicName = Callable[..., str]
Unique = Callable[[str], str]

RECORDS = [
    (b"key", b"value", [("h", b"1"), ("h", b"2"), ("empty", b"")], 1_600_000_000_000),
    (None, b"no key", [], 1_600_000_000_001),
    (b"tombstone", None, [], 1_600_000_000_002),
    (b"", b"", [], 1_600_000_000_003),
    ("käse".encode(), "größe".encode() * 1000, [("ключ", b"v")], 1_600_000_000_004),
]


def run(scenario: Awaitable[None]) -> None:
    """One scenario in an event loop of its own, ended by a deadline."""

    async def bounded() -> None:
        await asyncio.wait_for(scenario, 60)

    asyncio.run(bounded())


async def consume(consumer: AIOKafkaConsumer, count: int) -> list[Any]:
    return [await asyncio.wait_for(consumer.getone(), 20) for _ in range(count)]


@pytest.mark.parametrize("codec", [None, "gzip", "snappy", "lz4", "zstd"])
@pytest.mark.parametrize("acks", [0, 1, "all"])
def test_records_come_back_as_they_went(
    acks: int | str, codec: str | None, bootstrap: str, new_topic: NewTopicName
) -> None:
    topic = new_topic(2)

    async def scenario() -> None:
        config = {"bootstrap_servers": bootstrap, "acks": acks, "compression_type": codec}
        async with AIOKafkaProducer(**config) as producer:
            for partition in range(2):
                for key, value, headers, timestamp_ms in RECORDS:
                    await producer.send(topic, value, key, partition, timestamp_ms, headers)
            await producer.flush()
        async with AIOKafkaConsumer(bootstrap_servers=bootstrap) as consumer:
            partitions = [TopicPartition(topic, partition) for partition in range(2)]
            consumer.assign(partitions)
            await consumer.seek_to_beginning()
            records = await consume(consumer, 2 * len(RECORDS))
        for partition in range(2):
            here = [record for record in records if record.partition == partition]
            assert [record.offset for record in here] == list(range(len(RECORDS)))
            assert [(r.key, r.value, list(r.headers), r.timestamp) for r in here] == RECORDS

    run(scenario())


def test_an_idempotent_producer(bootstrap: str, new_topic: NewTopicName) -> None:
    topic = new_topic()

    async def scenario() -> None:
        async with AIOKafkaProducer(
            bootstrap_servers=bootstrap, enable_idempotence=True, max_batch_size=500
        ) as producer:
            sent = [await producer.send(topic, b"%d" % n, partition=0) for n in range(500)]
            offsets = [(await future).offset for future in sent]
        assert offsets == list(range(500))

    run(scenario())


def test_offsets_at_the_ends_by_time_and_committed(
    bootstrap: str, new_topic: NewTopicName, unique: Unique
) -> None:
    where, group = TopicPartition(new_topic(), 0), unique("group")

    async def scenario() -> None:
        async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
            for number in range(10):
                await producer.send_and_wait(
                    where.topic, b"%d" % number, partition=0, timestamp_ms=1000 + number
                )
        config = {
            "bootstrap_servers": bootstrap,
            "group_id": group,
            "auto_offset_reset": "earliest",
            "enable_auto_commit": False,
        }
        async with AIOKafkaConsumer(where.topic, **config) as consumer:
            assert await consumer.beginning_offsets([where]) == {where: 0}
            assert await consumer.end_offsets([where]) == {where: 10}
            found = (await consumer.offsets_for_times({where: 1004}))[where]
            assert (found.offset, found.timestamp) == (4, 1004)
            assert (await consumer.offsets_for_times({where: 9999}))[where] is None
            await consume(consumer, 10)
            await consumer.commit({where: OffsetAndMetadata(6, "noted")})
        async with AIOKafkaConsumer(where.topic, **config) as consumer:
            assert await consumer.committed(where) == 6
            assert [record.offset for record in await consume(consumer, 4)] == [6, 7, 8, 9]

    run(scenario())


def test_producing_creates_a_topic_and_a_large_message_is_refused(
    bootstrap: str, new_topic: NewTopicName, unique: Unique
) -> None:
    small = new_topic(1, **{"max.message.bytes": "1000"})

    async def scenario() -> None:
        async with AIOKafkaProducer(
            bootstrap_servers=bootstrap, request_timeout_ms=10_000
        ) as producer:
            assert (await producer.send_and_wait(unique("created"), b"x")).offset == 0
            with pytest.raises(MessageSizeTooLargeError):
                await producer.send_and_wait(small, b"x" * 2000)

    run(scenario())


def test_topics_through_the_admin_client(bootstrap: str, unique: Unique) -> None:
    name = unique("topic")

    async def scenario() -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        await admin.start()
        try:
            created = await admin.create_topics([NewTopic(name, 2, 1)])
            assert [error[1] for error in created.topic_errors] == [0]
            again = await admin.create_topics([NewTopic(name, 2, 1)])
            assert [e[1] for e in again.topic_errors] == [TopicAlreadyExistsError.errno]
            [described] = await admin.describe_topics([name])
            assert len(described["partitions"]) == 2
            deleted = await admin.delete_topics([name])
            assert [error[1] for error in deleted.topic_error_codes] == [0]
        finally:
            await admin.close()

    run(scenario())
