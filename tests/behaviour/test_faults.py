"""Brokers that die, hang or come back, topics that vanish: nothing acknowledged is lost."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import ottla
from ottla.testing.freezing import freeze
from ottla.testing.process import BrokerProcess
from ottla.testing.topics import create_topic
from ottla.testing.waiting import eventually

OwnBroker = Callable[..., Any]
_QUICK = {"reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 200, "log_level": 0}


class Delivered:
    """Counts what delivery reports say."""

    def __init__(self) -> None:
        self.values: list[bytes] = []
        self.errors: list[str] = []

    def __call__(self, error: ottla.KafkaError | None, message: ottla.Message) -> None:
        if error is None:
            self.values.append(message.value() or b"")
        else:
            self.errors.append(error.name())


@pytest.fixture
def frozen() -> Iterator[Callable[[Any], None]]:
    """Stops a process; it goes on when the test ends."""
    stopped: list[int] = []

    def stop(broker: Any) -> None:
        freeze(broker.pid)
        stopped.append(broker.pid)

    yield stop
    for pid in stopped:
        os.kill(pid, signal.SIGCONT)


def consume(bootstrap: str, topic: str, count: int) -> list[bytes]:
    """The values in a topic's only partition."""
    values: list[bytes] = []
    with ottla.Consumer({"bootstrap.servers": bootstrap, "group.id": "reader"}) as consumer:
        consumer.assign([ottla.TopicPartition(topic, 0, 0)])

        def polled() -> bool:
            for message in consumer.consume(1000, 0.1):
                assert message.error() is None, message.error()
                values.append(message.value() or b"")
            return len(values) >= count

        eventually(polled, what=f"{count} messages")
    return values


@pytest.mark.parametrize("kills", [3])
def test_a_broker_killed_while_producing(own_broker: OwnBroker, kills: int) -> None:
    broker = own_broker()
    create_topic(broker.bootstrap_servers, "t", 1, {})
    delivered = Delivered()
    settings = {"enable.idempotence": True, "linger.ms": 1, **_QUICK}
    producer = ottla.Producer({"bootstrap.servers": broker.bootstrap_servers, **settings})
    number = 0
    for _ in range(kills):
        enough = len(delivered.values) + 200
        while len(delivered.values) < enough:
            # The queue is full long before the broker is back.
            producer.produce("t", b"%d" % number, on_delivery=delivered, timeout=30)
            number += 1
            producer.poll(0)
        broker.kill()
        for _ in range(50):
            producer.produce("t", b"%d" % number, on_delivery=delivered)
            number += 1
        broker.start()
    assert producer.flush(60) == 0
    assert delivered.errors == []
    expected = [b"%d" % each for each in range(number)]
    assert delivered.values == expected
    assert consume(broker.bootstrap_servers, "t", number) == expected


def test_a_broker_killed_while_consuming(own_broker: OwnBroker) -> None:
    broker = own_broker()
    create_topic(broker.bootstrap_servers, "t", 1, {})
    settings = {"bootstrap.servers": broker.bootstrap_servers, **_QUICK}
    producer = ottla.Producer(settings)
    consumer = ottla.Consumer(
        {**settings, "group.id": "g", "auto.offset.reset": "earliest", "session.timeout.ms": 6000}
    )
    consumer.subscribe(["t"])
    values: list[bytes] = []
    for turn in range(3):
        for number in range(20):
            producer.produce("t", b"%d %d" % (turn, number))
        assert producer.flush(60) == 0

        def polled(enough: int = 20 * (turn + 1)) -> bool:
            message = consumer.poll(0.1)
            if message is not None:
                assert message.error() is None, message.error()
                values.append(message.value() or b"")
            return len(values) >= enough

        eventually(polled, what=f"turn {turn}")
        consumer.commit(asynchronous=False)
        broker.kill()
        broker.start()
    assert values == [b"%d %d" % (turn, number) for turn in range(3) for number in range(20)]
    consumer.close()


