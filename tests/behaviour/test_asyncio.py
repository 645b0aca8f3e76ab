"""``ottla.aio``: native to the loop, cancellation loses nothing, the loop stays free."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

import ottla
from ottla.aio import AdminClient, Consumer, Producer
from ottla.testing.topics import create_topic

NewTopic = Callable[..., str]
Unique = Callable[[str], str]
Play = Callable[[Callable[[], Coroutine[Any, Any, None]]], None]
_PATIENCE_SECONDS = 100


@pytest.fixture(params=["asyncio", "uvloop"])
def play(request: pytest.FixtureRequest) -> Play:
    """Runs a scene on an event loop of either kind, and not for ever."""
    factory = asyncio.new_event_loop
    if request.param == "uvloop":
        factory = pytest.importorskip("uvloop").new_event_loop

    def run(scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
        async def limited() -> None:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await scene()

        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(limited())

    return run


@pytest.fixture
def settings(bootstrap: str) -> dict[str, Any]:
    return {"bootstrap.servers": bootstrap}


@pytest.fixture
def reading(bootstrap: str, unique: Unique) -> dict[str, Any]:
    return {
        "bootstrap.servers": bootstrap,
        "group.id": unique("group"),
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
    }


def test_send_resolves_on_delivery(
    play: Play, settings: dict[str, Any], new_topic: NewTopic
) -> None:
    topic = new_topic(2)

    async def scene() -> None:
        async with Producer(settings) as producer:
            for number in range(3):
                headers = [("h", b"%d" % number)]
                message = await producer.send(
                    topic, b"v", "k", 1, 1_600_000_000_000 + number, headers
                )
                assert (message.topic(), message.partition(), message.offset()) == (
                    topic,
                    1,
                    number,
                )
                assert (message.key(), message.value()) == (b"k", b"v")
                assert message.timestamp() == (
                    ottla.TIMESTAMP_CREATE_TIME,
                    1_600_000_000_000 + number,
                )
                assert message.headers() == headers
                assert message.error() is None
            assert len(producer) == 0

    play(scene)


def test_many_are_sent_at_once_and_arrive_in_order(
    play: Play, settings: dict[str, Any], reading: dict[str, Any], new_topic: NewTopic
) -> None:
    topic = new_topic()

    async def scene() -> None:
        async with Producer(settings) as producer, Consumer(reading) as consumer:
            await consumer.assign([ottla.TopicPartition(topic, 0, 0)])
            sent = [producer.send(topic, b"%d" % number) for number in range(5000)]
            delivered = await asyncio.gather(*sent)
            assert [message.offset() for message in delivered] == list(range(5000))
            values = []
            async for message in consumer:
                values.append(int(message.value() or b""))
                if len(values) == 5000:
                    break
            assert values == list(range(5000))

    play(scene)


def test_what_cannot_be_delivered_raises(
    play: Play, settings: dict[str, Any], new_topic: NewTopic
) -> None:
    topic = new_topic(1, **{"max.message.bytes": "10000"})

    async def scene() -> None:
        async with Producer(settings) as producer:
            with pytest.raises(ottla.KafkaException) as caught:
                await producer.send(topic, b"x" * 20_000)
            assert caught.value.args[0].code() == ottla.KafkaError.MSG_SIZE_TOO_LARGE
            with pytest.raises(ottla.KafkaException) as caught:
                await producer.send(topic, b"x", partition=7)
            assert caught.value.args[0].code() == ottla.KafkaError._UNKNOWN_PARTITION
            with pytest.raises(TypeError):
                await producer.send(topic, 5)  # type: ignore[arg-type]
            assert (await producer.send(topic, b"fits")).offset() == 0
        with pytest.raises(RuntimeError):
            await producer.send(topic, b"closed")

    play(scene)


def test_a_cancelled_send_is_delivered_all_the_same(
    play: Play, settings: dict[str, Any], reading: dict[str, Any], new_topic: NewTopic
) -> None:
    topic = new_topic()

    async def scene() -> None:
        async with Producer({**settings, "linger.ms": 5}) as producer:
            waiting = [
                asyncio.ensure_future(asyncio.shield(producer.send(topic, b"%d" % number)))
                for number in range(100)
            ]
            await asyncio.sleep(0)
            for each in waiting[::2]:
                each.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
            direct = producer.send(topic, b"100")
            direct.cancel()
        async with Consumer(reading) as consumer:
            await consumer.assign([ottla.TopicPartition(topic, 0, 0)])
            values = [(await anext(consumer)).value() for _ in range(101)]
        assert values == [b"%d" % number for number in range(101)]

    play(scene)


def test_a_cancelled_poll_loses_no_message(
    play: Play, settings: dict[str, Any], reading: dict[str, Any], new_topic: NewTopic
) -> None:
    topic = new_topic()

    async def scene() -> None:
        async with Producer(settings) as producer, Consumer(reading) as consumer:
            await consumer.subscribe([topic])
            values: list[bytes | None] = []
            polling = asyncio.ensure_future(consumer.poll(5))
            for number in range(200):
                sending = producer.send(topic, b"%d" % number)
                # Cancelled at every stage: before, while and after the message comes.
                for _ in range(number % 7):
                    await asyncio.sleep(0)
                if number % 3 == 0:
                    await sending
                polling.cancel()
                try:
                    message = await polling
                except asyncio.CancelledError:
                    message = None
                if message is not None:
                    values.append(message.value())
                call = consumer.poll(5) if number % 2 else anext(consumer)
                polling = asyncio.ensure_future(call)
            while len(values) < 200:
                message = await polling
                assert message is not None
                values.append(message.value())
                polling = asyncio.ensure_future(consumer.poll(5))
            polling.cancel()
            assert values == [b"%d" % number for number in range(200)]

    play(scene)


def test_a_cancelled_consume_loses_no_message(
    play: Play, settings: dict[str, Any], reading: dict[str, Any], new_topic: NewTopic
) -> None:
    topic = new_topic()

    async def scene() -> None:
        async with Producer(settings) as producer, Consumer(reading) as consumer:
            await consumer.assign([ottla.TopicPartition(topic, 0, 0)])
            values: list[bytes | None] = []
            for number in range(60):
                consuming = asyncio.ensure_future(consumer.consume(10, 5))
                await producer.send(topic, b"%d" % number)
                for _ in range(number % 5):
                    await asyncio.sleep(0.001)
                consuming.cancel()
                try:
                    values += [message.value() for message in await consuming]
                except asyncio.CancelledError:
                    pass
            while len(values) < 60:
                values += [message.value() for message in await consumer.consume(10, 0.2)]
            assert values == [b"%d" % number for number in range(60)]

    play(scene)


def test_a_full_queue_is_waited_for(
    play: Play, settings: dict[str, Any], new_topic: NewTopic
) -> None:
    topic = new_topic()

    async def scene() -> None:
        small = {**settings, "queue.buffering.max.messages": 10}
        async with Producer(small) as producer:
            delivered = await asyncio.gather(
                *[producer.send(topic, b"%d" % number) for number in range(500)]
            )
            assert [message.offset() for message in delivered] == list(range(500))
            futures = [await producer.enqueue(topic, b"%d" % number) for number in range(100)]
            assert [(await each).offset() for each in futures] == list(range(500, 600))

    play(scene)


def test_the_loop_stays_free(
    play: Play, settings: dict[str, Any], reading: dict[str, Any], new_topic: NewTopic
) -> None:
    topic = new_topic()

    async def scene() -> None:
        async with Producer(settings) as producer, Consumer(reading) as consumer:
            await consumer.assign([ottla.TopicPartition(topic, 0, 0)])
            for _ in range(10):
                await producer.produce_batch(topic, [{"value": b"x" * 10} for _ in range(2000)])
            await producer.flush()
            turns = 0

            async def turn() -> None:
                nonlocal turns
                while True:
                    turns += 1
                    await asyncio.sleep(0)

            others = asyncio.ensure_future(turn())
            received = 0
            async for _ in consumer:
                received += 1
                if received == 20_000:
                    break
            others.cancel()
            # Messages that are there already are handed out without a turn of the loop each.
            assert turns >= 10

    play(scene)


def test_no_threads_are_started(
    play: Play, settings: dict[str, Any], reading: dict[str, Any], new_topic: NewTopic
) -> None:
    topic = new_topic()

    async def scene() -> None:
        before = set(threading.enumerate())
        async with Producer(settings) as producer, Consumer(reading) as consumer:
            await consumer.subscribe([topic])
            await producer.send(topic, b"x")
            await anext(consumer)
            during = set(threading.enumerate())
        started = {thread.name for thread in during - before}
        # asyncio itself looks up names in its executor.
        assert not {name for name in started if not name.startswith("asyncio")}

    play(scene)


def test_groups_and_commits(play: Play, reading: dict[str, Any], new_topic: NewTopic) -> None:
    topic = new_topic()
    told: list[tuple[str, list[int]]] = []

    def noting(name: str) -> Callable[..., None]:
        return lambda _, partitions: told.append((name, [each.partition for each in partitions]))

    async def revoked(consumer: Consumer, partitions: list[ottla.TopicPartition]) -> None:
        noting("revoked")(consumer, partitions)
        await consumer.commit(offsets=[ottla.TopicPartition(topic, 0, 7)])

    async def scene() -> None:
        async with Producer({"bootstrap.servers": reading["bootstrap.servers"]}) as producer:
            await asyncio.gather(*[producer.send(topic, b"%d" % number) for number in range(5)])
        async with Consumer(reading) as consumer:
            await consumer.subscribe([topic], on_assign=noting("assigned"), on_revoke=revoked)
            messages = [await anext(consumer) for _ in range(3)]
            await consumer.commit(messages[-1], asynchronous=False)
            part = ottla.TopicPartition(topic, 0)
            assert [each.offset for each in await consumer.committed([part], timeout=10)] == [3]
            assert [each.offset for each in await consumer.position([part])] == [3]
            assert await consumer.get_watermark_offsets(part, timeout=10) == (0, 5)
        assert told == [("assigned", [0]), ("revoked", [0])]
        async with Consumer(reading) as again:
            [found] = await again.committed([ottla.TopicPartition(topic, 0)], timeout=10)
            assert found.offset == 7

    play(scene)


def test_transactions(
    play: Play, settings: dict[str, Any], reading: dict[str, Any], new_topic: NewTopic,
    unique: Unique,
) -> None:  # fmt: skip
    topic = new_topic()

    async def scene() -> None:
        transactional = {**settings, "transactional.id": unique("transaction")}
        async with Producer(transactional) as producer, Consumer(reading) as consumer:
            await producer.init_transactions()
            for number in range(3):
                with_failure = number == 1
                try:
                    async with producer.transaction():
                        await producer.send(topic, b"%d" % number)
                        if with_failure:
                            raise LookupError("changed my mind")
                except LookupError:
                    assert with_failure
            await consumer.assign([ottla.TopicPartition(topic, 0, 0)])
            assert [(await anext(consumer)).value() for _ in range(2)] == [b"0", b"2"]

    play(scene)


def test_errors_of_a_closed_consumer(play: Play, reading: dict[str, Any]) -> None:
    async def scene() -> None:
        consumer = Consumer(reading)
        await consumer.close()
        await consumer.close()
        for call in (
            lambda: consumer.poll(0), lambda: anext(consumer), lambda: consumer.subscribe(["t"]),
            lambda: consumer.commit(), lambda: consumer.assign([]),
        ):  # fmt: skip
            with pytest.raises(RuntimeError, match="closed"):
                await call()

    play(scene)


def test_unreachable_brokers_are_told(play: Play) -> None:
    nowhere = {"bootstrap.servers": "127.0.0.1:1", "log_level": 0}

    async def scene() -> None:
        producer = Producer({**nowhere, "message.timeout.ms": 200})
        with pytest.raises(ottla.KafkaException, match=r"127\.0\.0\.1:1"):
            await producer.wait_connected(0.2)
        with pytest.raises(ottla.KafkaException) as caught:
            await producer.send("t", b"x")
        assert caught.value.args[0].code() == ottla.KafkaError._MSG_TIMED_OUT
        await producer.close()
        consumer = Consumer({**nowhere, "group.id": "g"})
        await consumer.subscribe(["t"])
        assert await consumer.poll(0.1) is None
        await consumer.close()

    play(scene)


def test_administration(play: Play, settings: dict[str, Any], unique: Unique) -> None:
    from ottla.admin import NewTopic as New

    async def scene() -> None:
        topic = unique("topic")
        async with AdminClient(settings) as admin:
            await admin.create_topics([New(topic, 3, 1)])
            # Kafka answers before its broker half has heard of the topic.
            for _ in range(1000):
                metadata = await admin.list_topics(timeout=10)
                if topic in metadata.topics:
                    break
                await asyncio.sleep(0.01)
            assert len(metadata.topics[topic].partitions) == 3
            with pytest.raises(ottla.KafkaException):
                await admin.create_topics([New(topic, 3, 1)])

    play(scene)


def test_a_broker_killed_under_senders_and_receivers(
    play: Play, own_broker: Callable[..., Any]
) -> None:
    broker = own_broker()
    create_topic(broker.bootstrap_servers, "t", 1, {})
    quick = {
        "bootstrap.servers": broker.bootstrap_servers,
        "reconnect.backoff.ms": 20,
        "reconnect.backoff.max.ms": 200,
        "log_level": 0,
    }

    async def scene() -> None:
        reading = {**quick, "group.id": "g", "auto.offset.reset": "earliest"}
        async with (
            Producer({**quick, "enable.idempotence": True}) as producer,
            Consumer(reading) as consumer,
        ):
            await consumer.assign([ottla.TopicPartition("t", 0, 0)])
            values: list[bytes | None] = []

            async def receive() -> None:
                async for message in consumer:
                    assert message.error() is None
                    values.append(message.value())
                    if len(values) == 300:
                        return

            receiving = asyncio.ensure_future(receive())
            sent = []
            for turn in range(3):
                values_now = [b"%d" % (100 * turn + number) for number in range(100)]
                sent += [producer.send("t", value) for value in values_now]
                await sent[-1]
                await asyncio.to_thread(broker.kill)
                await asyncio.to_thread(broker.start)
            await receiving
            offsets = [(await each).offset() for each in sent]
            assert offsets == list(range(300))
            assert values == [b"%d" % number for number in range(300)]

    play(scene)
