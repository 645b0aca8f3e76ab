"""`ottla broker` as a process: it starts, says so, stops cleanly, and refuses with plain words."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

OTTLA = str(pathlib.Path(sys.executable).parent / "ottla")
WITHOUT_KAFKA = {name: os.environ[name] for name in os.environ if not name.startswith("KAFKA_")}


@pytest.fixture
def data(tmp_path: pathlib.Path) -> str:
    return str(tmp_path / "data")


class Started:
    """A broker process whose standard output is read line by line."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [OTTLA, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=WITHOUT_KAFKA,
        )
        assert self.process.stdout is not None
        self.output = self.process.stdout

    def until(self, text: str) -> str:
        lines = []
        for line in self.output:
            lines.append(line)
            if text in line:
                return "".join(lines)
        raise AssertionError(f"no {text!r} in {lines}; stderr: {self.process.communicate()[1]}")

    def stop(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        self.process.communicate(timeout=30)
        return self.process.returncode


@pytest.fixture
def started() -> Iterator[list[Started]]:
    processes: list[Started] = []
    yield processes
    for each in processes:
        if each.process.poll() is None:
            each.process.kill()
        each.process.communicate()


def refused(*arguments: str) -> str:
    """The error of a start that fails."""
    done = subprocess.run(
        [OTTLA, "broker", *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env=WITHOUT_KAFKA,
    )
    assert done.returncode == 1, done
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.mark.parametrize("command", ["broker", "up"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_person_sees_the_banner_and_a_signal_stops_it_cleanly(
    command: str, number: signal.Signals, data: str, started: list[Started]
) -> None:
    broker = Started(command, "--data", data, "--listen", "127.0.0.1:0")
    started.append(broker)
    shown = broker.until("Ctrl-C")
    assert data in shown
    port = int(shown.split("listens on 127.0.0.1:")[1].split()[0])
    socket.create_connection(("127.0.0.1", port), timeout=10).close()
    assert broker.stop(number) == 0


def test_a_program_reads_json_lines(data: str, started: list[Started]) -> None:
    broker = Started("broker", "--data", data, "--listen", "127.0.0.1:0", "--log-format", "json")
    started.append(broker)
    lines = broker.until('"listening"').splitlines()
    events = [json.loads(line) for line in lines]
    assert events[-1]["event"] == "listening"
    assert events[-1]["host"] == "127.0.0.1"
    assert events[-1]["port"] > 0
    assert broker.stop(signal.SIGTERM) == 0


def test_a_taken_port_is_named_with_what_to_do(data: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refused("--data", data, "--listen", f"127.0.0.1:{port}")
    assert f"127.0.0.1:{port}" in said
    assert "--listen" in said


def test_a_second_process_on_one_directory_is_refused(data: str, started: list[Started]) -> None:
    broker = Started("broker", "--data", data, "--listen", "127.0.0.1:0")
    started.append(broker)
    broker.until("Ctrl-C")
    said = refused("--data", data, "--listen", "127.0.0.1:0")
    assert data in said


def test_a_directory_of_another_cluster_is_refused(data: str, started: list[Started]) -> None:
    broker = Started("broker", "--data", data, "--listen", "127.0.0.1:0")
    started.append(broker)
    broker.until("Ctrl-C")
    assert broker.stop(signal.SIGTERM) == 0
    said = refused("--data", data, "--listen", "127.0.0.1:0", "--set", "cluster.id=another-one")
    assert data in said
    assert "another-one" in said


def test_a_directory_that_can_not_be_made_is_refused(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("in the way")
    directory = str(tmp_path / "file" / "data")
    assert directory in refused("--data", directory, "--listen", "127.0.0.1:0")


def test_a_bad_setting_is_refused_with_its_key_and_place(data: str) -> None:
    said = refused("--data", data, "--set", "num.partitions=none")
    assert "num.partitions" in said
    assert "--set" in said


def test_in_json_a_refusal_is_an_event(data: str) -> None:
    arguments = ["broker", "--data", data, "--set", "num.partitions=none", "--log-format", "json"]
    done = subprocess.run(
        [OTTLA, *arguments], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 1
    event = json.loads(done.stdout.splitlines()[-1])
    assert event["event"] == "start_failed"
    assert "num.partitions" in event["message"]
