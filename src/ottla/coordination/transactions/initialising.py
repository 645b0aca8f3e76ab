"""InitProducerId: who may use a transactional id from now on (KIP-98, KIP-360)."""

from __future__ import annotations

from ottla.coordination.transactions.commands import (
    FreshProducerIdNeeded,
    InitProducerId,
    ProducerIdAndEpoch,
)
from ottla.coordination.transactions.transaction import (
    FENCING_EPOCH,
    LAST_EPOCH,
    NO_PRODUCER_EPOCH,
    NOT_STARTED,
    Transaction,
    TransactionState,
)
from ottla.wire.errors import ErrorCode


def begin(command: InitProducerId, now_ms: int) -> Transaction | FreshProducerIdNeeded:
    """A transactional id that is not known yet.

    A producer that knows itself may come with it: the id has expired since, which does no harm.
    """
    if command.fresh_producer_id is None:
        return FreshProducerIdNeeded()
    return Transaction(
        command.transactional_id, command.fresh_producer_id, 0, command.timeout_ms, now_ms
    )


def is_fenced(transaction: Transaction, expected: ProducerIdAndEpoch | None) -> bool:
    """Whether the producer that asks is one that another has taken the place of.

    One with the previous id and its last epoch may not have heard of its new id yet.
    """
    return not (
        expected is None
        or expected.producer_id == transaction.producer_id
        or (
            expected.producer_id == transaction.previous_producer_id
            and expected.producer_epoch >= LAST_EPOCH
        )
    )


def renew(
    transaction: Transaction, command: InitProducerId, now_ms: int
) -> Transaction | ErrorCode | FreshProducerIdNeeded:
    """The transactional id in other hands, or in the same ones with another epoch.

    Without an expected epoch it is a new producer, and the one before it is fenced. With the
    current epoch it is the same producer after an error; with the last one it asks again.
    """
    expected = command.expected
    if expected is None:
        last_epoch = NO_PRODUCER_EPOCH
    elif expected.producer_epoch == transaction.producer_epoch:
        last_epoch = transaction.producer_epoch
    elif _asks_again(transaction, expected):
        return _emptied(transaction, command, now_ms)
    else:
        return ErrorCode.PRODUCER_FENCED
    if not transaction.is_epoch_exhausted:
        return _emptied(transaction, command, now_ms)._replace(
            producer_epoch=transaction.producer_epoch + 1, last_producer_epoch=last_epoch
        )
    if command.fresh_producer_id is None:
        return FreshProducerIdNeeded()
    return _emptied(transaction, command, now_ms)._replace(
        producer_id=command.fresh_producer_id,
        producer_epoch=0,
        previous_producer_id=transaction.producer_id,
        last_producer_epoch=last_epoch,
    )


def _asks_again(transaction: Transaction, expected: ProducerIdAndEpoch) -> bool:
    return (
        expected.producer_epoch == transaction.last_producer_epoch
        and transaction.producer_epoch != FENCING_EPOCH
    )


def _emptied(transaction: Transaction, command: InitProducerId, now_ms: int) -> Transaction:
    return transaction._replace(
        state=TransactionState.EMPTY,
        partitions=frozenset(),
        timeout_ms=command.timeout_ms,
        started_ms=NOT_STARTED,
        updated_ms=now_ms,
        client_version=0,
    )
