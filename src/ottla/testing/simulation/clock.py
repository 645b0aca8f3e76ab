"""Virtual time: it stands still until someone moves it."""

from __future__ import annotations

DEFAULT_START_MS = 1_700_000_000_000
"""The wall clock a simulation starts at: 2023-11-14T22:13:20Z."""


class VirtualClock:
    """A :class:`ottla.ports.clock.Clock` that only :meth:`advance` moves.

    The monotonic side never goes back; the wall clock can be set (:meth:`jump_wall`), as an
    administrator or NTP does to a machine.
    """

    __slots__ = ("_elapsed_s", "_wall_start_ms")

    def __init__(self, wall_start_ms: int = DEFAULT_START_MS) -> None:
        self._wall_start_ms = wall_start_ms
        self._elapsed_s = 0.0

    def wall_ms(self) -> int:
        return self._wall_start_ms + int(self._elapsed_s * 1000 + 1e-6)

    def monotonic(self) -> float:
        return self._elapsed_s

    def advance(self, seconds: float) -> None:
        """Let time pass.

        Raises:
            ValueError: ``seconds`` is negative.
        """
        if seconds < 0:
            raise ValueError(f"time does not go back ({seconds} s)")
        self._elapsed_s += seconds

    def advance_to(self, monotonic: float) -> None:
        """Let time pass until :meth:`monotonic` is ``monotonic``; no effect when it is past."""
        self._elapsed_s = max(self._elapsed_s, monotonic)

    def jump_wall(self, milliseconds: int) -> None:
        """Set the wall clock forward or back without time passing."""
        self._wall_start_ms += milliseconds
