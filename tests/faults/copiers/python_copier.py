"""Copies a topic to another exactly once, by one of three Python clients, until it is killed.

Called as ``python_copier.py CLIENT SETTINGS`` with the settings in JSON; see ``Settings``. Records
keep their partition, key and order. What a transaction could not finish is aborted and read
again; what is fatal ends the process with status 1, and whoever runs it starts another.
"""

from __future__ import annotations

import asyncio
import faulthandler
import json
import logging
import signal
import sys
from typing import Any, NamedTuple

BATCH_RECORDS = 50
POLL_MS = 100
TRANSACTION_TIMEOUT_MS = 10_000
STUCK_SECONDS = 10


class Settings(NamedTuple):
    """What a copier is told.

    ``partitions`` are its own; without them the group shares them out. A client that can't show
    its membership to the coordinator (KIP-447) needs its own: one transactional id per partition
    is what keeps zombies out there.
    """

    bootstrap_servers: str
    source: str
    target: str
    group: str
    transactional_id: str
    group_protocol: str = "classic"
    instance_id: str | None = None
    partitions: list[int] | None = None
    session_timeout_ms: int = 2000


class FencedError(Exception):
    """This producer can't go on."""


def confluent_clients(settings: Settings) -> tuple[Any, Any]:
    """librdkafka's consumer and producer."""
    from confluent_kafka import Consumer, Producer

    quick = {
        "bootstrap.servers": settings.bootstrap_servers,
        "reconnect.backoff.ms": 10,
        "reconnect.backoff.max.ms": 100,
        # librdkafka 2.16 never ends a transaction whose broker it threw away to bootstrap anew.
        "metadata.recovery.strategy": "none",
        "log_level": 0,
    }
    config: dict[str, Any] = {
        **quick,
        "group.id": settings.group,
        "group.protocol": settings.group_protocol,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "isolation.level": "read_committed",
    }
    if settings.group_protocol == "classic":
        config["session.timeout.ms"] = settings.session_timeout_ms
        config["heartbeat.interval.ms"] = 300
    if settings.instance_id is not None:
        config["group.instance.id"] = settings.instance_id
    producing = {
        **quick,
        "transactional.id": settings.transactional_id,
        "transaction.timeout.ms": TRANSACTION_TIMEOUT_MS,
        "linger.ms": 1,
    }
    return Consumer(config), Producer(producing)


def confluent_copier(settings: Settings) -> None:
    from confluent_kafka import KafkaException

    consumer, producer = confluent_clients(settings)

    def until_done(action: Any, *arguments: Any) -> None:
        while True:
            try:
                action(*arguments)
                return
            except KafkaException as error:
                if not error.args[0].retriable():
                    raise

    def copy(messages: list[Any]) -> None:
        producer.begin_transaction()
        for message in messages:
            producer.produce(
                settings.target, message.value(), message.key(), partition=message.partition()
            )
        positions = consumer.position(consumer.assignment())
        known = [position for position in positions if position.offset >= 0]
        until_done(producer.send_offsets_to_transaction, known, consumer.consumer_group_metadata())
        until_done(producer.commit_transaction)

    def rewind() -> None:
        for position in consumer.committed(consumer.assignment(), timeout=30):
            position.offset = max(position.offset, 0)
            consumer.seek(position)

    until_done(producer.init_transactions)
    consumer.subscribe([settings.source])
    while True:
        messages = consumer.consume(BATCH_RECORDS, timeout=POLL_MS / 1000)
        good = [message for message in messages if message.error() is None]
        if not good:
            continue
        try:
            copy(good)
        except KafkaException as error:
            if not error.args[0].txn_requires_abort():
                raise
            until_done(producer.abort_transaction)
            rewind()


def kafka_python_clients(settings: Settings) -> tuple[Any, Any]:
    """kafka-python's consumer and producer."""
    from kafka import KafkaConsumer, KafkaProducer

    quick: dict[str, Any] = {
        "bootstrap_servers": settings.bootstrap_servers,
        "reconnect_backoff_ms": 10,
        "reconnect_backoff_max_ms": 100,
    }
    consumer = KafkaConsumer(
        group_id=settings.group,
        group_instance_id=settings.instance_id,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        isolation_level="read_committed",
        session_timeout_ms=settings.session_timeout_ms,
        heartbeat_interval_ms=300,
        **quick,
    )
    producer = KafkaProducer(
        transactional_id=settings.transactional_id,
        transaction_timeout_ms=TRANSACTION_TIMEOUT_MS,
        linger_ms=1,
        **quick,
    )
    return consumer, producer


