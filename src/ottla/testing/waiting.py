"""Waiting for what another process or thread will bring about."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")

_PAUSE_SECONDS = 0.02


def eventually(
    probe: Callable[[], Value], *, timeout_seconds: float = 45, what: str | None = None
) -> Value:
    """Call ``probe`` until it returns something true, and return that.

    Raises:
        TimeoutError: it never did; the message ends with what ``probe`` returned last.
    """
    deadline = time.monotonic() + timeout_seconds
    pause = threading.Event()
    while True:
        value = probe()
        if value:
            return value
        if time.monotonic() > deadline:
            named = what or getattr(probe, "__name__", "the condition")
            raise TimeoutError(f"{named}: not within {timeout_seconds} s, last seen: {value!r}")
        pause.wait(_PAUSE_SECONDS)
