"""Blocking work beside the loop, on a thread that nothing waits for, not even the program's end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar, cast

T = TypeVar("T")


async def in_daemon_thread(work: Callable[[], T], name: str) -> T:
    """The result of ``work()``; what it raises is raised here.

    The threads of an executor would be joined at the interpreter's end: a name server that does
    not answer would hold it up.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: Exception | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(cast(T, result))
        else:
            future.set_exception(error)

    def run() -> None:
        result, failure = None, None
        try:
            result = work()
        except Exception as error:
            failure = error
        try:
            loop.call_soon_threadsafe(settle, result, failure)
        except RuntimeError:
            # The loop has been closed meanwhile: nobody waits any more.
            return

    threading.Thread(target=run, name=name, daemon=True).start()
    return await future