def watch_membership(consumer: Any, topic: str) -> Any:
    """Subscribes; what comes back tells whether the assignment is the generation's.

    kafka-python 3.0 hands out records of the old assignment, and already tells the new generation
    for them, while it joins the group again: no coordinator could refuse those.
    """
    from kafka import ConsumerRebalanceListener

    class Membership(ConsumerRebalanceListener):
        is_settled = False
        is_new = True

        def on_partitions_revoked(self, revoked: Any) -> None:
            self.is_settled = False

        def on_partitions_assigned(self, assigned: Any) -> None:
            self.is_settled = self.is_new = True

    membership = Membership()
    # Leading its group before it knows the topics, it may assign nothing and leave it so.
    consumer.partitions_for_topic(topic)
    consumer.subscribe([topic], listener=membership)
    return membership


def kafka_python_copier(settings: Settings) -> None:
    from kafka import OffsetAndMetadata
    from kafka.errors import KafkaError

    consumer, producer = kafka_python_clients(settings)

    def copy(batches: dict[Any, list[Any]]) -> None:
        producer.begin_transaction()
        for records in batches.values():
            for record in records:
                producer.send(settings.target, record.value, record.key, partition=record.partition)
        positions = {
            partition: OffsetAndMetadata(records[-1].offset + 1, "", -1)
            for partition, records in batches.items()
        }
        producer.send_offsets_to_transaction(positions, consumer.group_metadata())
        producer.commit_transaction()

    def rewind() -> None:
        for partition in consumer.assignment():
            consumer.seek(partition, consumer.committed(partition) or 0)

    # kafka-python 3.0 forgets a transactional request if the connection to the coordinator fails
    # just before it is sent, and waits for ever. SIGALRM ends the process, and another follows.
    signal.alarm(STUCK_SECONDS)
    producer.init_transactions()
    signal.alarm(0)
    membership = watch_membership(consumer, settings.source)
    is_joining = False
    while True:
        batches = consumer.poll(timeout_ms=POLL_MS, max_records=BATCH_RECORDS)
        if not membership.is_settled:
            # When a poll ends while it joins again because of the topic's metadata, kafka-python
            # 3.0 forgets to go on.
            if not is_joining:
                is_joining = True
                signal.alarm(STUCK_SECONDS)
            continue
        is_joining = False
        signal.alarm(STUCK_SECONDS)
        try:
            if membership.is_new:
                membership.is_new = False
                rewind()
            elif batches:
                copy(batches)
        except KafkaError:
            # A fatal one makes the abort fail, which ends the process.
            producer.abort_transaction()
            rewind()
        signal.alarm(0)


async def aiokafka_copier(settings: Settings) -> None:
    from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
    from aiokafka.errors import KafkaError, ProducerFenced

    own = [TopicPartition(settings.source, number) for number in settings.partitions or []]
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.bootstrap_servers,
        group_id=settings.group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        retry_backoff_ms=20,
    )
    producer = AIOKafkaProducer(
        bootstrap_servers=settings.bootstrap_servers,
        transactional_id=settings.transactional_id,
        transaction_timeout_ms=TRANSACTION_TIMEOUT_MS,
        retry_backoff_ms=20,
    )
    # First the producer: it ends its predecessor's transaction, after that offsets are settled.
    await producer.start()
    consumer.assign(own)
    await consumer.start()
    while True:
        batches = await consumer.getmany(timeout_ms=POLL_MS, max_records=BATCH_RECORDS)
        if not batches:
            continue
        try:
            async with producer.transaction():
                for partition, records in batches.items():
                    for record in records:
                        await producer.send(
                            settings.target,
                            record.value,
                            record.key,
                            partition=partition.partition,
                        )
                positions = {
                    partition: records[-1].offset + 1 for partition, records in batches.items()
                }
                await producer.send_offsets_to_transaction(positions, settings.group)
        except ProducerFenced as error:
            raise FencedError from error
        except KafkaError:
            for partition in own:
                consumer.seek(partition, await consumer.committed(partition) or 0)


def main() -> None:
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(message)s")
    faulthandler.register(signal.SIGQUIT)
    settings = Settings(**json.loads(sys.argv[2]))
    if sys.argv[1] == "confluent-kafka":
        confluent_copier(settings)
    elif sys.argv[1] == "kafka-python":
        kafka_python_copier(settings)
    else:
        asyncio.run(aiokafka_copier(settings))


if __name__ == "__main__":
    main()
