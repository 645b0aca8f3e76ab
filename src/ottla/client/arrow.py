"""Records as Arrow's record batches, without a Python object per record (extra ``arrow``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ottla.client._reference_columns import BinaryColumn, RecordColumns


def load_pyarrow() -> Any:
    """The module.

    Raises:
        ImportError: it is not installed; says how to install it.
    """
    try:
        import pyarrow
    except ImportError as error:
        raise ImportError("Arrow needs pyarrow: pip install 'ottla[arrow]'") from error
    return pyarrow


def record_batch(columns: RecordColumns) -> Any:
    """A ``pyarrow.RecordBatch`` of topic, partition, offset, timestamp, key, value and headers.

    The columns' memory is shared: nothing may be added to them afterwards.
    """
    pa = load_pyarrow()
    count = columns.count

    def fixed(kind: Any, data: Any) -> Any:
        return pa.Array.from_buffers(kind, count, [None, pa.py_buffer(data)])

    headers = pa.StructArray.from_arrays(
        [
            _variable(pa, pa.string(), columns.header_count, columns.header_names),
            _variable(pa, pa.binary(), columns.header_count, columns.header_values),
        ],
        fields=[pa.field("key", pa.string(), nullable=False), pa.field("value", pa.binary())],
    )
    arrays = {
        "topic": pa.DictionaryArray.from_arrays(
            fixed(pa.int32(), columns.topic_indexes), pa.array(columns.topics, pa.string())
        ),
        "partition": fixed(pa.int32(), columns.partitions),
        "offset": fixed(pa.int64(), columns.offsets),
        "timestamp": fixed(pa.timestamp("ms", tz="UTC"), columns.timestamps_ms),
        "key": _variable(pa, pa.binary(), count, columns.keys),
        "value": _variable(pa, pa.binary(), count, columns.values),
        "headers": pa.Array.from_buffers(
            pa.list_(headers.type),
            count,
            [None, pa.py_buffer(columns.header_offsets)],
            children=[headers],
        ),
    }
    return pa.RecordBatch.from_arrays(list(arrays.values()), names=list(arrays))


def _variable(pa: Any, kind: Any, count: int, column: BinaryColumn) -> Any:
    buffers = [pa.py_buffer(part) for part in (column.validity, column.offsets, column.data)]
    return pa.Array.from_buffers(kind, count, buffers)
