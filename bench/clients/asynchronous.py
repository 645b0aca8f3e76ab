"""Programs for asyncio: Ottla's, confluent_kafka's and aiokafka."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from bench.clients.task import Meter, Task, Told

_WINDOW = 1000


def send(task: Task) -> Told:
    """A thousand messages awaited together, again and again."""
    return asyncio.run(_send(task))


def receive(task: Task) -> Told:
    """One message after the other, each looked at."""
    return asyncio.run(_receive(task))


async def _send(task: Task) -> Told:
    producer, send_window = await _SENDERS[task.library](task)
    meter = Meter()
    await send_window()
    for _ in range(task.bursts):
        start, cpu = time.perf_counter(), time.process_time()
        count = 0
        while time.perf_counter() - start < task.seconds:
            await send_window()
            count += _WINDOW
        seconds, used = time.perf_counter() - start, time.process_time() - cpu
        meter.count(count, seconds, used)
    await _closed(producer)
    return meter.finish()


async def _receive(task: Task) -> Told:
    consumer, receive_one = await _RECEIVERS[task.library](task)
    meter = Meter()
    await receive_one()
    for _ in range(task.bursts):
        start, cpu = time.perf_counter(), time.process_time()
        count = 0
        while time.perf_counter() - start < task.seconds:
            for _ in range(100):
                await receive_one()
            count += 100
        seconds, used = time.perf_counter() - start, time.process_time() - cpu
        meter.count(count, seconds, used)
    await _closed(consumer)
    return meter.finish()


async def _closed(client: Any) -> None:
    stop = getattr(client, "stop", None) or client.close
    await stop()


async def _ottla_sender(task: Task) -> tuple[Any, Callable[[], Awaitable[Any]]]:
    from ottla.aio import Producer

    producer = Producer({"bootstrap.servers": task.servers, **task.settings})
    topic, value = task.topic, b"x" * task.value_bytes

    async def window() -> None:
        await asyncio.gather(*[producer.send(topic, value) for _ in range(_WINDOW)])

    return producer, window


async def _confluent_sender(task: Task) -> tuple[Any, Callable[[], Awaitable[Any]]]:
    from confluent_kafka.aio import AIOProducer

    # It looks for delivery reports only as often as it empties its buffer: every second by default,
    # which is all that such a window would measure.
    producer = AIOProducer(
        {"bootstrap.servers": task.servers, **task.settings},
        batch_size=_WINDOW,
        buffer_timeout=0.01,
    )
    topic, value = task.topic, b"x" * task.value_bytes

    async def window() -> None:
        futures = [await producer.produce(topic, value) for _ in range(_WINDOW)]
        await asyncio.gather(*futures)

    return producer, window


async def _aiokafka_sender(task: Task) -> tuple[Any, Callable[[], Awaitable[Any]]]:
    from aiokafka import AIOKafkaProducer

    producer = AIOKafkaProducer(bootstrap_servers=task.servers, **task.settings)
    await producer.start()
    topic, value = task.topic, b"x" * task.value_bytes

    async def window() -> None:
        futures = [await producer.send(topic, value) for _ in range(_WINDOW)]
        await asyncio.gather(*futures)

    return producer, window


async def _ottla_receiver(task: Task) -> tuple[Any, Callable[[], Awaitable[Any]]]:
    from ottla import TopicPartition
    from ottla.aio import Consumer

    settings = {"group.id": "bench", "enable.auto.commit": False, **task.settings}
    consumer = Consumer({"bootstrap.servers": task.servers, **settings})
    await consumer.assign([TopicPartition(task.topic, number, 0) for number in range(4)])
    messages = aiter(consumer)

    async def one() -> None:
        message = await anext(messages)
        message.value()

    return consumer, one


async def _confluent_receiver(task: Task) -> tuple[Any, Callable[[], Awaitable[Any]]]:
    from confluent_kafka import TopicPartition
    from confluent_kafka.aio import AIOConsumer

    settings = {"group.id": "bench", "enable.auto.commit": False, **task.settings}
    consumer = AIOConsumer({"bootstrap.servers": task.servers, **settings})
    await consumer.assign([TopicPartition(task.topic, number, 0) for number in range(4)])

    async def one() -> None:
        message = await consumer.poll(1.0)
        assert message is not None
        message.value()

    return consumer, one


async def _aiokafka_receiver(task: Task) -> tuple[Any, Callable[[], Awaitable[Any]]]:
    from aiokafka import AIOKafkaConsumer, TopicPartition

    consumer = AIOKafkaConsumer(bootstrap_servers=task.servers, **task.settings)
    await consumer.start()
    consumer.assign([TopicPartition(task.topic, number) for number in range(4)])
    await consumer.seek_to_beginning()

    async def one() -> None:
        message = await consumer.getone()
        assert message.value is not None

    return consumer, one


_SENDERS = {
    "ottla.aio": _ottla_sender,
    "confluent_kafka.aio": _confluent_sender,
    "aiokafka": _aiokafka_sender,
}
_RECEIVERS = {
    "ottla.aio": _ottla_receiver,
    "confluent_kafka.aio": _confluent_receiver,
    "aiokafka": _aiokafka_receiver,
}
