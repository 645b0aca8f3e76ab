"""A text through a topic: the console tools beside kcat and Java's, byte for byte."""

from __future__ import annotations

import os
import pathlib
import random
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from bench.arena import OTTLA, PAGE_CACHE, Arena
from bench.peers import topic_on
from bench.results import Better, Row, Samples
from ottla.testing.apache_kafka import java_command
from ottla.testing.kafka_tools import JAVA_TOOLS

_SECTION = "console tools, lines of 100 B on average, all cores"
_ENTRY = (
    "import sys; from ottla.cli.kafka.entry import run; sys.exit(run(sys.argv[1], sys.argv[2:]))"
)
_MEBIBYTE = 1 << 20
_AVERAGE_LINE_BYTES = 100
_LINES_AT_ONCE = 10_000
KCAT, JAVA = "kcat", "Java"
# At its speed a gibibyte would take longer than all other rows together.
_MOST_MEBIBYTES_OF_JAVA = 128
_TIMEOUT_SECONDS = 120
# Before it lies the record that tried whether the topic can be written.
_FIRST_OFFSET = 1


class Text(NamedTuple):
    """A file of lines."""

    path: pathlib.Path
    size_bytes: int
    lines: int


class Spent(NamedTuple):
    """What moving a text took."""

    seconds: float
    cpu_seconds: float


Commands = Callable[[str, str, int], list[str]]
"""Broker's address, topic and number of lines -> command line."""


def measure(arena: Arena) -> list[Row]:
    """The rows; every text that arrives is compared with what was sent."""
    texts = {OTTLA: _text(arena, 2 * arena.effort.bulk_mebibytes)}
    producers: dict[str, Commands] = {OTTLA: _our_producer}
    consumers: dict[str, Commands] = {OTTLA: _our_consumer}
    if shutil.which("kcat"):
        texts[KCAT], producers[KCAT], consumers[KCAT] = texts[OTTLA], _kcat_in, _kcat_out
    if arena.with_kafka:
        texts[JAVA] = _text(arena, min(_MOST_MEBIBYTES_OF_JAVA, arena.effort.bulk_mebibytes))
        producers[JAVA], consumers[JAVA] = _java_producer, _java_consumer
    names = ("a file into a topic", "a topic into a file", "through both, as it comes")
    spent: dict[str, dict[str, list[Spent]]] = {name: {} for name in names}
    for _ in range(arena.effort.repeats):
        for label, text in texts.items():
            turn = _turn(arena, text, producers[label], consumers[label])
            for name, each in zip(names, turn, strict=True):
                spent[name].setdefault(label, []).append(each)
    for text in set(texts.values()):
        text.path.unlink()
    return [row for name in names for row in _rows(name, spent[name], texts)]


def _rows(
    name: str, spent: Mapping[str, Sequence[Spent]], texts: Mapping[str, Text]
) -> tuple[Row, Row]:
    def figures(figure: Callable[[Spent, float], float]) -> dict[str, Samples]:
        return {
            label: Samples.of([figure(each, texts[label].size_bytes / _MEBIBYTE) for each in turns])
            for label, turns in spent.items()
        }

    rates = figures(lambda each, mebibytes: mebibytes / each.seconds)
    costs = figures(lambda each, mebibytes: each.cpu_seconds / mebibytes * 1000)
    fast = Row(_SECTION, name, "MiB/s", rates.pop(OTTLA), libraries=rates)
    cheap = Row(
        _SECTION, "  CPU per MiB", "ms", costs.pop(OTTLA), libraries=costs, better=Better.LOWER
    )
    return fast, cheap


