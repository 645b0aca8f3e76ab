"""Conformance: foreign clients against a broker process, ours or Apache Kafka's.

``pytest tests/conformance`` judges Ottla; ``pytest tests/conformance --target=apache`` runs the
same tests against Apache Kafka, which judges the tests.
"""

from __future__ import annotations

import itertools
import json
import pathlib
import re
import shutil
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from random import Random
from typing import IO, Any

import pytest
from confluent_kafka.admin import AdminClient

from ottla.testing.apache_kafka import (
    PEERS_DIRECTORY,
    QUICK_START_FLAGS,
    ApacheKafka,
    java_command,
    why_unavailable,
)
from ottla.testing.process import BrokerProcess
from ottla.testing.protocol import Connection
from ottla.testing.raw_client import fixed_port
from ottla.testing.waiting import eventually
from ottla.wire.api.k00_produce import PartitionToProduce, ProduceRequest, TopicToProduce
from ottla.wire.api.k02_list_offsets import ListOffsetsRequest, PartitionToList, TopicToList
from ottla.wire.api.k03_metadata import MetadataRequest, TopicToDescribe
from ottla.wire.api.k10_find_coordinator import FindCoordinatorRequest
from ottla.wire.api.k12_heartbeat import HeartbeatRequest
from ottla.wire.api.k19_create_topics import ConfigToSet, CreateTopicsRequest, TopicToCreate
from ottla.wire.errors import ErrorCode

Target = BrokerProcess | ApacheKafka

# A group of tests must not wait for stragglers, a crashed member or producer is to be noticed soon,
# and records from long ago, whose times the tests choose, are to stay.
SETTINGS = {
    "log.initial.task.delay.ms": "3600000",
    "log.retention.check.interval.ms": "3600000",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "500",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "200",
}
HERE = pathlib.Path(__file__).parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--target",
        choices=["ottla", "apache"],
        default="ottla",
        help="the broker the conformance tests run against",
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE not in item.path.parents:
            continue
        for marker, reason in missing_tools().items():
            if item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=reason))


def missing_tools() -> dict[str, str]:
    """Marker -> why tests that carry it can't run here."""
    reasons = {}
    if reason := why_unavailable():
        reasons["jvm"] = reason
    elif not (PEERS_DIRECTORY / "java-classes" / ".complete").exists():
        reasons["jvm"] = "the Java test programs are not compiled (make peers, needs javac)"
    if shutil.which("node") is None:
        reasons["node"] = "no node command"
    elif not (PEERS_DIRECTORY / "node" / "node_modules" / "kafkajs").exists():
        reasons["node"] = "kafkajs is not there (make peers, needs npm)"
    if shutil.which("kcat") is None:
        reasons["kcat"] = "no kcat command"
    return reasons


def make_target(
    name: str, directory: pathlib.Path | None, settings: Mapping[str, str] | None = None
) -> Target:
    """A broker of the wanted kind, not started yet."""
    settings = {**SETTINGS, **(settings or {})}
    if name == "apache":
        return ApacheKafka(
            directory=directory, settings=settings, heap="512m", jvm_flags=QUICK_START_FLAGS
        )
    return BrokerProcess(directory, settings=settings)


@pytest.fixture(scope="session")
def target_name(request: pytest.FixtureRequest) -> str:
    """``ottla`` or ``apache``."""
    # Without a path on the command line this file is read too late for its option to be parsed.
    return str(request.config.getoption("target", default="ottla"))


@pytest.fixture(scope="session")
def new_target(target_name: str) -> Callable[[Mapping[str, str]], Target]:
    """Makes a broker with settings of its own, for a module to share."""
    return lambda settings: make_target(target_name, None, settings)


@pytest.fixture(scope="session")
def target(target_name: str) -> Iterator[Target]:
    """The broker most tests share; topics and groups have unique names."""
    with make_target(target_name, None) as running:
        yield running


@pytest.fixture(scope="session")
def bootstrap(target: Target) -> str:
    """Where the shared broker listens."""
    return target.bootstrap_servers


@pytest.fixture
def own_broker(target_name: str, tmp_path: pathlib.Path) -> Iterator[Callable[..., Target]]:
    """Makes a broker of the test's own, to be stopped, killed and restarted."""
    made: list[Target] = []

    def make(settings: Mapping[str, str] | None = None) -> Target:
        broker = make_target(target_name, tmp_path / f"broker-{len(made)}", settings)
        broker.port = fixed_port(Random())  # it may be killed under clients' eyes
        made.append(broker)
        broker.start()
        return broker

    yield make
    for broker in made:
        broker.__exit__(None, None, None)


@pytest.fixture(scope="session")
def admin(bootstrap: str) -> AdminClient:
    """An admin client of librdkafka on the shared broker."""
    return AdminClient({"bootstrap.servers": bootstrap})


_numbers = itertools.count(1)


@pytest.fixture
def unique(request: pytest.FixtureRequest) -> Callable[[str], str]:
    """Makes names nobody else in this session uses."""
    test = re.sub(r"[^a-zA-Z0-9]+", "-", request.node.name).strip("-")[:60]
    return lambda kind: f"{test}-{kind}-{next(_numbers)}"


@pytest.fixture(scope="session")
def connection(bootstrap: str) -> Iterator[Connection]:
    """A connection to the shared broker for requests written by hand."""
    with Connection(bootstrap) as made:
        yield made


@pytest.fixture
def new_topic(connection: Connection, unique: Callable[[str], str]) -> Callable[..., str]:
    """Creates topics on the shared broker; further arguments are the topic's configuration."""

    def create(partitions: int = 1, **configs: str) -> str:
        name = unique("topic")
        create_topic(connection, name, partitions, configs)
        return name

    return create


