"""What is encoded comes back, whatever it is and whichever way it is encoded."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ottla.records.batch import read_header
from ottla.records.compression import Codec
from ottla.records.decode import decode_records
from ottla.records.encode import encode_batch
from ottla.records.errors import CorruptBatch, InvalidRecord
from ottla.records.record import Record
from ottla.records.validate import validate_batch

NULLABLE_BYTES = st.none() | st.binary(max_size=300)
# Surrogates aren't text: UTF-8 has no bytes for them.
HEADER_NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
HEADERS = st.lists(st.tuples(HEADER_NAMES, NULLABLE_BYTES), max_size=4).map(tuple)
TIMESTAMPS = st.integers(0, 2**48) | st.just(-1)


@st.composite
def record_lists(draw: st.DrawFn, gaps: bool = False) -> list[Record]:
    offset = draw(st.integers(0, 2**62))
    records = []
    for _ in range(draw(st.integers(1, 12))):
        fields = (draw(TIMESTAMPS), draw(NULLABLE_BYTES), draw(NULLABLE_BYTES), draw(HEADERS))
        records.append(Record(offset, *fields))
        offset += draw(st.integers(1, 2**20)) if gaps else 1
    return records


@settings(deadline=None)
@given(record_lists(), st.sampled_from(Codec))
def test_records_come_back(records: list[Record], codec: Codec) -> None:
    batch = encode_batch(records, codec=codec)
    assert decode_records(batch) == records
    checked = validate_batch(batch, max_decompressed_bytes=1 << 20)
    assert checked.header.record_count == len(records)
    assert checked.has_null_key == any(record.key is None for record in records)
    timestamps = [record.timestamp_ms for record in records]
    assert checked.max_timestamp_ms == max(timestamps)
    assert checked.has_right_max_timestamp
    known = [timestamp for timestamp in timestamps if timestamp != -1]
    assert checked.min_timestamp_ms == min(known, default=-1)
    assert checked.uncompressed_size_bytes == len(encode_batch(records))


@settings(deadline=None)
@given(record_lists(gaps=True), st.sampled_from(Codec))
def test_gaps_of_compaction_come_back(records: list[Record], codec: Codec) -> None:
    batch = encode_batch(records, codec=codec)
    assert decode_records(batch) == records
    header = read_header(batch)
    assert header.base_offset == records[0].offset
    assert header.last_offset == records[-1].offset


@settings(deadline=None)
@given(record_lists(), st.integers(0, 2**62))
def test_log_append_time_overrides_the_records(records: list[Record], now_ms: int) -> None:
    batch = encode_batch(records, log_append_time_ms=now_ms)
    assert decode_records(batch) == [record._replace(timestamp_ms=now_ms) for record in records]
    checked = validate_batch(batch, max_decompressed_bytes=0)
    assert (checked.min_timestamp_ms, checked.max_timestamp_ms) == (now_ms, now_ms)


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview])
def test_any_buffer_and_position_will_do(wrap: type) -> None:
    records = [Record(4, 9, b"key", bytearray(b"value"), [("h", memoryview(b"x"))])]
    buffer = wrap(b"before" + encode_batch(records) + b"after")
    assert decode_records(buffer, 6) == [Record(4, 9, b"key", b"value", (("h", b"x"),))]
    assert validate_batch(buffer, 6, max_decompressed_bytes=0).header.base_offset == 4


def test_compaction_keeps_the_range_of_a_batch_it_empties() -> None:
    batch = encode_batch(
        [],
        base_offset=10,
        last_offset_delta=5,
        max_timestamp_ms=1234,
        producer_id=8,
        producer_epoch=2,
        base_sequence=100,
        leader_epoch=3,
    )
    header = read_header(batch)
    assert (header.base_offset, header.last_offset) == (10, 15)
    assert (header.base_timestamp_ms, header.max_timestamp_ms) == (-1, 1234)
    assert (header.last_sequence, header.partition_leader_epoch) == (105, 3)
    assert decode_records(batch) == []


def test_a_delete_horizon_leaves_the_timestamps_alone() -> None:
    records = [Record(5, 1000, b"a", None), Record(8, 900, b"b", b"x")]
    batch = encode_batch(records, base_offset=3, last_offset_delta=9, delete_horizon_ms=5000)
    header = read_header(batch)
    assert header.delete_horizon_ms == 5000
    assert (header.base_offset, header.last_offset, header.max_timestamp_ms) == (3, 12, 1000)
    assert decode_records(batch) == records


def test_producer_fields_and_flags_are_written() -> None:
    header = read_header(
        encode_batch(
            [Record(0, 1, None, b"v")],
            producer_id=2**40,
            producer_epoch=7,
            base_sequence=2**31 - 1,
            is_transactional=True,
            is_control=True,
            leader_epoch=12,
        )
    )
    assert (header.producer_id, header.producer_epoch, header.base_sequence) == (
        2**40,
        7,
        2**31 - 1,
    )
    assert header.is_transactional
    assert header.is_control
    assert header.partition_leader_epoch == 12


@pytest.mark.parametrize("offsets", [(5, 5), (5, 4), (0, 2**31)])
def test_offsets_must_grow_within_reach(offsets: tuple[int, int]) -> None:
    records = [Record(offset, 1, None, b"v") for offset in offsets]
    with pytest.raises(ValueError, match="offset"):
        encode_batch(records)


def test_header_names_that_are_not_utf8_are_replaced(make_batch: object) -> None:
    record = bytes([2 * 11, 0, 0, 0, 1, 1, 2, 4, 0xFF, 0x61, 2, 0x62])
    batch = make_batch(record, 1)  # type: ignore[operator]
    assert decode_records(batch)[0].headers == (("\ufffda", b"b"),)
    validate_batch(batch, max_decompressed_bytes=0)


def test_the_crc_is_checked_unless_asked_otherwise() -> None:
    batch = bytearray(encode_batch([Record(0, 1, b"k", b"value")]))
    batch[-2] ^= 1
    with pytest.raises(CorruptBatch):
        decode_records(batch)
    assert decode_records(batch, verify_crc=False)[0].value == b"valud"


def test_offsets_beyond_the_batch_are_refused(make_batch: object) -> None:
    records = encode_batch([Record(0, 0, None, b"a"), Record(5, 0, None, b"b")])[61:]
    batch = make_batch(records, 2, last_offset_delta=4)  # type: ignore[operator]
    with pytest.raises(InvalidRecord):
        decode_records(batch)
