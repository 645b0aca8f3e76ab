"""Transactional producers of confluent-kafka, kafka-python and aiokafka, each doing the same."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import ProducerFenced
from aiokafka.structs import OffsetAndMetadata as AioOffset
from aiokafka.structs import TopicPartition as AioPartition
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from kafka import KafkaProducer
from kafka.errors import ProducerFencedError
from kafka.structs import ConsumerGroupMetadata
from kafka.structs import OffsetAndMetadata as PythonOffset
from kafka.structs import TopicPartition as PythonPartition

from ottla.testing.apache_kafka import run_tool
from ottla.testing.loop_thread import LoopThread
from ottla.testing.plain_messages import ask
from ottla.testing.protocol import Connection
from ottla.testing.waiting import eventually

TIMEOUT_S = 20.0
Unique = Callable[[str], str]
NewTopic = Callable[..., str]


class TransactionalProducer(Protocol):
    """What all three can do."""

    def init(self) -> None: ...
    def begin(self) -> None: ...
    def send(self, topic: str, value: bytes, partition: int = 0) -> None: ...
    def send_offset(self, topic: str, offset: int, group: str) -> None: ...
    def commit(self) -> None: ...
    def abort(self) -> None: ...
    def close(self) -> None: ...


class Confluent:
    """librdkafka's."""

    def __init__(self, bootstrap: str, name: str, timeout_ms: int) -> None:
        settings = {"bootstrap.servers": bootstrap, "transactional.id": name, "log_level": 0}
        self._producer = Producer({**settings, "transaction.timeout.ms": timeout_ms})
        self._consumers: list[Consumer] = []

    def init(self) -> None:
        self._producer.init_transactions(TIMEOUT_S)

    def begin(self) -> None:
        self._producer.begin_transaction()

    def send(self, topic: str, value: bytes, partition: int = 0) -> None:
        failures: list[Any] = []
        self._producer.produce(
            topic, value, partition=partition, on_delivery=lambda error, _: failures.append(error)
        )
        assert self._producer.flush(TIMEOUT_S) == 0
        if failures[0] is not None:
            raise KafkaException(failures[0])

    def send_offset(self, topic: str, offset: int, group: str) -> None:
        servers = {"bootstrap.servers": self._bootstrap()}
        consumer = Consumer({**servers, "group.id": group})
        self._consumers.append(consumer)
        self._producer.send_offsets_to_transaction(
            [TopicPartition(topic, 0, offset)], consumer.consumer_group_metadata(), TIMEOUT_S
        )

    def _bootstrap(self) -> str:
        [broker] = self._producer.list_topics(timeout=TIMEOUT_S).brokers.values()
        return f"{broker.host}:{broker.port}"

    def commit(self) -> None:
        self._producer.commit_transaction(TIMEOUT_S)

    def abort(self) -> None:
        self._producer.abort_transaction(TIMEOUT_S)

    def close(self) -> None:
        self._producer.purge()
        for consumer in self._consumers:
            consumer.close()


class KafkaPython:
    """kafka-python's."""

    def __init__(self, bootstrap: str, name: str, timeout_ms: int) -> None:
        self._producer = KafkaProducer(
            bootstrap_servers=bootstrap, transactional_id=name, transaction_timeout_ms=timeout_ms
        )

    def init(self) -> None:
        self._producer.init_transactions()

    def begin(self) -> None:
        self._producer.begin_transaction()

    def send(self, topic: str, value: bytes, partition: int = 0) -> None:
        self._producer.send(topic, value, partition=partition).get(TIMEOUT_S)

    def send_offset(self, topic: str, offset: int, group: str) -> None:
        self._producer.send_offsets_to_transaction(
            {PythonPartition(topic, 0): PythonOffset(offset, "", -1)}, ConsumerGroupMetadata(group)
        )

    def commit(self) -> None:
        self._producer.commit_transaction()

    def abort(self) -> None:
        self._producer.abort_transaction()

    def close(self) -> None:
        self._producer.close(timeout=0)


class AioKafka:
    """aiokafka's."""

    def __init__(self, bootstrap: str, name: str, timeout_ms: int) -> None:
        self._thread = LoopThread("aiokafka")

        async def make() -> AIOKafkaProducer:
            return AIOKafkaProducer(
                bootstrap_servers=bootstrap,
                transactional_id=name,
                transaction_timeout_ms=timeout_ms,
            )

        self._producer = self._run(make())

    def _run(self, work: Any) -> Any:
        return self._thread.run(asyncio.wait_for(work, TIMEOUT_S))

    def init(self) -> None:
        self._run(self._producer.start())

    def begin(self) -> None:
        self._run(self._producer.begin_transaction())

    def send(self, topic: str, value: bytes, partition: int = 0) -> None:
        self._run(self._producer.send_and_wait(topic, value, partition=partition))

    def send_offset(self, topic: str, offset: int, group: str) -> None:
        offsets = {AioPartition(topic, 0): AioOffset(offset, "")}
        self._run(self._producer.send_offsets_to_transaction(offsets, group))

    def commit(self) -> None:
        self._run(self._producer.commit_transaction())

    def abort(self) -> None:
        self._run(self._producer.abort_transaction())

    def close(self) -> None:
        self._run(self._producer.stop())
        self._thread.close()


# What each calls it when its producer may not go on.
FENCED = {
    "confluent": KafkaException,
    "kafka_python": ProducerFencedError,
    "aiokafka": ProducerFenced,
}
CLIENTS = {"confluent": Confluent, "kafka_python": KafkaPython, "aiokafka": AioKafka}


