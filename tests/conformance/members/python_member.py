"""A member of a consumer group, by one of four Python clients, in a process of its own.

Called as ``python_member.py CLIENT SETTINGS`` with the settings in JSON; see ``Settings``. All
programs of this kind, in whatever language, print one JSON object per line:

* ``{"event": "assigned", "partitions": ["topic-0", ...]}`` after every rebalance: all it holds;
* ``{"event": "record", "partition": "topic-0", "offset": 5, "value": "..."}``;
* ``{"event": "committed"}`` after each commit.

They commit after each batch of records, and leave the group in good order on ``close`` at stdin.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
import threading
from collections.abc import Iterable, Iterator
from typing import Any


class Settings:
    """What a member is told."""

    def __init__(self, text: str) -> None:
        given = json.loads(text)
        self.bootstrap_servers: str = given["bootstrap_servers"]
        self.group: str = given["group"]
        self.topics: list[str] = given.get("topics", [])
        self.pattern: str | None = given.get("pattern")
        # "consumer" is KIP-848's, where the coordinator knows assignor and timeouts.
        self.protocol: str = given.get("protocol", "classic")
        self.assignor: str = given.get("assignor", "range")
        self.instance_id: str | None = given.get("instance_id")
        self.session_timeout_ms: int = given.get("session_timeout_ms", 6000)
        self.heartbeat_interval_ms: int = given.get("heartbeat_interval_ms", 300)
        self.metadata_max_age_ms: int = given.get("metadata_max_age_ms", 1000)


closing = threading.Event()


def tell(event: str, **fields: Any) -> None:
    """One event, at once."""
    print(json.dumps({"event": event, **fields}), flush=True)


def tell_assigned(partitions: Iterable[tuple[str, int]]) -> None:
    tell("assigned", partitions=sorted(f"{topic}-{partition}" for topic, partition in partitions))


def tell_record(topic: str, partition: int, offset: int, value: bytes) -> None:
    tell("record", partition=f"{topic}-{partition}", offset=offset, value=value.decode())


def confluent_member(settings: Settings, library: str = "confluent_kafka") -> None:
    Consumer = importlib.import_module(library).Consumer  # noqa: N806 - it is a class
    rebalanced = threading.Event()
    config = {
        "bootstrap.servers": settings.bootstrap_servers,
        "group.id": settings.group,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "group.protocol": settings.protocol,
        "topic.metadata.refresh.interval.ms": settings.metadata_max_age_ms,
        "metadata.max.age.ms": 3 * settings.metadata_max_age_ms,
    }
    if settings.protocol == "classic":
        config["partition.assignment.strategy"] = settings.assignor
        config["session.timeout.ms"] = settings.session_timeout_ms
        config["heartbeat.interval.ms"] = settings.heartbeat_interval_ms
    if settings.instance_id is not None:
        config["group.instance.id"] = settings.instance_id
    consumer = Consumer(config)
    topics = settings.topics if settings.pattern is None else [settings.pattern]

    def on_change(*_: object) -> None:
        rebalanced.set()

    consumer.subscribe(topics, on_assign=on_change, on_revoke=on_change, on_lost=on_change)
    while not closing.is_set():
        messages = consumer.consume(100, timeout=0.1)
        if rebalanced.is_set():
            rebalanced.clear()
            tell_assigned((each.topic, each.partition) for each in consumer.assignment())
        good = [message for message in messages if message.error() is None]
        for message in good:
            tell_record(message.topic(), message.partition(), message.offset(), message.value())
        if good:
            consumer.commit(asynchronous=False)
            tell("committed")
    consumer.close()


def kafka_python_member(settings: Settings) -> None:
    from kafka import ConsumerRebalanceListener, KafkaConsumer
    from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
    from kafka.coordinator.assignors.range import RangePartitionAssignor
    from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor

    rebalanced = threading.Event()

    class Listener(ConsumerRebalanceListener):
        def on_partitions_revoked(self, revoked: object) -> None:
            rebalanced.set()

        def on_partitions_assigned(self, assigned: object) -> None:
            rebalanced.set()

    assignors = (RangePartitionAssignor, RoundRobinPartitionAssignor, CooperativeStickyAssignor)
    consumer = KafkaConsumer(
        bootstrap_servers=settings.bootstrap_servers,
        group_id=settings.group,
        group_instance_id=settings.instance_id,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        partition_assignment_strategy=[a for a in assignors if a.name == settings.assignor],
        session_timeout_ms=settings.session_timeout_ms,
        heartbeat_interval_ms=settings.heartbeat_interval_ms,
        metadata_max_age_ms=settings.metadata_max_age_ms,
    )
    # Leading its group before it knows the topics, it may assign nothing and leave it so.
    for topic in settings.topics:
        consumer.partitions_for_topic(topic)
    consumer.subscribe(settings.topics, settings.pattern, listener=Listener())
    while not closing.is_set():
        # Once it has joined, kafka-python 3.0 joins again because it knows the topics now. When a
        # poll ends amid that, it forgets to go on, and sends no heartbeat any more.
        batches = consumer.poll(timeout_ms=1000)
        if rebalanced.is_set():
            rebalanced.clear()
            tell_assigned((each.topic, each.partition) for each in consumer.assignment())
        for records in batches.values():
            for record in records:
                tell_record(record.topic, record.partition, record.offset, record.value)
        if batches:
            consumer.commit()
            tell("committed")
    consumer.close(autocommit=False)


async def aiokafka_member(settings: Settings) -> None:
    from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
    from aiokafka.coordinator.assignors.range import RangePartitionAssignor
    from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor

    rebalanced = threading.Event()

    class Listener(ConsumerRebalanceListener):
        def on_partitions_revoked(self, revoked: object) -> None:
            rebalanced.set()

        def on_partitions_assigned(self, assigned: object) -> None:
            rebalanced.set()

    assignors = (RangePartitionAssignor, RoundRobinPartitionAssignor)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.bootstrap_servers,
        group_id=settings.group,
        group_instance_id=settings.instance_id,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        partition_assignment_strategy=[a for a in assignors if a.name == settings.assignor],
        session_timeout_ms=settings.session_timeout_ms,
        heartbeat_interval_ms=settings.heartbeat_interval_ms,
        metadata_max_age_ms=settings.metadata_max_age_ms,
    )
    consumer.subscribe(settings.topics, settings.pattern, listener=Listener())
    await consumer.start()
    while not closing.is_set():
        batches = await consumer.getmany(timeout_ms=100)
        if rebalanced.is_set():
            rebalanced.clear()
            tell_assigned((each.topic, each.partition) for each in consumer.assignment())
        for records in batches.values():
            for record in records:
                tell_record(record.topic, record.partition, record.offset, record.value)
        if batches:
            await consumer.commit()
            tell("committed")
    await consumer.stop()


def listen_to_stdin() -> None:
    lines: Iterator[str] = iter(sys.stdin)
    if next(lines, "close").strip() == "close":
        closing.set()


def main() -> None:
    client, settings = sys.argv[1], Settings(sys.argv[2])
    threading.Thread(target=listen_to_stdin, daemon=True).start()
    if client == "aiokafka":
        asyncio.run(aiokafka_member(settings))
    elif client == "kafka-python":
        kafka_python_member(settings)
    elif client == "ottla":
        confluent_member(settings, "ottla")
    else:
        confluent_member(settings)


if __name__ == "__main__":
    main()
