"""A user's program passes strict type checkers, against the package as it is installed."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys

import pytest

from ottla.testing.apache_kafka import PEERS_DIRECTORY

PYRIGHT = PEERS_DIRECTORY / "node" / "node_modules" / ".bin" / "pyright"
PROGRAM = pathlib.Path(__file__).parent / "user_program.py"
# Wrong uses that a checker has to find.
MISTAKES = """
from ottla import Consumer, Producer

def mistakes(producer: Producer, consumer: Consumer) -> None:
    producer.produce("t", 5)
    producer.produce("t", b"x", colour="blue")
    consumer.subscribe("t")
    text: str = producer.flush()
    message = consumer.poll(1.0)
    print(message.value())
"""


@pytest.mark.slow
def test_mypy_strict(tmp_path: pathlib.Path) -> None:
    mistakes = tmp_path / "mistakes.py"
    mistakes.write_text(MISTAKES)
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--no-error-summary"]
    command += [f"--cache-dir={tmp_path / 'cache'}"]
    checked = subprocess.run(
        [*command, str(PROGRAM), str(mistakes)], capture_output=True, text=True, cwd=tmp_path
    )
    found = [line for line in checked.stdout.splitlines() if ": error:" in line]
    assert not [line for line in found if "mistakes.py" not in line], checked.stdout
    lines = {int(line.split(":")[1]) for line in found}
    assert lines == {5, 6, 7, 8, 10}, checked.stdout


@pytest.mark.slow
@pytest.mark.skipif(not PYRIGHT.exists(), reason="pyright is not there (make peers, needs npm)")
def test_pyright_strict(tmp_path: pathlib.Path) -> None:
    (tmp_path / "pyrightconfig.json").write_text(json.dumps({"typeCheckingMode": "strict"}))
    for path, text in (("program.py", PROGRAM.read_text()), ("mistakes.py", MISTAKES)):
        (tmp_path / path).write_text(text)
    command = [str(PYRIGHT), "--outputjson", "--pythonpath", sys.executable]
    checked = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    errors = json.loads(checked.stdout)["generalDiagnostics"]
    assert not [each for each in errors if each["file"].endswith("program.py")], errors
    lines = {each["range"]["start"]["line"] + 1 for each in errors}
    assert lines == {5, 6, 7, 8, 10}, errors
