"""Programs for libraries with confluent_kafka's names."""

from __future__ import annotations

import importlib
import itertools
import time
from typing import Any

from bench.clients.task import Meter, Task, Told

_CALLS_BETWEEN_LOOKS = 1000
_FLUSH_SECONDS = 30.0
_LONGEST_BURST_SECONDS = 1.0
_SPINS_BETWEEN_POLLS = 20
_IN_FLIGHT = 100


def produce(task: Task) -> Told:
    """As fast as it takes them, nobody told."""
    return _produce(task, None)


def produce_with_callbacks(task: Task) -> Told:
    """Every message's delivery reported, polled for every thousand."""
    delivered = 0

    def on_delivery(error: Any, _: Any) -> None:
        nonlocal delivered
        assert error is None
        delivered += 1

    told = _produce(task, on_delivery)
    assert delivered, "nothing was reported"
    return told


def _produce(task: Task, on_delivery: Any) -> Told:
    producer = _producer(task)
    value = bytes(range(256)) * (task.value_bytes // 256 + 1)
    value = value[: task.value_bytes]
    keys = [b"key-%06d" % number for number in range(task.keys)] or [None]
    meter = Meter()
    _burst(producer, task, value, keys, on_delivery, seconds=task.seconds / 4)
    for _ in range(task.bursts):
        meter.burst(lambda: _burst(producer, task, value, keys, on_delivery, seconds=task.seconds))
    return meter.finish()


def _burst(
    producer: Any, task: Task, value: bytes, keys: list[Any], on_delivery: Any, *, seconds: float
) -> int:
    topic, send = task.topic, producer.produce
    next_key = itertools.cycle(keys).__next__
    is_plain = on_delivery is None and keys == [None]
    deadline = time.perf_counter() + seconds
    count = 0
    while time.perf_counter() < deadline:
        try:
            if is_plain:
                for _ in range(_CALLS_BETWEEN_LOOKS):
                    send(topic, value)
                    count += 1
            else:
                for _ in range(_CALLS_BETWEEN_LOOKS):
                    send(topic, value, next_key(), on_delivery=on_delivery)
                    count += 1
        except BufferError:
            producer.poll(0.01)
        producer.poll(0)
    assert producer.flush(_FLUSH_SECONDS) == 0
    return count


def acknowledgement_one_at_a_time(task: Task) -> Told:
    """From produce to the callback, one message at a time, while the application computes."""
    producer = _producer(task)
    value = b"x" * task.value_bytes
    latencies: list[float] = []
    deadline = time.perf_counter() + task.seconds * task.bursts
    while time.perf_counter() < deadline:
        done: list[float] = []
        start = time.perf_counter()
        producer.produce(
            task.topic, value, on_delivery=lambda *_, done=done: done.append(time.perf_counter())
        )
        spins = 0
        while not done:
            spins += 1
            if not spins % _SPINS_BETWEEN_POLLS:
                producer.poll(0)
        latencies.append((done[0] - start) * 1000)
    return Told(latencies_ms=tuple(latencies[len(latencies) // 10 :]))


def acknowledgement_in_a_tight_loop(task: Task) -> Told:
    """From produce to the callback, while the application does nothing but produce and poll."""
    producer = _producer(task)
    value = b"x" * task.value_bytes
    latencies: list[float] = []
    starts: list[float] = []
    clock = time.perf_counter

    def on_delivery(error: Any, _: Any) -> None:
        assert error is None
        latencies.append((clock() - starts[len(latencies)]) * 1000)

    deadline = clock() + task.seconds * task.bursts
    while (now := clock()) < deadline:
        starts.append(now)
        producer.produce(task.topic, value, on_delivery=on_delivery)
        producer.poll(0)
        while len(starts) - len(latencies) > _IN_FLIGHT:
            producer.poll(0)
    producer.flush(_FLUSH_SECONDS)
    return Told(latencies_ms=_thinned(latencies[len(latencies) // 10 :]))


def poll(task: Task) -> Told:
    """One message at a time, left as it is."""
    return _consume(task, _poll_untouched)


def poll_and_touch(task: Task) -> Told:
    """One message at a time, looked at as an application does."""
    return _consume(task, _poll_touched)


def consume(task: Task) -> Told:
    """Five hundred at a time, left as they are."""
    return _consume(task, _consume_untouched)


def consume_and_touch(task: Task) -> Told:
    """Five hundred at a time, each looked at."""
    return _consume(task, _consume_touched)


def hold(task: Task) -> Told:
    """A consumer in front of a full topic whose application is busy elsewhere."""
    consumer = _assigned(task)
    assert consumer.poll(10) is not None
    time.sleep(task.seconds)
    return Meter().finish()


def _consume(task: Task, read: Any) -> Told:
    meter = Meter()
    for _ in range(task.bursts):
        consumer = _assigned(task)
        first = consumer.poll(10)
        assert first is not None
        assert first.error() is None
        meter.burst(lambda consumer=consumer: _until_enough(consumer, task, read))
        consumer.close()
    return meter.finish()


def _until_enough(consumer: Any, task: Task, read: Any) -> int:
    """Read until there are no more messages, or for so long that a stall shows."""
    deadline = time.perf_counter() + _LONGEST_BURST_SECONDS
    count = 0
    while count < task.messages - _CALLS_BETWEEN_LOOKS and time.perf_counter() < deadline:
        count += read(consumer, _CALLS_BETWEEN_LOOKS)
    return count


def _poll_untouched(consumer: Any, count: int) -> int:
    poll = consumer.poll
    left = count
    while left:
        if poll(1.0) is not None:
            left -= 1
    return count


def _poll_touched(consumer: Any, count: int) -> int:
    poll = consumer.poll
    left = count
    while left:
        message = poll(1.0)
        if message is None or message.error():
            continue
        message.value()
        message.key()
        message.offset()
        left -= 1
    return count


def _consume_untouched(consumer: Any, count: int) -> int:
    consume = consumer.consume
    left = count
    while left > 0:
        left -= len(consume(500, 1.0))
    return count - left


def _consume_touched(consumer: Any, count: int) -> int:
    consume = consumer.consume
    left = count
    while left > 0:
        for message in consume(500, 1.0):
            if message.error():
                continue
            message.value()
            message.key()
            message.offset()
            left -= 1
    return count - left


def _producer(task: Task) -> Any:
    kafka = importlib.import_module(task.library)
    return kafka.Producer({"bootstrap.servers": task.servers, **task.settings})


def _assigned(task: Task) -> Any:
    kafka = importlib.import_module(task.library)
    settings = {"group.id": "bench", "enable.auto.commit": False, **task.settings}
    consumer = kafka.Consumer({"bootstrap.servers": task.servers, **settings})
    partitions = consumer.list_topics(task.topic, timeout=10).topics[task.topic].partitions
    consumer.assign([kafka.TopicPartition(task.topic, number, 0) for number in partitions])
    return consumer


def _thinned(values: list[float], most: int = 20_000) -> tuple[float, ...]:
    return tuple(values[:: len(values) // most + 1])
