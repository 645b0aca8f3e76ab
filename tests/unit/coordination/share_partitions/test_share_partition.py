"""Share partitions: what is delivered to whom, what is acknowledged, what is to be durable."""

from __future__ import annotations

import pytest

from ottla.coordination.share_partitions.commands import (
    Acknowledgement,
    AcquireLimits,
    LogBatch,
)
from ottla.coordination.share_partitions.settings import ShareSettings
from ottla.coordination.share_partitions.share_partition import SharePartition
from ottla.coordination.share_partitions.states import AcknowledgeType
from ottla.coordination.share_partitions.transition import StateWrite
from ottla.coordination.share_state.batches import StateBatch, combine
from ottla.wire.errors import ErrorCode, ProtocolError

GAP, ACCEPT, RELEASE, REJECT, RENEW = AcknowledgeType
AVAILABLE, ACKNOWLEDGED, ARCHIVED = 0, 2, 4


def settings(**changes):
    return ShareSettings(record_lock_duration_ms=30_000)._replace(**changes)


def acquire(partition, member, *batches, max_records=500, batch_size=500, strict=False, now_ms=0):
    limits = AcquireLimits(max_records, batch_size, strict)
    fetch_offset = partition.next_fetch_offset
    found = [LogBatch(*batch) for batch in batches if batch[1] >= fetch_offset]
    return [tuple(each) for each in partition.acquire(member, fetch_offset, found, limits, now_ms)]


def acknowledge(partition, member, *acknowledgements, now_ms=0):
    transition = partition.acknowledge(
        member, [Acknowledgement(*each) for each in acknowledgements], now_ms
    )
    partition.settle(transition)
    return transition.write


def spans(partition):
    return [
        (span.first_offset, span.last_offset, span.state.name, span.delivery_count)
        for span in partition.in_flight
    ]


def refused(partition, member, *acknowledgements):
    with pytest.raises(ProtocolError) as refusal:
        acknowledge(partition, member, *acknowledgements)
    return refusal.value.code


def test_new_records_are_delivered_once_and_to_one_member():
    partition = SharePartition(0)
    assert acquire(partition, "a", (0, 9)) == [(0, 9, 1)]
    assert acquire(partition, "b", (0, 9)) == []
    assert partition.next_fetch_offset == 10
    assert acquire(partition, "b", (10, 14)) == [(10, 14, 1)]


def test_batches_are_put_together_up_to_the_wished_size():
    partition = SharePartition(0)
    batches = [(0, 3), (4, 7), (8, 11), (12, 40)]
    assert acquire(partition, "a", *batches, batch_size=8) == [(0, 7, 1), (8, 11, 1), (12, 40, 1)]


def test_the_limit_of_records_is_soft_because_batches_are_not_divided():
    partition = SharePartition(0)
    assert acquire(partition, "a", (0, 9), (10, 19), max_records=5) == [(0, 9, 1)]


def test_the_limit_of_records_is_strict_in_record_limit_mode():
    partition = SharePartition(0)
    batches = (0, 9), (10, 19)
    assert acquire(partition, "a", *batches, max_records=12, strict=True) == [(0, 11, 1)]
    assert partition.next_fetch_offset == 12
    assert acquire(partition, "b", *batches, max_records=3, strict=True) == [(12, 14, 1)]


def test_no_more_records_are_in_flight_than_there_are_locks():
    partition = SharePartition(0, settings=settings(max_record_locks=10))
    assert acquire(partition, "a", (0, 9), (10, 19)) == [(0, 9, 1)]
    assert not partition.can_acquire
    acknowledge(partition, "a", (0, 3, [RELEASE]))
    assert partition.can_acquire
    assert acquire(partition, "b", (0, 9), (10, 19)) == [(0, 3, 2)]
    acknowledge(partition, "b", (0, 0, [ACCEPT]))
    assert acquire(partition, "b", (0, 9), (10, 19)) == [(10, 19, 1)]


