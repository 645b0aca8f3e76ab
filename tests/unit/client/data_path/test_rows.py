"""From Arrow's columns to records."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from ottla.client import produced_arrow
from ottla.client.errors import KafkaException
from ottla.client.produced_arrow import Columns, TableAppender
from ottla.records.decode import decode_records

pa = pytest.importorskip("pyarrow")
PLAIN = Columns("key", "value", None, None)


class Target:
    """Where the rows go."""

    def __init__(self, twin: ModuleType, monkeypatch: pytest.MonkeyPatch, **limits: Any) -> None:
        monkeypatch.setattr(produced_arrow, "active", twin)
        self.accumulator = twin.Accumulator(**limits)
        self.accumulator.set_partition_count("t", 2)
        self.wakes = 0

    def wake(self) -> None:
        self.wakes += 1

    def appender(self, table: Any, columns: Columns = PLAIN, partition: int = 0) -> TableAppender:
        return TableAppender(self.accumulator, "t", table, columns, partition, None, self.wake)

    def records(self, partition: int = 0) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = []
        while (batch := self.accumulator.take("t", partition)) is not None:
            batch.seal()
            found += [(r.key, r.value, r.timestamp_ms) for r in decode_records(bytes(batch.wire()))]
            batch.release()
        return found


@pytest.fixture
def target(twin: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Target:
    return Target(twin, monkeypatch)


@pytest.mark.parametrize("kind", ["binary", "string", "large_binary", "large_string"])
def test_bytes_and_text_of_every_layout(target: Target, kind: str) -> None:
    keys = pa.array([b"a", None, b"", b"d"], pa.binary()).cast(getattr(pa, kind)())
    values = pa.array(["1", "22", None, "é"], pa.string()).cast(getattr(pa, kind)())
    appender = target.appender(pa.table({"key": keys, "value": values}))
    assert appender.append()
    assert (appender.count, target.wakes) == (4, 1)
    assert [record[:2] for record in target.records()] == [
        (b"a", b"1"), (None, b"22"), (b"", None), (b"d", "é".encode()),
    ]  # fmt: skip


def test_slices_chunks_and_dictionaries(target: Target) -> None:
    values = pa.chunked_array([["a", "b", "c"], [], ["d", None]])
    keys = pa.chunked_array([["x", "x", "y"], [], ["y", "x"]]).dictionary_encode()
    table = pa.table({"key": keys, "value": values}).slice(1, 3)
    assert target.appender(table).append()
    assert [record[:2] for record in target.records()] == [(b"x", b"b"), (b"y", b"c"), (b"y", b"d")]


def test_timestamps_and_partitions_may_be_columns(target: Target) -> None:
    batch = pa.record_batch(
        {
            "value": pa.array([b"a", b"b"]),
            "at": pa.array([5_000_000, 6_000_000], pa.timestamp("us")),
            "to": pa.array([1, 0], pa.int8()),
        }
    )
    assert target.appender(batch, Columns(None, "value", "at", "to")).append()
    assert target.records(0) == [(None, b"b", 6_000)]
    assert target.records(1) == [(None, b"a", 5_000)]


def test_a_full_queue_is_continued_where_it_was(
    twin: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = Target(twin, monkeypatch, max_messages=2)
    appender = target.appender(pa.table({"key": ["k"] * 5, "value": list("abcde")}))
    seen: list[Any] = []
    while not appender.append():
        seen += target.records()
    seen += target.records()
    assert [record[1] for record in seen] == [b"a", b"b", b"c", b"d", b"e"]
    assert appender.count == 5


def test_what_cannot_be_produced_is_refused(target: Target) -> None:
    table = pa.table({"key": ["k"], "value": [1], "at": pa.array([None], pa.int64())})
    for columns, failure in (
        (PLAIN, TypeError),
        (Columns(None, "nonsense", None, None), KeyError),
        (Columns(None, "key", "at", None), TypeError),
    ):
        with pytest.raises(failure):
            target.appender(table, columns)
    with pytest.raises(TypeError):
        target.appender([b"a"])
    with pytest.raises(KafkaException):
        target.appender(pa.table({"key": ["k"], "value": ["v"]}), partition=7).append()
    assert target.records() == []


def test_damaged_columns_are_not_read_beyond_their_end(twin: ModuleType) -> None:
    accumulator = twin.Accumulator()
    accumulator.set_partition_count("t", 1)
    good = (None, b"\0\0\0\0\1\0\0\0", b"x", False, 0)
    damaged = [
        (None, b"\0\0\0\0", b"x", False, 0),
        (None, b"\0\0\0\0\2\0\0\0", b"x", False, 0),
        (None, b"\1\0\0\0\0\0\0\0", b"x", False, 0),
        (None, b"\xff\xff\xff\xff\1\0\0\0", b"x", False, 0),
        (None, b"\0\0\0\0\1\0\0\0", b"x", True, 0),
        (None, b"\0\0\0\0\1\0\0\0", b"x", False, 1),
        (None, b"\0\0\0\0\1\0\0\0", b"x", False, -1),
        (b"", b"\0\0\0\0\1\0\0\0", b"x", False, 0),
        (None, b"\0\0\0\0\1\0\0\0", None, False, 0),
    ]
    for column in damaged:
        with pytest.raises(ValueError, match="column"):
            twin.append_rows(accumulator, "t", 0, 0, 1, None, column, None, None, None)
    assert twin.append_rows(accumulator, "t", 0, 0, 1, good, good, None, None, None)[0] == 1
