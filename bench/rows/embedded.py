"""``ottla.testing.Broker``: from its construction to the first record produced and consumed."""

from __future__ import annotations

import json
import subprocess
import sys

from bench.arena import OTTLA, Arena, figures
from bench.results import Better, Row, at_most

_SECTION = "ottla.testing.Broker, in the process of the tests"
_MOST_MS = 100
_MOST_IMPORT_MS = 150

# Run by an interpreter of its own, so that nothing is imported yet. What the client needs is
# imported before the clock runs: a test's own client isn't part of the broker.
_PROGRAM = """
import json, time
start = time.perf_counter()
from ottla.testing import Broker
imported = time.perf_counter()
from bench.requests import ask, fetch, produce, single_record
request, read = produce("first", [(0, single_record(100))]), fetch("first", [(0, 0)],
    partition_bytes=1 << 20)
begun = time.perf_counter()
with Broker() as broker:
    broker.create_topic("first")
    ask(broker.bootstrap_servers, request)
    reply = ask(broker.bootstrap_servers, read)
    done = time.perf_counter()
assert len(reply.responses[0].partitions[0].records) > 100
print(json.dumps({"import": imported - start, "record": done - begun}))
"""


def measure(arena: Arena) -> list[Row]:
    runs = [_run() for _ in range(arena.effort.starts)]
    rows = []
    for key, name, most_ms in (
        ("import", "import", _MOST_IMPORT_MS),
        ("record", "construction to the first record consumed", _MOST_MS),
    ):
        found = figures({OTTLA: runs}, lambda run, which=key: run[which] * 1000)
        aim = at_most(found[OTTLA].median, most_ms, " ms")
        rows.append(Row(_SECTION, name, "ms", **found, better=Better.LOWER, aim=aim))
    return rows


def _run() -> dict[str, float]:
    result = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, check=True)
    seconds: dict[str, float] = json.loads(result.stdout)
    return seconds
