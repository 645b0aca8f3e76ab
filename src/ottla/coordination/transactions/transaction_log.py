"""What transaction coordinators write into ``__transaction_state``, in Kafka's format."""

from __future__ import annotations

from typing import NamedTuple

from ottla.coordination.outcome import CoordinatorRecord, SkippedRecord
from ottla.coordination.transactions.transaction import (
    NEVER_LOGGED,
    TopicPartition,
    Transaction,
    TransactionState,
)
from ottla.wire.errors import ProtocolError
from ottla.wire.transaction_records import (
    FLEXIBLE_VERSION,
    LAST_INFLEXIBLE_VERSION,
    TransactionLogValue,
    TransactionPartitions,
    decode_key,
    decode_value,
    encode_key,
    encode_value,
)

_FIRST_LEVEL_WITH_FLEXIBLE_RECORDS = 1


class TransactionChange(NamedTuple):
    """A transactional id as it is from now on; ``None``: it has expired."""

    transactional_id: str
    transaction: Transaction | None


def transaction_record(transaction: Transaction, transaction_version: int) -> CoordinatorRecord:
    """The record that makes a transactional id what it is here.

    Args:
        transaction_version: the finalized level, on which the record's format depends.
    """
    is_empty = transaction.state is TransactionState.EMPTY
    value = TransactionLogValue(
        producer_id=transaction.producer_id,
        previous_producer_id=transaction.previous_producer_id,
        next_producer_id=transaction.next_producer_id,
        producer_epoch=transaction.producer_epoch,
        transaction_timeout_ms=transaction.timeout_ms,
        transaction_status=transaction.state,
        transaction_partitions=None if is_empty else by_topic(transaction.partitions),
        transaction_last_update_timestamp_ms=transaction.updated_ms,
        transaction_start_timestamp_ms=transaction.started_ms,
        client_transaction_version=transaction.client_version,
    )
    version = (
        FLEXIBLE_VERSION
        if transaction_version >= _FIRST_LEVEL_WITH_FLEXIBLE_RECORDS
        else LAST_INFLEXIBLE_VERSION
    )
    return CoordinatorRecord(encode_key(transaction.transactional_id), encode_value(value, version))


def tombstone(transactional_id: str) -> CoordinatorRecord:
    """Forgets a transactional id."""
    return CoordinatorRecord(encode_key(transactional_id), None)


def read_record(record: CoordinatorRecord) -> TransactionChange | SkippedRecord:
    """What a record says; one that can't be read is skipped, never fatal."""
    try:
        transactional_id = decode_key(record.key)
        if record.value is None:
            return TransactionChange(transactional_id, None)
        value = decode_value(record.value)
    except ProtocolError as error:
        return SkippedRecord(f"unreadable: {error.message}")
    try:
        state = TransactionState(value.transaction_status)
    except ValueError:
        return SkippedRecord(f"transaction state {value.transaction_status} is not known")
    if state in NEVER_LOGGED:
        return SkippedRecord(f"transaction state {state.name} is never logged")
    return TransactionChange(transactional_id, _transaction(transactional_id, state, value))


def by_topic(partitions: frozenset[TopicPartition]) -> list[TransactionPartitions]:
    """Partitions in the order of names and numbers."""
    topics: dict[str, list[int]] = {}
    for topic, index in sorted(partitions):
        topics.setdefault(topic, []).append(index)
    return [
        TransactionPartitions(topic=topic, partition_ids=indexes)
        for topic, indexes in topics.items()
    ]


def _transaction(
    transactional_id: str, state: TransactionState, value: TransactionLogValue
) -> Transaction:
    return Transaction(
        transactional_id=transactional_id,
        producer_id=value.producer_id,
        producer_epoch=value.producer_epoch,
        timeout_ms=value.transaction_timeout_ms,
        updated_ms=value.transaction_last_update_timestamp_ms,
        state=state,
        partitions=frozenset(
            (topic.topic, index)
            for topic in value.transaction_partitions or ()
            for index in topic.partition_ids
        ),
        started_ms=value.transaction_start_timestamp_ms,
        previous_producer_id=value.previous_producer_id,
        next_producer_id=value.next_producer_id,
        client_version=value.client_transaction_version,
    )
