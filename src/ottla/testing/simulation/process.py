"""Processes of a simulation: what runs in one ends with it, wherever it stands."""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PROCESS: contextvars.ContextVar[SimulatedProcess | None] = contextvars.ContextVar(
    "PROCESS", default=None
)
"""The process the running code belongs to. Whatever it schedules inherits it, as asyncio copies
contexts into tasks, timers and callbacks."""


class SimulatedProcess:
    """A process of a ``SimulationLoop``, which kills it as ``kill -9`` does.

    Attributes:
        name: which one, for people to read.
        is_alive: until ``SimulationLoop.kill``.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_alive = True

    def run(self, function: Callable[[], T]) -> T:
        """Call ``function`` as this process's code."""

        def inside() -> T:
            PROCESS.set(self)
            return function()

        return contextvars.copy_context().run(inside)
