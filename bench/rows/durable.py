"""Acknowledged 1 KiB records per second, durable and not, and what durability costs."""

from __future__ import annotations

from bench.arena import DURABLE, OTTLA, PAGE_CACHE, Arena, Contestant, figures
from bench.load import Connections
from bench.peers import topic_on
from bench.requests import learn_shape, produce, single_record
from bench.results import Row, Samples, at_least, percent_of

_SECTION = "acknowledged 1 KiB records, 1 in flight per connection"
_CONNECTIONS = (1, 16, 64)
_RECORD_BYTES = 1024
_LEAST_PERCENT_OF_PAGE_CACHE = {64: 40}


def measure(arena: Arena) -> list[Row]:
    rows = []
    for connections in _CONNECTIONS:
        page_cache = _acks(arena, PAGE_CACHE, connections)
        durable = _acks(arena, DURABLE, connections)
        rows += [
            Row(_SECTION, f"{connections} connections, {promise}", "acks/s", **found)
            for promise, found in ((PAGE_CACHE, page_cache), (DURABLE, durable))
        ]
        shares = {label: percent_of(durable[label], page_cache[label]) for label in durable}
        ottla = shares[OTTLA]
        assert ottla is not None
        least = _LEAST_PERCENT_OF_PAGE_CACHE.get(connections)
        aim = None if least is None else at_least(ottla.median, least, " %")
        name = "  durable, of page cache"
        rows.append(Row(_SECTION, name, "%", **shares, aim=aim, has_peer_aim=False))
    return rows


def _acks(arena: Arena, promise: str, connections: int) -> dict[str, Samples]:
    def one_run(contestant: Contestant, seconds: float) -> float:
        topic = arena.topic_name()
        with topic_on(contestant.server, topic, settings=contestant.topic_settings):
            request = produce(topic, [(0, single_record(_RECORD_BYTES))])
            shape = learn_shape(contestant.bootstrap_servers, request)
            with Connections(
                contestant.address, [request.frame], shape, connections=connections
            ) as load:
                return load.closed_loop(seconds=seconds).per_second

    return figures(arena.take_turns(promise, one_run, on_all_cores=connections == 1), float)
