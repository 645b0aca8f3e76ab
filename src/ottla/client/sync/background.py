"""A thread for what may block: callbacks of futures must not hold up the engine's thread."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

# How long the thread waits for more to do before it ends.
_IDLE_S = 2.0


class Background:
    """Makes calls one after another on a thread that is there when it is needed.

    Args:
        name: the thread's name.
    """

    __slots__ = ("_calls", "_changed", "_is_running", "_name")

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: deque[Callable[[], object]] = deque()
        self._changed = threading.Condition(threading.Lock())
        self._is_running = False

    def put(self, call: Callable[[], object]) -> None:
        """Have ``call()`` called; it must not raise."""
        with self._changed:
            self._calls.append(call)
            if self._is_running:
                self._changed.notify()
                return
            self._is_running = True
        threading.Thread(target=self._run, name=self._name, daemon=True).start()

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._calls:
                    self._changed.wait(_IDLE_S)
                if not self._calls:
                    self._is_running = False
                    return
                call = self._calls.popleft()
            call()
