"""The brokers under measurement: Ottla and Apache Kafka, their processes, cores and memory."""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple, Protocol

from bench.requests import Request, UnexpectedReply, ask, batch_of, produce, single_record
from ottla.testing.apache_kafka import KAFKA_LIBS, PRODUCTION_FLAGS, ApacheKafka, free_port
from ottla.testing.process import BrokerProcess
from ottla.testing.topics import create_topic
from ottla.wire.api.k20_delete_topics import (
    DeleteTopicsRequest,
    DeleteTopicsResponse,
    TopicToDelete,
)
from ottla.wire.declare import ZERO_UUID
from ottla.wire.frames import encode_request

KAFKA_HEAP = "1g"
"""As Kafka's own start script."""
_DELETE_DELAY_MS = 100
COMMON_SETTINGS: Mapping[str, str] = {
    # Deleted topics must not lie in the page cache (or be unlinked) during the next measurement.
    "log.segment.delete.delay.ms": str(_DELETE_DELAY_MS),
    # Rebalances are measured, not the pauses before them.
    "group.initial.rebalance.delay.ms": "0",
    "group.consumer.assignment.interval.ms": "0",
}
KAFKA_SETTINGS: Mapping[str, str] = {**COMMON_SETTINGS, "log.initial.task.delay.ms": "1000"}
FLUSH_EACH_APPEND: Mapping[str, str] = {"flush.messages": "1"}
"""Kafka's ``log.flush.interval.messages=1``, per topic: an append returns after its fsync."""
_GONE_SECONDS = 15.0


class Memory(NamedTuple):
    """Resident bytes of a process."""

    resident_bytes: int
    proportional_bytes: int
    """Shared pages counted in part."""


class Server(Protocol):
    """A broker's process."""

    @property
    def bootstrap_servers(self) -> str: ...

    @property
    def pid(self) -> int: ...

    @property
    def data_directory(self) -> pathlib.Path: ...

    def start(self) -> None: ...

    def close(self) -> None: ...


class OttlaServer:
    """``ottla broker``."""

    def __init__(self, directory: pathlib.Path, settings: Mapping[str, str], port: int = 0) -> None:
        self.data_directory = directory
        self._process = BrokerProcess(directory, settings=settings)
        self._process.port = port

    @property
    def bootstrap_servers(self) -> str:
        return self._process.bootstrap_servers

    @property
    def pid(self) -> int:
        return self._process.pid

    def start(self) -> None:
        self._process.start()

    def close(self) -> None:
        self._process.close()
        shutil.rmtree(self.data_directory, ignore_errors=True)


class KafkaServer:
    """Apache Kafka, broker and controller in one process."""

    def __init__(self, directory: pathlib.Path, settings: Mapping[str, str] | None = None) -> None:
        self._kafka = ApacheKafka(
            directory=directory,
            settings=settings or {},
            heap=KAFKA_HEAP,
            jvm_flags=PRODUCTION_FLAGS,
        )
        self.data_directory = self._kafka.log_directory

    @property
    def bootstrap_servers(self) -> str:
        return self._kafka.bootstrap_servers

    @property
    def pid(self) -> int:
        return self._kafka.pid

    def format(self) -> None:
        """Format the data directory, which takes a JVM of its own."""
        self._kafka.format()

    def start(self) -> None:
        self._kafka.start()

    def close(self) -> None:
        self._kafka.stop()
        shutil.rmtree(self._kafka.directory, ignore_errors=True)


def kafka_version() -> str:
    """The version of the fetched jars."""
    for jar in KAFKA_LIBS.glob("kafka-clients-*.jar"):
        return jar.stem.removeprefix("kafka-clients-")
    return "not fetched"


def address_of(bootstrap_servers: str) -> tuple[str, int]:
    """Host and port as sockets want them."""
    host, _, port = bootstrap_servers.rpartition(":")
    return host.removeprefix("[").removesuffix("]"), int(port)


def start_on_free_port(directory: pathlib.Path, settings: Mapping[str, str]) -> OttlaServer:
    """An Ottla that isn't started yet, whose port is known."""
    return OttlaServer(directory, settings, free_port())


def memory_of(pid: int) -> Memory:
    """What a process holds now."""
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    sizes = {key: int(kib) * 1024 for key, kib in re.findall(r"^(\w+): +(\d+) kB", text, re.M)}
    return Memory(sizes["Rss"], sizes["Pss"])


def peak_resident_bytes(pid: int) -> int:
    """The most a process ever held."""
    found = re.search(r"VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def place(pid: int, cores: set[int]) -> None:
    """Let every thread of a process run on these cores only."""
    for thread in pathlib.Path(f"/proc/{pid}/task").iterdir():
        try:
            os.sched_setaffinity(int(thread.name), cores)
        except ProcessLookupError:
            continue


@contextmanager
def placed_here(cores: set[int]) -> Iterator[None]:
    """Run this process on these cores for a while; what it starts inherits them."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def topic_on(
    server: Server,
    name: str,
    *,
    partitions: int = 1,
    settings: Mapping[str, str] | None = None,
) -> Iterator[str]:
    """A topic that takes produce requests, deleted afterwards: its files are gone, too."""
    create_topic(server.bootstrap_servers, name, partitions, settings or {})
    try:
        _wait_until_writable(server.bootstrap_servers, name, range(partitions))
        yield name
    finally:
        _delete_topic(server, name)


def _wait_until_writable(servers: str, topic: str, partitions: Sequence[int]) -> None:
    """Kafka makes a topic's logs after it has answered."""
    record = single_record(1)
    deadline = time.monotonic() + _GONE_SECONDS
    for index in partitions:
        while True:
            try:
                ask(servers, produce(topic, [(index, record)]))
                break
            except UnexpectedReply:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)


def _delete_topic(server: Server, name: str) -> None:
    message = DeleteTopicsRequest(
        topics=[TopicToDelete(name=name, topic_id=ZERO_UUID)], timeout_ms=30_000
    )
    version = 6
    frame = encode_request(message, version, correlation_id=1, client_id="bench")
    ask(server.bootstrap_servers, Request(frame, DeleteTopicsResponse, version))
    deadline = time.monotonic() + _GONE_SECONDS
    while _has_segments(server.data_directory, name):
        if time.monotonic() > deadline:
            raise TimeoutError(f"the files of {name} are still there")
        time.sleep(0.02)


def _has_segments(directory: pathlib.Path, topic: str) -> bool:
    # Directories to delete are renamed to topic-partition.uuid-delete.
    for partition in directory.iterdir():
        if partition.name.startswith(f"{topic}-"):
            try:
                if any(".log" in name for name in os.listdir(partition)):
                    return True
            except FileNotFoundError:
                continue
    return False


def warm_up(server: Server, seconds: float) -> None:
    """Let a JVM compile what the measurements will use."""
    from bench.load import Connections
    from bench.requests import fetch, learn_shape

    servers = server.bootstrap_servers
    address = address_of(servers)
    with topic_on(server, "warm-up") as topic:
        small = produce(topic, [(0, single_record(100))])
        large = produce(topic, [(0, batch_of(1024, max_bytes=1 << 20))])
        tiny_fetch = fetch(topic, [(0, 0)], partition_bytes=1)
        for request, share in ((small, 0.5), (large, 0.2), (tiny_fetch, 0.3)):
            shape = learn_shape(servers, request)
            with Connections(address, [request.frame], shape, connections=16) as load:
                load.closed_loop(seconds=seconds * share)
