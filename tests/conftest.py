"""What several kinds of tests share: the broker they run against, topics and names on it.

``--target=apache`` runs conformance and behaviour tests against Apache Kafka, which judges them.
"""

from __future__ import annotations

import itertools
import pathlib
import re
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping
from random import Random

import pytest

from ottla.testing.apache_kafka import (
    PEERS_DIRECTORY,
    QUICK_START_FLAGS,
    ApacheKafka,
    why_unavailable,
)
from ottla.testing.bytecode import keep_bytecode
from ottla.testing.process import BrokerProcess
from ottla.testing.protocol import Connection
from ottla.testing.raw_client import fixed_port
from ottla.testing.waiting import eventually
from ottla.wire.api.k02_list_offsets import ListOffsetsRequest, PartitionToList, TopicToList
from ottla.wire.api.k19_create_topics import ConfigToSet, CreateTopicsRequest, TopicToCreate

# A suite in the background of a shell has Ctrl-C ignored, and so would all that it tests.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Brokers and clients are started hundreds of times.
keep_bytecode(PEERS_DIRECTORY.parent / "bytecode")

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


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--target",
        choices=["ottla", "apache"],
        default="ottla",
        help="the broker the conformance tests run against",
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    missing = missing_tools()
    for item in items:
        # Processes that share the work must give every test the same name.
        if " at 0x" in item.nodeid:
            raise pytest.UsageError(f"a test is named after an address: {item.nodeid}")
        for marker, reason in missing.items():
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
