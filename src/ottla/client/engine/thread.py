"""An engine on a daemon thread of its own, for the sync clients."""

from __future__ import annotations

import asyncio
import atexit
import codecs
import concurrent.futures
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from ottla.client.engine.engine import Engine
from ottla.client.engine.native_loop import NativeLoop, native_io
from ottla.client.errors import KafkaError, KafkaException

T = TypeVar("T")

# How long the end of the program waits for an engine to close its connections.
_EXIT_TIMEOUT_S = 2.0
FORKED = (
    "this client was made before os.fork(): its connections and its thread belong to the parent "
    "process, so the child has to make a client of its own"
)


class Waiting(Generic[T]):
    """The result of a coroutine that runs on the engine's thread."""

    __slots__ = ("_future", "_thread")

    def __init__(self, thread: EngineThread) -> None:
        self._thread = thread
        self._future: concurrent.futures.Future[T] = concurrent.futures.Future()

    def wait(self, timeout_s: float | None = None) -> T:
        """The coroutine's result; what it raised is raised here.

        Args:
            timeout_s: None or a negative number for no limit.

        Raises:
            TimeoutError: not done in time; the coroutine goes on, see :meth:`cancel`.
            KeyboardInterrupt: Ctrl-C, at once; the coroutine is cancelled.
        """
        if timeout_s is not None:
            timeout_s = None if timeout_s < 0 else min(timeout_s, threading.TIMEOUT_MAX)
        try:
            return self._future.result(timeout_s)
        except concurrent.futures.CancelledError:
            raise KafkaException(KafkaError(KafkaError._DESTROY)) from None
        except KeyboardInterrupt:
            self.cancel()
            raise

    def done(self) -> bool:
        """Whether there is a result."""
        return self._future.done()

    def cancel(self) -> None:
        """Cancel the coroutine."""
        self._thread.call(self._cancel_task)

    def add_done_callback(self, callback: Callable[[Waiting[T]], object]) -> None:
        """Called on the engine's thread when it is done (at once if it is)."""
        self._future.add_done_callback(lambda _: callback(self))

    # On the engine's thread

    def _start(self, coroutine: Coroutine[Any, Any, T]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._thread._tasks[self] = task
        task.add_done_callback(self._finish)

    def _cancel_task(self) -> None:
        task = self._thread._tasks.get(self)
        if task is not None:
            task.cancel()

    def _finish(self, task: asyncio.Task[T]) -> None:
        self._thread._tasks.pop(self, None)
        if task.cancelled():
            self._future.cancel()
            self._future.set_running_or_notify_cancel()
        elif (error := task.exception()) is not None:
            self._future.set_exception(error)
        else:
            self._future.set_result(task.result())


class EngineThread:
    """Runs an engine for other threads. Its methods may be called in any thread.

    In a forked child there is no such thread: every method raises ``RuntimeError`` there (and
    :attr:`is_forked` is True) until the child makes a client of its own.

    Args:
        make_engine: makes the engine, called on the new thread's loop; then it is started.
        name: the thread's name.

    Attributes:
        engine: what ``make_engine`` made.
        is_forked: whether this is a forked child, which must not use it.

    Raises:
        BaseException: what ``make_engine`` raised.
    """

    engine: Engine

    def __init__(self, make_engine: Callable[[], Engine], name: str = "ottla") -> None:
        self.is_forked = False
        self._calls: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._is_woken = False
        self._is_stopping = False
        self._tasks: dict[Waiting[Any], asyncio.Task[Any]] = {}
        self._fork_listeners: list[Callable[[], object]] = []
        self._loop = loop = new_event_loop()
        self._wake: Callable[[], object]
        if isinstance(loop, NativeLoop):
            self._wake = loop.wake
            loop.on_wake(self._make_calls)
        else:
            self._wake = lambda: loop.call_soon_threadsafe(self._make_calls)
        self._failures: list[BaseException] = []
        started = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(make_engine, started), name=name, daemon=True
        )
        _threads.add(self)
        self._thread.start()
        started.wait()
        if self._failures:
            self._thread.join()
            raise self._failures[0]

    def on_fork(self, listener: Callable[[], object]) -> None:
        """Have ``listener()`` called in a forked child, before anything else happens there."""
        self._fork_listeners.append(listener)

    def check_process(self) -> None:
        """Raise ``RuntimeError`` in a forked child; cheap, for the start of every public call."""
        if self.is_forked:
            raise RuntimeError(FORKED)

    def call(self, callback: Callable[..., object], *arguments: Any) -> None:
        """Call back on the engine's thread, in the order of the calls.

        Wake-ups are coalesced: a burst of calls costs one. After :meth:`stop` nothing is called.
        """
        if self.is_forked:
            raise RuntimeError(FORKED)
        self._calls.append((callback, arguments))
        if not self._is_woken:
            self._is_woken = True
            try:
                self._wake()
            except RuntimeError:
                # The loop is closed: the engine was stopped.
                self._calls.clear()

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> Waiting[T]:
        """Run a coroutine on the engine's thread.

        Raises:
            KafkaException: ``_DESTROY``: the engine was stopped.
        """
        if self.is_forked or self._is_stopping:
            coroutine.close()
            self.check_process()
            raise KafkaException(KafkaError(KafkaError._DESTROY))
        waiting: Waiting[T] = Waiting(self)
        self.call(waiting._start, coroutine)
        return waiting

    def run(self, coroutine: Coroutine[Any, Any, T], timeout_s: float | None = None) -> T:
        """``submit(coroutine).wait(timeout_s)``; cancels it when the time is over."""
        waiting = self.submit(coroutine)
        try:
            return waiting.wait(timeout_s)
        except TimeoutError:
            if not waiting.done():
                waiting.cancel()
            raise

    def stop(self, timeout_s: float | None = None) -> None:
        """Close the engine and end the thread; may be called again.

        Args:
            timeout_s: how long to wait for the thread's end; None for no limit.
        """
        if self.is_forked:
            return
        if not self._is_stopping:
            self._is_stopping = True
            try:
                self._loop.call_soon_threadsafe(self._loop.stop)
            except RuntimeError:
                return
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout_s)

    # On the engine's thread

    def _run(self, make_engine: Callable[[], Engine], started: threading.Event) -> None:
        loop = self._loop
        asyncio.set_event_loop(loop)
        try:
            try:
                loop.run_until_complete(self._start(make_engine))
            except BaseException as error:
                self._failures.append(error)
                return
            finally:
                started.set()
            loop.run_forever()
            # What was called before the stop is done before the end.
            self._make_calls()
            loop.run_until_complete(self.engine.close())
            loop.run_until_complete(self._end_tasks())
        finally:
            _threads.discard(self)
            loop.close()

    async def _start(self, make_engine: Callable[[], Engine]) -> None:
        self.engine = make_engine()
        self.engine.start()

    async def _end_tasks(self) -> None:
        own = asyncio.current_task()
        tasks = [task for task in asyncio.all_tasks() if task is not own]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _make_calls(self) -> None:
        self._is_woken = False
        calls = self._calls
        while calls:
            callback, arguments = calls.popleft()
            try:
                callback(*arguments)
            except Exception as error:
                self._loop.call_exception_handler(
                    {"message": "a call on the engine's thread failed", "exception": error}
                )


def new_event_loop() -> asyncio.AbstractEventLoop:
    """The native one, or where that is not to be had, uvloop's or asyncio's own."""
    io = native_io()
    if io is not None:
        return NativeLoop(io)
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    # uvloop looks for this codec when it first connects, which is on the engine's thread: a child
    # forked at that moment would inherit a module half imported.
    codecs.lookup("idna")
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


_threads: weakref.WeakSet[EngineThread] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for thread in list(_threads):
        thread.is_forked = True
        for listener in thread._fork_listeners:
            listener()
    _threads.clear()


def _stop_all() -> None:
    """Daemon threads are frozen at the interpreter's end: none may be in the middle of anything."""
    for thread in list(_threads):
        thread.stop(_EXIT_TIMEOUT_S)


os.register_at_fork(after_in_child=_after_fork_in_child)
atexit.register(_stop_all)