def test_a_broker_that_hangs(own_broker: OwnBroker, frozen: Callable[[Any], None]) -> None:
    broker = own_broker()
    create_topic(broker.bootstrap_servers, "t", 1, {})
    settings = {"bootstrap.servers": broker.bootstrap_servers, **_QUICK}
    delivered = Delivered()
    patient = ottla.Producer(settings)
    hasty = ottla.Producer({**settings, "message.timeout.ms": 300})
    consumer = ottla.Consumer({**settings, "group.id": "g"})
    consumer.assign([ottla.TopicPartition("t", 0, 0)])
    for producer in (patient, hasty):
        producer.produce("t", b"before", on_delivery=delivered)
        assert producer.flush(30) == 0
    frozen(broker)
    late = Delivered()
    patient.produce("t", b"patient", on_delivery=late)
    hasty.produce("t", b"hasty", on_delivery=delivered)
    assert hasty.flush(30) == 0
    assert delivered.errors == ["_MSG_TIMED_OUT"]
    for call in (
        lambda: consumer.list_topics(timeout=0.2),
        lambda: consumer.committed([ottla.TopicPartition("t", 0)], timeout=0.2),
        lambda: consumer.get_watermark_offsets(ottla.TopicPartition("t", 0), timeout=0.2),
        lambda: patient.list_topics(timeout=0.2),
    ):
        with pytest.raises(ottla.KafkaException) as caught:
            call()
        assert caught.value.args[0].code() in (
            ottla.KafkaError._TIMED_OUT,
            ottla.KafkaError._TRANSPORT,
            ottla.KafkaError._ALL_BROKERS_DOWN,
        )
    assert patient.flush(0.2) == 1
    os.kill(broker.pid, signal.SIGCONT)
    assert patient.flush(30) == 0
    assert late.values == [b"patient"]
    consumer.close()


def test_a_broker_that_hangs_does_not_keep_close_waiting(
    own_broker: OwnBroker, frozen: Callable[[Any], None]
) -> None:
    broker = own_broker()
    create_topic(broker.bootstrap_servers, "t", 1, {})
    settings = {"bootstrap.servers": broker.bootstrap_servers, **_QUICK}
    consumer = ottla.Consumer({**settings, "group.id": "g", "socket.timeout.ms": 500})
    consumer.subscribe(["t"])
    eventually(lambda: consumer.poll(0.1) is None and consumer.assignment(), what="assignment")
    frozen(broker)
    consumer.close()
    with pytest.raises(RuntimeError):
        consumer.poll(0)


def test_nobody_listens() -> None:
    settings = {"bootstrap.servers": "127.0.0.1:1", **_QUICK}
    delivered = Delivered()
    with ottla.Consumer({**settings, "group.id": "g"}) as consumer:
        consumer.subscribe(["t"])
        assert consumer.poll(0.1) is None
        assert consumer.consume(5, 0.1) == []
        with pytest.raises(ottla.KafkaException) as caught:
            consumer.wait_connected(0.2)
        assert "127.0.0.1:1" in str(caught.value)
    producer = ottla.Producer({**settings, "message.timeout.ms": 200})
    producer.produce("t", b"x", on_delivery=delivered)
    with pytest.raises(ottla.KafkaException) as caught:
        producer.wait_connected(0.2)
    assert "refused" in str(caught.value).lower()
    producer.close()
    assert delivered.errors == ["_MSG_TIMED_OUT"]


