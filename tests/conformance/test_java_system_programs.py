"""Apache Kafka's system-test programs, unmodified, while they and the broker are killed.

They print one JSON object per line; what these objects say is compared with what is in the log.
"""

from __future__ import annotations

import contextlib
import json
import pathlib
import signal
import subprocess
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition

from ottla.testing.apache_kafka import ApacheKafka, java_command
from ottla.testing.process import BrokerProcess
from ottla.testing.protocol import Connection
from ottla.testing.raw_client import committed_offset
from ottla.testing.topics import create_topic
from ottla.testing.waiting import eventually

pytestmark = [pytest.mark.jvm, pytest.mark.slow]

Target = BrokerProcess | ApacheKafka
PARTITIONS = 4
# Dead members and the locks of share consumers are to be missed soon.
SETTINGS = {
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.num.partitions": "1",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
    "share.coordinator.state.topic.num.partitions": "1",
    "group.consumer.min.session.timeout.ms": "500",
    "group.consumer.session.timeout.ms": "3000",
    "group.consumer.min.heartbeat.interval.ms": "100",
    "group.consumer.heartbeat.interval.ms": "500",
    "group.share.min.session.timeout.ms": "500",
    "group.share.session.timeout.ms": "3000",
    "group.share.min.heartbeat.interval.ms": "100",
    "group.share.heartbeat.interval.ms": "500",
    "group.share.min.record.lock.duration.ms": "1000",
    "group.share.record.lock.duration.ms": "2000",
}


class Program:
    """One of Kafka's programs, running."""

    def __init__(self, name: str, broker: Target, **options: Any) -> None:
        self.name = name
        self.events: list[dict[str, Any]] = []
        servers = "--broker-list" if name == "TransactionalMessageCopier" else "--bootstrap-server"
        words = [servers, broker.bootstrap_servers]
        for option, value in options.items():
            flag = "--" + option.replace("_", "-")
            words += [flag] if value is True else [flag, str(value)]
        command = java_command(f"org.apache.kafka.tools.{name}", words)
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self._process.stdout:
            if line.startswith("{"):
                self.events.append(json.loads(line))

    def named(self, name: str) -> list[dict[str, Any]]:
        """Its events of this kind so far."""
        return [event for event in list(self.events) if event.get("name") == name]

    def finish(self) -> None:
        """SIGTERM, which all of them take for the wish to end in an orderly way."""
        self._process.send_signal(signal.SIGTERM)
        assert self.ended() in (0, 128 + signal.SIGTERM)

    def ended(self) -> int:
        """Its exit status, once it has ended."""
        status = self._process.wait(60)
        self._reader.join(10)
        return status

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()
        self._process.wait()
        self._reader.join(10)

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        # Shown by pytest when the test fails.
        print(f"{self.name}: status {self._process.poll()}, last said {self.events[-3:]}")
        self.kill()
        self._process.stdout.close()


@pytest.fixture
def start(tmp_path: pathlib.Path) -> Iterator[Callable[..., Program]]:
    """Starts programs, which are gone after the test."""
    persistent = tmp_path / "producer.properties"
    persistent.write_text("enable.idempotence=true\nretries=2147483647\n")

    with contextlib.ExitStack() as stack:

        def run(name: str, broker: Target, **options: Any) -> Program:
            if name == "VerifiableProducer":  # by itself it gives up at once
                options["command_config"] = persistent
            return stack.enter_context(Program(name, broker, **options))

        yield run


@pytest.fixture
def broker(own_broker: Callable[..., Target]) -> Target:
    """A broker with a topic of four partitions."""
    made = own_broker(SETTINGS)
    for topic in ("source", "copy"):
        create_topic(made.bootstrap_servers, topic, PARTITIONS, {})
    return made


