"""How long a produce takes to be acknowledged at a modest rate, alone and beside bulk ingest.

A run during which the machine itself stood still (see ``bench.pauses``) is taken again.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from bench import limits
from bench.arena import PAGE_CACHE, PROMISES, Arena, Contestant, figures
from bench.load import Connections, percentile
from bench.pauses import Run, undisturbed, watched
from bench.peers import topic_on
from bench.requests import learn_shape, produce, single_record
from bench.results import Better, Row
from bench.rows.ingest import bulk_request
from bench.warm_memory import warm_append_mib_s

_CONNECTIONS = 10
_RECORD_BYTES = 1024
_PER_SECOND = 500
# So that one in a thousand is more than one or two requests.
_LONGER = 4
_PERCENTILES = ((50.0, "p50"), (99.0, "p99"), (99.9, "p99.9"))

_PER_SECOND_BESIDE_BULK = 1000
_BULK_CONNECTIONS, _BULK_IN_FLIGHT = 2, 2
# What a second of it makes dirty stays below the kernel's limits.
_BULK_SECONDS = 0.7
_BULK_MEBIBYTES = 1500
_MEASURED_SECONDS = 0.5
_REPORT = struct.Struct("d")


def measure(arena: Arena) -> list[Row]:
    rows = []
    for promise in PROMISES:
        section = f"acks=all at {_PER_SECOND}/s, 1 KiB, {_CONNECTIONS} connections, {promise}"
        results = arena.take_turns(
            promise, lambda who, seconds: _alone(arena, who, seconds), on_all_cores=True
        )
        rows += _rows(section, results, _PERCENTILES)
    return rows + _measure_beside_bulk(arena)


def _alone(arena: Arena, contestant: Contestant, seconds: float) -> list[float]:
    topic = arena.topic_name()
    with (
        topic_on(contestant.server, topic, settings=contestant.topic_settings),
        _small_produces(contestant, topic) as load,
    ):
        return undisturbed(
            lambda: watched(
                arena.all_cores,
                lambda: load.open_loop(per_second=_PER_SECOND, seconds=seconds * _LONGER),
            )
        )


def _measure_beside_bulk(arena: Arena) -> list[Row]:
    bulk: dict[str, list[float]] = {}

    def one_run(contestant: Contestant, _: float) -> list[float]:
        topic = arena.topic_name()
        rates: list[float] = []

        def beside_bulk() -> Run[list[float]]:
            warm_append_mib_s(arena.directory, _BULK_MEBIBYTES, arena.server_cores)
            with _bulk_ingest(contestant, topic) as found:
                run = watched(
                    arena.all_cores,
                    lambda: load.open_loop(
                        per_second=_PER_SECOND_BESIDE_BULK, seconds=_MEASURED_SECONDS
                    ),
                )
            rates[:] = found
            return run

        with (
            topic_on(contestant.server, topic, partitions=2),
            _small_produces(contestant, topic) as load,
        ):
            latencies = undisturbed(beside_bulk)
        bulk.setdefault(contestant.label, []).extend(rates)
        return latencies

    section = f"acks=all at {_PER_SECOND_BESIDE_BULK}/s beside bulk ingest, {PAGE_CACHE}"
    rows = _rows(section, arena.take_turns(PAGE_CACHE, one_run), _PERCENTILES[:2])
    rates = figures({label: rates[1:] for label, rates in bulk.items()}, float)
    rows.append(Row(section, "  the bulk meanwhile", "MiB/s", **rates, has_peer_aim=False))
    return rows


def _small_produces(contestant: Contestant, topic: str) -> Connections:
    request = produce(topic, [(0, single_record(_RECORD_BYTES))])
    shape = learn_shape(contestant.bootstrap_servers, request)
    return Connections(contestant.address, [request.frame], shape, connections=_CONNECTIONS)


@contextmanager
def _bulk_ingest(contestant: Contestant, topic: str) -> Iterator[list[float]]:
    """Ingest by another process into the topic's second partition.

    The list holds the MiB/s it came to, once the block has been left.
    """
    request = bulk_request(topic, 1024, 1, first_partition=1)
    shape = learn_shape(contestant.bootstrap_servers, request)
    rates: list[float] = []
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            # It shares a core with those who measure: they go first.
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
            with Connections(
                contestant.address,
                [request.frame],
                shape,
                connections=_BULK_CONNECTIONS,
                in_flight=_BULK_IN_FLIGHT,
            ) as load:
                done = load.closed_loop(seconds=_BULK_SECONDS, max_requests=_BULK_MEBIBYTES)
            rate = done.per_second * len(request.frame) / limits.MEBIBYTE
            os.write(writer, _REPORT.pack(rate))
        finally:
            os._exit(0)
    os.close(writer)
    try:
        yield rates
    finally:
        report = os.read(reader, _REPORT.size)
        os.close(reader)
        os.waitpid(child, 0)
    rates.extend(_REPORT.unpack(report))


def _rows(
    section: str,
    results: dict[str, list[list[float]]],
    percentiles: Sequence[tuple[float, str]],
) -> list[Row]:
    rows = []
    for percent, name in percentiles:
        found = figures(results, lambda seconds, at=percent: percentile(seconds, at) * 1000)
        rows.append(Row(section, name, "ms", **found, better=Better.LOWER))
    return rows