def test_accepted_records_move_the_start_offset_over_everything_done_with():
    partition = SharePartition(0)
    acquire(partition, "a", (0, 9))
    later = acknowledge(partition, "a", (5, 9, [ACCEPT]))
    assert later == StateWrite(0, 5, [StateBatch(5, 9, ACKNOWLEDGED, 1)])
    assert partition.start_offset == 0
    first = acknowledge(partition, "a", (0, 4, [REJECT]))
    assert first == StateWrite(0, 10, [StateBatch(0, 4, ARCHIVED, 1)])
    assert (partition.start_offset, partition.end_offset, spans(partition)) == (10, 10, [])


def test_each_record_can_be_acknowledged_in_its_own_way():
    partition = SharePartition(0)
    acquire(partition, "a", (0, 5))
    types = [RELEASE, ACCEPT, ACCEPT, REJECT, GAP, RELEASE]
    write = acknowledge(partition, "a", (0, 5, types))
    assert write == StateWrite(
        0,
        4,
        [
            StateBatch(0, 0, AVAILABLE, 1),
            StateBatch(1, 2, ACKNOWLEDGED, 1),
            StateBatch(3, 4, ARCHIVED, 1),
            StateBatch(5, 5, AVAILABLE, 1),
        ],
    )
    assert acquire(partition, "b", (0, 5)) == [(0, 0, 2), (5, 5, 2)]


def test_a_record_is_given_up_after_the_last_delivery_that_is_allowed():
    partition = SharePartition(0, settings=settings(delivery_count_limit=2))
    acquire(partition, "a", (0, 0))
    acknowledge(partition, "a", (0, 0, [RELEASE]))
    assert acquire(partition, "a", (0, 0)) == [(0, 0, 2)]
    write = acknowledge(partition, "a", (0, 0, [RELEASE]))
    assert write == StateWrite(0, 1, [StateBatch(0, 0, ARCHIVED, 2)])
    assert partition.next_fetch_offset == 1


def test_records_delivered_often_come_in_smaller_portions_and_at_last_alone():
    partition = SharePartition(0)
    sizes = []
    for _ in range(9):
        [(first, last, count)] = acquire(partition, "a", (0, 99))
        sizes.append((last - first + 1, count))
        acknowledge(partition, "a", (first, last, [RELEASE if count < 5 else REJECT]))
    assert sizes == [(100, 1), (100, 2), (100, 3), (50, 4), (1, 5), (1, 5), (1, 5), (1, 5), (1, 5)]


def test_a_record_on_its_last_delivery_is_not_delivered_with_others():
    partition = SharePartition(0, [StateBatch(4, 4, AVAILABLE, 4)])
    assert acquire(partition, "a", (0, 9)) == [(0, 3, 1)]
    assert acquire(partition, "a", (0, 9)) == [(4, 4, 5)]
    assert acquire(partition, "a", (0, 9)) == [(5, 9, 1)]


def test_a_lowered_limit_gives_up_what_was_delivered_more_often():
    partition = SharePartition(0, [StateBatch(0, 4, AVAILABLE, 4)])
    partition.settings = settings(delivery_count_limit=3)
    assert acquire(partition, "a", (0, 9)) == [(5, 9, 1)]
    assert partition.start_offset == 5


def test_locks_run_out():
    partition = SharePartition(0)
    acquire(partition, "a", (0, 4), now_ms=1_000)
    acquire(partition, "b", (5, 9), now_ms=2_000)
    assert partition.next_deadline_ms == 31_000
    assert partition.expire_locks(30_999) is None
    expired = partition.expire_locks(31_000)
    assert expired == StateWrite(0, 0, [StateBatch(0, 4, AVAILABLE, 1)])
    assert acquire(partition, "b", (0, 9), now_ms=31_000) == [(0, 4, 2)]
    assert refused(partition, "a", (0, 4, [ACCEPT])) is ErrorCode.INVALID_RECORD_STATE