def values_by_partition(
    broker: Target, topic: str, isolation_level: str = "read_committed"
) -> list[list[str]]:
    """All there is in a topic, as this reader sees it."""
    consumer = Consumer(
        {
            "bootstrap.servers": broker.bootstrap_servers,
            "group.id": "judge",
            "isolation.level": isolation_level,
            "enable.partition.eof": True,
        }
    )
    consumer.assign([TopicPartition(topic, number, 0) for number in range(PARTITIONS)])
    values: list[list[str]] = [[] for _ in range(PARTITIONS)]
    ended: set[int] = set()

    def is_at_the_end() -> bool:
        for message in consumer.consume(1000, timeout=0.2):
            if message.error() is None:
                values[message.partition()].append(message.value().decode())
            else:
                ended.add(message.partition())
        return len(ended) == PARTITIONS

    eventually(is_at_the_end, what=f"the end of {topic}")
    consumer.close()
    return values


def acknowledged(producer: Program) -> list[str]:
    """The values whose records the producer has been told are written."""
    return [event["value"] for event in producer.named("producer_send_success")]


def received(consumers: Iterable[Program]) -> dict[tuple[int, int], str]:
    """(partition, offset) → value, of all that any of these consumers was given."""
    records: dict[tuple[int, int], str] = {}
    for consumer in consumers:
        for event in consumer.named("record_data"):
            place = event["partition"], event["offset"]
            assert records.setdefault(place, event["value"]) == event["value"]
    return records


def restart_killed(broker: Target) -> None:
    broker.kill()
    broker.start()


def held_partitions(consumer: Program) -> set[int]:
    """What a VerifiableConsumer says it holds."""
    held: set[int] = set()
    for event in list(consumer.events):
        numbers = {each["partition"] for each in event.get("partitions", ()) if event["name"]}
        if event["name"] == "partitions_assigned":
            held |= numbers
        elif event["name"] == "partitions_revoked":
            held -= numbers
    return held


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_what_is_acknowledged_is_consumed(
    protocol: str, broker: Target, start: Callable[..., Program]
) -> None:
    options = {"session_timeout": 4000} if protocol == "classic" else {"group_protocol": protocol}
    consumers = [
        start("VerifiableConsumer", broker, topic="source", group_id="g", verbose=True, **options)
        for _ in range(2)
    ]
    producer = start(
        "VerifiableProducer", broker, topic="source", throughput=400, repeating_keys=50
    )
    first, second = consumers
    for consumer in consumers:
        eventually(lambda one=consumer: one.named("record_data"), what="both consume")
    restart_killed(broker)
    before = len(acknowledged(producer))
    eventually(lambda: len(acknowledged(producer)) > before + 100, what="production goes on")
    second.kill()
    eventually(lambda: held_partitions(first) == set(range(PARTITIONS)), what="one takes over")
    producer.finish()
    values = acknowledged(producer)
    assert len(values) > 100
    assert not producer.named("producer_send_error")
    eventually(lambda: set(received(consumers).values()) >= set(values), what="all is consumed")
    first.finish()
    assert first.named("shutdown_complete")
    # No record twice in the log, none consumed that isn't there, none in another order.
    written = values_by_partition(broker, "source")
    assert max(Counter(chain(*written)).values()) == 1
    for (partition, offset), value in received(consumers).items():
        assert written[partition][offset] == value
    # The last commit of each partition holds.
    with Connection(broker.bootstrap_servers) as connection:
        for partition in range(PARTITIONS):
            assert committed_offset(connection, "g", "source", partition) == len(written[partition])


