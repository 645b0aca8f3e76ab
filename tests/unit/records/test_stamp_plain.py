"""Checking and stamping in one step agrees with doing it in two, for whatever bytes."""

from __future__ import annotations

import random

import pytest

from ottla.records.batch import NO_TIMESTAMP_MS, BatchHeader, read_header
from ottla.records.compression import Codec
from ottla.records.encode import encode_batch
from ottla.records.errors import RecordsError
from ottla.records.record import Record
from ottla.records.stamp import stamp, stamp_plain_batch
from ottla.records.validate import validate_batch

NOW_MS = 1_700_000_000_000
FOREVER_MS = 2**63 - 1
RECORDS = [
    Record(index, NOW_MS + index, b"key", b"value" * index, (("header", b"x"),))
    for index in range(4)
]


def stamped(
    batch: bytearray,
    *,
    before_max_ms: int = FOREVER_MS,
    after_max_ms: int = FOREVER_MS,
    around: bytes = b"..",
) -> tuple[BatchHeader | None, bytes]:
    """The header, and the batch's bytes afterwards; what lies around it must stay."""
    buffer = bytearray(around + batch + around)
    end = len(around) + len(batch)
    header = stamp_plain_batch(
        memoryview(buffer),
        len(around),
        end,
        base_offset=2**40,
        leader_epoch=7,
        now_ms=NOW_MS,
        before_max_ms=before_max_ms,
        after_max_ms=after_max_ms,
    )
    assert buffer[: len(around)] == buffer[end:] == around
    return header, bytes(buffer[len(around) : end])


def in_two_steps(
    batch: bytearray, *, before_max_ms: int = FOREVER_MS, after_max_ms: int = FOREVER_MS
) -> tuple[BatchHeader | None, bytes]:
    """What ``stamp_plain_batch`` must do, said with the functions it stands for."""
    try:
        checked = validate_batch(batch, max_decompressed_bytes=1 << 20)
    except RecordsError:
        return None, bytes(batch)
    header, newest_ms = checked.header, checked.max_timestamp_ms
    is_timely = newest_ms == NO_TIMESTAMP_MS or (
        newest_ms - NOW_MS <= after_max_ms and NOW_MS - checked.min_timestamp_ms <= before_max_ms
    )
    is_whole = header.size_bytes == len(batch) and checked.has_right_max_timestamp
    if header.attributes or not is_whole or not is_timely:
        return None, bytes(batch)
    copy = bytearray(batch)
    stamp(copy, 0, 2**40, 7)
    return read_header(copy), bytes(copy)


@pytest.mark.parametrize(
    "batch",
    [
        encode_batch(RECORDS),
        encode_batch(RECORDS[:1], producer_id=5, producer_epoch=2, base_sequence=9),
        encode_batch([Record(0, NO_TIMESTAMP_MS, None, None)]),
        encode_batch([Record(0, NO_TIMESTAMP_MS, None, b"a"), Record(1, 5, None, b"b")]),
    ],
)
def test_a_plain_batch_is_stamped(batch: bytes) -> None:
    header, data = stamped(bytearray(batch))
    assert header is not None
    assert (header.base_offset, header.partition_leader_epoch) == (2**40, 7)
    assert (header, data) == in_two_steps(bytearray(batch))


@pytest.mark.parametrize(
    "batch",
    [
        encode_batch(RECORDS, codec=Codec.ZSTD),
        encode_batch(RECORDS, log_append_time_ms=NOW_MS),
        encode_batch(RECORDS, producer_id=5, producer_epoch=0, is_transactional=True),
        encode_batch(RECORDS) + b"\0",
        encode_batch(RECORDS)[:-1],
        encode_batch(RECORDS) * 2,
        encode_batch(RECORDS)[:60],
        b"",
    ],
)
def test_any_other_batch_is_left_as_it_is(batch: bytes) -> None:
    assert stamped(bytearray(batch)) == (None, batch)
    assert in_two_steps(bytearray(batch)) == (None, batch)


@pytest.mark.parametrize("timestamp_ms", [-(2**63), -2, 0, 1, NOW_MS, NOW_MS + 1, 2**63 - 1])
@pytest.mark.parametrize("limit_ms", [0, 1, NOW_MS - 1, NOW_MS, FOREVER_MS])
def test_timestamps_are_held_to_the_limits(timestamp_ms: int, limit_ms: int) -> None:
    batch = bytearray(encode_batch([Record(0, timestamp_ms, b"k", b"v")]))
    for before_max_ms, after_max_ms in ((limit_ms, FOREVER_MS), (FOREVER_MS, limit_ms)):
        header, data = stamped(batch, before_max_ms=before_max_ms, after_max_ms=after_max_ms)
        assert (header, data) == in_two_steps(
            batch, before_max_ms=before_max_ms, after_max_ms=after_max_ms
        )


def test_no_damaged_batch_passes() -> None:
    chance = random.Random(11)
    whole = encode_batch(RECORDS)
    for _ in range(2000):
        batch = bytearray(whole)
        for _ in range(chance.choice((1, 1, 2, 8))):
            batch[chance.randrange(len(batch))] = chance.randrange(256)
        assert stamped(batch) == in_two_steps(batch)


def test_no_damage_under_a_right_crc_passes() -> None:
    from ottla.records.crc import crc32c

    chance = random.Random(12)
    whole = encode_batch(RECORDS)
    for _ in range(2000):
        batch = bytearray(whole)
        for _ in range(chance.choice((1, 1, 2, 8))):
            batch[chance.randrange(21, len(batch))] = chance.randrange(256)
        batch[17:21] = crc32c(bytes(batch[21:])).to_bytes(4, "big")
        assert stamped(batch) == in_two_steps(batch)


def test_a_range_outside_the_buffer_is_refused() -> None:
    for position, end in ((-1, 10), (5, 4), (0, 11)):
        with pytest.raises(ValueError, match="is not within"):
            stamp_plain_batch(
                bytearray(10),
                position,
                end,
                base_offset=0,
                leader_epoch=0,
                now_ms=0,
                before_max_ms=0,
                after_max_ms=0,
            )
