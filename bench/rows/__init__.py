"""The rows of the table, a module per kind.

Each has a function ``measure(arena) -> list[Row]``.
"""

from __future__ import annotations

from collections.abc import Callable

from bench.arena import Arena
from bench.results import Row
from bench.rows import (
    client,
    compaction,
    console,
    durable,
    embedded,
    fetch,
    ingest,
    latency,
    limits,
    memory,
    rebalances,
    requests,
    startup,
    tools,
    transactions,
)

ROWS: dict[str, Callable[[Arena], list[Row]]] = {
    "limits": limits.measure,
    "startup": startup.measure,
    "tools": tools.measure,
    "console": console.measure,
    "embedded": embedded.measure,
    "memory": memory.measure,
    "ingest": ingest.measure,
    "fetch": fetch.measure,
    "requests": requests.measure,
    "durable": durable.measure,
    "latency": latency.measure,
    "compaction": compaction.measure,
    "transactions": transactions.measure,
    "rebalances": rebalances.measure,
    "client": client.measure,
}
"""By the name they are chosen with, in the order they are measured and printed."""
