"""What idempotent producers may do, and what their snapshots keep."""

from __future__ import annotations

import pytest

from ottla.log.errors import (
    InvalidProducerEpoch,
    InvalidTransactionState,
    MalformedFile,
    OutOfOrderSequence,
    TransactionCoordinatorFenced,
)
from ottla.log.producers import AppendOrigin, EndMarker, Producer, Producers, StagedAppend
from ottla.log.snapshots import decode_snapshot, encode_snapshot
from ottla.records.batch import MAX_SEQUENCE, BatchHeader

CLIENT, COORDINATOR = AppendOrigin.CLIENT, AppendOrigin.COORDINATOR
TRANSACTIONAL, CONTROL = 0x10, 0x20


def header(
    base_sequence: int,
    count: int = 1,
    *,
    epoch: int = 0,
    producer_id: int = 1,
    attributes: int = 0,
    base_offset: int = 0,
) -> BatchHeader:
    return BatchHeader(
        base_offset, 100, 0, 2, 0, attributes, count - 1, 0, 5000, producer_id, epoch,
        base_sequence, count,
    )  # fmt: skip


def producer_after(*headers: BatchHeader) -> Producer:
    producer = Producer(1)
    offset = 0
    for each in headers:
        assert producer.check(each, CLIENT) is None
        producer.add(each, offset, each.max_timestamp_ms)
        offset += each.record_count
    return producer


def test_a_retry_of_any_of_the_last_five_batches_is_found() -> None:
    batches = [header(2 * number, 2) for number in range(7)]
    producer = producer_after(*batches)
    for number, batch in enumerate(batches):
        if number < 2:
            with pytest.raises(OutOfOrderSequence):
                producer.check(batch, CLIENT)
        else:
            found = producer.check(batch, CLIENT)
            assert found is not None
            assert (found.first_offset, found.last_offset) == (2 * number, 2 * number + 1)


def test_a_part_of_a_batch_is_no_retry_of_it() -> None:
    with pytest.raises(OutOfOrderSequence):
        producer_after(header(0, 4)).check(header(0, 2), CLIENT)


def test_a_gap_is_refused() -> None:
    with pytest.raises(OutOfOrderSequence) as refusal:
        producer_after(header(0)).check(header(2), CLIENT)
    assert refusal.value.code == 45


def test_an_unknown_producer_may_start_anywhere() -> None:
    assert Producer(1).check(header(77), CLIENT) is None


def test_a_new_epoch_starts_at_zero() -> None:
    producer = producer_after(header(0), header(1))
    with pytest.raises(OutOfOrderSequence):
        producer.check(header(2, epoch=1), CLIENT)
    assert producer.check(header(0, epoch=1), CLIENT) is None


def test_an_old_epoch_is_fenced() -> None:
    producer = producer_after(header(0, epoch=3))
    with pytest.raises(InvalidProducerEpoch) as refusal:
        producer.check(header(1, epoch=2), CLIENT)
    assert refusal.value.code == 47


def test_sequences_wrap_to_zero() -> None:
    producer = producer_after(header(MAX_SEQUENCE - 1, 2))
    assert producer.check(header(0), CLIENT) is None
    around = producer_after(header(MAX_SEQUENCE, 3))
    assert around.last_sequence == 1
    assert around.check(header(2), CLIENT) is None
    assert around.find_duplicate(header(MAX_SEQUENCE, 3)) is not None


def test_the_coordinators_batches_have_no_order_but_an_epoch() -> None:
    producer = producer_after(header(0, epoch=1))
    assert producer.check(header(9, epoch=1), COORDINATOR) is None
    with pytest.raises(InvalidProducerEpoch):
        producer.check(header(9, epoch=0), COORDINATOR)


def test_a_plain_batch_inside_a_transaction_is_refused() -> None:
    producer = producer_after(header(0, attributes=TRANSACTIONAL))
    with pytest.raises(InvalidTransactionState):
        producer.check(header(1), CLIENT)


def test_a_marker_ends_the_transaction_and_keeps_the_sequence() -> None:
    producers = Producers()
    producers.put(producer_after(header(0, attributes=TRANSACTIONAL)))
    assert producers.unstable.first_offset() == 0
    staged = StagedAppend(producers, COORDINATOR)
    marker = header(-1, attributes=TRANSACTIONAL | CONTROL)
    assert staged.stage(marker, 1, 0, EndMarker(4, 6000, True)) is None
    assert producers.unstable.first_offset() == 0
    staged.commit()
    producer = producers.get(1)
    assert producer is not None
    assert producers.unstable.advance(1) == 0
    assert producers.unstable.advance(2) == 2
    assert (producer.coordinator_epoch, producer.last_timestamp_ms) == (4, 6000)
    assert producer.check(header(1), CLIENT) is None
    with pytest.raises(TransactionCoordinatorFenced):
        StagedAppend(producers, COORDINATOR).stage(marker, 2, 0, EndMarker(3, 6000, True))


def test_nothing_staged_shows_before_the_commit() -> None:
    producers = Producers()
    staged = StagedAppend(producers, CLIENT)
    assert staged.stage(header(0), 0, 0, None) is None
    assert staged.stage(header(1), 1, 0, None) is None
    with pytest.raises(OutOfOrderSequence):
        staged.stage(header(5), 2, 0, None)
    assert len(producers) == 0
    staged.commit()
    assert len(producers) == 1


def test_idle_producers_expire_unless_in_a_transaction() -> None:
    producers = Producers()
    producers.replay(header(0, producer_id=1), None)
    producers.replay(header(0, producer_id=2, attributes=TRANSACTIONAL), None)
    # The records' timestamps are long past, as in replayed history: that is no idleness.
    for now_ms in (5_000_000, 5_000_999):
        producers.remove_expired(now_ms, expiration_ms=1000)
        assert len(producers) == 2
    producers.replay(header(1, producer_id=1), None)
    for now_ms in (5_001_000, 5_001_999):
        producers.remove_expired(now_ms, expiration_ms=1000)
        assert len(producers) == 2
    producers.remove_expired(5_002_000, expiration_ms=1000)
    assert [producer.producer_id for producer in producers] == [2]


def test_a_snapshot_keeps_the_last_batch_and_the_transaction() -> None:
    producer = producer_after(header(0, 3, epoch=2), header(3, 2, epoch=2))
    producer.current_txn_first_offset = 3
    data = encode_snapshot([producer, Producer(9, 1)])
    assert len(data) == 2 + 4 + 4 + 2 * 46
    restored, empty = decode_snapshot(data)
    assert restored.batches == producer.batches[-1:]
    assert restored.producer_epoch == 2
    assert restored.current_txn_first_offset == 3
    assert (empty.producer_id, empty.batches, empty.last_sequence) == (9, [], -1)


def test_every_torn_or_flipped_snapshot_is_refused() -> None:
    data = encode_snapshot([producer_after(header(0))])
    for size in range(len(data)):
        with pytest.raises(MalformedFile):
            decode_snapshot(data[:size])
    for position in range(len(data)):
        flipped = bytearray(data)
        flipped[position] ^= 0x40
        with pytest.raises(MalformedFile):
            decode_snapshot(bytes(flipped))
