"""A thread that runs a store's calls in order."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class Worker:
    """One thread that runs calls in order and hands results to their event loop.

    Not asyncio's executor: importing it costs the broker's start more than the thread itself.
    """

    def __init__(self, name: str) -> None:
        self._calls: list[Callable[[], None]] = []
        self._wake = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    async def run(self, call: Callable[[], T]) -> T:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def work() -> None:
            try:
                result = call()
            except Exception as error:
                _post(loop, _fail, future, error)
            else:
                _post(loop, _succeed, future, result)

        self._calls.append(work)
        self._wake.release()
        # Shielded: a caller that is cancelled must not cancel what the thread is writing.
        return await asyncio.shield(future)

    def stop(self) -> None:
        """End the thread after the calls it has."""
        self._wake.release()
        self._thread.join()

    def _work(self) -> None:
        while True:
            self._wake.acquire()
            if not self._calls:
                return
            self._calls.pop(0)()


def _post(loop: asyncio.AbstractEventLoop, settle: Callable[..., None], *args: Any) -> None:
    try:
        loop.call_soon_threadsafe(settle, *args)
    except RuntimeError:
        # The loop was closed while the thread worked: nobody is left to be told.
        return


def _succeed(future: asyncio.Future[T], result: T) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[Any], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
