"""From fetched bytes to Arrow's columns, on both twins."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from ottla.client.arrow import record_batch
from ottla.records.compression import Codec
from ottla.records.encode import encode_batch
from ottla.records.record import Record

pytest.importorskip("pyarrow")

RECORDS = [
    Record(0, 1000, b"k", b"v", (("a", b"1"), ("b", None))),
    Record(1, 1001, None, None),
    Record(2, 1002, b"", b"x" * 300, (("ä", b""),)),
]


def cursor(twin: ModuleType, data: bytes, partition: int = 0, **options: Any) -> Any:
    return twin.MessageCursor("t", partition, data, 0, **options)


def rows(columns: Any) -> list[tuple[Any, ...]]:
    batch = record_batch(columns)
    batch.validate(full=True)
    return [
        (
            *(row[name] for name in ("topic", "partition", "offset", "key", "value")),
            round(row["timestamp"].timestamp() * 1000),
            [(header["key"], header["value"]) for header in row["headers"]],
        )
        for row in batch.to_pylist()
    ]


def expected(partition: int = 0) -> list[tuple[Any, ...]]:
    return [
        ("t", partition, r.offset, r.key, r.value, r.timestamp_ms, list(r.headers)) for r in RECORDS
    ]


def test_rows_are_the_records(twin: ModuleType) -> None:
    columns = twin.RecordColumns()
    assert columns.extend(cursor(twin, encode_batch(RECORDS, codec=Codec.LZ4)), 10) == 3
    assert columns.extend(cursor(twin, encode_batch(RECORDS, leader_epoch=7), 1), 10) == 3
    assert rows(columns) == expected() + expected(1)
    assert [(run[1], run[2]) for run in columns.runs] == [(0, 0), (1, 0)]
    assert columns.runs[1][3] == 7


def test_a_limit_leaves_the_rest_for_later(twin: ModuleType) -> None:
    data = cursor(twin, encode_batch(RECORDS))
    columns = twin.RecordColumns()
    assert (columns.extend(data, 2), columns.count, data.consumed) == (2, 2, 2)
    assert (columns.extend(data, 2), columns.extend(data, 2)) == (1, 0)
    assert rows(columns) == expected()


def test_no_rows(twin: ModuleType) -> None:
    columns = twin.RecordColumns()
    assert rows(columns) == []
    assert record_batch(columns).schema.names[-1] == "headers"


def test_log_append_time(twin: ModuleType) -> None:
    columns = twin.RecordColumns()
    columns.extend(cursor(twin, encode_batch(RECORDS, log_append_time_ms=9000)), 10)
    assert [row[5] for row in rows(columns)] == [9000] * 3


def test_many_rows_and_their_nulls(twin: ModuleType) -> None:
    records = [Record(i, 0, None if i % 3 else b"%d" % i, b"v" * (i % 70)) for i in range(1000)]
    columns = twin.RecordColumns()
    columns.extend(cursor(twin, encode_batch(records)), 1000)
    assert [(row[3], row[4]) for row in rows(columns)] == [(r.key, r.value) for r in records]


def test_names_of_headers_that_are_no_text(twin: ModuleType) -> None:
    data = encode_batch([Record(0, 0, None, b"v", (("zq", b"x"),))])
    columns = twin.RecordColumns()
    columns.extend(cursor(twin, data.replace(b"zq", b"\xff\xfe")), 1)
    assert rows(columns)[0][6] == [("��", b"x")]
