"""What the parts of one engine share: its loop, time, randomness, configuration and log."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine
from typing import Any, Literal

from ottla.client.configuration.objects import Configuration
from ottla.client.engine.log import ClientLog
from ottla.ports.clock import Clock, SystemClock
from ottla.ports.entropy import Entropy, SystemEntropy

ClientType = Literal["producer", "consumer", "admin"]
# How the engine calls the callbacks of the configuration: in ``aio`` directly, in ``sync`` by
# putting them into the CallbackQueue.
CallUser = Callable[..., object]


# Loops take a timer for due that is so much ahead.
_CLOCK_RESOLUTION_S = 1e-6


def call_directly(callback: Callable[..., object], *arguments: object) -> None:
    """Call a user's callback at once: how the engine does it on the user's own loop."""
    callback(*arguments)


class Runtime:
    """The surroundings of an engine's parts; all of it is used on the loop's thread only."""

    __slots__ = (
        "_call_user", "_tasks", "_ticks_in_ms", "clock", "configuration", "entropy", "log", "loop",
    )  # fmt: skip

    def __init__(
        self,
        configuration: Configuration,
        log: ClientLog,
        *,
        call_user: CallUser | None,
        clock: Clock | None,
        entropy: Entropy | None,
    ) -> None:
        self.configuration = configuration
        self.log = log
        self.loop = asyncio.get_running_loop()
        # uvloop's timers count whole milliseconds, of a clock that is up to one behind.
        self._ticks_in_ms = type(self.loop).__module__.startswith("uvloop")
        self.clock: Clock = clock or SystemClock()
        self.entropy: Entropy = entropy or SystemEntropy()
        self._call_user: CallUser = call_user or call_directly
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def wants_statistics(self) -> bool:
        """Whether anybody is told statistics, for what is only counted for them."""
        configuration = self.configuration
        return configuration.statistics_interval_ms > 0 and configuration.stats_cb is not None

    def now_ms(self) -> float:
        """Milliseconds that never go back."""
        return self.clock.monotonic() * 1000

    def randomness(self) -> float:
        """A random number from 0 up to 1."""
        return int.from_bytes(self.entropy.token(4)) / 2**32

    def call_at(self, when_ms: float, callback: Callable[[], object]) -> asyncio.TimerHandle:
        """Call back at a time of :meth:`now_ms`, never before it.

        Who is called too early finds nothing due, and would be called again and again until it is.
        """
        delay_ms = max(0.0, when_ms - self.now_ms())
        if self._ticks_in_ms:
            delay_ms = math.ceil(delay_ms) + 1
        return self.loop.call_later(delay_ms / 1000 + _CLOCK_RESOLUTION_S, callback)

    def spawn(self, coroutine: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """Run a coroutine beside everything else; it ends with the engine at the latest."""
        task = self.loop.create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.log.failure(f"{task.get_name()} failed", error)

    async def cancel_tasks(self) -> None:
        """End everything that was spawned and is not done."""
        own = asyncio.current_task()
        tasks = [task for task in self._tasks if task is not own]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def tell_user(self, callback: Callable[..., object], *arguments: object) -> None:
        """Call one of the user's callbacks, which may raise anything."""
        try:
            self._call_user(callback, *arguments)
        except Exception as error:
            self.log.failure("a callback raised", error)
