"""Bulk produce: 1 MiB requests of uncompressed records, ``acks=all``."""

from __future__ import annotations

from bench import limits
from bench.arena import DURABLE, OTTLA, PAGE_CACHE, PROMISES, Arena, Contestant, figures
from bench.load import Connections
from bench.pauses import Run, undisturbed, watched
from bench.peers import topic_on
from bench.requests import Request, batch_of, learn_shape, produce
from bench.results import Row, Samples, at_least, percent_of
from bench.warm_memory import warm_append_mib_s

REQUEST_BYTES = 1 << 20
RECORD_SIZES = ((100, "100 B"), (1024, "1 KiB"), (10 * 1024, "10 KiB"))
PARTITION_COUNTS = (1, 10)
CONNECTIONS, IN_FLIGHT = 4, 2
_LONGEST_SECONDS = 20.0
_LEAST_PERCENT_OF_APPEND = 60


def measure(arena: Arena) -> list[Row]:
    rows = []
    for promise in PROMISES:
        section = f"ingest, {promise}: 1 MiB requests, {CONNECTIONS} connections x {IN_FLIGHT}"
        for partitions in PARTITION_COUNTS:
            for record_bytes, size in RECORD_SIZES:
                name = f"{size} records, {partitions_text(partitions)}"
                rows += _measure_one(arena, promise, record_bytes, partitions, section, name)
    return rows


def partitions_text(partitions: int) -> str:
    """``1 partition`` or ``n partitions``."""
    return f"{partitions} partition{'s' if partitions > 1 else ''}"


def bulk_request(
    topic: str, record_bytes: int, partitions: int, *, first_partition: int = 0
) -> Request:
    """A request of about 1 MiB, a batch to each of the partitions."""
    batch = batch_of(record_bytes, max_bytes=REQUEST_BYTES // partitions)
    return produce(topic, [(first_partition + index, batch) for index in range(partitions)])


def _measure_one(
    arena: Arena, promise: str, record_bytes: int, partitions: int, section: str, name: str
) -> list[Row]:
    mebibytes = arena.effort.bulk_mebibytes // (4 if promise == DURABLE else 1)
    appends: list[float] = []

    def one_run(contestant: Contestant, _: float) -> float:
        rate, appended = undisturbed(lambda: ingest(contestant))
        appends.append(appended)
        return rate

    def ingest(contestant: Contestant) -> Run[tuple[float, float]]:
        topic = arena.topic_name()
        request = bulk_request(topic, record_bytes, partitions)
        with topic_on(
            contestant.server, topic, partitions=partitions, settings=contestant.topic_settings
        ):
            shape = learn_shape(contestant.bootstrap_servers, request)
            with Connections(
                contestant.address,
                [request.frame],
                shape,
                connections=CONNECTIONS,
                in_flight=IN_FLIGHT,
            ) as load:
                appended = warm_append_mib_s(arena.directory, mebibytes, arena.server_cores)
                run = watched(
                    arena.all_cores,
                    lambda: load.closed_loop(seconds=_LONGEST_SECONDS, max_requests=mebibytes),
                )
        rate = run.measured.per_second * len(request.frame) / limits.MEBIBYTE
        return Run((rate, appended), run.pause_seconds)

    found = figures(arena.take_turns(promise, one_run), float)
    rows = [Row(section, name, "MiB/s", **found)]
    if promise == PAGE_CACHE and partitions == 1:
        rows.append(_share_row(section, name, found, Samples.of(appends[len(found) :])))
    return rows


def _share_row(section: str, name: str, found: dict[str, Samples], append: Samples) -> Row:
    shares = {label: percent_of(each, append) for label, each in found.items()}
    ottla = shares[OTTLA]
    assert ottla is not None
    return Row(
        section,
        f"  of page-cache append ({append.median:.0f} MiB/s)",
        "%",
        **shares,
        aim=at_least(ottla.median, _LEAST_PERCENT_OF_APPEND, " %"),
    )
