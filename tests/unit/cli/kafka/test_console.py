"""Lines in, lines out: what the console tools make of bytes."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ottla.cli.kafka.console_lines import Record, line_format, parse_line, read_lines
from ottla.cli.kafka.failures import ToolFailure
from ottla.cli.kafka.message_text import RecordView, TextFormat, formatter

PLAIN = line_format({})


class Trickle(io.RawIOBase):
    """A stream that gives a few bytes at a time."""

    def __init__(self, data: bytes, step: int) -> None:
        self._data, self._step = data, step

    def read(self, size: int = -1) -> bytes:
        taken, self._data = self._data[: self._step], self._data[self._step :]
        return taken


@given(st.binary(), st.integers(1, 7))
def test_lines_are_what_lies_between_line_ends(data: bytes, step: int) -> None:
    stream: Any = Trickle(data, step)
    lines = [line for lines in read_lines(stream) for line in lines]
    expected = data.split(b"\n")
    if not expected[-1]:
        expected.pop()
    assert lines == expected


def test_a_line_is_a_value_and_stays_as_it_is() -> None:
    assert PLAIN.is_plain
    assert parse_line(b"\xff\x00 \r", 1, PLAIN) == Record(None, b"\xff\x00 \r", None)


def test_headers_come_before_the_key_and_the_key_before_the_value() -> None:
    form = line_format({"parse.key": "true", "parse.headers": "TRUE"})
    record = parse_line(b"h1:v1,h2:v2\tk\tv\tw", 1, form)
    assert record == Record(b"k", b"v\tw", [("h1", b"v1"), ("h2", b"v2")])


def test_a_marker_stands_for_null() -> None:
    form = line_format({"parse.key": "true", "parse.headers": "true", "null.marker": "N"})
    assert parse_line(b"N\tN\tN", 1, form) == Record(None, None, None)
    assert parse_line(b"h:N\tk\tv", 1, form).headers == [("h", None)]


def test_a_missing_separator_is_told_with_the_line() -> None:
    form = line_format({"parse.key": "true"})
    with pytest.raises(ToolFailure, match="No key separator found on line number 7: 'nokey'"):
        parse_line(b"nokey", 7, form)
    form = line_format({"parse.headers": "true"})
    with pytest.raises(ToolFailure, match="No header key separator found in pair 'x'"):
        parse_line(b"x\tv", 7, form)


def test_errors_can_be_ignored() -> None:
    form = line_format({"parse.key": "true", "parse.headers": "true", "ignore.error": "true"})
    assert parse_line(b"plain", 1, form) == Record(None, b"plain", None)


@pytest.mark.parametrize(
    "properties",
    [
        {"headers.separator": ":"},
        {"headers.delimiter": ","},
        {"null.marker": "\t"},
        {"key.separator": "N", "null.marker": "N"},
    ],
)
def test_separators_must_differ(properties: dict[str, str]) -> None:
    with pytest.raises(ToolFailure, match="may not be equal"):
        line_format(properties)


RECORD = RecordView("t", 1, 7, 1, 99, b"k", b"v", [("h", b"x"), ("n", None)], 3)


def test_a_record_shows_its_parts_in_kafkas_order() -> None:
    names = ("timestamp", "partition", "offset", "delivery", "epoch", "headers", "key", "value")
    show = TextFormat({f"print.{name}": "true" for name in names})
    assert show(RECORD) == (
        b"CreateTime:99\tPartition:1\tOffset:7\tDelivery:NOT_PRESENT\tEpoch:3\th:x,n:null\tk\tv\n"
    )


def test_separators_and_nulls_are_as_wanted() -> None:
    properties = {"print.key": "true", "key.separator": "=", "line.separator": ";"}
    show = TextFormat(properties | {"null.literal": "-"})
    assert show(RECORD._replace(value=None)) == b"k=-;"
    assert TextFormat({"print.value": "false"})(RECORD) == b""
    assert TextFormat({"print.headers": "true"})(RECORD._replace(headers=[])) == b"NO_HEADERS\tv\n"
    assert TextFormat({"print.timestamp": "true"})(RECORD._replace(timestamp_kind=0)) == (
        b"NO_TIMESTAMP\tv\n"
    )


@pytest.mark.parametrize(
    ("name", "data", "shown"),
    [
        ("LongDeserializer", b"\xff" * 8, b"-1"),
        ("org.apache.kafka.common.serialization.IntegerDeserializer", b"\x00\x00\x00\x05", b"5"),
        ("BooleanDeserializer", b"\x01", b"true"),
        ("BytesDeserializer", b"a\x00\\", b"a\\x00\\x5C"),
        ("DoubleDeserializer", b"\x3f\xf8" + bytes(6), b"1.5"),
        ("StringDeserializer", "ü".encode(), "ü".encode()),
    ],
)
def test_deserializers(name: str, data: bytes, shown: bytes) -> None:
    show = TextFormat({"value.deserializer": name})
    assert show(RECORD._replace(value=data)) == shown + b"\n"


def test_what_is_no_number_or_no_formatter_is_told() -> None:
    with pytest.raises(ToolFailure, match="is not 8"):
        TextFormat({"value.deserializer": "LongDeserializer"})(RECORD)
    with pytest.raises(ToolFailure, match="no deserializer Nope"):
        TextFormat({"key.deserializer": "Nope"})
    with pytest.raises(ToolFailure, match=r"com\.example\.Mine"):
        formatter("com.example.Mine", {})