def test_a_topic_deleted_and_made_again(own_broker: OwnBroker) -> None:
    broker = own_broker({"auto.create.topics.enable": "false"})
    servers = broker.bootstrap_servers
    create_topic(servers, "t", 1, {})
    settings = {"bootstrap.servers": servers, "topic.metadata.refresh.interval.ms": 100, **_QUICK}
    producer = ottla.Producer({**settings, "enable.idempotence": True})
    consumer = ottla.Consumer({**settings, "group.id": "g", "auto.offset.reset": "earliest"})
    consumer.subscribe(["t"])
    delivered = Delivered()
    seen: list[bytes] = []

    def arrived(value: bytes) -> bool:
        message = consumer.poll(0.1)
        if message is not None and message.error() is None:
            seen.append(message.value() or b"")
        return value in seen

    producer.produce("t", b"of the first", on_delivery=delivered)
    assert producer.flush(30) == 0
    eventually(lambda: arrived(b"of the first"), what="the first topic's message")
    admin = ottla.AdminClient({"bootstrap.servers": servers})
    admin.delete_topics(["t"])["t"].result(30)
    create_topic(servers, "t", 1, {})

    def taken_and_seen() -> bool:
        # The consumer goes on at its position: the offsets before it are not read again.
        producer.produce("t", b"of the second", on_delivery=delivered)
        assert producer.flush(30) == 0
        return arrived(b"of the second")

    eventually(taken_and_seen, what="the second topic's messages")
    assert delivered.values[-1] == b"of the second"
    consumer.close()


def test_a_member_that_was_thrown_out_comes_back(own_broker: OwnBroker) -> None:
    broker = own_broker()
    servers = broker.bootstrap_servers
    create_topic(servers, "t", 1, {})
    lost: list[Any] = []
    settings = {"bootstrap.servers": servers, "group.id": "g", "auto.offset.reset": "earliest"}
    consumer = ottla.Consumer(
        {**settings, "session.timeout.ms": 600, "heartbeat.interval.ms": 100, **_QUICK}
    )
    consumer.subscribe(["t"], on_lost=lambda _, partitions: lost.extend(partitions))
    eventually(lambda: consumer.poll(0.1) is None and consumer.assignment(), what="assignment")
    member = consumer.memberid()
    freeze(broker.pid)
    time.sleep(1.2)  # longer than the session
    os.kill(broker.pid, signal.SIGCONT)
    producer = ottla.Producer({"bootstrap.servers": servers, **_QUICK})
    producer.produce("t", b"x")
    assert producer.flush(30) == 0

    def received() -> bool:
        message = consumer.poll(0.1)
        return message is not None and message.error() is None

    eventually(received, what="a message after the pause")
    assert consumer.assignment() == [ottla.TopicPartition("t", 0)]
    assert member
    consumer.close()


def test_closing_within_a_callback_does_not_hang(bootstrap: str, new_topic: Any) -> None:
    topic = new_topic()
    producer = ottla.Producer({"bootstrap.servers": bootstrap})
    closed: list[Any] = []

    def close(*_: Any) -> None:
        try:
            closed.append(producer.close())
        except RuntimeError as error:
            closed.append(error)

    producer.produce(topic, b"x", on_delivery=close)
    try:
        producer.flush(10)
    except RuntimeError:
        pass  # it has been closed underneath
    assert closed


def test_a_slow_disk_delays_and_loses_nothing(own_broker: OwnBroker) -> None:
    broker: BrokerProcess = own_broker()
    create_topic(broker.bootstrap_servers, "t", 1, {})
    settings = {"request.timeout.ms": 300, "enable.idempotence": True, **_QUICK}
    producer = ottla.Producer({"bootstrap.servers": broker.bootstrap_servers, **settings})
    delivered = Delivered()
    for turn in range(3):
        for number in range(10):
            producer.produce("t", b"%d" % (10 * turn + number), on_delivery=delivered)
        producer.poll(0.02)
        # As long as a disk that stalls: requests time out and are sent again.
        freeze(broker.pid)
        producer.poll(0.5)
        os.kill(broker.pid, signal.SIGCONT)
    assert producer.flush(30) == 0
    expected = [b"%d" % number for number in range(30)]
    assert (delivered.errors, delivered.values) == ([], expected)
    assert consume(broker.bootstrap_servers, "t", 30) == expected
