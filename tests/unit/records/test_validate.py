"""Each rule a produced batch must keep, broken alone."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from ottla.records.batch import read_header
from ottla.records.compression import Codec, compress
from ottla.records.encode import encode_batch
from ottla.records.errors import (
    BatchTooLarge,
    CorruptBatch,
    InvalidRecord,
    RecordsError,
    TruncatedBatch,
    UnsupportedCompression,
    UnsupportedFormat,
)
from ottla.records.record import Record
from ottla.records.stamp import stamp_create_time
from ottla.records.validate import CheckedBatch, validate_batch

BatchMaker = Callable[..., bytes]
RECORDS = [
    Record(0, 1000, b"key", b"value", (("name", b"content"), ("null", None))),
    Record(1, 1001, b"", b""),
    Record(2, 999, b"k" * 200, None),
]


def validate(batch: bytes | bytearray, require_keys: bool = False) -> CheckedBatch:
    return validate_batch(batch, max_decompressed_bytes=1 << 16, require_keys=require_keys)


def varint(number: int) -> bytes:
    raw = number << 1 if number >= 0 else (-number << 1) - 1
    encoded = bytearray()
    while raw > 0x7F:
        encoded.append(raw & 0x7F | 0x80)
        raw >>= 7
    return bytes([*encoded, raw])


def record(*body: bytes) -> bytes:
    joined = b"".join(body)
    return varint(len(joined)) + joined


def test_a_truthful_batch_passes() -> None:
    checked = validate(encode_batch(RECORDS))
    assert (checked.min_timestamp_ms, checked.max_timestamp_ms) == (999, 1001)
    assert not checked.has_null_key


ATTRIBUTES = b"\x00"
NO_BYTES = varint(-1)
VALID_BODY = (ATTRIBUTES, varint(0), varint(0), NO_BYTES, NO_BYTES, varint(0))


def with_body(position: int, *replacement: bytes) -> bytes:
    return record(*VALID_BODY[:position], *replacement, *VALID_BODY[position + 1 :])


BAD_RECORDS = {
    "length beyond the batch": varint(100) + b"".join(VALID_BODY),
    "negative length": varint(-2) + b"".join(VALID_BODY),
    "empty record": varint(0),
    "endless length": b"\xff" * 5 + b"\x01" + b"".join(VALID_BODY),
    "unfinished length": b"\xff" * 3,
    "endless timestamp": with_body(1, b"\xff" * 10 + b"\x01"),
    "offset delta from 1": with_body(2, varint(1)),
    "negative offset delta": with_body(2, varint(-1)),
    "endless offset delta": with_body(2, b"\x80" * 5 + b"\x00"),
    "key size below null": with_body(3, varint(-2)),
    "key beyond the record": with_body(3, varint(4)),
    "value size below null": with_body(4, varint(-2)),
    "value beyond the record": with_body(4, varint(2)),
    "negative header count": with_body(5, varint(-1)),
    "more headers than bytes": with_body(5, varint(3), b"\x00\x00"),
    "huge header count": with_body(5, varint(2**31 - 1)),
    "null header name": with_body(5, varint(1), varint(-1), NO_BYTES),
    "header name beyond the record": with_body(5, varint(1), varint(5), b"ab"),
    "header value below null": with_body(5, varint(1), varint(1), b"a", varint(-2)),
    "header value beyond the record": with_body(5, varint(1), varint(1), b"a", varint(9)),
    "header without a value": with_body(5, varint(1), varint(1), b"a"),
    "bytes after the headers": record(*VALID_BODY, b"\x00"),
    "record ends after its attributes": record(ATTRIBUTES),
    "record ends before the header count": record(*VALID_BODY[:-1]),
    "bytes after the last record": record(*VALID_BODY) + b"\x00",
}


@pytest.mark.parametrize("codec", [Codec.NONE, Codec.LZ4])
@pytest.mark.parametrize("what", BAD_RECORDS)
def test_a_bad_record_is_invalid(what: str, codec: Codec, make_batch: BatchMaker) -> None:
    payload = BAD_RECORDS[what]
    if codec:
        payload = compress(codec, payload)
    with pytest.raises(InvalidRecord) as refusal:
        validate(make_batch(payload, 1, attributes=codec))
    assert refusal.value.code == 87
    assert refusal.value.record_indexes == (0,)


def test_the_good_record_the_bad_ones_are_made_of_is_good(make_batch: BatchMaker) -> None:
    assert validate(make_batch(record(*VALID_BODY), 1)).first_null_key == 0


@pytest.mark.parametrize("count", [0, -1, 1 - 2**31])
def test_a_batch_without_records_is_invalid(count: int, make_batch: BatchMaker) -> None:
    with pytest.raises(InvalidRecord):
        validate(make_batch(b"", count))


@pytest.mark.parametrize("codec", [Codec.NONE, Codec.ZSTD])
@pytest.mark.parametrize(("count", "last_offset_delta"), [(1, 0), (3, 3), (2**31 - 1, 2**31 - 2)])
def test_a_count_that_lies_is_invalid(
    count: int, last_offset_delta: int, codec: Codec, make_batch: BatchMaker
) -> None:
    payload = encode_batch(RECORDS)[61:]
    if codec:
        payload = compress(codec, payload)
    batch = make_batch(payload, count, last_offset_delta=last_offset_delta, attributes=codec)
    with pytest.raises(InvalidRecord):
        validate(batch)


def test_every_truncation_is_noticed() -> None:
    batch = encode_batch(RECORDS)
    for size in range(len(batch)):
        with pytest.raises(TruncatedBatch):
            validate(batch[:size])


@pytest.mark.parametrize("codec", Codec)
def test_every_flipped_bit_is_noticed(codec: Codec) -> None:
    batch = bytearray(encode_batch(RECORDS, codec=codec, base_offset=0))
    # Base offset and leader epoch are the leader's to set, so nothing protects them.
    unprotected = {*range(8), *range(12, 16)}
    for position in set(range(len(batch))) - unprotected:
        for bit in range(8):
            batch[position] ^= 1 << bit
            with pytest.raises((CorruptBatch, UnsupportedFormat)):
                validate(batch)
            batch[position] ^= 1 << bit
    validate(batch)


@pytest.mark.parametrize("number", [5, 6, 7])
def test_an_unknown_codec_is_refused(number: int, make_batch: BatchMaker) -> None:
    with pytest.raises(UnsupportedCompression):
        validate(make_batch(b"x", 1, attributes=number))


@pytest.mark.parametrize("codec", [Codec.GZIP, Codec.SNAPPY, Codec.LZ4, Codec.ZSTD])
def test_compressed_rubbish_is_corrupt(codec: Codec, make_batch: BatchMaker) -> None:
    with pytest.raises(CorruptBatch):
        validate(make_batch(b"\xff rubbish", 1, attributes=codec))


@pytest.mark.parametrize("codec", [Codec.GZIP, Codec.SNAPPY, Codec.LZ4, Codec.ZSTD])
def test_compressed_records_have_a_size_limit(codec: Codec) -> None:
    batch = encode_batch([Record(0, 1, b"k", bytes(100_000))], codec=codec)
    with pytest.raises(BatchTooLarge) as refusal:
        validate_batch(batch, max_decompressed_bytes=100_000)
    assert refusal.value.code == 10
    validate_batch(batch, max_decompressed_bytes=100_100)


@pytest.mark.parametrize("codec", [Codec.NONE, Codec.SNAPPY])
def test_compacted_topics_name_every_record_without_a_key(codec: Codec) -> None:
    keys = [b"a", None, b"", None]
    batch = encode_batch(
        [Record(offset, 1, key, b"v") for offset, key in enumerate(keys)], codec=codec
    )
    assert validate(batch).first_null_key == 1
    with pytest.raises(InvalidRecord) as refusal:
        validate(batch, require_keys=True)
    assert refusal.value.record_indexes == (1, 3)


def test_a_wrong_max_timestamp_is_reported_for_correction() -> None:
    checked = validate(encode_batch(RECORDS, max_timestamp_ms=5))
    assert not checked.has_right_max_timestamp
    assert checked.max_timestamp_ms == 1001


def test_a_producer_cannot_mark_log_append_time() -> None:
    batch = bytearray(encode_batch(RECORDS, log_append_time_ms=5))
    checked = validate(batch)
    assert not checked.has_right_max_timestamp
    stamp_create_time(batch, 0, checked.max_timestamp_ms)
    assert not validate(batch).header.is_log_append_time


def test_timestamps_wrap_as_java_longs_do(make_batch: BatchMaker) -> None:
    body = record(ATTRIBUTES, varint(1), varint(0), NO_BYTES, NO_BYTES, varint(0))
    checked = validate(make_batch(body, 1, base_timestamp_ms=2**63 - 1))
    assert checked.min_timestamp_ms == -(2**63)
    assert checked.max_timestamp_ms == -1


def test_a_big_batch_is_walked_without_the_gil() -> None:
    records = [Record(offset, 1, b"k", bytes(100)) for offset in range(2000)]
    batch = bytearray(encode_batch(records))
    assert validate(batch).header.record_count == 2000
    struct.pack_into(">I", batch, 17, 0)
    with pytest.raises(CorruptBatch):
        validate(batch)


def test_a_position_outside_the_buffer_is_truncation() -> None:
    batch = encode_batch(RECORDS)
    for position in (-1, len(batch), len(batch) + 100):
        with pytest.raises(TruncatedBatch):
            validate_batch(batch, position, max_decompressed_bytes=0)


def test_errors_all_carry_a_kafka_code() -> None:
    kinds = [RecordsError]
    while kinds:
        kind = kinds.pop()
        kinds += kind.__subclasses__()
        assert kind is RecordsError or kind.code > 0


def test_control_batches_are_the_callers_to_judge() -> None:
    batch = encode_batch(RECORDS, is_control=True)
    assert validate(batch).header.is_control
    assert read_header(batch).is_control
