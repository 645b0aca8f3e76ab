"""From exec to listening, and to the first acknowledged record; the data directory is new."""

from __future__ import annotations

import pathlib
import shutil
import socket
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from bench.arena import KAFKA_ALL_CORES, OTTLA, Arena, figures
from bench.peers import KAFKA_SETTINGS, KafkaServer, Server, address_of, start_on_free_port
from bench.requests import UnexpectedReply, ask, produce, single_record
from bench.results import Better, Row, at_least
from ottla.testing.topics import create_topic
from ottla.wire.errors import ProtocolError

_SECTION = "start, new data directory, all cores"
_LOOK_AGAIN_SECONDS = 0.0005
_LONGEST_SECONDS = 60.0
_LEAST_TIMES_FASTER = 30


class Start(NamedTuple):
    """Seconds since the process was started."""

    listening: float
    acknowledged: float


def measure(arena: Arena) -> list[Row]:
    starts: dict[str, list[Start]] = {OTTLA: [], KAFKA_ALL_CORES: []}
    # Like an installed program, it is to find its bytecode and its files in the page cache.
    _time_start(_ottla, arena.directory / "start-warm")
    for number in range(arena.effort.starts):
        directory = arena.directory / f"start-{number}"
        starts[OTTLA].append(_time_start(_ottla, directory))
        if arena.with_kafka:
            starts[KAFKA_ALL_CORES].append(_time_start(_formatted_kafka, directory))
    listening = figures(starts, lambda start: start.listening * 1000)
    acknowledged = figures(starts, lambda start: start.acknowledged * 1000)
    first = Row(_SECTION, "exec to listening", "ms", **listening, better=Better.LOWER)
    if first.ratio is not None:
        first.aim = at_least(first.ratio, _LEAST_TIMES_FASTER, "x faster")
    name = "exec to the first acknowledged record"
    return [first, Row(_SECTION, name, "ms", **acknowledged, better=Better.LOWER)]


def _ottla(directory: pathlib.Path) -> Server:
    return start_on_free_port(directory, {})


def _formatted_kafka(directory: pathlib.Path) -> Server:
    # Formatting is a command of its own, in a JVM of its own; it isn't counted.
    kafka = KafkaServer(directory, KAFKA_SETTINGS)
    kafka.format()
    return kafka


def _time_start(make: Callable[[pathlib.Path], Server], directory: pathlib.Path) -> Start:
    server = make(directory)
    found: list[Start] = []
    begun = time.perf_counter()
    watcher = threading.Thread(
        target=lambda: found.append(_watch(server.bootstrap_servers, begun)), daemon=True
    )
    watcher.start()
    try:
        server.start()
        watcher.join(_LONGEST_SECONDS)
    finally:
        server.close()
        shutil.rmtree(directory, ignore_errors=True)
    return found[0]


def _watch(servers: str, begun: float) -> Start:
    _insist(lambda: socket.create_connection(address_of(servers)).close())
    listening = time.perf_counter() - begun
    _insist(lambda: create_topic(servers, "first", 1, {}))
    request = produce("first", [(0, single_record(100))])
    _insist(lambda: ask(servers, request))
    return Start(listening, time.perf_counter() - begun)


def _insist(attempt: Callable[[], object]) -> None:
    """Try until it works: a broker that starts refuses connections, and Kafka requests, too."""
    deadline = time.perf_counter() + _LONGEST_SECONDS
    while True:
        try:
            attempt()
        except (OSError, ProtocolError, UnexpectedReply):
            if time.perf_counter() > deadline:
                raise
            time.sleep(_LOOK_AGAIN_SECONDS)
        else:
            return
