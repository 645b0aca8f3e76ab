"""What a broker keeps when it is stopped or killed and started again, and clients that carry on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType

from ottla.testing.waiting import eventually

OwnBroker = Callable[..., Any]
NOT_READY = (KafkaError.NOT_COORDINATOR, KafkaError.COORDINATOR_LOAD_IN_PROGRESS)


def create(bootstrap: str, topic: NewTopic) -> AdminClient:
    """Create a topic, and return the client that did it."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    admin.create_topics([topic])[topic.topic].result(20)
    return admin


def consume(bootstrap: str, topic: str, partitions: int, count: int) -> list[Message]:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "reader"})
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(partitions)])
    messages: list[Message] = []

    def enough() -> bool:
        for message in consumer.consume(count, timeout=0.2):
            assert message.error() is None, message.error()
            messages.append(message)
        return len(messages) >= count

    eventually(enough, timeout_seconds=40, what=f"{count} messages")
    consumer.close()
    return messages


def commits(consumer: Consumer, where: TopicPartition) -> bool:
    """Whether an offset could be committed; not while Kafka still makes __consumer_offsets."""
    try:
        consumer.commit(offsets=[where], asynchronous=False)
    except KafkaException as error:
        if error.args[0].code() in NOT_READY:
            return False
        raise
    return True


def committed(bootstrap: str, group: str, where: TopicPartition) -> int:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group})
    [found] = consumer.committed([where], timeout=20)
    consumer.close()
    return int(found.offset)


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_topics_configs_records_and_offsets_are_kept(end: str, own_broker: OwnBroker) -> None:
    broker = own_broker()
    bootstrap = broker.bootstrap_servers
    admin = create(bootstrap, NewTopic("kept", 2, 1, config={"retention.ms": "123456789"}))
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all"})
    for number in range(1000):
        producer.produce("kept", b"%d" % number, partition=number % 2)
    assert producer.flush(20) == 0
    where = TopicPartition("kept", 1, 250)
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "group"})
    eventually(lambda: commits(consumer, where), what="the commit")
    consumer.close()
    cluster_id = admin.describe_cluster().result(20).cluster_id

    getattr(broker, end)()
    broker.start()

    assert broker.bootstrap_servers == bootstrap
    admin = AdminClient({"bootstrap.servers": bootstrap})
    assert admin.describe_cluster().result(20).cluster_id == cluster_id
    assert len(admin.list_topics(timeout=20).topics["kept"].partitions) == 2
    resource = ConfigResource(ResourceType.TOPIC, "kept")
    config = admin.describe_configs([resource])[resource].result(20)
    assert config["retention.ms"].value == "123456789"
    messages = consume(bootstrap, "kept", 2, 1000)
    values = sorted(int(message.value()) for message in messages)
    assert values == list(range(1000))
    assert committed(bootstrap, "group", where) == 250


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_an_idempotent_producer_carries_on_through_a_restart(
    end: str, own_broker: OwnBroker
) -> None:
    broker = own_broker()
    bootstrap = broker.bootstrap_servers
    create(bootstrap, NewTopic("through", 1, 1))
    delivered: list[int] = []
    errors: list[Any] = []

    def on_delivery(error: Any, message: Message) -> None:
        if error is None:
            delivered.append(message.offset())
        else:
            errors.append(error)

    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "enable.idempotence": True,
            "linger.ms": 1,
            "reconnect.backoff.max.ms": 100,
            "log_level": 0,
        }
    )
    halfway, done = threading.Event(), threading.Event()

    def produce() -> None:
        for number in range(5000):
            producer.produce("through", b"%d" % number, partition=0, on_delivery=on_delivery)
            producer.poll(0)
            if len(delivered) > 100:
                halfway.set()
        producer.flush(60)
        done.set()

    thread = threading.Thread(target=produce)
    thread.start()
    eventually(lambda: halfway.is_set() or done.is_set(), what="the first deliveries")
    getattr(broker, end)()
    broker.start()
    thread.join(60)
    assert done.is_set()
    assert errors == []
    messages = consume(bootstrap, "through", 1, 5000)
    assert [int(message.value()) for message in messages] == list(range(5000))
    assert sorted(delivered) == list(range(5000))


def test_a_group_carries_on_through_a_restart(own_broker: OwnBroker) -> None:
    broker = own_broker()
    bootstrap = broker.bootstrap_servers
    create(bootstrap, NewTopic("read", 2, 1))
    producer = Producer({"bootstrap.servers": bootstrap, "log_level": 0})
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "group",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "reconnect.backoff.max.ms": 100,
            "heartbeat.interval.ms": 300,
            "log_level": 0,
        }
    )
    consumer.subscribe(["read"])
    values: list[int] = []

    def has_read(count: int) -> bool:
        messages = [m for m in consumer.consume(100, timeout=0.1) if m.error() is None]
        values.extend(int(message.value()) for message in messages)
        if messages:
            consumer.commit(asynchronous=True)
        return len(set(values)) == count

    def exchange(start: int) -> None:
        for number in range(start, start + 100):
            producer.produce("read", b"%d" % number, partition=number % 2)
        assert producer.flush(30) == 0
        eventually(lambda: has_read(start + 100), timeout_seconds=40, what="all is read")

    exchange(0)
    broker.stop()
    broker.start()
    exchange(100)
    consumer.close()