@pytest.fixture
def group(connection: Connection, unique: Callable[[str], str]) -> str:
    """The id of a new group whose coordinator is ready."""
    name = unique("group")

    def is_ready() -> bool:
        # Kafka creates __consumer_offsets when it is first asked for a coordinator.
        request = FindCoordinatorRequest(coordinator_keys=[name])
        [coordinator] = connection.ask(request, 4).coordinators
        if coordinator.error_code != ErrorCode.NONE:
            return False
        beat = HeartbeatRequest(group_id=name, generation_id=1, member_id="nobody")
        # UNKNOWN_MEMBER_ID: the coordinator has loaded the group's partition.
        return bool(connection.ask(beat, 4).error_code == ErrorCode.UNKNOWN_MEMBER_ID)

    eventually(is_ready, what="the coordinator")
    return name


@pytest.fixture
def topic_id(connection: Connection) -> Callable[[str], uuid.UUID]:
    """Looks up a topic's id."""

    def look_up(name: str) -> uuid.UUID:
        request = MetadataRequest(topics=[TopicToDescribe(name=name)])
        [described] = connection.ask(request, 12).topics
        found: uuid.UUID = described.topic_id
        return found

    return look_up


@pytest.fixture
def produce(connection: Connection) -> Callable[..., Any]:
    """Produces batches to partition 0 of a topic; returns the partition's answer."""

    def send(topic: str, records: bytes, *, acks: int = -1, version: int = 12) -> Any:
        partition = PartitionToProduce(index=0, records=records)
        data = TopicToProduce(name=topic, partition_data=[partition])
        request = ProduceRequest(acks=acks, timeout_ms=10_000, topic_data=[data])
        [answered] = connection.ask(request, version).responses
        return answered.partition_responses[0]

    return send


def create_topic(
    connection: Connection, name: str, partitions: int, configs: Mapping[str, str]
) -> None:
    """Create a topic and wait until all its partitions can be used."""
    topic = TopicToCreate(
        name=name,
        num_partitions=partitions,
        replication_factor=1,
        assignments=[],
        configs=[ConfigToSet(name=key, value=value) for key, value in configs.items()],
    )
    [created] = connection.ask(CreateTopicsRequest(topics=[topic]), 7).topics
    assert created.error_code == 0, created
    wanted = [PartitionToList(partition_index=n, timestamp=-1) for n in range(partitions)]
    request = ListOffsetsRequest(
        replica_id=-1, topics=[TopicToList(name=name, partitions=wanted)], timeout_ms=1000
    )

    def leads_all() -> bool:
        [listed] = connection.ask(request, 7).topics
        return all(partition.error_code == 0 for partition in listed.partitions)

    # Kafka answers before its broker half has heard of the topic; acks=0 would lose records.
    eventually(leads_all, what=f"{name} has leaders")


class Member:
    """One member of a consumer group in a process of its own, driven over its stdin and stdout.

    ``tests/conformance/members`` tells the language these programs speak.
    """

    def __init__(self, client: str, settings: Mapping[str, Any]) -> None:
        self.client = client
        self.assignments: list[list[str]] = []
        self.records: list[dict[str, Any]] = []
        self._stderr: list[str] = []
        self._process = subprocess.Popen(
            [*member_command(client), json.dumps(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for read in (self._read_events, self._read_errors):
            threading.Thread(target=read, daemon=True).start()

    @property
    def assignment(self) -> set[str]:
        """The partitions it holds now, each ``topic-partition``."""
        return set(self.assignments[-1]) if self.assignments else set()

    @property
    def values(self) -> list[str]:
        """The values it has received, in order of arrival."""
        return [record["value"] for record in self.records]

    def leave(self) -> None:
        """Close the consumer in an orderly way and wait for the end of the process."""
        self._process.stdin.write("close\n")
        self._process.stdin.flush()
        status = self._process.wait(30)
        assert status == 0, self.errors

    def crash(self) -> None:
        """SIGKILL: the group hears nothing."""
        self._process.kill()
        self._process.wait()

    def discard(self) -> None:
        """Make sure nothing of it is left."""
        self.crash()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            pipe.close()

    @property
    def errors(self) -> str:
        """What it printed to stderr."""
        return "".join(self._stderr)

    def _read_events(self) -> None:
        for line in _lines_of(self._process.stdout):
            if not line.startswith("{"):
                continue  # a client's own log
            event = json.loads(line)
            if event["event"] == "assigned":
                self.assignments.append(event["partitions"])
            elif event["event"] == "record":
                self.records.append(event)

    def _read_errors(self) -> None:
        self._stderr.extend(_lines_of(self._process.stderr))


def _lines_of(pipe: IO[str]) -> Iterator[str]:
    """Lines until the pipe ends, or the test that owned it does."""
    try:
        yield from pipe
    except ValueError:
        return


def member_command(client: str) -> list[str]:
    """What runs a group member of this client."""
    if client == "kafkajs":
        return ["node", str(HERE / "node" / "group_member.js")]
    if client == "java":
        return java_command("GroupMember", extra_classpath=[PEERS_DIRECTORY / "java-classes"])
    return [sys.executable, str(HERE / "members" / "python_member.py"), client]


@pytest.fixture
def member(bootstrap: str) -> Iterator[Callable[..., Member]]:
    """Starts group members, each in a process of its own; all are gone after the test."""
    started: list[Member] = []

    def start(client: str, **settings: Any) -> Member:
        made = Member(client, {"bootstrap_servers": bootstrap, **settings})
        started.append(made)
        return made

    yield start
    for one in started:
        one.discard()
        # Shown when the test has failed.
        print(f"{one.client}: held {one.assignments}, said: {one.errors}")
