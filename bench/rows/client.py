"""Ottla's client beside other libraries: the same broker, a process per library and task."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from bench.arena import PAGE_CACHE, Arena
from bench.clients.task import Task, Told, perform
from bench.load import Connections, percentile
from bench.peers import Server, address_of, place, topic_on
from bench.requests import batch_of, learn_shape, produce
from bench.results import Aim, Better, Row, Samples, at_least, at_most
from bench.warm_memory import warm_append_mib_s

OTTLA, CONFLUENT, CONFLUENT_DEFAULTS = "Ottla", "confluent", "its defaults"
AIOKAFKA, KAFKA_PYTHON = "aiokafka", "kafka-python"
_PARTITIONS = 4
_MEBIBYTE = 1 << 20
_FILLED_BYTES = 100 * _MEBIBYTE
# What no library writes more than in a second, by the size of the values.
_MOST_MEBIBYTES_PER_SECOND = {100: 768, 1024: 2048}
_HELD_SECONDS = 2.0
_IMPORTS = 7

_PRODUCER: Mapping[str, object] = {
    "queue.buffering.max.messages": 1_000_000,
    "batch.num.messages": 100_000,
}
_CONSUMER: Mapping[str, object] = {
    "fetch.queue.backoff.ms": 1,
    "queued.max.messages.kbytes": 262_144,
    "fetch.max.bytes": 16 * _MEBIBYTE,
    "max.partition.fetch.bytes": 4 * _MEBIBYTE,
}
_KAFKA_PYTHON: Mapping[str, object] = {"linger_ms": 5, "batch_size": 1_000_000}


class Contestant(NamedTuple):
    """A library with certain settings."""

    label: str
    library: str
    settings: Mapping[str, object]


class Work(NamedTuple):
    """A row about one program."""

    name: str
    program: str
    contestants: Sequence[Contestant]
    value_bytes: int = 100
    keys: int = 0
    least_times_faster: float | None = None
    most_of_cpu: float | None = None


def _confluents(best: Mapping[str, object], **more: object) -> list[Contestant]:
    extra = {key.replace("_", "."): value for key, value in more.items()}
    return [
        Contestant(OTTLA, "ottla", {**best, **extra}),
        Contestant(CONFLUENT, "confluent_kafka", {**best, **extra}),
        Contestant(CONFLUENT_DEFAULTS, "confluent_kafka", extra),
    ]


_PRODUCERS = _confluents(_PRODUCER)
_ALL_PRODUCERS = [*_PRODUCERS, Contestant(KAFKA_PYTHON, "kafka", _KAFKA_PYTHON)]
_COMPRESSING = _confluents(_PRODUCER, compression_type="lz4")
_CONSUMERS = _confluents(_CONSUMER)
_ALL_CONSUMERS = [*_CONSUMERS, Contestant(KAFKA_PYTHON, "kafka", {"group_id": None})]
_SENDERS = [
    Contestant(OTTLA, "ottla.aio", _PRODUCER),
    Contestant(CONFLUENT, "confluent_kafka.aio", _PRODUCER),
    Contestant(AIOKAFKA, "aiokafka", {"linger_ms": 5, "max_batch_size": 1_000_000}),
]
_RECEIVERS = [
    Contestant(OTTLA, "ottla.aio", _CONSUMER),
    Contestant(CONFLUENT, "confluent_kafka.aio", _CONSUMER),
    Contestant(AIOKAFKA, "aiokafka", {}),
]
_AT_ONCE = _confluents({"linger.ms": 0})[:2]

_PRODUCING = (
    Work("100 B", "produce", _ALL_PRODUCERS, least_times_faster=3.5, most_of_cpu=0.25),
    Work("100 B, 1000 keys", "produce", _PRODUCERS, keys=1000),
    Work("100 B, callbacks", "produce_with_callbacks", _PRODUCERS, least_times_faster=3.5),
    Work("100 B, lz4", "produce", _COMPRESSING),
    Work("1 KiB", "produce", _PRODUCERS, 1024, least_times_faster=1.4),
    Work("1 KiB, callbacks", "produce_with_callbacks", _PRODUCERS, 1024, least_times_faster=2.5),
    Work("1 KiB, lz4", "produce", _COMPRESSING, 1024),
)
_CONSUMING = (
    Work("100 B, poll()", "poll", _CONSUMERS, least_times_faster=4),
    Work("100 B, poll(), touched", "poll_and_touch", _ALL_CONSUMERS, least_times_faster=2.5),
    Work("100 B, consume(500)", "consume", _CONSUMERS, least_times_faster=4),
    Work("100 B, consume(500), touched", "consume_and_touch", _CONSUMERS, least_times_faster=2),
    Work("1 KiB, poll(), touched", "poll_and_touch", _CONSUMERS, 1024),
    Work("1 KiB, consume(500)", "consume", _CONSUMERS, 1024, least_times_faster=1.2),
    Work(
        "1 KiB, consume(500), touched",
        "consume_and_touch",
        _CONSUMERS,
        1024,
        least_times_faster=1.2,
    ),
)
_LATENCIES = (
    Work("one at a time, the application computing", "acknowledgement_one_at_a_time", _AT_ONCE),
    Work("100 in flight, a loop of produce()", "acknowledgement_in_a_tight_loop", _AT_ONCE),
)
_READING = {"poll", "poll_and_touch", "consume", "consume_and_touch", "hold", "receive"}
_WRITING = {"produce", "produce_with_callbacks"}
_MOST_ACKNOWLEDGEMENT_MS = 2.0
_MOST_IMPORT_MS = 60.0
_ASYNC_TIMES = {(CONFLUENT, "send"): 10.0, (AIOKAFKA, "send"): 5.0, (CONFLUENT, "receive"): 5.0}


def measure(arena: Arena) -> list[Row]:
    server = arena.ottla(PAGE_CACHE)
    place(server.pid, arena.server_cores)
    return [
        *_throughput(arena, server, "producing, messages/s", _PRODUCING),
        *_throughput(arena, server, "consuming, messages/s", _CONSUMING),
        *_asynchronous(arena, server),
        *_acknowledgements(arena, server),
        *_memory(arena, server),
        _imports(arena),
    ]


def _throughput(arena: Arena, server: Server, section: str, works: Sequence[Work]) -> list[Row]:
    rows = []
    with _filled_topics(server) as filled:
        for work in works:
            told = _turns(arena, server, work, filled)
            rates = {
                label: Samples.of([each.per_second for each in t]) for label, t in told.items()
            }
            rows.append(_row(f"client: {section}", work.name, "/s", rates))
            if work.least_times_faster is not None and rows[-1].ratio is not None:
                rows[-1].aim = at_least(rows[-1].ratio, work.least_times_faster, "x")
            rows.append(_cpu_row(f"client: {section}", told, work.most_of_cpu))
    return rows


def _cpu_row(section: str, told: Mapping[str, list[Told]], most: float | None) -> Row:
    costs = _samples(told, lambda each: each.cpu_ns)
    row = _row(section, "  CPU per message", "ns", costs, better=Better.LOWER)
    row.aim = None
    if most is not None and row.ratio is not None:
        row.aim = at_most(1 / row.ratio, most, " of the best")
    return row


def _asynchronous(arena: Arena, server: Server) -> list[Row]:
    rows = []
    section = "client: asyncio, 100 B, messages/s"
    with _filled_topics(server) as filled:
        for work in (
            Work("send, 1000 awaited together", "send", _SENDERS),
            Work("receive, touched", "receive", _RECEIVERS),
        ):
            told = _turns(arena, server, work, filled)
            rates = {
                label: Samples.of([each.per_second for each in t]) for label, t in told.items()
            }
            row = _row(section, work.name, "/s", rates)
            row.aim = _asynchronous_aim(work.program, rates)
            rows += [row, _cpu_row(section, told, None)]
    return rows


def _asynchronous_aim(program: str, rates: Mapping[str, Samples]) -> Aim | None:
    aims = {label: times for (label, name), times in _ASYNC_TIMES.items() if name == program}
    if OTTLA not in rates:
        return None
    met = [rates[OTTLA].median >= rates[label].median * times for label, times in aims.items()]
    text = ", ".join(f">= {times:g}x {label}" for label, times in aims.items())
    return Aim(text, all(met))


def _acknowledgements(arena: Arena, server: Server) -> list[Row]:
    rows = []
    for work in _LATENCIES:
        told = _turns(arena, server, work, {})
        for percent in (50.0, 99.0):
            times = _samples(told, lambda each, at=percent: percentile(each.latencies_ms, at))
            name = f"p{percent:g}, {work.name}"
            row = _row("client: acknowledged after", name, "ms", times, better=Better.LOWER)
            if percent > 50 and row.ottla is not None:
                row.aim = at_most(row.ottla.median, _MOST_ACKNOWLEDGEMENT_MS, " ms")
            rows.append(row)
    return rows


def _memory(arena: Arena, server: Server) -> list[Row]:
    rows = []
    with _filled_topics(server) as filled:
        for name, work in (
            ("after producing 100 B", Work("", "produce", _confluents({})[:2])),
            ("a consumer whose application is busy", Work("", "hold", _confluents({})[:2])),
        ):
            told = _turns(
                arena,
                server,
                work,
                filled,
                seconds=_HELD_SECONDS / 2,
                bursts=1,
                warms_memory=False,
            )
            peaks = _samples(told, lambda each: each.peak_resident_bytes / _MEBIBYTE)
            row = _row(
                "client: memory at its peak, defaults", name, "MiB", peaks, better=Better.LOWER
            )
            rows.append(row)
    return rows


def _imports(arena: Arena) -> Row:
    code = {
        OTTLA: "import ottla; ottla.Producer; ottla.Consumer",
        CONFLUENT: "import confluent_kafka; confluent_kafka.Producer; confluent_kafka.Consumer",
        AIOKAFKA: "import aiokafka",
        KAFKA_PYTHON: "import kafka; kafka.KafkaProducer; kafka.KafkaConsumer",
    }
    # Compiled once, as an installed library is.
    cache = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(arena.directory / "pyc")}
    environment = {**os.environ, **cache}
    bare = _fastest_ms("pass", environment)
    times = {
        label: Samples.of([_fastest_ms(program, environment) - bare])
        for label, program in code.items()
    }
    row = _row("client: import", "Producer and Consumer", "ms", times, better=Better.LOWER)
    row.aim = at_most(times[OTTLA].median, _MOST_IMPORT_MS, " ms")
    return row


def _fastest_ms(code: str, environment: Mapping[str, str]) -> float:
    times = []
    for _ in range(_IMPORTS):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], env=dict(environment), check=True)
        times.append((time.perf_counter() - start) * 1000)
    return min(times)


def _turns(
    arena: Arena,
    server: Server,
    work: Work,
    filled: Mapping[int, tuple[str, int]],
    *,
    seconds: float | None = None,
    bursts: int = 2,
    warms_memory: bool = True,
) -> dict[str, list[Told]]:
    """What each contestant told, turn by turn; a program warms itself up.

    Memory is made ready before each turn of a producer: whoever came after somebody who had used
    much of it would have it at once, the others would wait for the hypervisor.
    """
    told: dict[str, list[Told]] = {each.label: [] for each in work.contestants}
    seconds = seconds or arena.effort.seconds / 4
    written_mebibytes = int(
        _MOST_MEBIBYTES_PER_SECOND[work.value_bytes] * seconds * (bursts + 1 / 4)
    )
    for _ in range(arena.effort.repeats):
        for contestant in work.contestants:
            with _topic_for(arena, server, work, filled) as (topic, messages):
                if warms_memory and work.program in _WRITING:
                    warm_append_mib_s(arena.directory, written_mebibytes, arena.server_cores)
                task = Task(
                    contestant.library,
                    work.program,
                    server.bootstrap_servers,
                    topic,
                    dict(contestant.settings),
                    work.value_bytes,
                    work.keys,
                    messages,
                    seconds,
                    bursts,
                )
                told[contestant.label].append(perform(task))
    return told


@contextmanager
def _topic_for(
    arena: Arena, server: Server, work: Work, filled: Mapping[int, tuple[str, int]]
) -> Iterator[tuple[str, int]]:
    if work.program in _READING:
        yield filled[work.value_bytes]
    else:
        with topic_on(server, arena.topic_name(), partitions=_PARTITIONS) as topic:
            yield topic, 0


@contextmanager
def _filled_topics(server: Server) -> Iterator[dict[int, tuple[str, int]]]:
    """Topics with messages of 100 B and of 1 KiB: by the size, the name and the number of them."""
    with (
        topic_on(server, "bench-100", partitions=_PARTITIONS) as small,
        topic_on(server, "bench-1024", partitions=_PARTITIONS) as large,
    ):
        yield {
            size: (topic, _fill(server, topic, size))
            for size, topic in ((100, small), (1024, large))
        }


def _samples(told: Mapping[str, list[Told]], figure: Callable[[Told], float]) -> dict[str, Samples]:
    return {label: Samples.of([figure(each) for each in turns]) for label, turns in told.items()}


def _fill(server: Server, topic: str, value_bytes: int) -> int:
    batch = batch_of(value_bytes, max_bytes=_MEBIBYTE // _PARTITIONS)
    request = produce(topic, [(number, batch) for number in range(_PARTITIONS)])
    servers = server.bootstrap_servers
    shape = learn_shape(servers, request)  # which takes one
    count = _FILLED_BYTES // _MEBIBYTE - 1
    with Connections(address_of(servers), [request.frame], shape, connections=1) as load:
        load.closed_loop(seconds=30, max_requests=count)
    return (count + 1) * _PARTITIONS * batch.record_count


def _row(
    section: str,
    name: str,
    unit: str,
    found: Mapping[str, Samples],
    *,
    better: Better = Better.HIGHER,
) -> Row:
    others = {label: samples for label, samples in found.items() if label != OTTLA}
    return Row(section, name, unit, found.get(OTTLA), libraries=others, better=better)
