"""Callbacks of users on their own loop: functions, or coroutine functions."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable


class UserCallbacks:
    """Calls them. What coroutine functions return runs as a task beside everything else.

    Args:
        failed: told what such a task raised.
    """

    __slots__ = ("_failed", "_tasks")

    def __init__(self, failed: Callable[[BaseException], object]) -> None:
        self._failed = failed
        self._tasks: set[asyncio.Future[object]] = set()

    def call(self, callback: Callable[..., object], *given: object) -> None:
        """Call one; what a function raises comes out here."""
        result = callback(*given)
        if inspect.isawaitable(result):
            task = asyncio.ensure_future(result)
            self._tasks.add(task)
            task.add_done_callback(self._done)

    def _done(self, task: asyncio.Future[object]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failed(error)
