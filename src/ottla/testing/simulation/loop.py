"""An asyncio event loop in virtual time: no waiting, one seed, one course of events."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import random
import threading
import weakref
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from ottla.testing.simulation.clock import VirtualClock
from ottla.testing.simulation.process import PROCESS, SimulatedProcess

T = TypeVar("T")
AHandle = TypeVar("AHandle", bound=asyncio.Handle)

# How long work handed to an executor takes, in virtual seconds: about an fdatasync.
EXECUTOR_LATENCY_S = (0.000_1, 0.004)


class Deadlock(RuntimeError):  # noqa: N818 - the term of art
    """Every task waits and nothing is left that could wake one."""


class SimulationLoop(asyncio.BaseEventLoop):
    """Runs callbacks in asyncio's order and jumps to the next timer when none is ready.

    Work given to an executor runs on the loop itself after a seeded latency, so nothing depends on
    threads. There are no sockets: connections come from ``ottla.testing.simulation.net``. What runs
    in a :class:`SimulatedProcess` ends with it.

    Args:
        seed: decides every latency drawn from :attr:`random`.
        clock: the time this loop moves; pass it to the code under test as its ``Clock``.

    Attributes:
        executor_latency_s: how long the next piece of an executor's work takes, in seconds.
    """

    def __init__(self, seed: int = 0, clock: VirtualClock | None = None) -> None:
        super().__init__()
        self.clock = clock or VirtualClock()
        self.random = random.Random(seed)  # noqa: S311 - reproducibility is the point
        self._selector = _TimeJump(self)
        # The sum of many floats: a timer a nanosecond ahead is due.
        self._clock_resolution = 1e-9
        self._only_thread = threading.get_ident()
        self.executor_latency_s: Callable[[], float] = lambda: self.random.uniform(
            *EXECUTOR_LATENCY_S
        )
        # What dead processes would still have done: kept, so that nothing of it is finalized (and
        # runs its ``finally`` blocks) before the end.
        self._buried: list[object] = []
        self._processes: weakref.WeakKeyDictionary[asyncio.Task[Any], SimulatedProcess] = (
            weakref.WeakKeyDictionary()
        )
        self.set_task_factory(_new_task)

    # Processes

    def kill(self, process: SimulatedProcess) -> None:
        """End a process at this instant: nothing it has scheduled or waits for happens any more."""
        process.is_alive = False
        self._buried += asyncio.all_tasks(self)
        for handle in [*self._ready, *self._scheduled]:  # type: ignore[attr-defined]
            if handle._context.get(PROCESS) is process:
                self._bury(handle)

    def call_soon(  # type: ignore[override]
        self, callback: Any, *args: Any, context: Any = None
    ) -> asyncio.Handle:
        return self._unless_dead(super().call_soon(callback, *args, context=context))

    def call_at(  # type: ignore[override]
        self, when: float, callback: Any, *args: Any, context: Any = None
    ) -> asyncio.TimerHandle:
        return self._unless_dead(super().call_at(when, callback, *args, context=context))

    def _unless_dead(self, handle: AHandle) -> AHandle:
        process = handle._context.get(PROCESS)  # type: ignore[attr-defined]
        if process is not None and not process.is_alive:
            self._bury(handle)
        return handle

    def _bury(self, handle: asyncio.Handle) -> None:
        self._buried.append(handle._callback)  # type: ignore[attr-defined]
        handle.cancel()

    def owns(self, task: asyncio.Task[Any]) -> SimulatedProcess | None:
        """The process a task runs in."""
        return self._processes.get(task)

    def adopt(self, task: asyncio.Task[Any], process: SimulatedProcess) -> None:
        """Note the process a task runs in."""
        self._processes[task] = process

    def time(self) -> float:
        return self.clock.monotonic()

    def run_in_executor(  # type: ignore[override]
        self, executor: object, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """Call ``func`` on this thread after a seeded latency."""
        future: asyncio.Future[T] = self.create_future()

        def work() -> None:
            if future.cancelled():
                return
            try:
                result = func(*args)
            except StopIteration as error:
                # A future can't carry it: it would end the coroutine that awaits.
                future.set_exception(RuntimeError(f"executor work raised {error!r}"))
            except Exception as error:
                future.set_exception(error)
            else:
                future.set_result(result)

        self.call_later(self.executor_latency_s(), work)
        return future

    def call_soon_threadsafe(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Any = None
    ) -> asyncio.Handle:
        """As ``call_soon``.

        Raises:
            RuntimeError: called in another thread, whose timing no seed decides.
        """
        if threading.get_ident() != self._only_thread:
            raise RuntimeError("a simulation has one thread; use loop.run_in_executor")
        return self.call_soon(callback, *args, context=context)

    # The two hooks BaseEventLoop calls around its selector; there are no events of the system.
    def _process_events(self, event_list: list[object]) -> None:
        assert not event_list

    def _write_to_self(self) -> None:
        raise AssertionError("a simulation has one thread")


def _new_task(
    loop: asyncio.AbstractEventLoop, coroutine: Any, context: contextvars.Context | None = None
) -> asyncio.Task[Any]:
    assert isinstance(loop, SimulationLoop)
    context = contextvars.copy_context() if context is None else context
    task = asyncio.Task(coroutine, loop=loop, context=context)
    process = context.get(PROCESS)
    if process is not None:
        loop.adopt(task, process)
    return task


class _TimeJump:
    """Stands where BaseEventLoop keeps its selector: waiting is moving the clock."""

    def __init__(self, loop: SimulationLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[object]:
        if timeout is None:
            raise Deadlock(_describe_waiting(self._loop))
        if timeout > 0:
            self._loop.clock.advance(timeout)
        return []


def _describe_waiting(loop: asyncio.AbstractEventLoop) -> str:
    tasks = _tasks_in_order(loop)
    lines = [f"  {task.get_name()}: {_where(task)}" for task in tasks]
    return "\n".join([f"nothing can wake the {len(tasks)} waiting task(s):", *lines])


def _where(task: asyncio.Task[Any]) -> str:
    frames = task.get_stack()
    if not frames:
        return repr(task.get_coro())
    frame = frames[-1]
    return f"{frame.f_code.co_qualname} line {frame.f_lineno} of {frame.f_code.co_filename}"


def run_simulation(
    main: Callable[[SimulationLoop], Coroutine[Any, Any, T]],
    *,
    seed: int = 0,
    clock: VirtualClock | None = None,
) -> T:
    """Run ``main(loop)`` to its end in virtual time and return its result.

    Tasks it leaves behind are cancelled and awaited, as ``asyncio.run`` does.

    Raises:
        Deadlock: ``main`` waits for something that can never happen.
    """
    loop = SimulationLoop(seed, clock)
    try:
        return loop.run_until_complete(main(loop))
    finally:
        try:
            _cancel_all(loop)
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            loop.close()


def _cancel_all(loop: SimulationLoop) -> None:
    tasks = []
    for task in _tasks_in_order(loop):
        process = loop.owns(task)
        if process is None:
            tasks.append(task)
        else:
            process.is_alive = False
            _close(task)
    for task in tasks:
        task.cancel()
    if tasks:
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))


def _close(task: asyncio.Task[Any]) -> None:
    """End a process's task where it stands."""
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    coroutine = task.get_coro()
    # What it would have awaited on its way out can't happen any more.
    with contextlib.suppress(RuntimeError):
        coroutine.close()


def _tasks_in_order(loop: asyncio.AbstractEventLoop) -> list[asyncio.Task[Any]]:
    # A set of tasks comes in the order of their addresses, which no seed decides.
    def age(task: asyncio.Task[Any]) -> tuple[int, str]:
        return len(task.get_name()), task.get_name()

    return sorted(asyncio.all_tasks(loop), key=age)
