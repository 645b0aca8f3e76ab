"""A broker that lies to our client: nothing breaks, nothing grows, and the truth gets through."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Set
from contextlib import contextmanager, suppress
from random import Random
from typing import Any

import pytest

import ottla
from ottla.testing.lying_broker import LyingBroker
from ottla.testing.process import BrokerProcess
from ottla.testing.topics import create_topic
from ottla.testing.waiting import eventually

# A socket of the proxy's that goes while its other end is being opened is left to the collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
PRODUCE, FETCH, LIST_OFFSETS, METADATA, COMMIT, LOOK_UP, COORDINATOR = 0, 1, 2, 3, 8, 9, 10
JOIN, HEARTBEAT, LEAVE, SYNC, API_VERSIONS, PRODUCER_ID, BEAT = 11, 12, 13, 14, 18, 22, 68
GROUPS = {COORDINATOR, JOIN, HEARTBEAT, LEAVE, SYNC, COMMIT, LOOK_UP, LIST_OFFSETS}
ADMIN = {15, 16, 19, 20, 32, 42, 60}
ENOUGH_LIES = 15
_FAST = {
    "socket.timeout.ms": 700,
    "reconnect.backoff.ms": 10,
    "reconnect.backoff.max.ms": 50,
    "retry.backoff.ms": 10,
    "retry.backoff.max.ms": 50,
    "topic.metadata.refresh.interval.ms": 200,
    "log_level": 3,
}
_READING = {
    "auto.offset.reset": "earliest",
    "auto.commit.interval.ms": 50,
    "fetch.wait.max.ms": 50,
    "fetch.error.backoff.ms": 10,
}
_MEMBERS: dict[str, dict[str, Any]] = {
    "classic": {"session.timeout.ms": 1500, "heartbeat.interval.ms": 100},
    "consumer": {"group.protocol": "consumer"},
}


_QUICK_GROUPS = {
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "500",
    "group.consumer.min.heartbeat.interval.ms": "100",
    "group.consumer.heartbeat.interval.ms": "100",
    # Who was told another member id than its own leaves a ghost, which has to time out.
    "group.consumer.min.session.timeout.ms": "1000",
    "group.consumer.session.timeout.ms": "1500",
}


class Unexpected(logging.Handler):
    """What was logged with a traceback: a fault of ours, whatever the broker said."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            self.found.append(self.format(record))


@contextmanager
def nothing_unexpected() -> Iterator[None]:
    """Fail if our code is surprised meanwhile, in whatever thread."""
    handler = Unexpected()
    before = threading.excepthook
    threading.excepthook = lambda raised: handler.found.append(repr(raised.exc_value))
    loggers = [logging.getLogger(name) for name in ("ottla", "asyncio")]
    for logger in loggers:
        logger.addHandler(handler)
    try:
        yield
    finally:
        threading.excepthook = before
        for logger in loggers:
            logger.removeHandler(handler)
    assert not handler.found, "\n".join(handler.found)


class Clients:
    """A producer, a member of a group and an administrator who are lied to."""

    def __init__(self, servers: str, group_protocol: str) -> None:
        settings = {"bootstrap.servers": servers, "error_cb": lambda error: None, **_FAST}
        self.producer = ottla.Producer({**settings, "request.timeout.ms": 700, "linger.ms": 0})
        members = {**_READING, **_MEMBERS[group_protocol], "group.id": "g"}
        self.consumer = ottla.Consumer({**settings, **members})
        self.admin = ottla.AdminClient(settings)
        self.consumer.subscribe(["t"])
        self.received: set[bytes | None] = set()

    def work(self) -> None:
        """A round of everything; only errors that users are told of may come out."""
        for _ in range(5):
            self.quietly(self.producer.produce, "t", b"whatever")
        self.quietly(self.producer.poll, 0)
        self.receive(0.02)
        partition = ottla.TopicPartition("t", 0)
        self.quietly(self.consumer.committed, [partition], timeout=0.1)
        self.quietly(self.consumer.get_watermark_offsets, partition, timeout=0.1)
        self.quietly(self.admin.list_topics, timeout=0.1)
        resource = ottla.admin.ConfigResource("topic", "t")
        futures: list[Any] = [
            self.admin.describe_cluster(request_timeout=0.2),
            *self.admin.describe_consumer_groups(["g"], request_timeout=0.2).values(),
            *self.admin.describe_configs([resource], request_timeout=0.2).values(),
        ]
        for future in futures:
            self.quietly(future.result, 10)

    def receive(self, timeout_s: float) -> None:
        """Take one message, if there is one."""
        message = self.quietly(self.consumer.poll, timeout_s)
        if message is not None and message.error() is None:
            self.received.add(message.value())

    @staticmethod
    def quietly(call: Any, *arguments: Any, **keywords: Any) -> Any:
        with suppress(ottla.KafkaException):
            return call(*arguments, **keywords)
        return None

    def close(self) -> None:
        self.consumer.close()
        self.producer.purge()
        self.producer.close()
        self.admin.close()


@contextmanager
def lied_to(
    random: Random, lies_about: Set[int], group_protocol: str
) -> Iterator[tuple[Clients, LyingBroker]]:
    """Clients that were told enough lies; the broker is honest again when they are closed."""
    with (
        nothing_unexpected(),
        LyingBroker(random) as proxy,
        BrokerProcess(settings={**proxy.broker_settings, **_QUICK_GROUPS}) as broker,
    ):
        proxy.target = broker.port
        create_topic(broker.bootstrap_servers, "t", 2, {})
        clients = Clients(proxy.bootstrap_servers, group_protocol)
        proxy.lies_about = lies_about

        def has_lied() -> bool:
            clients.work()
            return proxy.told.total() >= ENOUGH_LIES

        eventually(has_lied, timeout_seconds=60, what="lies")
        yield clients, proxy
        proxy.lies_about = frozenset()
        clients.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    "lies_about", [{PRODUCE, PRODUCER_ID}, {FETCH, LIST_OFFSETS}, {API_VERSIONS, COORDINATOR}]
)
def test_the_truth_gets_through_in_the_end(random: Random, lies_about: Set[int]) -> None:
    with lied_to(random, lies_about, "classic") as (clients, proxy):
        proxy.lies_about = frozenset()
        told: list[Any] = []
        clients.producer.produce("t", b"the truth", on_delivery=lambda error, _: told.append(error))
        assert clients.producer.flush(30) == 0
        assert told == [None]

        def has_come() -> bool:
            clients.receive(0.2)
            return b"the truth" in clients.received

        eventually(has_come, timeout_seconds=60, what="the truth")


@pytest.mark.slow
@pytest.mark.parametrize("group_protocol", ["classic", "consumer"])
def test_lies_about_everything_at_once_break_nothing(random: Random, group_protocol: str) -> None:
    # What was falsely said of a group may hold until a rebalance is over, what was said of a topic
    # until the next that says more.
    everything = {PRODUCE, FETCH, METADATA, API_VERSIONS, BEAT, *GROUPS, *ADMIN}
    with lied_to(random, everything, group_protocol) as (clients, _):
        clients.work()
