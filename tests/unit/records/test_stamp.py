"""What the leader writes into accepted batches, in place."""

from __future__ import annotations

import pytest

from ottla.records.batch import read_header
from ottla.records.compression import Codec
from ottla.records.decode import decode_records
from ottla.records.encode import encode_batch
from ottla.records.errors import TruncatedBatch
from ottla.records.record import Record
from ottla.records.stamp import stamp, stamp_create_time, stamp_log_append_time
from ottla.records.validate import validate_batch

RECORDS = [Record(0, 1000, b"a", b"x"), Record(1, 1200, b"b", b"y")]


def test_offsets_and_epoch_need_no_new_crc() -> None:
    batch = bytearray(encode_batch(RECORDS))
    crc = read_header(batch).crc
    stamp(batch, 0, 5000, 7)
    header = read_header(batch)
    assert (header.base_offset, header.partition_leader_epoch, header.crc) == (5000, 7, crc)
    assert [record.offset for record in decode_records(batch)] == [5000, 5001]


@pytest.mark.parametrize("codec", [Codec.NONE, Codec.ZSTD])
def test_log_append_time_is_every_records_time(codec: Codec) -> None:
    batch = bytearray(b"..") + encode_batch(RECORDS, codec=codec)
    stamp_log_append_time(memoryview(batch), 2, 9999)
    assert read_header(batch, 2).is_log_append_time
    assert [record.timestamp_ms for record in decode_records(batch, 2)] == [9999, 9999]
    validate_batch(batch, 2, max_decompressed_bytes=1000)


def test_create_time_corrects_a_wrong_max_timestamp_and_the_type() -> None:
    batch = bytearray(encode_batch(RECORDS, log_append_time_ms=5))
    stamp_create_time(batch, 0, 1200)
    assert batch == encode_batch(RECORDS)


def test_a_right_batch_is_left_alone() -> None:
    batch = bytearray(encode_batch(RECORDS))
    batch[17] ^= 0xFF  # a wrong CRC shows that none was computed
    before = bytes(batch)
    stamp_create_time(batch, 0, 1200)
    assert batch == before


def test_a_batch_that_is_not_all_there_cannot_get_a_new_crc() -> None:
    batch = bytearray(encode_batch(RECORDS))[:-1]
    with pytest.raises(TruncatedBatch):
        stamp_log_append_time(batch, 0, 1)
