"""Exactly-once copies: fetch, produce, commit the offset, end the transaction, again."""

from __future__ import annotations

import time

from bench.arena import PROMISES, Arena, Contestant, figures
from bench.copiers import Copier, copy_once
from bench.peers import topic_on
from bench.requests import Batch, ask, produce
from bench.results import Row
from ottla.records.encode import BatchBuilder

_RECORD_BYTES = 1024
_BATCHES = 8
_SHAPES = ((1, 1), (1, 100), (8, 100))
"""Copiers at work, records in a transaction."""


def measure(arena: Arena) -> list[Row]:
    rows = []
    for promise in PROMISES:
        section = f"transactional copy, {_RECORD_BYTES // 1024} KiB records, {promise}"
        for copiers, records in _SHAPES:
            results = arena.take_turns(
                promise,
                lambda who, seconds, copiers=copiers, records=records: _copy(  # type: ignore[misc]
                    arena, who, seconds, copiers, records
                ),
            )
            name = f"{_count(copiers, 'copier')}, {_count(records, 'record')} a transaction"
            rows.append(Row(section, name, "records/s", **figures(results, float)))
    return rows


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number > 1 else ''}"


def _copy(
    arena: Arena, contestant: Contestant, seconds: float, copiers: int, records: int
) -> float:
    """Records copied in a second."""
    source, target = arena.topic_name(), arena.topic_name()
    settings = contestant.topic_settings
    with (
        topic_on(contestant.server, source, partitions=copiers),
        topic_on(contestant.server, target, partitions=copiers, settings=settings),
    ):
        batch = _records(records)
        servers = contestant.bootstrap_servers
        whole = Batch(batch.close(), batch.record_count)
        for index in range(copiers):
            for _ in range(_BATCHES):
                ask(servers, produce(source, [(index, whole)]))
        made = [Copier(servers, source, target, index, batch, _BATCHES) for index in range(copiers)]
        try:
            return _rate(made, seconds) * records
        finally:
            for copier in made:
                copier.connection.close()


def _records(count: int) -> BatchBuilder:
    builder = BatchBuilder()
    now_ms = int(time.time() * 1000)
    for _ in range(count):
        builder.append(None, b"v" * _RECORD_BYTES, timestamp_ms=now_ms)
    return builder


def _rate(copiers: list[Copier], seconds: float) -> float:
    """Transactions a second."""
    for copier in copiers:
        copier.start()
    copy_once(copiers)
    copied = 0
    started = time.perf_counter()
    while (elapsed := time.perf_counter() - started) < seconds:
        copy_once(copiers)
        copied += len(copiers)
    return copied / elapsed
