"""What ``kafka-console-producer`` makes of a line: headers, key and value, as bytes.

Nothing is decoded, so that what comes out at the other end is what went in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import BinaryIO, NamedTuple

from ottla.cli.kafka.failures import ToolFailure

Header = tuple[str, bytes | None]
_CHUNK_BYTES = 1 << 20
MOST_LINE_BYTES = 1 << 30
"""More than any broker takes as one record."""


class Record(NamedTuple):
    """A record to produce."""

    key: bytes | None
    value: bytes | None
    headers: list[Header] | None


class LineFormat(NamedTuple):
    """How a line is divided; a part that isn't parsed isn't there."""

    parses_key: bool = False
    parses_headers: bool = False
    key_separator: bytes = b"\t"
    headers_delimiter: bytes = b"\t"
    headers_separator: bytes = b","
    headers_key_separator: bytes = b":"
    ignores_errors: bool = False
    null_marker: bytes | None = None

    @property
    def is_plain(self) -> bool:
        """Whether a line is a value and nothing else."""
        return not (self.parses_key or self.parses_headers) and self.null_marker is None


def line_format(properties: Mapping[str, str]) -> LineFormat:
    """What ``--reader-property`` says.

    Raises:
        ToolFailure: two separators are the same.
    """

    def is_true(name: str) -> bool:
        return properties.get(name, "").strip().lower() == "true"

    names = {
        "headers.delimiter": properties.get("headers.delimiter", "\t"),
        "headers.separator": properties.get("headers.separator", ","),
        "headers.key.separator": properties.get("headers.key.separator", ":"),
    }
    _check_distinct(names)
    marker = properties.get("null.marker")
    key_separator = properties.get("key.separator", "\t")
    for name, text in {"key.separator": key_separator, **names}.items():
        if text == marker:
            raise ToolFailure(f"null.marker and {name} may not be equal")
    delimiter, separator, header_key = (text.encode() for text in names.values())
    return LineFormat(
        parses_key=is_true("parse.key"),
        parses_headers=is_true("parse.headers"),
        key_separator=key_separator.encode(),
        headers_delimiter=delimiter,
        headers_separator=separator,
        headers_key_separator=header_key,
        ignores_errors=is_true("ignore.error"),
        null_marker=None if marker is None else marker.encode(),
    )


def _check_distinct(names: Mapping[str, str]) -> None:
    pairs = (
        ("headers.delimiter", "headers.separator"),
        ("headers.delimiter", "headers.key.separator"),
        ("headers.separator", "headers.key.separator"),
    )
    for one, other in pairs:
        if names[one] == names[other]:
            raise ToolFailure(f"{one} and {other} may not be equal")


def parse_line(line: bytes, number: int, form: LineFormat) -> Record:
    """One line as a record.

    Raises:
        ToolFailure: a separator is missing.
    """
    headers, rest = None, line
    if form.parses_headers:
        headers, rest = _split(
            rest, line, number, form.headers_delimiter, "headers delimiter", form
        )
    key = None
    if form.parses_key:
        key, rest = _split(rest, line, number, form.key_separator, "key separator", form)
    marker = form.null_marker
    return Record(
        None if key == marker else key,
        None if rest == marker else rest,
        _headers(headers, number, form) if headers is not None and headers != marker else None,
    )


def _split(
    text: bytes, line: bytes, number: int, separator: bytes, name: str, form: LineFormat
) -> tuple[bytes | None, bytes]:
    before, found, after = text.partition(separator)
    if found:
        return before, after
    if form.ignores_errors:
        return None, text
    shown = line.decode(errors="replace")
    raise ToolFailure(f"No {name} found on line number {number}: '{shown}'")


def _headers(text: bytes, number: int, form: LineFormat) -> list[Header]:
    headers: list[Header] = []
    for pair in text.split(form.headers_separator):
        name, found, header = pair.partition(form.headers_key_separator)
        if not found and not form.ignores_errors:
            shown = pair.decode(errors="replace")
            raise ToolFailure(
                f"No header key separator found in pair '{shown}' on line number {number}"
            )
        value = None if not found or header == form.null_marker else header
        headers.append((name.decode(errors="replace"), value))
    return headers


def read_blocks(stream: BinaryIO) -> Iterator[bytes | memoryview]:
    r"""A stream as blocks of whole lines, each with its ``\n``, as they arrive.

    The last block gets an end if it has none.

    Raises:
        ToolFailure: a line has no end in sight.
    """
    read = getattr(stream, "read1", stream.read)
    rest: list[bytes | memoryview] = []
    held = 0
    while chunk := read(_CHUNK_BYTES):
        after_last = chunk.rfind(b"\n") + 1
        if not after_last:
            held += len(chunk)
            if held > MOST_LINE_BYTES:
                raise ToolFailure(f"a line is longer than {MOST_LINE_BYTES} bytes")
            rest.append(chunk)
            continue
        after_first = chunk.index(b"\n") + 1 if rest else 0
        whole = memoryview(chunk)
        if rest:
            yield b"".join([*rest, whole[:after_first]])
        if after_first < after_last:
            yield whole[after_first:after_last]
        rest = [whole[after_last:]] if after_last < len(chunk) else []
        held = len(chunk) - after_last
    if rest:
        yield b"".join([*rest, b"\n"])


def read_lines(stream: BinaryIO) -> Iterator[list[bytes]]:
    """The lines of a stream without their ends, as many at once as have arrived.

    Raises:
        ToolFailure: a line has no end in sight.
    """
    for block in read_blocks(stream):
        yield bytes(block[:-1]).split(b"\n")
