"""Bulk fetch: 1 MiB replies of records that are in the page cache."""

from __future__ import annotations

from bench import limits
from bench.arena import OTTLA, PAGE_CACHE, Arena, Contestant, figures
from bench.load import Connections
from bench.peers import topic_on
from bench.requests import Batch, Request, ask, batch_of, fetch, learn_shape, produce
from bench.results import Row, Samples, at_least, percent_of
from bench.rows.ingest import PARTITION_COUNTS, RECORD_SIZES, REQUEST_BYTES, partitions_text

_CONNECTIONS = 4
_SECTION = f"fetch, page cache: 1 MiB replies, {_CONNECTIONS} connections x 1"
# What is read over and over: larger than the processor's caches.
_LOG_REQUESTS = 128
_LEAST_PERCENT_OF_LOOPBACK = 65


def measure(arena: Arena) -> list[Row]:
    rows = []
    for partitions in PARTITION_COUNTS:
        for record_bytes, size in RECORD_SIZES:
            name = f"{size} records, {partitions_text(partitions)}"
            rows += _measure_one(arena, record_bytes, partitions, name)
    return rows


def _measure_one(arena: Arena, record_bytes: int, partitions: int, name: str) -> list[Row]:
    batch = batch_of(record_bytes, max_bytes=REQUEST_BYTES // partitions)
    loopbacks: list[float] = []

    def one_run(contestant: Contestant, seconds: float) -> float:
        topic = arena.topic_name()
        with topic_on(contestant.server, topic, partitions=partitions):
            request = produce(topic, [(index, batch) for index in range(partitions)])
            for _ in range(_LOG_REQUESTS):
                ask(contestant.bootstrap_servers, request)
            requests = fetches(topic, partitions, batch)
            shape = learn_shape(contestant.bootstrap_servers, requests[0])
            frames = [each.frame for each in requests]
            if contestant.label == OTTLA:
                loopbacks.append(
                    limits.loopback_mib_s(
                        arena.effort.bulk_mebibytes, arena.server_cores, arena.load_cores
                    )
                )
            with Connections(contestant.address, frames, shape, connections=_CONNECTIONS) as load:
                done = load.closed_loop(seconds=seconds)
        return done.per_second * shape.size_bytes / limits.MEBIBYTE

    found = figures(arena.take_turns(PAGE_CACHE, one_run), float)
    rows = [Row(_SECTION, name, "MiB/s", **found)]
    if partitions == 1:
        rows.append(_share_row(found, Samples.of(loopbacks[1:])))
    return rows


def fetches(topic: str, partitions: int, batch: Batch) -> list[Request]:
    """Requests that read the topic from its start to its end, a batch of each partition a time."""
    # The first record of each partition showed that it could be written to.
    return [
        fetch(
            topic,
            [(index, 1 + number * batch.record_count) for index in range(partitions)],
            partition_bytes=len(batch.data),
        )
        for number in range(_LOG_REQUESTS)
    ]


def _share_row(found: dict[str, Samples], loopback: Samples) -> Row:
    shares = {label: percent_of(each, loopback) for label, each in found.items()}
    ottla = shares[OTTLA]
    assert ottla is not None
    return Row(
        _SECTION,
        f"  of raw loopback ({loopback.median:.0f} MiB/s)",
        "%",
        **shares,
        aim=at_least(ottla.median, _LEAST_PERCENT_OF_LOOPBACK, " %"),
    )
