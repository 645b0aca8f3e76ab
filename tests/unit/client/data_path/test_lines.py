"""Text lines to records and back, on both twins."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from ottla.client.appended import APPENDED, QUEUE_FULL, TOO_LARGE
from ottla.records.compression import Codec
from ottla.records.decode import decode_records
from ottla.records.encode import encode_batch
from ottla.records.record import Record


def accumulator(twin: ModuleType, **limits: Any) -> Any:
    made = twin.Accumulator(**limits)
    made.set_partition_count("t", 1)
    return made


def values(target: Any) -> list[bytes | None]:
    found: list[bytes | None] = []
    while (batch := target.take("t", 0)) is not None:
        batch.seal()
        found += [record.value for record in decode_records(bytes(batch.wire()))]
        batch.release()
    return found


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_every_ended_line_is_a_value(twin: ModuleType, kind: Any) -> None:
    target = accumulator(twin)
    text = kind(b"one\n\n\xff\x00\r\nrest")
    assert twin.append_lines(target, "t", -1, text, 0, None) == (9, 3, True, APPENDED)
    assert values(target) == [b"one", b"", b"\xff\x00\r"]


@pytest.mark.parametrize(("text", "start"), [(b"", 0), (b"no end", 0), (b"a\n", 2), (b"a\n", 99)])
def test_without_an_end_there_is_no_line(twin: ModuleType, text: bytes, start: int) -> None:
    target = accumulator(twin)
    assert twin.append_lines(target, "t", 0, text, start, None) == (start, 0, False, APPENDED)


def test_a_refused_line_is_where_to_go_on(twin: ModuleType) -> None:
    target = accumulator(twin, max_messages=2)
    position, count, _, answer = twin.append_lines(target, "t", 0, b"a\nb\nc\n", 0, None)
    assert (position, count, answer) == (4, 2, QUEUE_FULL)
    assert values(target) == [b"a", b"b"]
    assert twin.append_lines(target, "t", 0, b"a\nb\nc\n", position, None)[:2] == (6, 1)
    assert values(target) == [b"c"]


def test_a_line_may_be_too_large(twin: ModuleType) -> None:
    target = accumulator(twin, max_message_bytes=1000)
    text = b"a\n" + b"x" * 1000 + b"\n"
    assert twin.append_lines(target, "t", 0, text, 0, None)[::3] == (2, TOO_LARGE)


def test_each_line_has_the_callback(twin: ModuleType) -> None:
    target = accumulator(twin)
    told: list[bytes | None] = []
    twin.append_lines(target, "t", 0, b"a\nb\n", 0, lambda _, message: told.append(message.value()))
    batch = target.take("t", 0)
    batch.seal()
    batch.deliveries(0).serve()
    assert told == [b"a", b"b"]


RECORDS = [
    Record(0, 1000, b"k", b"v", (("a", b"1"), ("b", None))),
    Record(1, 1001, None, None),
    Record(2, 1002, None, b""),
    Record(3, 1003, b"", b"x\n\xff"),
]


def cursor(twin: ModuleType, data: bytes, position: int = 0) -> Any:
    return twin.MessageCursor("t", 3, data, position)


@pytest.mark.parametrize("codec", [Codec.NONE, Codec.LZ4])
def test_values_become_text(twin: ModuleType, codec: Codec) -> None:
    lines = twin.RecordLines()
    data = encode_batch(RECORDS, codec=codec, leader_epoch=7)
    assert lines.extend(cursor(twin, data, 1), 10) == 3
    assert bytes(lines.data) == b"null\n\nx\n\xff\n"
    assert (lines.count, lines.runs, lines.is_full) == (3, [("t", 3, 1, 7)], False)
    lines = twin.RecordLines(b"", b"--")
    lines.extend(cursor(twin, data), 10)
    assert bytes(lines.data) == b"v--x\n\xff"


def test_a_limit_leaves_the_rest_for_later(twin: ModuleType) -> None:
    data, lines = cursor(twin, encode_batch(RECORDS)), twin.RecordLines(b";")
    assert (lines.extend(data, 2), data.consumed) == (2, 2)
    assert (lines.extend(data, 5), lines.extend(data, 5)) == (2, 0)
    assert bytes(lines.data) == b"v;null;;x\n\xff;"
    assert [run[2] for run in lines.runs] == [0, 2]


def test_about_a_mebibyte_at_a_time(twin: ModuleType) -> None:
    records = [Record(number, 0, None, bytes(100_000)) for number in range(20)]
    data, sizes = cursor(twin, encode_batch(records)), []
    while data.position < 20:
        lines = twin.RecordLines(b"")
        lines.extend(data, 1000)
        assert lines.is_full or data.position == 20
        sizes.append(len(bytes(lines.data)))
    assert sizes == [1_100_000, 900_000]


def test_nothing_is_no_text(twin: ModuleType) -> None:
    assert bytes(twin.RecordLines().data) == b""
