"""Waiting longer after every failure (KIP-580). Randomness is an argument, from 0 up to 1."""

from __future__ import annotations

# How far a delay is stretched or shortened at random, so that clients do not come back in step.
_JITTER = 0.2
# Beyond this many failures a doubled delay is always longer than any limit.
_MAX_DOUBLINGS = 32


def backoff_ms(failures: int, *, first_ms: float, max_ms: float, randomness: float) -> float:
    """How long to wait after so many failures in a row.

    The first wait is ``first_ms``, every further one twice as long, give or take a fifth, and none
    is longer than ``max_ms``. No failure, no wait.
    """
    if failures <= 0:
        return 0.0
    doubled_ms = first_ms * (1 << min(failures - 1, _MAX_DOUBLINGS))
    stretched_ms = doubled_ms * (1 - _JITTER + 2 * _JITTER * randomness)
    return min(stretched_ms, max_ms)


class Backoff:
    """The failures of one thing that is tried again and again, such as reaching a broker."""

    __slots__ = ("_first_ms", "_max_ms", "failures", "ready_at_ms")

    def __init__(self, first_ms: float, max_ms: float) -> None:
        self._first_ms = first_ms
        self._max_ms = max_ms
        self.failures = 0
        self.ready_at_ms = 0.0

    def failed(self, now_ms: float, randomness: float) -> None:
        """It failed: not again before ``ready_at_ms``."""
        self.failures += 1
        self.ready_at_ms = now_ms + backoff_ms(
            self.failures, first_ms=self._first_ms, max_ms=self._max_ms, randomness=randomness
        )

    def succeeded(self) -> None:
        """It succeeded: the next failure counts as the first."""
        self.failures = 0
        self.ready_at_ms = 0.0

    def is_ready(self, now_ms: float) -> bool:
        """Whether it may be tried now."""
        return now_ms >= self.ready_at_ms
