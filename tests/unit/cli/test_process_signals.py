"""Signals to the broker's process when stopping hangs, or starting does."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

# A broker whose start or stop waits for ever, run by the real process shell.
SCRIPT = """
import asyncio, sys, time
from types import SimpleNamespace
from ottla.broker.serving import serve
from ottla.broker.stopping import StopSignals

class HangingBroker:
    addresses = {}
    cluster = SimpleNamespace(image=SimpleNamespace(cluster_id="x"))

    def __init__(self):
        self.failed = asyncio.Event()

    async def start(self):
        if sys.argv[1] in ("start", "recover"):
            sys.argv[1] == "start" and print("starting", flush=True)
            await asyncio.Event().wait()

    async def stop(self):
        print("stopping", flush=True)
        if sys.argv[1] == "stop":
            await asyncio.Event().wait()

if sys.argv[1] == "fail":
    async def fail(self):
        self.failed.set()

    HangingBroker.start = fail

signals = StopSignals()
signals.install()
if sys.argv[1] == "recover":
    print("recovering", flush=True)
    while not signals.is_stopping:
        time.sleep(0.01)
sys.exit(serve(HangingBroker, lambda started: print("started", flush=True), signals))
"""


def run_hanging(where: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SCRIPT, where]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def expect(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == f"{line}\n"


def test_a_second_ctrl_c_ends_a_stop_that_hangs() -> None:
    process = run_hanging("stop")
    expect(process, "started")
    process.send_signal(signal.SIGINT)
    expect(process, "stopping")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_starting_stops_cleanly(number: signal.Signals) -> None:
    process = run_hanging("start")
    expect(process, "starting")
    process.send_signal(number)
    output, _ = process.communicate(timeout=30)
    assert output == "stopping\n"
    assert process.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_during_recovery_waits_for_its_end(number: signal.Signals) -> None:
    process = run_hanging("recover")
    expect(process, "recovering")
    process.send_signal(number)
    output, _ = process.communicate(timeout=30)
    assert output == "stopping\n"
    assert process.returncode == 0


def test_a_broker_that_can_not_go_on_stops_and_says_so_by_its_exit_code() -> None:
    process = run_hanging("fail")
    output, _ = process.communicate(timeout=10)
    assert output == "started\nstopping\n"
    assert process.returncode == 1