def test_share_consumers_of_each_mode_are_given_everything(
    broker: Target, start: Callable[..., Program]
) -> None:
    options = {"topic": "source", "group_id": "g", "verbose": True}
    consumers = [
        start(
            "VerifiableShareConsumer",
            broker,
            acknowledgement_mode=mode,
            offset_reset_strategy="earliest",
            **options,
        )
        for mode in ("auto", "sync", "async")
    ]
    producer = start(
        "VerifiableProducer", broker, topic="source", throughput=400, repeating_keys=50
    )
    for consumer in consumers:
        eventually(lambda one=consumer: one.named("record_data"), what="all of them consume")
    restart_killed(broker)
    before = len(acknowledged(producer))
    eventually(lambda: len(acknowledged(producer)) > before + 100, what="production goes on")
    consumers[2].kill()
    producer.finish()
    values = acknowledged(producer)
    # What the dead one had locked comes to the others when the locks run out.
    eventually(lambda: set(received(consumers).values()) >= set(values), what="all is consumed")
    for consumer in consumers[:2]:
        consumer.finish()
        assert consumer.named("shutdown_complete")
        assert any(event["success"] for event in consumer.named("offsets_acknowledged"))
    written = values_by_partition(broker, "source")
    for (partition, offset), value in received(consumers).items():
        assert written[partition][offset] == value


def copiers_options(in_a_group: bool) -> list[dict[str, Any]]:
    """The options of two copiers that share a group, or of one for each partition."""
    shared: dict[str, Any] = {
        "input_topic": "source",
        "output_topic": "copy",
        "consumer_group": "copiers",
        "transaction_size": 25,
        "enable_random_aborts": True,
        "use_group_metadata": True,
        # A copier asks for its group's offsets before it fences its predecessor: they are unstable
        # until the transaction of a killed one times out.
        "transaction_timeout": 10_000,
    }
    if in_a_group:
        own: list[dict[str, Any]] = [{"input_partition": -1, "group_mode": True}] * 2
    else:
        own = [{"input_partition": number} for number in range(PARTITIONS)]
    return [
        {**shared, **each, "transactional_id": f"copier-{number}"}
        for number, each in enumerate(own)
    ]


def copied(broker: Target, ends: list[int]) -> defaultdict[int, int]:
    """Partition → how many of its records the copiers have committed, as far as can be told."""
    offsets: defaultdict[int, int] = defaultdict(int)
    with contextlib.suppress(ConnectionError), Connection(broker.bootstrap_servers) as connection:
        for partition in range(len(ends)):
            offset = committed_offset(connection, "copiers", "source", partition)
            offsets[partition] = max(offset, 0)
    return offsets


@pytest.mark.timeout(150)
@pytest.mark.parametrize("in_a_group", [True, False], ids=["group", "assigned"])
def test_transactional_copies_with_random_aborts(
    in_a_group: bool, broker: Target, start: Callable[..., Program]
) -> None:
    producer = start(
        "VerifiableProducer", broker, topic="source", max_messages=4000, repeating_keys=50
    )
    assert producer.ended() == 0
    source = values_by_partition(broker, "source")
    ends = [len(values) for values in source]
    assert sum(ends) == 4000
    options = copiers_options(in_a_group)
    copiers = [start("TransactionalMessageCopier", broker, **each) for each in options]

    def progress(beyond: int) -> int:
        return sum(eventually(
            lambda: (now := copied(broker, ends)) and sum(now.values()) > beyond and now,
            timeout_seconds=60, what="the copiers make progress",
        ).values())  # fmt: skip

    reached = progress(0)
    restart_killed(broker)
    reached = progress(reached)
    copiers[0].kill()
    copiers[0] = start("TransactionalMessageCopier", broker, **options[0])
    progress(min(reached, sum(ends) - 1))
    eventually(
        lambda: [copied(broker, ends)[number] for number in range(PARTITIONS)] == ends,
        timeout_seconds=60,
        what="all is copied",
    )
    for copier in copiers:
        copier.finish()
    assert values_by_partition(broker, "copy") == source
    attempts = values_by_partition(broker, "copy", "read_uncommitted")
    assert sum(map(len, attempts)) > sum(ends), "nothing was aborted"
    for attempted, wanted in zip(attempts, source, strict=True):
        assert set(attempted) == set(wanted)
