"""Blocking work off the event loop: one thread per kind of work, one piece after the other.

Not asyncio's executor: importing ``concurrent.futures`` costs the broker's start more than the
thread itself, and a group commit must never wait behind somebody else's work.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import traceback
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol, TypeVar

_logger = logging.getLogger(__name__)

T = TypeVar("T")


class Worker(Protocol):
    """Runs blocking work elsewhere; a simulation passes its own."""

    def run(self, work: Callable[[], T], done: Callable[[T], object]) -> None:
        """Call ``work`` elsewhere, after what was handed over before, then ``done`` with its result
        on the event loop. ``work`` must not raise."""
        ...

    def stop(self, *, wait: bool) -> None:
        """Take no more work; what was handed over is still finished. ``wait``: before returning."""
        ...


async def result_of_work(worker: Worker, work: Callable[[], T]) -> T:
    """What ``work`` returns, or raises, in the worker."""
    due: asyncio.Future[T] = asyncio.get_running_loop().create_future()

    def attempt() -> Callable[[], None]:
        try:
            return partial(due.set_result, work())
        except Exception as error:
            # What the work held when it failed, it must not hold until the error is forgotten.
            traceback.clear_frames(error.__traceback__)
            return partial(due.set_exception, error)

    def settle(outcome: Callable[[], None]) -> None:
        if not due.done():
            outcome()

    worker.run(attempt, settle)
    return await due


# Makes the worker of a name, on the running event loop.
NewWorker = Callable[[str], Worker]

_Job = tuple[Callable[[], Any], Callable[[Any], object]]


class WorkerThread:
    """A ``Worker`` that is a thread, started with its first work."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._loop = asyncio.get_running_loop()
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def run(self, work: Callable[[], T], done: Callable[[T], object]) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()
        self._jobs.put((work, done))

    def stop(self, *, wait: bool) -> None:
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._jobs.put(None)
        if wait:
            thread.join()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            work, done = job
            try:
                result = work()
            except Exception:
                _logger.exception("work of the thread %s failed", self._name)
                continue
            try:
                self._loop.call_soon_threadsafe(done, result)
            except RuntimeError:
                # The loop was closed meanwhile: nobody is left to be told.
                return
            # The thread may wait long for the next.
            del job, work, done, result
