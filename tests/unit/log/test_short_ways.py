"""What the log does in short for ordinary appends and reads is what it does at length."""

from __future__ import annotations

import random
import uuid
from typing import Any

import pytest

from ottla.log.config import LogConfig
from ottla.log.errors import InvalidProducerEpoch, InvalidTransactionState, LogDirectoryFailed
from ottla.log.indexes import MAX_RELATIVE_OFFSET
from ottla.log.names import TopicPartition
from ottla.log.partition_log import AppendOrigin, PartitionLog
from ottla.log.rolling import is_roll_due, room_in
from ottla.records.batch import MAX_SEQUENCE, iter_headers
from ottla.records.encode import encode_batch
from ottla.records.record import Record
from ottla.records.stamp import stamp, stamp_plain_batch
from ottla.testing.memory_disk import MemoryDisk

FOREVER_MS = 2**63 - 1
NOW_MS = 10_000


def new_log(config: LogConfig) -> PartitionLog:
    name = TopicPartition("events", 0)
    return PartitionLog.create(
        MemoryDisk(), "/data/events-0", config, name, uuid.UUID(int=7), now_ms=NOW_MS
    )


def append_in_short(log: PartitionLog, batch: bytearray, leader_epoch: int) -> bool:
    """Append the short way if it is taken, else at length; tells which."""
    header = stamp_plain_batch(
        batch,
        0,
        len(batch),
        base_offset=log.log_end_offset,
        leader_epoch=leader_epoch,
        now_ms=NOW_MS,
        before_max_ms=FOREVER_MS,
        after_max_ms=FOREVER_MS,
    )
    assert header is not None
    if log.append_next(memoryview(batch), header, leader_epoch=leader_epoch):
        return True
    append_at_length(log, batch, leader_epoch)
    return False


def append_at_length(log: PartitionLog, batch: bytearray, leader_epoch: int) -> None:
    log.append(batch, list(iter_headers(batch)), leader_epoch=leader_epoch, now_ms=NOW_MS)


def state_of(log: PartitionLog) -> Any:
    """Everything a batch leaves behind."""
    segments = [
        (
            segment.base_offset,
            segment.size_bytes,
            segment.next_offset,
            segment.largest,
            list(segment.offset_index._recent),
            segment.file.read(1 << 20, 0),
        )
        for segment in log._segments
    ]
    producers = [(each.producer_id, each.batches) for each in log.producers]
    epochs = [log.end_offset_for_epoch(epoch) for epoch in range(30)]
    return segments, producers, epochs, log.log_end_offset, log.producers.end_offset


@pytest.mark.parametrize("segment_ms", [1000, 10**9])
@pytest.mark.parametrize("segment_index_bytes", [60, 10**6])
@pytest.mark.parametrize("index_interval_bytes", [0, 100, 400])
def test_both_ways_leave_the_same_log(
    segment_ms: int, segment_index_bytes: int, index_interval_bytes: int
) -> None:
    config = LogConfig(
        segment_bytes=4000,
        segment_ms=segment_ms,
        segment_index_bytes=segment_index_bytes,
        index_interval_bytes=index_interval_bytes,
    )
    in_short, at_length = new_log(config), new_log(config)
    chance = random.Random(5)
    short = sequence = timestamp_ms = leader_epoch = 0
    for _ in range(300):
        timestamp_ms = max(-1, timestamp_ms + chance.choice((-50, 0, 1, 1, 120)))
        count = chance.choice((1, 1, 5))
        records = [Record(each, timestamp_ms, None, bytes(20)) for each in range(count)]
        producer: dict[str, Any] = {}
        if chance.random() < 0.5:
            producer = {"producer_id": 1, "producer_epoch": 0, "base_sequence": sequence}
            sequence += count
        leader_epoch += chance.random() < 0.05
        batch = encode_batch(records, **producer)
        short += append_in_short(in_short, bytearray(batch), leader_epoch)
        append_at_length(at_length, bytearray(batch), leader_epoch)
    assert state_of(in_short) == state_of(at_length)
    assert in_short.segment_count > 3
    assert short > 20


def producing(epoch: int, sequence: int) -> bytearray:
    records = [Record(0, 1, None, b"v")]
    return bytearray(
        encode_batch(records, producer_id=1, producer_epoch=epoch, base_sequence=sequence)
    )


def test_a_zombie_with_the_right_sequence_is_refused() -> None:
    log = new_log(LogConfig())
    append_at_length(log, producing(epoch=1, sequence=0), 0)
    assert append_in_short(log, producing(epoch=1, sequence=1), 0)
    with pytest.raises(InvalidProducerEpoch):
        append_in_short(log, producing(epoch=0, sequence=2), 0)


