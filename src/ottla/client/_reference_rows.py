"""From Arrow's columns to batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ottla.client.appended import APPENDED, WAKE

if TYPE_CHECKING:
    from ottla.client._reference_accumulator import Accumulator

Buffer = Any


class BytesColumn(NamedTuple):
    """A column of bytes or text in Arrow's layout."""

    validity: Buffer | None
    """A bit per row; None: all rows have a value."""
    offsets: Buffer
    """Where each value begins in the data, and where the last one ends."""
    data: Buffer | None
    is_large: bool
    """Offsets have 64 bits."""
    first: int
    """The number of the first row in all of these."""


class _Rows:
    def __init__(self, column: BytesColumn, count: int) -> None:
        validity, offsets, data, is_large, self._first = column
        self._validity = None if validity is None else memoryview(validity).cast("B")
        size_bytes = 8 if is_large else 4
        whole = memoryview(offsets).cast("B")
        kept_bytes = len(whole) // size_bytes * size_bytes
        self._offsets = whole[:kept_bytes].cast("q" if is_large else "i")
        self._data = memoryview(b"" if data is None else data).cast("B")
        last = self._first + count
        if (
            self._first < 0
            or len(self._offsets) < last + 1
            or (self._validity is not None and len(self._validity) * 8 < last)
        ):
            raise ValueError("a column ends before its last row")

    def read(self, row: int) -> bytes | None:
        index = self._first + row
        if self._validity is not None and not self._validity[index >> 3] >> (index & 7) & 1:
            return None
        begin, end = self._offsets[index], self._offsets[index + 1]
        if not 0 <= begin <= end <= len(self._data):
            raise ValueError("a column's offsets lie outside its data")
        return bytes(self._data[begin:end])


def append_rows(
    accumulator: Accumulator,
    topic: str,
    partition: int,
    start: int,
    count: int,
    keys: BytesColumn | None,
    values: BytesColumn | None,
    timestamps_ms: Buffer | None,
    partitions: Buffer | None,
    callback: Any,
) -> tuple[int, bool, int]:
    """Append the rows of columns from ``start`` on, up to the first one that is refused.

    Args:
        accumulator: where they go.
        topic: of all of them.
        partition: of all of them, unless there are ``partitions``.
        start: the first row to append.
        count: how many rows the columns have.
        keys: the keys; None: there are none.
        values: the values; None: all are null.
        timestamps_ms: 64-bit integers; None: now.
        partitions: 32-bit integers.
        callback: of all of them.

    Returns:
        How many were appended, whether the engine has to look, and why the next one was refused
        (``APPENDED``: there is no next one).

    Raises:
        ValueError: the columns are damaged.
    """
    key_rows = None if keys is None else _Rows(keys, count)
    value_rows = None if values is None else _Rows(values, count)
    times = None if timestamps_ms is None else memoryview(timestamps_ms)
    numbers = None if partitions is None else memoryview(partitions)
    if any(column is not None and len(column) < count for column in (times, numbers)):
        raise ValueError("a column ends before its last row")
    wakes = False
    for row in range(start, count):
        answer = accumulator.append(
            topic,
            partition if numbers is None else numbers[row],
            None if key_rows is None else key_rows.read(row),
            None if value_rows is None else value_rows.read(row),
            None,
            0 if times is None else times[row],
            callback,
        )
        if answer == WAKE:
            wakes = True
        elif answer != APPENDED:
            return row - start, wakes, answer
    return count - start, wakes, APPENDED
