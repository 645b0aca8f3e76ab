"""Resident memory: idle after a start, per idle connection, and after load."""

from __future__ import annotations

import pathlib
import resource
import socket
import time
from collections.abc import Callable

from bench.arena import KAFKA_ALL_CORES, OTTLA, Arena
from bench.load import Connections
from bench.peers import (
    COMMON_SETTINGS,
    KAFKA_SETTINGS,
    KafkaServer,
    OttlaServer,
    Server,
    address_of,
    memory_of,
    peak_resident_bytes,
    topic_on,
)
from bench.requests import api_versions, learn_shape, produce, single_record
from bench.results import Better, Row, Samples, at_most
from bench.rows.ingest import bulk_request

_SECTION = "resident memory"
# A JVM goes on loading and compiling for a while after it serves.
_SETTLE_SECONDS = 3.0
_MOST_BYTES_PER_CONNECTION_KIB = 8
_MOST_OF_KAFKA = 0.1
_SPARE_DESCRIPTORS = 500
_MEBIBYTE = 1 << 20


def measure(arena: Arena) -> list[Row]:
    found: dict[str, dict[str, Samples]] = {}
    makers: dict[str, Callable[[pathlib.Path], Server]] = {
        OTTLA: lambda directory: OttlaServer(directory, COMMON_SETTINGS),
    }
    if arena.with_kafka:
        makers[KAFKA_ALL_CORES] = lambda directory: KafkaServer(directory, KAFKA_SETTINGS)
    count = _connections_possible(arena.effort.idle_connections)
    for label, make in makers.items():
        server = make(arena.directory / f"memory-{label}")
        server.start()
        try:
            for name, value in _measure_one(arena, server, count).items():
                found.setdefault(name, {})[label] = Samples.of([value])
        finally:
            server.close()
    return [_row(name, values) for name, values in found.items()]


def _row(name: str, values: dict[str, Samples]) -> Row:
    unit = "KiB" if "connection" in name else "MiB"
    row = Row(_SECTION, name, unit, **values, better=Better.LOWER)
    if "connection" in name:
        row.aim = at_most(values[OTTLA].median, _MOST_BYTES_PER_CONNECTION_KIB, " KiB")
    elif "idle" in name and KAFKA_ALL_CORES in values:
        share = values[OTTLA].median / values[KAFKA_ALL_CORES].median
        row.aim = at_most(share, _MOST_OF_KAFKA, " of Kafka's")
    return row


def _measure_one(arena: Arena, server: Server, connections: int) -> dict[str, float]:
    time.sleep(_SETTLE_SECONDS)
    idle = memory_of(server.pid)
    per_connection = _bytes_per_connection(server, connections)
    _load(arena, server)
    loaded = memory_of(server.pid)
    return {
        "idle, resident": idle.resident_bytes / _MEBIBYTE,
        "idle, proportional": idle.proportional_bytes / _MEBIBYTE,
        f"per idle connection ({connections} of them)": per_connection / 1024,
        "after load, resident": loaded.resident_bytes / _MEBIBYTE,
        "peak, resident": peak_resident_bytes(server.pid) / _MEBIBYTE,
    }


def _bytes_per_connection(server: Server, count: int) -> float:
    """What connections that asked for the API versions, as every client does, leave behind."""
    address = address_of(server.bootstrap_servers)
    request = api_versions()
    shape = learn_shape(server.bootstrap_servers, request)
    sockets: list[socket.socket] = []
    _greet(address, request.frame, shape.size_bytes).close()
    before = memory_of(server.pid).proportional_bytes
    try:
        sockets.extend(_greet(address, request.frame, shape.size_bytes) for _ in range(count))
        return (memory_of(server.pid).proportional_bytes - before) / count
    finally:
        for each in sockets:
            each.close()


def _greet(address: tuple[str, int], frame: bytes, reply_bytes: int) -> socket.socket:
    connection = socket.create_connection(address)
    connection.sendall(frame)
    left = reply_bytes
    while left:
        left -= len(connection.recv(left))
    return connection


def _load(arena: Arena, server: Server) -> None:
    """Bulk produce and many small requests, one after the other."""
    topic = arena.topic_name()
    address = address_of(server.bootstrap_servers)
    with topic_on(server, topic):
        bulk = bulk_request(topic, 1024, 1)
        small = produce(topic, [(0, single_record(100))])
        for request, count in ((bulk, arena.effort.bulk_mebibytes), (small, 20_000)):
            shape = learn_shape(server.bootstrap_servers, request)
            with Connections(address, [request.frame], shape, connections=64, in_flight=2) as load:
                load.closed_loop(seconds=30, max_requests=count)


def _connections_possible(wanted: int) -> int:
    """As many as wanted, or as descriptors allow; the servers inherit our limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return max(1, min(wanted, hard - _SPARE_DESCRIPTORS))
