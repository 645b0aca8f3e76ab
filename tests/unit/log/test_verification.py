"""No transaction begins in a partition behind its coordinator's back (KIP-890)."""

from __future__ import annotations

from typing import Any

import pytest

from ottla.log.errors import InvalidProducerEpoch, InvalidTransactionState, OutOfOrderSequence
from ottla.log.producers import AppendOrigin
from ottla.log.verification import VerificationGuard
from ottla.records.batch import read_header
from ottla.records.control import ControlType, encode_end_transaction_batch


def begin(under_test: Any, sequence: int = 0, epoch: int = 0, **options: Any) -> VerificationGuard:
    options = {"bumps_epochs": False, "now_ms": 0} | options
    guard = under_test.log.producers.verifications.begin(5, epoch, sequence, **options)
    assert isinstance(guard, VerificationGuard)
    return guard


def write(
    under_test: Any, guard: VerificationGuard | None, sequence: int = 0, epoch: int = 0
) -> int:
    buffer = under_test.batch(
        b"value",
        producer_id=5,
        producer_epoch=epoch,
        base_sequence=sequence,
        is_transactional=True,
    )
    batches = [(0, read_header(buffer))]
    appended = under_test.log.append(buffer, batches, leader_epoch=0, now_ms=0, guard=guard)
    return int(appended.first_offset)


def end(under_test: Any, epoch: int = 0) -> None:
    marker = encode_end_transaction_batch(
        ControlType.ABORT, producer_id=5, producer_epoch=epoch, coordinator_epoch=0, timestamp_ms=0
    )
    under_test.append(bytearray(marker), origin=AppendOrigin.COORDINATOR)


def test_a_transaction_needs_a_guard_for_its_first_batch_only(under_test: Any) -> None:
    """reliability.md: hanging transactions, verify with the coordinator before append."""
    with pytest.raises(InvalidTransactionState):
        write(under_test, None)
    with pytest.raises(InvalidTransactionState):
        write(under_test, VerificationGuard())
    assert write(under_test, begin(under_test)) == 0
    assert write(under_test, None, sequence=1) == 1


def test_a_marker_between_question_and_append_makes_the_guard_worthless(under_test: Any) -> None:
    """reliability.md: hanging transactions (KAFKA-14402): the late batch would hang for ever."""
    guard = begin(under_test)
    end(under_test)
    with pytest.raises(InvalidTransactionState):
        write(under_test, guard)
    assert write(under_test, begin(under_test)) == 1


def test_batches_on_their_way_share_a_guard_and_keep_their_order(under_test: Any) -> None:
    """reliability.md: idempotence; the second batch's consent may come before the first's."""
    first = begin(under_test, sequence=0)
    second = begin(under_test, sequence=1)
    assert first is second
    with pytest.raises(OutOfOrderSequence):
        write(under_test, second, sequence=1)
    assert write(under_test, first, sequence=0) == 0
    assert write(under_test, second, sequence=1) == 1


def test_an_unknown_producer_with_its_own_epochs_begins_at_0(under_test: Any) -> None:
    """reliability.md: epoch bump (KAFKA-19367)."""
    guard = begin(under_test, sequence=3, bumps_epochs=True)
    with pytest.raises(OutOfOrderSequence):
        write(under_test, guard, sequence=3)
    assert write(under_test, guard, sequence=0) == 0


def test_an_older_client_whose_records_are_all_deleted_may_go_on_anywhere(under_test: Any) -> None:
    assert write(under_test, begin(under_test, sequence=3), sequence=3) == 0


def test_a_repeated_batch_is_answered_without_a_guard(under_test: Any) -> None:
    write(under_test, begin(under_test))
    end(under_test)
    assert write(under_test, None) == 0
    assert under_test.log.log_end_offset == 2


def test_a_fenced_producer_hears_of_its_epoch_first(under_test: Any) -> None:
    write(under_test, begin(under_test, epoch=2), epoch=2)
    guard = begin(under_test, sequence=7, epoch=1)
    with pytest.raises(InvalidProducerEpoch):
        write(under_test, guard, sequence=9, epoch=1)


def test_verification_can_be_switched_off(under_test: Any) -> None:
    under_test.log.config = under_test.config._replace(verifies_transactions=False)
    assert write(under_test, None) == 0


def test_a_verification_that_never_ends_expires(under_test: Any) -> None:
    guard = begin(under_test)
    under_test.log.producers.remove_expired(999, expiration_ms=1000)
    assert len(under_test.log.producers.verifications) == 1
    under_test.log.producers.remove_expired(1000, expiration_ms=1000)
    with pytest.raises(InvalidTransactionState):
        write(under_test, guard)


def test_nothing_is_kept_of_what_the_coordinator_refused(under_test: Any) -> None:
    """A stranger could fill the memory with producers that nobody knows."""
    verifications = under_test.log.producers.verifications
    old = begin(under_test)
    verifications.withdraw(5, VerificationGuard())
    assert len(verifications) == 1
    verifications.withdraw(5, old)
    assert len(verifications) == 0
    with pytest.raises(InvalidTransactionState):
        write(under_test, old)
