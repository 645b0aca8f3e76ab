"""Time for coordinators: wall time that never jumps."""

from __future__ import annotations

import asyncio


class SteadyTime:
    """Wall time that never jumps: read once, then advanced by the loop's monotonic clock, so that
    a clock set back or forth neither expels members nor keeps dead ones."""

    def __init__(self, loop: asyncio.AbstractEventLoop, wall_ms: int) -> None:
        self._loop = loop
        self._base_ms = wall_ms - int(loop.time() * 1000)

    def now_ms(self) -> int:
        return self._base_ms + int(self._loop.time() * 1000)

    def loop_time(self, deadline_ms: int) -> float:
        """The loop's time at which ``deadline_ms`` is due."""
        return (deadline_ms - self._base_ms) / 1000