def test_a_plain_batch_amid_its_producers_transaction_is_refused() -> None:
    log = new_log(LogConfig())
    append_at_length(log, producing(epoch=0, sequence=0), 0)
    records = [Record(0, 1, None, b"v")]
    transactional = encode_batch(
        records, producer_id=1, producer_epoch=0, base_sequence=1, is_transactional=True
    )
    guard = log.producers.verifications.begin(1, 0, 1, bumps_epochs=False, now_ms=NOW_MS)
    batch = bytearray(transactional)
    log.append(batch, list(iter_headers(batch)), leader_epoch=0, now_ms=NOW_MS, guard=guard)
    with pytest.raises(InvalidTransactionState):
        append_in_short(log, producing(epoch=0, sequence=2), 0)


def test_a_sequence_begins_again_after_the_largest() -> None:
    log = new_log(LogConfig())
    append_at_length(log, producing(epoch=0, sequence=MAX_SEQUENCE - 1), 0)
    assert append_in_short(log, producing(epoch=0, sequence=MAX_SEQUENCE), 0)
    assert not append_in_short(log, producing(epoch=0, sequence=0), 0)
    assert append_in_short(log, producing(epoch=0, sequence=1), 0)


def test_a_segment_takes_no_more_offsets_than_its_index_can_express() -> None:
    log = new_log(LogConfig())
    append_at_length(log, bytearray(encode_batch([Record(0, 1, None, b"v")])), 0)
    far = bytearray(encode_batch([Record(0, 1, None, b"v")]))
    stamp(far, 0, MAX_RELATIVE_OFFSET, 0)
    log.append(
        far,
        list(iter_headers(far)),
        leader_epoch=0,
        now_ms=NOW_MS,
        origin=AppendOrigin.REPLICATION,
    )
    assert not append_in_short(log, bytearray(encode_batch([Record(0, 1, None, b"v")])), 0)
    assert log.segment_count == 2


def test_a_segment_covers_no_more_than_its_time() -> None:
    log = new_log(LogConfig(segment_ms=1000))
    for timestamp_ms, is_short in ((1000, False), (2000, True), (2001, False)):
        batch = bytearray(encode_batch([Record(0, timestamp_ms, None, b"v")]))
        assert append_in_short(log, batch, 0) is is_short
    assert log.segment_count == 2


def test_within_its_room_no_roll_is_due() -> None:
    chance = random.Random(6)
    for _ in range(300):
        config = LogConfig(
            segment_bytes=chance.choice((500, 4000)),
            segment_ms=chance.choice((10, 1000)),
            segment_index_bytes=chance.choice((24, 60, 10**6)),
            index_interval_bytes=chance.choice((0, 100)),
        )
        log = new_log(config)
        for index in range(chance.randrange(1, 8)):
            batch = bytearray(encode_batch([Record(0, index, None, bytes(20))]))
            append_at_length(log, batch, 0)
        active = log._segments.active
        room = room_in(active, config)
        size_bytes = room.end_position - active.size_bytes
        if size_bytes > 0:
            written = [(size_bytes, room.last_offset, room.max_timestamp_ms)]
            assert not is_roll_due(active, config, size_bytes, written, NOW_MS)


def test_a_disk_that_fails_leaves_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    log = new_log(LogConfig())
    batch = bytearray(encode_batch([Record(0, 1, None, b"v")]))
    append_at_length(log, bytearray(batch), 0)

    def fail(*_: Any) -> int:
        raise OSError(28, "full")

    before = state_of(log)
    with monkeypatch.context() as patch:
        patch.setattr(type(log._segments.active), "write", fail)
        with pytest.raises(LogDirectoryFailed):
            append_in_short(log, batch, 0)
    assert state_of(log) == before
    with pytest.raises(LogDirectoryFailed):
        append_in_short(log, batch, 0)


def test_reading_the_newest_batches_needs_no_disk_and_finds_the_same() -> None:
    log = new_log(LogConfig(segment_bytes=3000, index_interval_bytes=100))
    chance = random.Random(7)
    for _ in range(60):
        values = [Record(each, 1, None, bytes(chance.randrange(60))) for each in range(3)]
        append_at_length(log, bytearray(encode_batch(values)), 0)
    segments = log._segments
    end = log.log_end_offset
    first_known = segments._recent_offsets[0]
    for offset in range(end):
        for limit in (offset + 1, offset + 7, end - 2, end):
            for max_bytes in (0, 60, 150, 700, 10**6):
                for at_least_one in (True, False):
                    if not offset < limit <= end:
                        continue
                    short = segments.read_recent(offset, max_bytes, limit, at_least_one)
                    long = segments.read(offset, max_bytes, limit, end, at_least_one)
                    if offset < first_known:
                        assert short is None
                        continue
                    assert short is not None
                    assert (short.position, short.size_bytes) == (long.position, long.size_bytes)
                    assert (short.first_offset, short.segment) == (long.first_offset, long.segment)
