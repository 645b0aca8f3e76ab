"""Programs from documents, run with only the import changed: the same output, line by line.

The calls, settings and order are those of the documents; topics and groups come from the command
line, and loops that would run forever are ended by the signal the documents end them with.
"""

from __future__ import annotations

import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

PROGRAMS = pathlib.Path(__file__).parent / "programs"
_PATIENCE_SECONDS = 30
IMPORT = re.compile(r"^from (confluent_kafka|kafka)\b", re.MULTILINE)
OURS = {"confluent_kafka": "ottla", "kafka": "ottla.kafka_python"}

Unique = Callable[[str], str]
NewTopic = Callable[..., str]


def run_program(text: str, arguments: list[str], *, until: str = "", number: int = 0) -> list[str]:
    """What a program prints; it gets the signal ``number`` once it has printed ``until``."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [sys.executable, "-c", text, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    watchdog = threading.Timer(_PATIENCE_SECONDS, process.kill)
    watchdog.start()
    try:
        lines = []
        for line in process.stdout or ():
            lines.append(line.rstrip("\n"))
            if until and line.startswith(until):
                process.send_signal(number)
                until = ""
        _, errors = process.communicate()
    finally:
        watchdog.cancel()
        process.kill()
    assert process.returncode == 0, f"{lines}\n{errors[-3000:]}"
    return lines


def outputs(name: str, arguments: Callable[[], list[str]], **ending: object) -> list[list[str]]:
    """What the program prints with the library it names, and with ours.

    Names that differ between the two runs are replaced by their places in the arguments.
    """
    text = (PROGRAMS / f"{name}.py").read_text()
    changed = IMPORT.sub(lambda found: f"from {OURS[found[1]]}", text)
    assert changed != text
    found = []
    for program in (text, changed):
        values = arguments()
        lines = run_program(program, values, **ending)  # type: ignore[arg-type]
        for place, value in enumerate(values):
            lines = [line.replace(value, f"<{place}>") for line in lines]
        found.append(lines)
    return found


@pytest.fixture
def place(bootstrap: str, new_topic: NewTopic, unique: Unique) -> Callable[[], list[str]]:
    """The broker, a new topic with one partition, a new group."""
    return lambda: [bootstrap, new_topic(), unique("group")]


@pytest.mark.parametrize(
    "name", ["orders_producer", "statistics", "lesson", "reports_and_assignment", "book"]
)
def test_a_program(name: str, place: Callable[[], list[str]]) -> None:
    theirs, ours = outputs(name, place)
    assert theirs
    assert ours == theirs


@pytest.mark.parametrize("name", ["errors", "settings_for_production"])
def test_a_program_without_a_broker(name: str) -> None:
    theirs, ours = outputs(name, list)
    assert theirs
    assert ours == theirs


def test_orders_until_a_signal(place: Callable[[], list[str]]) -> None:
    def filled() -> list[str]:
        made = place()
        run_program((PROGRAMS / "orders_producer.py").read_text(), made[:2])
        return made

    for number in (signal.SIGINT, signal.SIGTERM):
        theirs, ours = outputs("orders_consumer", filled, until="the end", number=number)
        assert len(theirs) == 23
        assert ours == theirs


def test_batches_until_ctrl_c(place: Callable[[], list[str]]) -> None:
    def filled() -> list[str]:
        made = place()
        run_program((PROGRAMS / "orders_producer.py").read_text(), made[:2])
        return made

    theirs, ours = outputs("batch_consumer", filled, until="handled: 10", number=signal.SIGINT)
    # How many come at once depends on how fast they are fetched.
    theirs, ours = ([line for line in lines if "of a batch" in line or "stop" in line]
                    for lines in (theirs, ours))  # fmt: skip
    assert len(theirs) == 11
    assert ours == theirs


def test_a_transaction(bootstrap: str, new_topic: NewTopic) -> None:
    theirs, ours = outputs("transaction", lambda: [bootstrap, new_topic(), new_topic()])
    assert theirs == ["committed"]
    assert ours == theirs


def test_administration(bootstrap: str, unique: Unique) -> None:
    theirs, ours = outputs("admin", lambda: [bootstrap, unique("first"), unique("second")])
    assert len(theirs) == 8
    assert ours == theirs


def test_kafka_python(place: Callable[[], list[str]]) -> None:
    theirs, ours = outputs("kafka_python_orders", place)
    assert len(theirs) == 6
    assert ours == theirs


def test_a_kafka_python_service_until_a_signal(place: Callable[[], list[str]]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        theirs, ours = outputs(
            "kafka_python_service", place, until="handled: the last", number=number
        )
        assert len(theirs) == 9
        assert ours == theirs


def test_users(bootstrap: str) -> None:
    theirs, ours = outputs("settings_for_users", lambda: [bootstrap])
    assert theirs == ["0 None"]
    assert ours == theirs


def test_kafka_python_administration(bootstrap: str, unique: Unique) -> None:
    theirs, ours = outputs("kafka_python_admin", lambda: [bootstrap, unique("topic")])
    assert len(theirs) == 5
    assert ours == theirs


def test_every_program_is_run() -> None:
    here = pathlib.Path(__file__).read_text()
    for program in PROGRAMS.glob("*.py"):
        assert f'"{program.stem}"' in here
