"""The machine's limits and the load generator's own."""

from __future__ import annotations

from bench import limits
from bench.arena import Arena
from bench.echo import canned_replies_per_second
from bench.results import Better, Row, Samples
from bench.warm_memory import warm_append_mib_s

_SECTION = "the machine (server's core; median)"


def measure(arena: Arena) -> list[Row]:
    mebibytes = arena.effort.bulk_mebibytes
    server, load = arena.server_cores, arena.load_cores
    repeats = range(arena.effort.repeats + 2)
    loopback = [limits.loopback_mib_s(2 * mebibytes, server, load) for _ in repeats]
    batches = [warm_append_mib_s(arena.directory, mebibytes, server) for _ in repeats]
    append = [limits.append_mib_s(arena.directory, mebibytes, server) for _ in repeats]
    rows = [
        _row("loopback TCP, 1 MiB sends", "MiB/s", loopback),
        _row("append to the page cache, 1 MiB writes", "MiB/s", append),
        _row("append to the page cache, not page by page", "MiB/s", batches),
        _row("CRC-32C of 1 MiB", "MiB/s", [limits.crc_mib_s(server) for _ in repeats]),
    ]
    for size_bytes, name in ((1024, "1 KiB"), (limits.MEBIBYTE, "1 MiB")):
        times = limits.fdatasync_ms(arena.directory, size_bytes, server)
        rows.append(_row(f"fdatasync after appending {name}", "ms", times, Better.LOWER))
    for in_flight in (1, 8):
        rate = canned_replies_per_second(arena, connections=50, in_flight=in_flight)
        name = f"load generator, canned replies, 50 connections x {in_flight}"
        rows.append(_row(name, "requests/s", [rate]))
    return rows


def _row(name: str, unit: str, values: list[float], better: Better = Better.HIGHER) -> Row:
    return Row(_SECTION, name, unit, limit=Samples.of(values), better=better)
