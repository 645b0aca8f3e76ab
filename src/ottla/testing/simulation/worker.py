"""A broker's worker threads in virtual time: work takes a seeded while, on the loop itself."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

_Job = tuple[Callable[[], Any], Callable[[Any], object]]


class SimulatedWorker:
    """Implements ``ottla.broker.worker.Worker`` on a ``SimulationLoop``."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._loop = asyncio.get_running_loop()
        self._jobs: deque[_Job] = deque()

    def run(self, work: Callable[[], T], done: Callable[[T], object]) -> None:
        self._jobs.append((work, done))
        if len(self._jobs) == 1:
            self._begin()

    def stop(self, *, wait: bool) -> None:
        """Nothing to end: without threads, what is under way goes on by itself."""

    def _begin(self) -> None:
        work, done = self._jobs[0]

        def finish(result: asyncio.Future[Any]) -> None:
            self._jobs.popleft()
            if self._jobs:
                self._begin()
            if not result.cancelled():
                done(result.result())

        self._loop.run_in_executor(None, work).add_done_callback(finish)
