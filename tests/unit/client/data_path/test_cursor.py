"""From fetched bytes to messages, whatever the bytes are."""

from __future__ import annotations

import random
from types import ModuleType
from typing import Any

import pytest

from ottla.records.compression import Codec
from ottla.records.control import ControlType, encode_control_key, encode_end_transaction_value
from ottla.records.encode import encode_batch
from ottla.records.errors import CorruptBatch, RecordsError
from ottla.records.record import Record


def batch(first: int, count: int = 2, **options: Any) -> bytes:
    records = [Record(first + i, 1000 + i, b"k", b"%d" % (first + i)) for i in range(count)]
    return encode_batch(records, **options)


def offsets(cursor: Any) -> list[int]:
    return [message.offset() for message in cursor]


def test_messages_of_several_batches_and_a_partial_tail(twin: ModuleType) -> None:
    data = batch(0, leader_epoch=4) + batch(2, codec=Codec.ZSTD) + batch(4)[:-1]
    cursor = twin.MessageCursor("t", 3, data, 1)
    first = cursor.next()
    assert (first.topic(), first.partition(), first.offset()) == ("t", 3, 1)
    assert (first.key(), first.value(), first.headers()) == (b"k", b"1", None)
    assert (first.timestamp(), first.leader_epoch(), first.latency()) == ((1, 1001), 4, None)
    assert cursor.position == 2
    assert [message.offset() for message in cursor.take(500)] == [2, 3]
    assert (cursor.next(), cursor.take(1), cursor.position, cursor.error) == (None, [], 4, None)


def test_headers_nulls_and_log_append_time(twin: ModuleType) -> None:
    records = [Record(0, 1, None, None, (("a", b"1"), ("b", None))), Record(1, 2, b"", b"")]
    first, second = twin.MessageCursor("t", 0, encode_batch(records, log_append_time_ms=9), 0)
    assert (first.key(), first.value(), first.headers()) == (None, None, [("a", b"1"), ("b", None)])
    assert (second.key(), second.value(), second.timestamp()) == (b"", b"", (2, 9))


def test_a_compacted_batch_with_gaps_moves_the_position_past_its_end(twin: ModuleType) -> None:
    data = encode_batch([Record(2, 0, b"k", b"v"), Record(5, 0, b"k", b"v")],
                        base_offset=0, last_offset_delta=9)  # fmt: skip
    cursor = twin.MessageCursor("t", 0, data, 0)
    assert (offsets(cursor), cursor.position) == ([2, 5], 10)


def transactional(first: int, producer_id: int, **options: Any) -> bytes:
    return batch(first, producer_id=producer_id, producer_epoch=0, base_sequence=0,
                 is_transactional=True, **options)  # fmt: skip


def marker(offset: int, producer_id: int, kind: ControlType) -> bytes:
    record = Record(offset, 0, encode_control_key(kind), encode_end_transaction_value(0))
    return encode_batch(
        [record], producer_id=producer_id, producer_epoch=0, is_transactional=True, is_control=True
    )


def test_aborted_transactions_are_skipped_when_read_committed(twin: ModuleType) -> None:
    data = (
        transactional(0, 1) + transactional(2, 2, codec=Codec.LZ4) + batch(4)
        + marker(6, 1, ControlType.ABORT) + transactional(7, 1)
        + marker(9, 2, ControlType.COMMIT) + marker(10, 1, ControlType.COMMIT)
    )  # fmt: skip
    committed = twin.MessageCursor("t", 0, data, 0, aborted=[(1, 0)], is_read_committed=True)
    assert offsets(committed) == [2, 3, 4, 5, 7, 8]
    everything = twin.MessageCursor("t", 0, data, 0)
    assert offsets(everything) == [0, 1, 2, 3, 4, 5, 7, 8]
    assert committed.position == everything.position == 11


def test_what_cannot_be_read_ends_the_cursor_after_what_can(twin: ModuleType) -> None:
    damaged = bytearray(batch(2))
    damaged[-1] ^= 1
    cursor = twin.MessageCursor("t", 0, batch(0) + bytes(damaged), 0, check_crcs=True)
    assert offsets(cursor) == [0, 1]
    assert isinstance(cursor.error, CorruptBatch)
    assert cursor.position == 2
    damaged[16] = 1
    assert twin.MessageCursor("t", 0, bytes(damaged), 0).take(1) == []


def test_decompression_is_bounded(twin: ModuleType) -> None:
    data = encode_batch([Record(0, 0, None, b"v" * 100_000)], codec=Codec.ZSTD)
    cursor = twin.MessageCursor("t", 0, data, 0, max_decompressed_bytes=1000)
    assert cursor.next() is None
    assert cursor.error.code == 10
    # Nor does the error keep what was unpacked until then.
    assert cursor.error.__traceback__ is None


def outcome(twin: ModuleType, data: bytes, **options: Any) -> tuple[Any, ...]:
    cursor = twin.MessageCursor("t", 0, data, 0, **options)
    found = [(m.offset(), m.key(), m.value(), m.headers(), m.timestamp()) for m in cursor]
    assert cursor.error is None or isinstance(cursor.error, RecordsError)
    return found, cursor.position, type(cursor.error)


def test_the_twins_agree_on_random_damage() -> None:
    native = pytest.importorskip("ottla.client._native")
    from ottla.client import _reference

    dice = random.Random(4)
    records = [Record(i, i, b"key", b"v" * i, (("h", b"x"), ("n", None))) for i in range(4)]
    whole = encode_batch(records) + encode_batch(records, base_offset=0) + batch(9)
    for _ in range(3000):
        data = bytearray(whole)
        for _ in range(dice.randint(1, 3)):
            data[dice.randrange(len(data))] = dice.choice([0, 1, 2, 127, 128, 255])
        data = data[: dice.randrange(len(data) + 1)]
        assert outcome(native, bytes(data)) == outcome(_reference, bytes(data))


def test_acquired_records_know_how_often_they_were_delivered(twin: ModuleType) -> None:
    data = batch(0, 3) + batch(3, 3, codec=Codec.LZ4) + batch(6, 2)
    cursor = twin.MessageCursor("t", 0, data, 1)
    taken = cursor.take_acquired([(1, 1, 2), (3, 4, 1), (6, 6, 5)])
    found = [(each.offset(), each.delivery_count()) for each in taken]
    assert found == [(1, 2), (3, 1), (4, 1), (6, 5)]
    assert cursor.position > 6


def test_what_was_acquired_and_did_not_arrive_whole_is_beyond_the_position(
    twin: ModuleType,
) -> None:
    cursor = twin.MessageCursor("t", 0, batch(0) + batch(2)[:-1], 0)
    assert [each.offset() for each in cursor.take_acquired([(0, 3, 1)])] == [0, 1]
    assert (cursor.position, cursor.error) == (2, None)
    damaged = bytearray(batch(0) + batch(2, codec=Codec.ZSTD))
    damaged[-1] ^= 0xFF
    damaged[-9] ^= 0xFF
    cursor = twin.MessageCursor("t", 0, bytes(damaged), 0)
    assert [each.offset() for each in cursor.take_acquired([(0, 3, 1)])] == [0, 1]
    assert cursor.position == 2
    assert cursor.error is not None
