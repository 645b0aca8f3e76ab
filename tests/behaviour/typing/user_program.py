"""What a user who checks types writes; it is checked, not run."""

from __future__ import annotations

import asyncio
import concurrent.futures

import ottla
from ottla import (
    OFFSET_BEGINNING,
    AcknowledgeType,
    AdminClient,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Messages,
    Producer,
    ShareConsumer,
    TopicPartition,
)
from ottla.admin import ConfigResource, NewTopic, OffsetSpec


def on_delivery(error: KafkaError | None, message: Message) -> None:
    if error is not None:
        print(error.name(), error.retriable())
        return
    offset: int | None = message.offset()
    latency: float | None = message.latency()
    print(message.topic(), message.partition(), offset, latency)


def on_assign(consumer: Consumer, partitions: list[TopicPartition]) -> None:
    for partition in partitions:
        partition.offset = OFFSET_BEGINNING
    consumer.assign(partitions)


def produce(servers: str) -> int:
    settings: dict[str, str | int | bool] = {"bootstrap.servers": servers, "linger.ms": 5}
    producer = Producer(settings)
    producer.wait_connected(5.0)
    producer.produce("t", b"value", key="key", headers={"a": b"b"}, on_delivery=on_delivery)
    producer.produce("t", "value", partition=0, timestamp=1, headers=[("a", "b"), ("c", None)])
    future: concurrent.futures.Future[Message] = producer.send("t", b"value")
    print(future.result(10).offset())
    accepted: int = producer.produce_batch("t", [{"value": b"1"}, {"value": "2"}])
    served: int = producer.poll(0)
    left: int = producer.flush(10.0)
    return accepted + served + left + len(producer)


def transact(producer: Producer, consumer: Consumer) -> None:
    producer.init_transactions()
    producer.begin_transaction()
    try:
        producer.send_offsets_to_transaction(
            [TopicPartition("t", 0, 5)], consumer.consumer_group_metadata()
        )
        producer.commit_transaction(10)
    except KafkaException as exception:
        error: KafkaError = exception.args[0]
        if error.txn_requires_abort():
            producer.abort_transaction()


def consume(servers: str) -> list[bytes]:
    values: list[bytes] = []
    with Consumer({"bootstrap.servers": servers, "group.id": "g"}) as consumer:
        consumer.subscribe(["t"], on_assign=on_assign)
        message = consumer.poll(1.0)
        if message is not None and message.error() is None:
            value = message.value()
            if value is not None:
                values.append(value)
            consumer.commit(message, asynchronous=False)
        for each in consumer.consume(10, 0.5):
            headers = each.headers() or []
            print([name for name, _ in headers], each.timestamp()[1])
        low_high = consumer.get_watermark_offsets(TopicPartition("t", 0), timeout=1.0)
        print(low_high, [each.offset for each in consumer.position([TopicPartition("t", 0)])])
        for each in consumer:
            print(each.key())
            break
    return values


def share(servers: str) -> None:
    settings = {"bootstrap.servers": servers, "share.acknowledgement.mode": "explicit"}

    def on_commit(offsets: dict[TopicPartition, set[int]], failure: KafkaException | None) -> None:
        print(sorted(offsets), failure)

    with ShareConsumer({**settings, "group.id": "g"}) as consumer:
        consumer.set_acknowledgement_commit_callback(on_commit)
        consumer.subscribe(["t"])
        messages: Messages = consumer.poll(1.0)
        for message in messages:
            value: bytes | None = message.value()
            print(value, message.delivery_count())
            consumer.acknowledge(message, AcknowledgeType.RELEASE)
        committed: dict[TopicPartition, KafkaException | None] = consumer.commit_sync()
        print(committed, messages[0].offset(), messages[1:].count())


def administrate(servers: str) -> None:
    admin = AdminClient({"bootstrap.servers": servers})
    for topic, created in admin.create_topics([NewTopic("t", 3, 1)]).items():
        print(topic, created.result())
    for described in admin.describe_configs([ConfigResource("topic", "t")]).values():
        for name, entry in described.result().items():
            print(name, entry.value)
    latest = admin.list_offsets({TopicPartition("t", 0): OffsetSpec.latest()})
    print([found.result().offset for found in latest.values()])
    metadata = admin.list_topics(timeout=10)
    print(sorted(metadata.topics), metadata.controller_id, ottla.version())


async def with_asyncio(servers: str) -> None:
    from ottla import aio

    settings = {"bootstrap.servers": servers}
    async with (
        aio.Producer(settings) as producer,
        aio.Consumer({**settings, "group.id": "g"}) as consumer,
        aio.ShareConsumer({**settings, "group.id": "s"}) as sharing,
    ):
        async for shared in sharing:
            key: bytes | None = shared.key()
            print(key)
            break
        delivered: Message = await producer.send("t", b"value", key=b"key")
        print(delivered.offset())
        many: list[Message] = await asyncio.gather(
            *[producer.send("t", b"%d" % number) for number in range(3)]
        )
        print(len(many))
        await consumer.subscribe(["t"])
        message: Message | None = await consumer.poll(1.0)
        print(message)
        async for each in consumer:
            error: KafkaError | None = each.error()
            if error is None:
                await consumer.commit(each)
            break
