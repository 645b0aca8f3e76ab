"""An engine on a daemon thread of its own, for the sync clients."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from ottla.client.engine.engine import Engine

T = TypeVar("T")
E = TypeVar("E", bound=Engine)


class Waiting(Generic[T]):
    """The result of a coroutine that runs on the engine's thread."""

    def wait(self, timeout_s: float | None = None) -> T:
        """The coroutine's result; what it raised is raised here.

        Args:
            timeout_s: None or a negative number for no limit.

        Raises:
            TimeoutError: not done in time; the coroutine goes on, see :meth:`cancel`.
            KeyboardInterrupt: Ctrl-C, at once; the coroutine is cancelled.
        """
        raise NotImplementedError

    def done(self) -> bool:
        raise NotImplementedError

    def cancel(self) -> None:
        """Cancel the coroutine."""
        raise NotImplementedError

    def add_done_callback(self, callback: Callable[[Waiting[T]], object]) -> None:
        """Called on the engine's thread when it is done (at once if it is)."""
        raise NotImplementedError


class EngineThread:
    """Runs an engine for other threads. Its methods may be called in any thread.

    In a forked child there is no such thread: every method raises ``RuntimeError`` there (and
    :attr:`is_forked` is True) until the child makes a client of its own.

    Args:
        make_engine: makes the engine, called on the new thread's loop; then it is started.
        name: the thread's name.
    """

    engine: Engine
    is_forked: bool

    def __init__(self, make_engine: Callable[[], Engine], name: str = "ottla") -> None:
        raise NotImplementedError

    def call(self, callback: Callable[..., object], *arguments: Any) -> None:
        """Call back on the engine's thread, in the order of the calls.

        Wake-ups are coalesced: a burst of calls costs one.
        """
        raise NotImplementedError

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> Waiting[T]:
        """Run a coroutine on the engine's thread."""
        raise NotImplementedError

    def run(self, coroutine: Coroutine[Any, Any, T], timeout_s: float | None = None) -> T:
        """``submit(coroutine).wait(timeout_s)``; cancels it when the time is over."""
        raise NotImplementedError

    def check_process(self) -> None:
        """Raise ``RuntimeError`` in a forked child; cheap, for the start of every public call."""
        raise NotImplementedError

    def stop(self) -> None:
        """Close the engine and end the thread; later calls do nothing."""
        raise NotImplementedError
