"""The command-line tools from exec to exit, Java's in a JVM of their own as they ship."""

from __future__ import annotations

import subprocess
import sys
import time

from bench.arena import KAFKA_ALL_CORES, OTTLA, PAGE_CACHE, Arena, figures
from bench.results import Better, Row, at_most
from ottla.testing.apache_kafka import java_command
from ottla.testing.kafka_tools import JAVA_TOOLS

_SECTION = "command-line tools, exec to exit, all cores"
_ENTRY = (
    "import sys; from ottla.cli.kafka.entry import run; sys.exit(run(sys.argv[1], sys.argv[2:]))"
)
# Tool, words, whether it asks a broker, and how long it may take at most in ms.
_INVOCATIONS: tuple[tuple[str, tuple[str, ...], bool, int | None], ...] = (
    ("kafka-topics", ("--help",), False, 150),
    ("kafka-topics", ("--list",), True, 300),
    ("kafka-consumer-groups", ("--list",), True, None),
)


def measure(arena: Arena) -> list[Row]:
    server = arena.ottla(PAGE_CACHE).bootstrap_servers
    rows = []
    for tool, words, asks, most_ms in _INVOCATIONS:
        given = [*words, *(("--bootstrap-server", server) if asks else ())]
        commands: dict[str, list[str]] = {OTTLA: [sys.executable, "-c", _ENTRY, tool, *given]}
        if arena.with_kafka:
            commands[KAFKA_ALL_CORES] = java_command(JAVA_TOOLS[tool], given)
        times: dict[str, list[float]] = {name: [] for name in commands}
        _timed(commands[OTTLA])  # an installed program finds its bytecode and its files cached
        for _ in range(arena.effort.starts):
            for name, command in commands.items():
                times[name].append(_timed(command))
        shown = figures(times, lambda seconds: seconds * 1000)
        row = Row(_SECTION, " ".join((tool, *words)), "ms", **shown, better=Better.LOWER)
        if most_ms is not None and row.ottla is not None:
            row.aim = at_most(row.ottla.median, most_ms, " ms")
        rows.append(row)
    return rows


def _timed(command: list[str]) -> float:
    begun = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return time.perf_counter() - begun
