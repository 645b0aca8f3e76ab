"""Headers: every field, the flags, and walking from one batch to the next."""

from __future__ import annotations

import struct

import pytest

from ottla.records.batch import (
    HEADER_SIZE_BYTES,
    MAX_SEQUENCE,
    BatchHeader,
    increment_sequence,
    iter_complete_headers,
    iter_headers,
    read_header,
)
from ottla.records.compression import Codec
from ottla.records.encode import encode_batch
from ottla.records.errors import (
    CorruptBatch,
    TruncatedBatch,
    UnsupportedCompression,
    UnsupportedFormat,
)
from ottla.records.record import Record


def header_with(**fields: int) -> BatchHeader:
    return read_header(encode_batch([Record(0, 5, b"k", b"v")]))._replace(**fields)


def test_every_field_is_read() -> None:
    fields = (7, 49, 3, 2, 0xDEADBEEF, 0x18, 4, 1000, 2000, 99, 6, 11, 5)
    header = read_header(b"??" + struct.pack(">qiibIhiqqqhii", *fields), 2)
    assert tuple(header) == fields
    assert header.size_bytes == HEADER_SIZE_BYTES
    assert (header.last_offset, header.next_offset) == (11, 12)
    assert header.is_transactional
    assert header.is_log_append_time
    assert not header.is_control


def test_a_delete_horizon_is_the_base_timestamp_under_a_flag() -> None:
    assert header_with(attributes=0x40, base_timestamp_ms=77).delete_horizon_ms == 77
    assert header_with(attributes=0, base_timestamp_ms=77).delete_horizon_ms is None


def test_a_codec_nobody_defined_is_an_error_of_its_own() -> None:
    assert header_with(attributes=4).codec is Codec.ZSTD
    with pytest.raises(UnsupportedCompression) as refusal:
        _ = header_with(attributes=5).codec
    assert refusal.value.code == 76


def test_sequences_wrap_to_zero() -> None:
    assert increment_sequence(MAX_SEQUENCE, 1) == 0
    header = header_with(producer_id=1, base_sequence=MAX_SEQUENCE - 1, last_offset_delta=3)
    assert header.last_sequence == 1
    assert header_with(base_sequence=-1, last_offset_delta=3).last_sequence == -1


def test_only_a_producer_id_with_a_sequence_is_idempotent() -> None:
    assert header_with(producer_id=0, base_sequence=0).is_idempotent
    # End-transaction markers have a producer id but no sequence.
    assert not header_with(producer_id=0, base_sequence=-1).is_idempotent
    assert not header_with(producer_id=-1, base_sequence=-1).is_idempotent


@pytest.mark.parametrize("magic", [0, 1])
def test_old_formats_are_refused_as_kafka_refuses_them(magic: int) -> None:
    old = bytearray(encode_batch([Record(0, 5, b"k", b"v")]))
    old[16] = magic
    with pytest.raises(UnsupportedFormat) as refusal:
        read_header(old)
    assert refusal.value.code == 87
    # Messages of the old formats are shorter than a v2 header.
    with pytest.raises(UnsupportedFormat):
        read_header(old[:34])


def test_an_unknown_magic_is_corruption() -> None:
    later = bytearray(encode_batch([Record(0, 5, b"k", b"v")]))
    later[16] = 3
    with pytest.raises(CorruptBatch) as refusal:
        read_header(later)
    assert refusal.value.code == 2


@pytest.mark.parametrize("length", [-1, 0, 48, -(2**31)])
def test_a_length_too_small_for_the_header_is_corruption(length: int) -> None:
    batch = bytearray(encode_batch([Record(0, 5, b"k", b"v")]))
    struct.pack_into(">i", batch, 8, length)
    with pytest.raises(CorruptBatch):
        list(iter_complete_headers(batch))


def test_batches_follow_each_other() -> None:
    batches = [encode_batch([Record(offset, 5, b"k", b"v" * offset)]) for offset in (3, 4, 9)]
    found = list(iter_headers(b"".join(batches)))
    assert [header.base_offset for _, header in found] == [3, 4, 9]
    assert [position for position, _ in found] == [0, len(batches[0]), len(batches[0] + batches[1])]


def test_a_partial_last_batch_ends_the_complete_ones() -> None:
    whole = encode_batch([Record(1, 5, b"k", b"v")])
    partial = encode_batch([Record(2, 5, b"k", b"v" * 100)])
    for size in range(1, len(partial)):
        cut = whole + partial[:size]
        assert [header.base_offset for _, header in iter_complete_headers(cut)] == [1]
        with pytest.raises(TruncatedBatch):
            list(iter_headers(cut))
    assert list(iter_headers(b"")) == []