@pytest.fixture
def new_producer(bootstrap: str) -> Iterator[Callable[..., Any]]:
    """Makes producers of a client, not initialised yet; all are closed after the test."""
    made: list[Any] = []

    def make(client: str, name: str, *, timeout_ms: int = 60_000) -> Any:
        producer = CLIENTS[client](bootstrap, name, timeout_ms)
        made.append(producer)
        return producer

    yield make
    for each in made:
        each.close()


def committed(
    bootstrap: str, topic: str, group: str, count: int, partition: int = 0
) -> list[bytes]:
    """What a reader of committed records sees, and no more than that."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
            "enable.auto.commit": False,
        }
    )
    consumer.assign([TopicPartition(topic, partition, 0)])
    seen: list[bytes] = []

    def is_at_end() -> bool:
        message = consumer.poll(1.0)
        if message is not None and message.error() is None:
            seen.append(message.value())
        return message is not None and message.error() is not None and len(seen) >= count

    eventually(is_at_end, what=f"{count} committed records")
    consumer.close()
    return seen


def state(connection: Connection, name: str) -> str:
    [described] = ask(connection, 65, 0, {"transactional_ids": [name]}).transaction_states
    text: str = described.transaction_state
    return text


@pytest.mark.parametrize("client", CLIENTS)
def test_commits_are_seen_and_aborts_are_not(
    client: str, bootstrap: str, new_producer: Any, new_topic: NewTopic, unique: Unique
) -> None:
    topic = new_topic(2)
    producer: TransactionalProducer = new_producer(client, unique("id"))
    producer.init()
    for story in ("first commit", "then abort", "second commit", "abort again", "third commit"):
        producer.begin()
        for partition in (0, 1):
            producer.send(topic, story.encode(), partition)
        if "commit" in story:
            producer.commit()
        else:
            producer.abort()
    wanted = [b"first commit", b"second commit", b"third commit"]
    for partition in (0, 1):
        assert committed(bootstrap, topic, unique("group"), 3, partition) == wanted


@pytest.mark.parametrize("client", CLIENTS)
def test_a_second_producer_fences_the_first(
    client: str, bootstrap: str, new_producer: Any, new_topic: NewTopic, unique: Unique
) -> None:
    topic, name = new_topic(), unique("id")
    first: TransactionalProducer = new_producer(client, name)
    first.init()
    first.begin()
    first.send(topic, b"of the first")
    second: TransactionalProducer = new_producer(client, name)
    second.init()  # while the transaction of the first is open: it is aborted
    second.begin()
    second.send(topic, b"of the second")
    second.commit()

    def go_on() -> None:
        first.send(topic, b"too late")
        first.commit()

    # Each client has its own error for it.
    with pytest.raises(Exception, match=re.compile("fenced|epoch|newer", re.IGNORECASE)):
        go_on()
    assert committed(bootstrap, topic, unique("group"), 1) == [b"of the second"]


@pytest.mark.parametrize("client", CLIENTS)
def test_offsets_are_part_of_the_transaction(
    client: str, bootstrap: str, new_producer: Any, new_topic: NewTopic, unique: Unique
) -> None:
    topic, group = new_topic(), unique("group")
    producer: TransactionalProducer = new_producer(client, unique("id"))
    producer.init()
    for offset, ends in ((7, producer.commit), (9, producer.abort)):
        producer.begin()
        producer.send(topic, b"copied")
        producer.send_offset(topic, offset, group)
        ends()
    reader = Consumer({"bootstrap.servers": bootstrap, "group.id": group})
    [position] = reader.committed([TopicPartition(topic, 0)], TIMEOUT_S)
    reader.close()
    assert position.offset == 7


@pytest.mark.parametrize("client", CLIENTS)
def test_an_open_transaction_times_out(
    client: str,
    bootstrap: str,
    connection: Connection,
    new_producer: Any,
    new_topic: NewTopic,
    unique: Unique,
) -> None:
    topic, name = new_topic(), unique("id")
    slow: TransactionalProducer = new_producer(client, name, timeout_ms=1000)
    slow.init()
    slow.begin()
    slow.send(topic, b"too slow")
    eventually(lambda: state(connection, name) == "CompleteAbort", what="the timeout")
    with pytest.raises(FENCED[client]) as refused:
        slow.commit()
    assert "FENCED" in repr(refused.value).upper()
    other: TransactionalProducer = new_producer(client, unique("other"))
    other.init()
    other.begin()
    other.send(topic, b"in time")
    other.commit()
    assert committed(bootstrap, topic, unique("group"), 1) == [b"in time"]


@pytest.mark.jvm
def test_kafka_reads_what_the_coordinator_writes(
    own_broker: Callable[..., Any], tmp_path: Any
) -> None:
    broker = own_broker({"transaction.state.log.num.partitions": "1"})
    with Connection(broker.bootstrap_servers) as connection:
        topic = {"name": "t", "num_partitions": 2, "replication_factor": 1}
        ask(connection, 19, 7, {"topics": [topic | {"assignments": [], "configs": []}]})
    producer = Confluent(broker.bootstrap_servers, "mover", 60_000)
    producer.init()
    for number in range(3):
        producer.begin()
        producer.send("t", b"v", number % 2)
        producer.commit()
    producer.close()
    broker.stop()
    [log] = tmp_path.glob("**/__transaction_state-0/*0.log")
    flags = ["--transaction-log-decoder", "--files", str(log)]
    dumped = run_tool("org.apache.kafka.tools.DumpLogSegments", flags).stdout.decode()
    assert dumped.count('"transactionalId":"mover"') >= 10
    statuses = re.findall(r'"transactionStatus":(\d)', dumped)
    assert "".join(statuses[:7]) == "0124124"[:7], dumped
    assert '"topic":"t","partitionIds":[0]' in dumped
    assert "isvalid: false" not in dumped
