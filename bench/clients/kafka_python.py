"""Programs for kafka-python."""

from __future__ import annotations

import time
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from bench.clients.task import Meter, Task, Told


def produce(task: Task) -> Told:
    """As fast as it takes them, nobody told."""
    return _produce(task, None)


def produce_with_callbacks(task: Task) -> Told:
    """Every message's delivery reported."""
    return _produce(task, lambda _: None)


def _produce(task: Task, on_delivery: Any) -> Told:
    producer = KafkaProducer(bootstrap_servers=task.servers, **task.settings)
    value = b"x" * task.value_bytes
    keys = [b"key-%06d" % number for number in range(task.keys)] or [None]

    def burst() -> int:
        deadline = time.perf_counter() + task.seconds
        count = 0
        while time.perf_counter() < deadline:
            for _ in range(100):
                future = producer.send(task.topic, value, keys[count % len(keys)])
                if on_delivery is not None:
                    future.add_callback(on_delivery)
                count += 1
        producer.flush()
        return count

    meter = Meter()
    for _ in range(task.bursts):
        meter.burst(burst)
    producer.close()
    return meter.finish()


def poll_and_touch(task: Task) -> Told:
    """What its iterator gives."""
    consumer = KafkaConsumer(bootstrap_servers=task.servers, **task.settings)
    partitions = [
        TopicPartition(task.topic, number) for number in consumer.partitions_for_topic(task.topic)
    ]
    consumer.assign(partitions)

    def burst() -> int:
        consumer.seek_to_beginning()
        deadline = time.perf_counter() + task.seconds
        count = 0
        for record in consumer:
            assert record.value is not None
            count += 1
            if not count % 100 and time.perf_counter() > deadline:
                break
        return count

    meter = Meter()
    burst()
    for _ in range(task.bursts):
        meter.burst(burst)
    consumer.close()
    return meter.finish()
