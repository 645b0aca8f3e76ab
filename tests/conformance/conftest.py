"""Conformance: foreign clients against a broker process, ours or Apache Kafka's.

``pytest tests/conformance`` judges Ottla; ``pytest tests/conformance --target=apache`` runs the
same tests against Apache Kafka, which judges the tests.
"""

from __future__ import annotations

import json
import pathlib
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any

import pytest
from confluent_kafka.admin import AdminClient

from ottla.testing.apache_kafka import (
    PEERS_DIRECTORY,
    java_command,
)
from ottla.testing.kafka_tools import Comparison, JavaTools
from ottla.testing.protocol import Connection
from ottla.testing.waiting import eventually
from ottla.wire.api.k00_produce import PartitionToProduce, ProduceRequest, TopicToProduce
from ottla.wire.api.k03_metadata import MetadataRequest, TopicToDescribe
from ottla.wire.api.k10_find_coordinator import FindCoordinatorRequest
from ottla.wire.api.k12_heartbeat import HeartbeatRequest
from ottla.wire.errors import ErrorCode

HERE = pathlib.Path(__file__).parent


@pytest.fixture(scope="session")
def admin(bootstrap: str) -> AdminClient:
    """An admin client of librdkafka on the shared broker."""
    return AdminClient({"bootstrap.servers": bootstrap})


@pytest.fixture(scope="module")
def java() -> Iterator[JavaTools]:
    """Kafka's tools, all in one JVM."""
    with JavaTools() as running:
        yield running


@pytest.fixture(scope="module")
def comparison(java: JavaTools) -> Comparison:
    """Compares what a tool of Kafka's and ours of the same name did."""
    return Comparison(java)


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
        self._reading = threading.Thread(target=self._read_errors, daemon=True)
        self._reading.start()
        threading.Thread(target=self._read_events, daemon=True).start()

    @property
    def assignment(self) -> set[str]:
        """The partitions it holds now, each ``topic-partition``."""
        assert self._process.poll() is None, f"{self.client} has ended: {self.errors}"
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
        """Make sure nothing of it is left; one of Python says what it was at."""
        if self._process.poll() is None and sys.executable in self._process.args:
            self._process.send_signal(signal.SIGABRT)
            self._process.wait()
            self._reading.join(10)
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
    program = HERE / "members" / "python_member.py"
    return [sys.executable, "-X", "faulthandler", str(program), client]


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