def test_a_lock_that_runs_out_while_its_acknowledgement_is_written_is_left_to_it():
    partition = SharePartition(0)
    acquire(partition, "a", (0, 4))
    written = partition.acknowledge("a", [Acknowledgement(0, 4, [ACCEPT])], 0)
    assert partition.expire_locks(30_000) is None
    partition.roll_back(written)
    assert partition.expire_locks(30_000) is not None


def test_a_renewed_lock_starts_anew_and_nothing_needs_to_be_durable():
    partition = SharePartition(0)
    acquire(partition, "a", (0, 4))
    assert acknowledge(partition, "a", (1, 2, [RENEW]), now_ms=10_000) is None
    partition.expire_locks(30_000)
    assert [each[2] for each in spans(partition)] == ["AVAILABLE", "ACQUIRED", "AVAILABLE"]
    assert partition.next_deadline_ms == 40_000


def test_renewing_can_be_forbidden():
    partition = SharePartition(0, settings=settings(is_renew_enabled=False))
    acquire(partition, "a", (0, 4))
    assert refused(partition, "a", (0, 4, [RENEW])) is ErrorCode.INVALID_RECORD_STATE


def test_a_member_that_leaves_gives_its_records_back():
    partition = SharePartition(0)
    acquire(partition, "a", (0, 4))
    acquire(partition, "b", (5, 9))
    released = partition.release("a")
    partition.settle(released)
    assert released.write == StateWrite(0, 0, [StateBatch(0, 4, AVAILABLE, 1)])
    assert (partition.has_locks("a"), partition.has_locks("b")) == (False, True)


def test_records_are_not_delivered_to_others_before_their_release_is_durable():
    partition = SharePartition(0)
    acquire(partition, "a", (0, 4))
    release = partition.acknowledge("a", [Acknowledgement(0, 4, [RELEASE])], 0)
    assert acquire(partition, "b", (0, 4)) == []
    partition.settle(release)
    assert acquire(partition, "b", (0, 4)) == [(0, 4, 2)]


def test_an_acknowledgement_that_is_not_durable_has_not_happened():
    partition = SharePartition(0)
    acquire(partition, "a", (0, 4))
    lost = partition.acknowledge("a", [Acknowledgement(0, 4, [ACCEPT])], 0)
    assert refused(partition, "a", (0, 4, [ACCEPT])) is ErrorCode.INVALID_RECORD_STATE
    partition.roll_back(lost)
    assert acknowledge(partition, "a", (0, 4, [ACCEPT])) is not None
    assert partition.start_offset == 5


def test_what_is_written_rests_on_no_other_write_under_way():
    partition = SharePartition(0)
    acquire(partition, "a", (0, 9))
    first = partition.acknowledge("a", [Acknowledgement(0, 4, [ACCEPT])], 0)
    second = partition.acknowledge("a", [Acknowledgement(5, 9, [ACCEPT])], 0)
    assert first.write == StateWrite(0, 5, [StateBatch(0, 4, ACKNOWLEDGED, 1)])
    assert second.write == StateWrite(0, 5, [StateBatch(5, 9, ACKNOWLEDGED, 1)])
    partition.roll_back(first)
    partition.settle(second)
    assert partition.start_offset == 0


@pytest.mark.parametrize(
    ("acknowledgement", "code"),
    [
        ((3, 2, [ACCEPT]), ErrorCode.INVALID_REQUEST),
        ((0, 2, [ACCEPT, ACCEPT]), ErrorCode.INVALID_REQUEST),
        ((0, 2, []), ErrorCode.INVALID_REQUEST),
        ((0, 2, [5]), ErrorCode.INVALID_REQUEST),
        ((0, 2, [-1]), ErrorCode.INVALID_REQUEST),
        ((8, 12, [ACCEPT]), ErrorCode.INVALID_REQUEST),
        ((0, 2**62, [ACCEPT]), ErrorCode.INVALID_REQUEST),
        ((0, 5, [ACCEPT]), ErrorCode.INVALID_RECORD_STATE),
        ((5, 9, [ACCEPT]), ErrorCode.INVALID_RECORD_STATE),
    ],
)
def test_acknowledgements_of_what_a_member_does_not_hold_are_refused(acknowledgement, code):
    partition = SharePartition(0)
    acquire(partition, "a", (0, 4))
    acquire(partition, "b", (5, 9))
    before = spans(partition)
    assert refused(partition, "a", acknowledgement) is code
    assert spans(partition) == before


