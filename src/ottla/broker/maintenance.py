"""What a broker does by the clock: retention, compaction, checkpoints."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

_logger = logging.getLogger(__name__)


class Maintenance:
    """Runs chores at fixed intervals on the event loop; one that fails is logged and tried again.

    A chore must be short, or hand its work to a thread.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def every(
        self, interval_ms: int | Callable[[], int], name: str, chore: Callable[[], None]
    ) -> None:
        """Run ``chore`` every ``interval_ms``, the first time one interval from now.

        Where that is a function, it is asked each time: the interval may be reconfigured.
        """

        def again() -> None:
            milliseconds = interval_ms if isinstance(interval_ms, int) else interval_ms()
            self._timers[name] = self._loop.call_later(milliseconds / 1000, run)

        def run() -> None:
            try:
                chore()
            except Exception:
                _logger.exception("%s failed", name)
            again()

        again()

    def stop(self) -> None:
        """Run nothing any more."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
