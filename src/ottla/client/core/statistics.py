"""The pieces of the statistics that ``stats_cb`` is told: windows and entries of librdkafka's form.

Every producer of numbers counts by itself; the engine puts the JSON together.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

# Values are kept to so many significant bits: one part in 128, as exact as anybody reads them.
_PRECISION_BITS = 7
_PERCENTILES = (
    ("p50", 50.0), ("p75", 75.0), ("p90", 90.0), ("p95", 95.0), ("p99", 99.0), ("p99_99", 99.99),
)  # fmt: skip
# What one entry of a histogram takes, about.
_BUCKET_BYTES = 100


class Window:
    """What was measured since the last statistics: a histogram of bounded size."""

    __slots__ = ("_buckets", "_count", "_max", "_min", "_squares", "_sum")

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self._buckets: dict[int, int] = {}
        self._count = self._sum = self._squares = self._max = 0
        self._min: int | None = None

    def add(self, value: float) -> None:
        """Note one measurement; negative ones count as 0."""
        number = max(0, int(value))
        shift = max(0, number.bit_length() - _PRECISION_BITS)
        bucket = number >> shift << shift
        self._buckets[bucket] = self._buckets.get(bucket, 0) + 1
        self._count += 1
        self._sum += number
        self._squares += number * number
        self._max = max(self._max, number)
        self._min = number if self._min is None else min(self._min, number)

    def merge(self, other: Window) -> None:
        """Add what another window has measured; that one begins anew."""
        for bucket, count in other._buckets.items():
            self._buckets[bucket] = self._buckets.get(bucket, 0) + count
        self._count += other._count
        self._sum += other._sum
        self._squares += other._squares
        self._max = max(self._max, other._max)
        if other._min is not None:
            self._min = other._min if self._min is None else min(self._min, other._min)
        other._clear()

    def take(self) -> dict[str, int]:
        """The window's entry of the statistics; a new window begins."""
        count = self._count
        average = self._sum / count if count else 0.0
        variance = max(0.0, self._squares / count - average * average) if count else 0.0
        entry = {
            "min": self._min or 0,
            "max": self._max,
            "avg": int(average),
            "sum": self._sum,
            "stddev": int(math.sqrt(variance)),
            **self._percentiles(),
            "outofrange": 0,
            "hdrsize": _BUCKET_BYTES * len(self._buckets),
            "cnt": count,
        }
        self._clear()
        return entry

    def _percentiles(self) -> dict[str, int]:
        ordered = sorted(self._buckets.items())
        return {
            name: _value_of(math.ceil(self._count * percentile / 100), ordered)
            for name, percentile in _PERCENTILES
        }


def _value_of(rank: int, ordered: list[tuple[int, int]]) -> int:
    """The value that so many measurements do not exceed."""
    seen = 0
    for value, count in ordered:
        seen += count
        if seen >= rank:
            return value
    return 0


_PARTITION: dict[str, Any] = {
    "partition": -1, "broker": -1, "leader": -1, "desired": False, "unknown": False,
    "msgq_cnt": 0, "msgq_bytes": 0, "xmit_msgq_cnt": 0, "xmit_msgq_bytes": 0,
    "fetchq_cnt": 0, "fetchq_size": 0, "fetch_state": "none",
    "query_offset": -1001, "next_offset": 0, "app_offset": -1001, "stored_offset": -1001,
    "stored_leader_epoch": -1, "commited_offset": -1001, "committed_offset": -1001,
    "committed_leader_epoch": -1, "eof_offset": -1001, "lo_offset": -1001, "hi_offset": -1001,
    "ls_offset": -1001, "consumer_lag": -1, "consumer_lag_stored": -1, "leader_epoch": -1,
    "txmsgs": 0, "txbytes": 0, "rxmsgs": 0, "rxbytes": 0, "msgs": 0, "rx_ver_drops": 0,
    "msgs_inflight": 0, "next_ack_seq": 0, "next_err_seq": 0, "acked_msgid": 0,
}  # fmt: skip


def partition_entry(partition: int, **known: object) -> dict[str, Any]:
    """A partition's entry: what is known, and for everything else what stands for unknown.

    ``committed_offset`` also goes by the name that librdkafka once misspelt.
    """
    assert known.keys() <= _PARTITION.keys(), known.keys() - _PARTITION.keys()
    entry = {**_PARTITION, "partition": partition, **known}
    entry["commited_offset"] = entry["committed_offset"]
    return entry


def topic_entry(
    topic: str, partitions: Iterable[dict[str, Any]], *, age_ms: float, metadata_age_ms: float
) -> dict[str, Any]:
    """A topic's entry, with the entries of its partitions; windows of batches are added to it."""
    return {
        "topic": topic,
        "age": int(age_ms),
        "metadata_age": int(metadata_age_ms),
        "batchsize": Window().take(),
        "batchcnt": Window().take(),
        "partitions": {str(each["partition"]): each for each in partitions},
    }
