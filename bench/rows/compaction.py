"""Compaction of a large table: time, memory, and how produce fares meanwhile."""

from __future__ import annotations

import os
import pathlib
import time
from collections.abc import Callable
from typing import NamedTuple

from bench.arena import KAFKA_ALL_CORES, OTTLA, Arena
from bench.load import Connections, percentile
from bench.pauses import Run, watched, while_running
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
from bench.requests import learn_shape, produce, single_record
from bench.results import Better, Row, Samples, at_most
from ottla.log.names import CLEANER_CHECKPOINT, TopicPartition
from ottla.log.text_files import parse_offset_checkpoint
from ottla.testing.keyed_load import KeyedLoad, read_latest
from ottla.testing.process_memory import reset_peak
from ottla.testing.protocol import Connection
from ottla.wire.api.k44_incremental_alter_configs import (
    ConfigChange,
    IncrementalAlterConfigsRequest,
    ResourceToAlter,
)

_SECTION = "compaction of {records:,} records over {keys:,} keys, 100-byte values"
_FULL = (10_000_000, 1_000_000)
_QUICK = (1_000_000, 100_000)
_SETTINGS = {"log.cleaner.backoff.ms": "100"}
# As Kafka acknowledges: what is measured is who waits for the cleaner, not for the disk.
_OTTLA_SETTINGS = {**COMMON_SETTINGS, **_SETTINGS, "log.flush.policy": "os"}
_BATCH_BYTES = 256 * 1024
_SEGMENT_BYTES = 32 * 1024 * 1024
_MEBIBYTE = 1 << 20
_MOST_MEBIBYTES = 200
_PER_SECOND = 500
_IDLE_SLICES = 10
_SLICE_SECONDS = 0.5
_STALLED_SECONDS = 900.0
_TOPIC_RESOURCE = 2
_SET = 0


class _Found(NamedTuple):
    seconds: float
    mebibytes_per_second: float
    growth_mebibytes: float
    idle_p99_ms: float
    busy_p99_ms: float


def measure(arena: Arena) -> list[Row]:
    makers: dict[str, Callable[[pathlib.Path], Server]] = {
        OTTLA: lambda directory: OttlaServer(directory, _OTTLA_SETTINGS),
    }
    if arena.with_kafka:
        makers[KAFKA_ALL_CORES] = lambda directory: KafkaServer(
            directory, {**KAFKA_SETTINGS, **_SETTINGS}
        )
    records, keys = _FULL if arena.effort.repeats > 1 else _QUICK
    found = {}
    for label, make in makers.items():
        server = make(arena.directory / f"compaction-{label}")
        server.start()
        try:
            found[label] = _measure_one(server, records, keys)
        finally:
            server.close()
    section = _SECTION.format(records=records, keys=keys)
    rows = [
        _row(section, "time", "s", {who: each.seconds for who, each in found.items()}),
        _row(
            section,
            "input",
            "MiB/s",
            {who: each.mebibytes_per_second for who, each in found.items()},
            Better.HIGHER,
        ),
        _row(
            section,
            "most memory above before",
            "MiB",
            {who: each.growth_mebibytes for who, each in found.items()},
        ),
        _row(
            section,
            f"p99 of produce at {_PER_SECOND}/s before",
            "ms",
            {who: each.idle_p99_ms for who, each in found.items()},
        ),
        _row(
            section,
            f"p99 of produce at {_PER_SECOND}/s meanwhile",
            "ms",
            {who: each.busy_p99_ms for who, each in found.items()},
        ),
    ]
    rows[2].aim = at_most(found[OTTLA].growth_mebibytes, _MOST_MEBIBYTES, " MiB")
    return rows


def _row(
    section: str, name: str, unit: str, values: dict[str, float], better: Better = Better.LOWER
) -> Row:
    samples = {who: Samples.of([value]) for who, value in values.items()}
    return Row(section, name, unit, **samples, better=better)


def _measure_one(server: Server, record_count: int, key_count: int) -> _Found:
    """Write the table as an ordinary topic, turn compaction on, and wait until it is done."""
    settings = {
        "cleanup.policy": "delete",
        "retention.ms": "-1",
        "segment.bytes": str(_SEGMENT_BYTES),
        "min.cleanable.dirty.ratio": "0.01",
    }
    servers = server.bootstrap_servers
    load = KeyedLoad(record_count, key_count)
    with topic_on(server, "small") as small, topic_on(server, "table", settings=settings):
        input_bytes = load.produce(servers, "table", _BATCH_BYTES)
        request = produce(small, [(0, single_record(1024))])
        shape = learn_shape(servers, request)
        with Connections(address_of(servers), [request.frame], shape, connections=10) as produces:
            idle = [_produce(produces) for _ in range(_IDLE_SLICES)]
            before_bytes = memory_of(server.pid).resident_bytes
            reset_peak(server.pid)
            begun = time.monotonic()
            _compact(servers, "table")
            end_offset = _last_segment(server.data_directory / "table-0")
            busy: list[Run[list[float]]] = []
            while _cleaned_up_to(server.data_directory, "table") < end_offset:
                busy.append(_produce(produces))
                if time.monotonic() - begun > _STALLED_SECONDS:
                    raise TimeoutError("the table is still not compacted")
            seconds = time.monotonic() - begun
        peak_bytes = peak_resident_bytes(server.pid)
        found, _ = read_latest(servers, "table", key_count)
        if found != load.latest:
            raise AssertionError("the compacted table is not the one that was written")
    return _Found(
        seconds,
        input_bytes / _MEBIBYTE / seconds,
        (peak_bytes - before_bytes) / _MEBIBYTE,
        percentile(while_running(idle), 99) * 1000,
        percentile(while_running(busy), 99) * 1000,
    )


def _produce(produces: Connections) -> Run[list[float]]:
    return watched(
        os.sched_getaffinity(0),
        lambda: produces.open_loop(per_second=_PER_SECOND, seconds=_SLICE_SECONDS),
    )


def _compact(servers: str, topic: str) -> None:
    change = ConfigChange(name="cleanup.policy", config_operation=_SET, value="compact")
    resource = ResourceToAlter(resource_type=_TOPIC_RESOURCE, resource_name=topic, configs=[change])
    with Connection(servers) as connection:
        reply = connection.ask(
            IncrementalAlterConfigsRequest(resources=[resource], validate_only=False), 1
        )
    if reply.responses[0].error_code:
        raise RuntimeError(f"alter configs: error {reply.responses[0].error_code}")


def _last_segment(directory: pathlib.Path) -> int:
    return max(int(path.stem) for path in directory.glob("*.log"))


def _cleaned_up_to(directory: pathlib.Path, topic: str) -> int:
    try:
        data = (directory / CLEANER_CHECKPOINT).read_bytes()
    except FileNotFoundError:
        return -1
    # Kafka's is empty until there is something to say.
    return parse_offset_checkpoint(data).get(TopicPartition(topic, 0), -1) if data else -1
