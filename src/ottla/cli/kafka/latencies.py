"""Latencies of many records in little memory: a histogram of milliseconds, and windows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable


class Latencies:
    """How long records took, by whole milliseconds."""

    def __init__(self) -> None:
        self.count = 0
        self.total_ms = 0.0
        self.max_ms = 0
        self.total_bytes = 0
        self._by_ms: Counter[int] = Counter()

    def add(self, latency_ms: int, size_bytes: int) -> None:
        """Count one record."""
        self.count += 1
        self.total_ms += latency_ms
        self.total_bytes += size_bytes
        self.max_ms = max(self.max_ms, latency_ms)
        self._by_ms[latency_ms] += 1

    @property
    def mean_ms(self) -> float:
        """The average, 0 without any."""
        return self.total_ms / self.count if self.count else 0.0

    def percentiles(self, wanted: Iterable[float]) -> list[int]:
        """The latencies that this part of the records (0 to 1) doesn't exceed."""
        ordered = sorted(self._by_ms.items())
        found = []
        for part in wanted:
            rank, seen, latency = int(self.count * part), 0, 0
            for latency, count in ordered:  # noqa: B007 - the last one is the answer
                seen += count
                if seen > rank:
                    break
            found.append(latency)
        return found


PERCENTILES = (0.5, 0.95, 0.99, 0.999)
_MEGABYTE = 1024 * 1024


def window_line(window: Latencies, elapsed_s: float) -> str:
    """What ``kafka-producer-perf-test`` says every few seconds."""
    elapsed_s = max(elapsed_s, 1e-9)
    return (
        f"{window.count} records sent, {window.count / elapsed_s:.1f} records/sec "
        f"({window.total_bytes / _MEGABYTE / elapsed_s:.2f} MB/sec), {window.mean_ms:.1f} ms avg "
        f"latency, {window.max_ms:.1f} ms max latency."
    )


def total_line(total: Latencies, elapsed_s: float, what: str = "records") -> str:
    """What it says at the end."""
    elapsed_s = max(elapsed_s, 1e-9)
    median, p95, p99, p999 = total.percentiles(PERCENTILES)
    return (
        f"{total.count} {what} sent, {total.count / elapsed_s:.6f} records/sec "
        f"({total.total_bytes / _MEGABYTE / elapsed_s:.2f} MB/sec), {total.mean_ms:.2f} ms avg "
        f"latency, {float(total.max_ms):.2f} ms max latency, {median} ms 50th, {p95} ms 95th, "
        f"{p99} ms 99th, {p999} ms 99.9th."
    )
