"""How long to pause so that compaction stays below a rate of bytes: pure."""

from __future__ import annotations


class Throttle:
    """Counts bytes of all cleanings together.

    Bytes may be used at once that the rate allows within the burst; what is unused longer is lost.
    """

    __slots__ = ("_allowed_from_s", "_burst_s")

    def __init__(self, burst_s: float = 0.3) -> None:
        self._burst_s = burst_s
        self._allowed_from_s = float("-inf")

    def pause_s(self, used_bytes: int, bytes_per_second: float, now_s: float) -> float:
        """Note bytes just read or written; returns how many seconds to rest before the next."""
        begun_s = max(self._allowed_from_s, now_s - self._burst_s)
        self._allowed_from_s = begun_s + used_bytes / bytes_per_second
        return max(0.0, self._allowed_from_s - now_s)
