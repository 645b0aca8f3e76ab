"""Varints, lengths, tagged sections, UUIDs."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ottla.wire.errors import Malformed, Truncated, Unencodable
from ottla.wire.primitives import (
    ArrayFormats,
    read_tag,
    read_unknown_tags,
    read_uvarint,
    read_varint,
    read_varlong,
    tagged_section,
    uuid_of,
    uvarint,
    varint,
    varlong,
)

UINT32 = st.integers(min_value=0, max_value=2**32 - 1)
INT32 = st.integers(min_value=-(2**31), max_value=2**31 - 1)
INT64 = st.integers(min_value=-(2**63), max_value=2**63 - 1)


@pytest.mark.parametrize(
    ("value", "encoded"),
    [(0, "00"), (127, "7f"), (128, "8001"), (300, "ac02"), (2**32 - 1, "ffffffff0f")],
)
def test_unsigned_varints(value: int, encoded: str) -> None:
    assert uvarint(value).hex() == encoded
    assert read_uvarint(bytes.fromhex(encoded), 0) == (value, len(encoded) // 2)


@pytest.mark.parametrize(
    ("value", "encoded"),
    [(0, "00"), (-1, "01"), (1, "02"), (-64, "7f"), (64, "8001"), (-(2**31), "ffffffff0f")],
)
def test_zigzag_varints(value: int, encoded: str) -> None:
    assert varint(value).hex() == encoded
    assert varlong(value).hex() == encoded
    assert read_varint(bytes.fromhex(encoded), 0) == (value, len(encoded) // 2)


@settings(max_examples=100, derandomize=True, database=None)
@given(UINT32, INT32, INT64)
def test_varints_come_back(unsigned: int, signed: int, long: int) -> None:
    for value, write, read in (
        (unsigned, uvarint, read_uvarint),
        (signed, varint, read_varint),
        (long, varlong, read_varlong),
    ):
        encoded = write(value)
        assert read(b"?" + encoded + b"?", 1) == (value, 1 + len(encoded))
        for length in range(len(encoded)):
            with pytest.raises(Truncated):
                read(encoded[:length], 0)


@pytest.mark.parametrize("encoded", ["8080808080 00", "ffffffff10"])
def test_varints_have_32_bits(encoded: str) -> None:
    for read in (read_uvarint, read_varint):
        with pytest.raises(Malformed):
            read(bytes.fromhex(encoded), 0)


@pytest.mark.parametrize("encoded", ["80" * 10 + "00", "ff" * 9 + "02"])
def test_varlongs_have_64_bits(encoded: str) -> None:
    with pytest.raises(Malformed):
        read_varlong(bytes.fromhex(encoded), 0)


def test_tagged_sections_are_sorted() -> None:
    section = tagged_section([(7, b"seven")], [(300, b""), (2, b"two")])
    assert section == bytes.fromhex("03 02 03 74776f 07 05 736576656e ac02 00")
    assert read_unknown_tags(section, 0) == (
        ((2, b"two"), (7, b"seven"), (300, b"")),
        len(section),
    )


def test_tags_are_unique_and_positive() -> None:
    for fields in ([(1, b""), (1, b"")], [(-1, b"")]):
        with pytest.raises(Unencodable):
            tagged_section([], fields)


def test_a_tagged_field_must_lie_inside_the_buffer() -> None:
    assert read_tag(b"\5\1x", 0, 4) == (5, 3, 2)
    with pytest.raises(Truncated):
        read_tag(b"\5\2x", 0, 4)
    with pytest.raises(Malformed):
        read_tag(b"\5\1x", 0, 5)


def test_uuids() -> None:
    assert uuid_of(bytes(range(16))) == uuid.UUID(bytes=bytes(range(16)))


def test_only_short_array_formats_are_kept() -> None:
    formats = ArrayFormats("h", lambda compiled: compiled.unpack_from)
    assert formats[2](b"\0\1\0\2", 0) == (1, 2)
    assert formats[1000](bytes(2000), 0) == (0,) * 1000
    assert set(formats) == {2}
