"""Batches built one record at a time."""

from __future__ import annotations

import pytest

from ottla.records import backend
from ottla.records.compression import Codec
from ottla.records.decode import decode_records
from ottla.records.encode import BatchBuilder, encode_batch
from ottla.records.record import Record


def test_records_are_numbered_as_they_come() -> None:
    builder = BatchBuilder()
    assert builder.append(b"k1", b"v1", [("h", b"x")], 100)
    assert builder.append(None, None, (), 300)
    assert builder.append(bytearray(b"k3"), memoryview(b"v3"), timestamp_ms=200)
    assert builder.record_count == 3
    assert (builder.base_timestamp_ms, builder.max_timestamp_ms) == (100, 300)
    batch = builder.close(base_offset=40)
    assert len(batch) == builder.size_bytes
    assert decode_records(batch) == [
        Record(40, 100, b"k1", b"v1", (("h", b"x"),)),
        Record(41, 300, None, None),
        Record(42, 200, b"k3", b"v3"),
    ]


def test_a_full_batch_refuses_and_stays_as_it_was() -> None:
    builder = BatchBuilder(max_bytes=200)
    assert builder.append(None, bytes(100))
    before = builder.close()
    assert not builder.append(None, bytes(100))
    assert builder.close() == before
    room = 200 - builder.size_bytes
    assert not builder.append(None, bytes(room - 6))
    assert builder.append(None, bytes(room - 7))
    assert builder.size_bytes == 200


def test_the_first_record_always_fits() -> None:
    builder = BatchBuilder(max_bytes=1)
    assert builder.append(None, bytes(1000))
    assert not builder.append(None, b"")


@pytest.mark.parametrize("codec", Codec)
def test_closing_again_encodes_the_same_records(codec: Codec) -> None:
    builder = BatchBuilder()
    builder.append(b"k", b"v" * 1000, timestamp_ms=1)
    compressed = builder.close(codec=codec)
    assert decode_records(compressed) == decode_records(builder.close())
    # Reading the records for the close doesn't stop more from coming.
    assert builder.append(b"k", b"w")
    assert len(decode_records(builder.close(codec=codec))) == 2


def test_a_record_that_cannot_be_encoded_changes_nothing() -> None:
    builder = BatchBuilder()
    builder.append(b"k", b"v")
    before = builder.close()
    with pytest.raises(TypeError):
        builder.append("text", b"v")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        builder.append(b"k", 7)  # type: ignore[arg-type]
    with pytest.raises((TypeError, AttributeError)):
        builder.append(b"k", b"v", [(b"name", b"x")])  # type: ignore[list-item]
    with pytest.raises(TypeError):
        builder.append(b"k", b"v", [("name", "x")])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="unpack"):
        builder.append(b"k", b"v", [("name",)])  # type: ignore[list-item]
    with pytest.raises(UnicodeEncodeError):
        builder.append(b"k", b"v", [("\ud800", b"x")])
    with pytest.raises(OverflowError):
        builder.append(b"k", b"v", timestamp_ms=2**63)
    with pytest.raises(ValueError, match="offset delta"):
        builder.append(b"k", b"v", offset_delta=0)
    assert builder.close() == before


def test_records_cannot_move_while_they_are_read() -> None:
    records = backend.active.RecordBuffer()
    records.append(b"k", b"v")
    with memoryview(records.payload()) as view:
        encoded = bytes(view)
        with pytest.raises(BufferError):
            records.append(b"k", bytes(100_000))
        assert view == encoded
    assert records.append(b"k", bytes(100_000))


def test_an_empty_builder_makes_an_empty_batch() -> None:
    assert BatchBuilder().close() == encode_batch([])


@pytest.mark.parametrize("size", [0, 1, 62, 63, 64, 8190, 8191, 8192, 1 << 20, 1 << 21])
def test_sizes_around_every_varint_boundary(size: int) -> None:
    batch = encode_batch([Record(0, 1, bytes(size), bytes(size), (("h" * (size % 999), None),))])
    (record,) = decode_records(batch)
    assert (len(record.key or b""), len(record.value or b"")) == (size, size)
