"""Callbacks that wait for the application: they run in its ``poll``, ``flush``, ``consume``."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sized
from typing import Any

from ottla.client.backend import give_way_to_engines

# How long one wait on a lock can be.
_MAX_WAIT_S = threading.TIMEOUT_MAX


class CallbackQueue:
    """What happened and was not told yet: put by the engine's thread, run by the application's.

    Any number of threads may put, wait and run. A thread that waits is woken by whatever is put,
    and by :meth:`notify`, with which other queues (of messages, say) share the wait.
    """

    __slots__ = ("_changed", "_entries", "_notified", "_waiting")

    def __init__(self) -> None:
        # (callback, arguments, whether the result is how many events it stood for)
        self._entries: deque[tuple[Callable[..., Any], tuple[Any, ...], bool]] = deque()
        self._changed = threading.Condition(threading.Lock())
        self._waiting = 0
        self._notified = False

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def entries(self) -> Sized:
        """What is there to be run, always the same object: empty if nothing is."""
        return self._entries

    def put(self, callback: Callable[..., Any], *arguments: Any) -> None:
        """Have ``callback(*arguments)`` called by the next :meth:`run`; it counts as one event."""
        self._entries.append((callback, arguments, False))
        self.notify()

    def put_many(self, run: Callable[[], int]) -> None:
        """Have ``run()`` called, which tells how many events it served (a batch's deliveries).

        When it raises, it is expected to have served all it could, as :meth:`run` does itself.
        """
        self._entries.append((run, (), True))
        self.notify()

    def notify(self) -> None:
        """Wake the threads that wait."""
        self._notified = True
        # Seldom does anybody wait, and then the flag is all it takes: no lock per event.
        if self._waiting:
            with self._changed:
                self._changed.notify_all()

    def wait(self, timeout_s: float | None) -> bool:
        """Wait until there is something to run or :meth:`notify` was called; at once if it was
        called since the last wait.

        Args:
            timeout_s: the longest wait in seconds; None or a negative number for no limit.

        Returns:
            Whether something happened; False when the time is over.

        Raises:
            KeyboardInterrupt: Ctrl-C, at once.
        """
        deadline = None if timeout_s is None or timeout_s < 0 else time.monotonic() + timeout_s
        with self._changed:
            self._waiting += 1
            try:
                while not self._notified and not self._entries:
                    left = _MAX_WAIT_S if deadline is None else deadline - time.monotonic()
                    if left <= 0 or not self._changed.wait(min(left, _MAX_WAIT_S)):
                        if deadline is None:
                            continue
                        return self._notified or bool(self._entries)
            finally:
                self._waiting -= 1
            self._notified = False
            return True

    def run(self) -> int:
        """Call the callbacks that are there now, in order, up to the first that raises.

        Returns:
            How many events were served.

        Raises:
            BaseException: what a callback raised; those after it are called by the next run.
        """
        # Who polls in a tight loop would keep the engine waiting for its next turn.
        give_way_to_engines()
        served = 0
        # Only what is there now: a callback that produces may bring about the next one.
        for _ in range(len(self._entries)):
            try:
                callback, arguments, is_counted = self._entries.popleft()
            except IndexError:
                break
            result = callback(*arguments)
            served += result if is_counted else 1
        return served

    def serve(self, timeout_s: float | None) -> int:
        """Run what is there; if there is nothing, wait for it first (``Producer.poll``).

        Raises what :meth:`run` and :meth:`wait` raise.
        """
        if not self._entries:
            if timeout_s == 0:
                return 0
            deadline = None if timeout_s is None or timeout_s < 0 else time.monotonic() + timeout_s
            while not self._entries:
                left = None if deadline is None else max(0.0, deadline - time.monotonic())
                if not self.wait(left):
                    return 0
        return self.run()

    def clear(self) -> None:
        """Forget everything that was not told."""
        self._entries.clear()
