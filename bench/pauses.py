"""Whether the machine itself stood still: a hypervisor that stops a core for 50 ms is nobody's
latency.

On each core a watcher of the highest priority sleeps for a millisecond, again and again. Nothing
that runs on the machine keeps it from waking up in time, so that when it is late the core was gone.
"""

from __future__ import annotations

import os
import select
import struct
import time
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Generic, NamedTuple, TypeVar

Measured = TypeVar("Measured")

# Longer than any latency that is told apart, and shorter than what a hypervisor takes.
_PAUSE_SECONDS = 0.003
_MOST_ATTEMPTS = 5
_SLEEP_SECONDS = 0.001
_REPORT = struct.Struct("d")


class Run(NamedTuple, Generic[Measured]):
    """What was measured, and the longest time a core stood still meanwhile."""

    measured: Measured
    pause_seconds: float


def watched(cores: Iterable[int], measure: Callable[[], Measured]) -> Run[Measured]:
    """Measure once, watching the machine."""
    with Pauses(cores) as pauses:
        measured = measure()
    return Run(measured, pauses.longest_seconds)


def undisturbed(measure: Callable[[], Run[Measured]]) -> Measured:
    """Measure until the machine has run all the time, or as nearly as can be had."""
    runs: list[Run[Measured]] = []
    while len(runs) < _MOST_ATTEMPTS:
        runs.append(measure())
        if runs[-1].pause_seconds < _PAUSE_SECONDS:
            break
    return min(runs, key=lambda run: run.pause_seconds).measured


def while_running(runs: Sequence[Run[list[float]]]) -> list[float]:
    """All that was measured while the machine ran; or all, where it never did."""
    good = [run for run in runs if run.pause_seconds < _PAUSE_SECONDS] or runs
    return [each for run in good for each in run.measured]


class Pauses:
    """Watches cores while the block runs.

    Who may not have the priority can't tell, and reports no pauses.
    """

    def __init__(self, cores: Iterable[int]) -> None:
        self._cores = sorted(cores)
        self._watchers: list[tuple[int, int, int]] = []
        self.longest_seconds = 0.0
        """Of any core, once the block has been left."""

    def __enter__(self) -> Pauses:
        for core in self._cores:
            stop_reader, stop_writer = os.pipe()
            report_reader, report_writer = os.pipe()
            child = os.fork()
            if not child:
                os.close(stop_writer)
                _watch_and_exit(core, stop_reader, report_writer)
            os.close(stop_reader)
            os.close(report_writer)
            self._watchers.append((child, stop_writer, report_reader))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for _, stop_writer, _ in self._watchers:
            os.write(stop_writer, b"\0")
            os.close(stop_writer)
        for child, _, report_reader in self._watchers:
            report = os.read(report_reader, _REPORT.size)
            os.close(report_reader)
            os.waitpid(child, 0)
            if len(report) == _REPORT.size:
                self.longest_seconds = max(self.longest_seconds, *_REPORT.unpack(report))


def _watch_and_exit(core: int, stop_reader: int, report_writer: int) -> None:
    # The child of a fork: whatever happens, the parent's clean-up isn't its business.
    try:
        longest = _watch(core, stop_reader)
        os.write(report_writer, _REPORT.pack(longest))
    finally:
        os._exit(0)


def _watch(core: int, stop_reader: int) -> float:
    os.sched_setaffinity(0, {core})
    try:
        highest = os.sched_get_priority_max(os.SCHED_FIFO)
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(highest))
    except PermissionError:
        return 0.0
    longest = 0.0
    while True:
        before = time.perf_counter()
        stopped, _, _ = select.select([stop_reader], [], [], _SLEEP_SECONDS)
        if stopped:
            return longest
        longest = max(longest, time.perf_counter() - before - _SLEEP_SECONDS)
