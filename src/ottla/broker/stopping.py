"""Signals that stop a broker, from its first moment on, and how its process ends."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from types import FrameType

EXIT_STOPPED = 0
EXIT_FAILED = 1
EXIT_FORCED = 130


class StopSignals:
    """SIGTERM and Ctrl-C ask for a clean stop; a second Ctrl-C ends the process at once.

    Noted here before there is an event loop: recovery of a large log takes a while, and is not to
    be cut short.
    """

    def __init__(self) -> None:
        self.is_stopping = False
        self._on_stop: Callable[[], object] | None = None

    def install(self) -> None:
        """Note signals until the event loop takes them over."""
        signal.signal(signal.SIGINT, self._note)
        signal.signal(signal.SIGTERM, self._note)

    def tell(self, on_stop: Callable[[], object]) -> None:
        """Call ``on_stop`` when a signal comes, or at once when one has."""
        self._on_stop = on_stop
        if self.is_stopping:
            on_stop()

    def interrupt(self) -> None:
        """SIGINT came."""
        if self.is_stopping:
            os._exit(EXIT_FORCED)
        self.terminate()

    def terminate(self) -> None:
        """SIGTERM came."""
        self.is_stopping = True
        if self._on_stop is not None:
            self._on_stop()

    def _note(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT:
            self.interrupt()
        else:
            self.terminate()
