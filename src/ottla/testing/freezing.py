"""A process that stands still, as one does on a machine that hangs."""

from __future__ import annotations

import os
import pathlib
import signal
from contextlib import suppress

from ottla.testing.waiting import eventually


def freeze(pid: int) -> None:
    """Stop a process between two instructions, every thread of it, until it gets ``SIGCONT``.

    Raises:
        ProcessLookupError: there is no such process.
        TimeoutError: it didn't stop.
    """
    os.kill(pid, signal.SIGSTOP)
    eventually(lambda: _states(pid) == {"T"}, what="every thread has stopped")


def _states(pid: int) -> set[str]:
    found = set()
    for stat in pathlib.Path(f"/proc/{pid}/task").glob("*/stat"):
        # A thread may end before it hears of the signal.
        with suppress(FileNotFoundError, ProcessLookupError):
            found.add(stat.read_text().rpartition(")")[2].split()[0])
    return found