def _text(arena: Arena, mebibytes: int) -> Text:
    """Lines of many lengths, the same ones each time; none is empty, since kcat leaves such out."""
    pick = random.Random(mebibytes)
    pool = [
        pick.randbytes(_AVERAGE_LINE_BYTES).hex()[: pick.randrange(1, 2 * _AVERAGE_LINE_BYTES)]
        + "\n"
        for _ in range(1000)
    ]
    path = arena.directory / f"lines-{mebibytes}"
    lines = 0
    with path.open("w", encoding="ascii") as file:
        while file.tell() < mebibytes * _MEBIBYTE:
            file.writelines(pick.choices(pool, k=_LINES_AT_ONCE))
            lines += _LINES_AT_ONCE
    return Text(path, path.stat().st_size, lines)


def _turn(arena: Arena, text: Text, produce: Commands, consume: Commands) -> list[Spent]:
    server = arena.ottla(PAGE_CACHE)
    address, out = server.bootstrap_servers, arena.directory / "lines-out"
    with topic_on(server, arena.topic_name()) as topic:
        spent = [
            _run([(produce(address, topic, text.lines), text.path, None)]),
            _run([(consume(address, topic, text.lines), None, out)]),
        ]
        _check_same(text.path, out)
    with topic_on(server, arena.topic_name()) as topic:
        both = [
            (consume(address, topic, text.lines), None, out),
            (produce(address, topic, text.lines), text.path, None),
        ]
        spent.append(_run(both))
        _check_same(text.path, out)
    out.unlink()
    return spent


def _run(commands: Sequence[tuple[list[str], pathlib.Path | None, pathlib.Path | None]]) -> Spent:
    """Run programs at the same time, each with its input and output.

    Raises:
        RuntimeError: one of them failed.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.perf_counter()
    programs = []
    for command, source, target in commands:
        with (
            open(source or os.devnull, "rb") as stdin,
            open(target or os.devnull, "wb") as stdout,
        ):
            programs.append(
                subprocess.Popen(command, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE)
            )
    try:
        told = [program.communicate(timeout=_TIMEOUT_SECONDS)[1] for program in programs]
    finally:
        for program in programs:
            program.kill()
            program.wait()
    seconds = time.perf_counter() - begun
    for program, text in zip(programs, told, strict=True):
        if program.returncode:
            raise RuntimeError(f"{program.args} failed: {text.decode(errors='replace')}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Spent(seconds, used)


def _check_same(one: pathlib.Path, other: pathlib.Path) -> None:
    with one.open("rb") as expected, other.open("rb") as found:
        while True:
            wanted = expected.read(_MEBIBYTE)
            if found.read(_MEBIBYTE) != wanted:
                raise RuntimeError("what came out is not what went in")
            if not wanted:
                return


def _our_producer(address: str, topic: str, lines: int) -> list[str]:
    words = ["--bootstrap-server", address, "--topic", topic]
    return [sys.executable, "-c", _ENTRY, "kafka-console-producer", *words]


def _our_consumer(address: str, topic: str, lines: int) -> list[str]:
    words = [*_at_the_beginning(address, topic), "--max-messages", str(lines)]
    return [sys.executable, "-c", _ENTRY, "kafka-console-consumer", *words]


def _at_the_beginning(address: str, topic: str) -> list[str]:
    where = ["--partition", "0", "--offset", str(_FIRST_OFFSET)]
    return ["--bootstrap-server", address, "--topic", topic, *where]


def _kcat_in(address: str, topic: str, lines: int) -> list[str]:
    return ["kcat", "-P", "-b", address, "-t", topic]


def _kcat_out(address: str, topic: str, lines: int) -> list[str]:
    where = ["-o", str(_FIRST_OFFSET), "-p", "0", "-c", str(lines)]
    return ["kcat", "-C", "-q", "-b", address, "-t", topic, *where]


def _java_producer(address: str, topic: str, lines: int) -> list[str]:
    words = ["--bootstrap-server", address, "--topic", topic]
    return java_command(JAVA_TOOLS["kafka-console-producer"], words)


def _java_consumer(address: str, topic: str, lines: int) -> list[str]:
    words = [*_at_the_beginning(address, topic), "--max-messages", str(lines)]
    return java_command(JAVA_TOOLS["kafka-console-consumer"], words)
