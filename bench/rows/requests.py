"""Small requests per second."""

from __future__ import annotations

from collections.abc import Callable

from bench.arena import DURABLE, PAGE_CACHE, Arena, Contestant, figures
from bench.load import Connections
from bench.peers import topic_on
from bench.requests import (
    Request,
    api_versions,
    fetch,
    learn_shape,
    metadata,
    produce,
    single_record,
)
from bench.results import Row

_CONNECTIONS = 50
_RECORD_BYTES = 100
_PARTITIONS = 10

Make = Callable[[str], Request]


def measure(arena: Arena) -> list[Row]:
    kinds: list[tuple[str, str, int, Make]] = [
        ("produce 100 B", PAGE_CACHE, 1, _tiny_produce),
        ("produce 100 B", PAGE_CACHE, 8, _tiny_produce),
        ("produce 100 B", DURABLE, 1, _tiny_produce),
        ("produce 100 B", DURABLE, 8, _tiny_produce),
        ("fetch at the log's end", PAGE_CACHE, 1, _empty_fetch),
        (f"metadata, {_PARTITIONS} partitions", PAGE_CACHE, 1, metadata),
        ("API versions", PAGE_CACHE, 1, lambda _: api_versions()),
    ]
    return [_measure_one(arena, *kind) for kind in kinds]


def _tiny_produce(topic: str) -> Request:
    return produce(topic, [(0, single_record(_RECORD_BYTES))])


def _empty_fetch(topic: str) -> Request:
    # One record showed that the topic could be written to.
    return fetch(topic, [(0, 1)], partition_bytes=1 << 20)


def _measure_one(arena: Arena, name: str, promise: str, in_flight: int, make: Make) -> Row:
    def one_run(contestant: Contestant, seconds: float) -> float:
        topic = arena.topic_name()
        with topic_on(
            contestant.server, topic, partitions=_PARTITIONS, settings=contestant.topic_settings
        ):
            request = make(topic)
            shape = learn_shape(contestant.bootstrap_servers, request)
            with Connections(
                contestant.address,
                [request.frame],
                shape,
                connections=_CONNECTIONS,
                in_flight=in_flight,
            ) as load:
                return load.closed_loop(seconds=seconds).per_second

    results = arena.take_turns(promise, one_run)
    section = f"small requests, {_CONNECTIONS} connections"
    text = f"{name}, {promise}, {in_flight} in flight"
    return Row(section, text, "requests/s", **figures(results, float))
