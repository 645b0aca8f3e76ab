"""``produce_arrow``: the rows of a table as messages, without a Python object per row."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from ottla.client._reference_rows import BytesColumn
from ottla.client.appended import APPENDED, QUEUE_FULL, refusal
from ottla.client.arrow import load_pyarrow
from ottla.client.backend import active

if TYPE_CHECKING:
    from ottla.client._reference_accumulator import Accumulator


class Columns(NamedTuple):
    """Which columns of a table are what; None: nothing is."""

    key: str | None
    value: str | None
    timestamp: str | None
    partition: str | None


class TableAppender:
    """Appends a table's rows, as many at a time as the queue has room for.

    Args:
        accumulator: where they go.
        topic: of all of them.
        table: a ``pyarrow.Table`` or ``RecordBatch``.
        columns: which column is what.
        partition: of all rows, unless a column says it.
        callback: of all rows.
        wake: called when the engine has to look.

    Raises:
        TypeError: it is no table, or a column has a type that can't be produced.
        KeyError: there is no such column.
    """

    def __init__(
        self,
        accumulator: Accumulator,
        topic: str,
        table: Any,
        columns: Columns,
        partition: int,
        callback: Any,
        wake: Callable[[], object],
    ) -> None:
        pa = load_pyarrow()
        if isinstance(table, pa.RecordBatch):
            batches = [table]
        elif isinstance(table, pa.Table):
            batches = table.to_batches()
        else:
            kind = type(table).__name__
            raise TypeError(f"table must be a pyarrow.Table or RecordBatch, not {kind}")
        self.count = 0
        """How many rows were appended so far."""
        self._accumulator = accumulator
        self._topic = topic
        self._partition = partition
        self._callback = callback
        self._wake = wake
        self._left = deque(_rows(pa, batch, columns) for batch in batches)
        self._start = 0

    def append(self) -> bool:
        """Append what there is room for.

        Returns:
            Whether that was all; if not, the queue is full.

        Raises:
            KafkaException: a row is too large, or its partition does not exist.
        """
        while self._left:
            rows = self._left[0]
            appended, wakes, answer = active.append_rows(
                self._accumulator,
                self._topic,
                self._partition,
                self._start,
                rows.row_count,
                rows.keys,
                rows.values,
                rows.timestamps_ms,
                rows.partitions,
                self._callback,
            )
            self._start += appended
            self.count += appended
            if wakes:
                self._wake()
            if answer == QUEUE_FULL:
                return False
            if answer != APPENDED:
                raise refusal(answer)
            self._left.popleft()
            self._start = 0
        return True


class _Rows(NamedTuple):
    row_count: int
    keys: BytesColumn | None
    values: BytesColumn | None
    timestamps_ms: Any
    partitions: Any


def _rows(pa: Any, batch: Any, columns: Columns) -> _Rows:
    return _Rows(
        batch.num_rows,
        _bytes(pa, batch, columns.key),
        _bytes(pa, batch, columns.value),
        _integers(pa, batch, columns.timestamp, pa.int64()),
        _integers(pa, batch, columns.partition, pa.int32()),
    )


def _column(batch: Any, name: str) -> Any:
    index = batch.schema.get_field_index(name)
    if index < 0:
        raise KeyError(f"the table has no column {name!r} (or several)")
    return batch.column(index)


def _bytes(pa: Any, batch: Any, name: str | None) -> BytesColumn | None:
    if name is None:
        return None
    array = _column(batch, name)
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    kind = array.type
    is_large = pa.types.is_large_binary(kind) or pa.types.is_large_string(kind)
    if not is_large and not (pa.types.is_binary(kind) or pa.types.is_string(kind)):
        raise TypeError(f"column {name!r} must be binary or text, not {kind}: cast it")
    validity, offsets, data = array.buffers()
    # An array without rows may have no memory at all.
    return BytesColumn(validity, offsets or bytes(8), data, is_large, array.offset)


def _integers(pa: Any, batch: Any, name: str | None, kind: Any) -> Any:
    if name is None:
        return None
    array = _column(batch, name)
    if pa.types.is_timestamp(array.type):
        array = array.cast(pa.timestamp("ms", array.type.tz))
    if array.null_count:
        raise TypeError(f"column {name!r} has rows without a value")
    numbers = array.cast(kind)
    data = (
        memoryview(numbers.buffers()[1] or b"").cast("B").cast("q" if kind.bit_width == 64 else "i")
    )
    return data[numbers.offset : numbers.offset + len(numbers)]
