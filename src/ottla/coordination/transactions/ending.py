"""EndTxn: the end of a transaction, decided and then, once its markers are written, complete."""

from __future__ import annotations

from typing import Final

from ottla.coordination.transactions.commands import EndTransaction, FreshProducerIdNeeded
from ottla.coordination.transactions.transaction import (
    FENCING_EPOCH,
    LAST_EPOCH,
    NO_PRODUCER_EPOCH,
    NO_PRODUCER_ID,
    Transaction,
    TransactionState,
)
from ottla.wire.errors import ErrorCode

#: From this transaction.version on the epoch is bumped with every end (KIP-890).
BUMPS_EPOCH: Final = 2


def end(
    transaction: Transaction, command: EndTransaction, now_ms: int
) -> Transaction | ErrorCode | FreshProducerIdNeeded:
    """The transaction as it ends; ``NONE`` if it has ended so already."""
    if command.client_version < BUMPS_EPOCH:
        return _end_at_same_epoch(transaction, command, now_ms)
    return _end_and_bump(transaction, command, now_ms)


def complete(transaction: Transaction, now_ms: int) -> Transaction:
    """An ending transaction whose markers are all written."""
    state = (
        TransactionState.COMPLETE_COMMIT
        if transaction.is_commit
        else TransactionState.COMPLETE_ABORT
    )
    completed = transaction._replace(state=state, partitions=frozenset(), updated_ms=now_ms)
    if transaction.next_producer_id == NO_PRODUCER_ID:
        return completed
    return completed._replace(
        producer_id=transaction.next_producer_id,
        producer_epoch=0,
        previous_producer_id=transaction.producer_id,
        next_producer_id=NO_PRODUCER_ID,
        last_producer_epoch=LAST_EPOCH,
    )


def fence(transaction: Transaction, transaction_version: int, now_ms: int) -> Transaction:
    """An ongoing transaction aborted by the coordinator: its producer's epoch is over (KIP-588).

    From transaction.version 2 on the producer may recover with its old epoch, as after an abort
    of its own.
    """
    is_bumped_anyway = transaction_version >= BUMPS_EPOCH
    return transaction._replace(
        state=TransactionState.PREPARE_ABORT,
        producer_epoch=transaction.producer_epoch + 1,
        last_producer_epoch=transaction.producer_epoch if is_bumped_anyway else NO_PRODUCER_EPOCH,
        updated_ms=now_ms,
        client_version=transaction_version if is_bumped_anyway else 0,
    )


def _end_at_same_epoch(
    transaction: Transaction, command: EndTransaction, now_ms: int
) -> Transaction | ErrorCode:
    """Transaction versions 0 and 1: the producer keeps its epoch from one to the next."""
    if transaction.producer_id != command.producer.producer_id:
        return ErrorCode.INVALID_PRODUCER_ID_MAPPING
    if transaction.producer_epoch != command.producer.producer_epoch:
        return ErrorCode.PRODUCER_FENCED
    if transaction.is_ongoing:
        return transaction._replace(state=_prepared(command), updated_ms=now_ms, client_version=0)
    return _answer_to_retry(transaction, command)


def _end_and_bump(
    transaction: Transaction, command: EndTransaction, now_ms: int
) -> Transaction | ErrorCode | FreshProducerIdNeeded:
    """Transaction version 2: one epoch, one transaction, so that a retry is told from the next."""
    producer = command.producer
    has_rotated = (
        transaction.previous_producer_id == producer.producer_id
        and producer.producer_epoch == LAST_EPOCH
        and transaction.producer_epoch == 0
        and not transaction.is_ongoing
        and not transaction.is_ending
    )
    if transaction.producer_id != producer.producer_id and not has_rotated:
        return ErrorCode.INVALID_PRODUCER_ID_MAPPING
    is_complete = transaction.is_idle and transaction.state is not TransactionState.EMPTY
    # Only an end that bumped the epoch can be asked for again with the epoch before; a producer
    # that was fenced before a transaction of version 1 ended has that epoch, too.
    is_bumped = (
        transaction.client_version >= BUMPS_EPOCH
        and producer.producer_epoch == transaction.producer_epoch - 1
    )
    if has_rotated and is_complete:
        return _answer_to_retry(transaction, command)
    if is_complete and transaction.producer_epoch == FENCING_EPOCH:
        # Aborted by the coordinator at the last epoch: there is no next one to tell of.
        return ErrorCode.PRODUCER_FENCED
    if transaction.is_ending or (is_complete and is_bumped):
        return _answer_to_retry(transaction, command) if is_bumped else ErrorCode.PRODUCER_FENCED
    if producer.producer_epoch != transaction.producer_epoch:
        return ErrorCode.PRODUCER_FENCED
    if not transaction.is_ongoing and command.is_commit:
        # What was never begun can be aborted, since the client may not know, but not committed.
        return ErrorCode.INVALID_TXN_STATE
    return _bumped(transaction, command, now_ms)


def _bumped(
    transaction: Transaction, command: EndTransaction, now_ms: int
) -> Transaction | FreshProducerIdNeeded:
    next_producer_id = NO_PRODUCER_ID
    if transaction.is_epoch_exhausted:
        if command.fresh_producer_id is None:
            return FreshProducerIdNeeded()
        next_producer_id = command.fresh_producer_id
    ended = transaction._replace(
        state=_prepared(command),
        producer_epoch=transaction.producer_epoch + 1,
        next_producer_id=next_producer_id,
        last_producer_epoch=transaction.producer_epoch,
        updated_ms=now_ms,
        client_version=command.client_version,
    )
    if transaction.is_ongoing:
        return ended
    # Nothing was written anywhere, so there are no markers to wait for.
    return complete(ended._replace(partitions=frozenset(), started_ms=now_ms), now_ms)


def _prepared(command: EndTransaction) -> TransactionState:
    if command.is_commit:
        return TransactionState.PREPARE_COMMIT
    return TransactionState.PREPARE_ABORT


def _answer_to_retry(transaction: Transaction, command: EndTransaction) -> ErrorCode:
    if transaction.state is TransactionState.EMPTY or transaction.is_commit != command.is_commit:
        return ErrorCode.INVALID_TXN_STATE
    return ErrorCode.CONCURRENT_TRANSACTIONS if transaction.is_ending else ErrorCode.NONE