def test_one_bad_acknowledgement_refuses_all_of_the_request():
    partition = SharePartition(0)
    acquire(partition, "a", (0, 4))
    acquire(partition, "b", (5, 9))
    refused(partition, "a", (0, 4, [ACCEPT]), (5, 9, [ACCEPT]))
    acknowledge(partition, "a", (0, 4, [ACCEPT]))
    assert partition.start_offset == 5


def test_acknowledging_what_is_done_with_already_is_no_error():
    partition = SharePartition(0)
    acquire(partition, "a", (0, 4))
    acknowledge(partition, "a", (0, 4, [ACCEPT]))
    assert acknowledge(partition, "a", (0, 4, [ACCEPT])) is None


def test_offsets_the_log_does_not_have_are_given_up():
    partition = SharePartition(0)
    assert acquire(partition, "a", (5, 9), (20, 24)) == [(5, 9, 1), (20, 24, 1)]
    acknowledge(partition, "a", (5, 9, [ACCEPT]), (20, 24, [ACCEPT]))
    assert partition.start_offset == 25


def test_batches_that_must_not_be_delivered_are_given_up():
    partition = SharePartition(0)
    assert acquire(partition, "a", (0, 4), (5, 5, False), (6, 9)) == [(0, 4, 1), (6, 9, 1)]
    acknowledge(partition, "a", (0, 4, [ACCEPT]))
    assert partition.start_offset == 6


def test_records_that_vanish_from_the_log_while_available_are_given_up():
    partition = SharePartition(0, [StateBatch(0, 9, AVAILABLE, 1)])
    assert acquire(partition, "a", (7, 9)) == [(7, 9, 2)]
    assert partition.start_offset == 7


def test_what_retention_removed_is_forgotten():
    partition = SharePartition(0)
    acquire(partition, "a", (0, 9))
    partition.forget_below(5)
    assert (partition.start_offset, spans(partition)) == (5, [(5, 9, "ACQUIRED", 1)])
    write = acknowledge(partition, "a", (0, 9, [ACCEPT]))
    assert write == StateWrite(5, 5, [StateBatch(5, 9, ACKNOWLEDGED, 1)])
    partition.forget_below(100)
    assert (partition.start_offset, partition.end_offset) == (100, 100)
    assert partition.next_fetch_offset == 100


def test_state_is_rebuilt_from_state_batches_and_gaps_among_them_are_delivered_anew():
    partition = SharePartition(
        3, [StateBatch(3, 4, ACKNOWLEDGED, 1), StateBatch(8, 9, ARCHIVED, 5)]
    )
    assert (partition.start_offset, partition.end_offset) == (5, 10)
    assert partition.next_fetch_offset == 5
    assert acquire(partition, "a", (0, 19)) == [(5, 7, 1), (10, 19, 1)]


def test_a_write_never_takes_back_the_start_offset_of_one_before_it():
    """Found by simulation: what the first had accepted was forgotten with the second write."""
    partition = SharePartition(0)
    acquire(partition, "a", (0, 4), (5, 9))
    first = partition.acknowledge("a", [Acknowledgement(0, 4, [ACCEPT])], 0)
    second = partition.acknowledge("a", [Acknowledgement(7, 8, [ACCEPT])], 0)
    assert first.write.start_offset <= second.write.start_offset
    remembered = combine(
        combine((), first.write.state_batches, first.write.start_offset),
        second.write.state_batches,
        second.write.start_offset,
    )
    assert SharePartition(second.write.start_offset, remembered).start_offset == 5
