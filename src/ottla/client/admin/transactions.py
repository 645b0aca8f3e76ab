"""Producers and transactions, as the brokers see them (KIP-664)."""

from __future__ import annotations

from typing import NamedTuple

from ottla.client.values import TopicPartition


class ProducerState(NamedTuple):
    """A producer that wrote to a partition not long ago.

    Attributes:
        producer_id: its id.
        producer_epoch: its epoch.
        last_sequence: the sequence number of its last record.
        last_timestamp_ms: the timestamp of that record.
        coordinator_epoch: the coordinator that last ended a transaction of it, None if none did.
        current_transaction_start_offset: where its open transaction begins, None if it has none.
    """

    producer_id: int
    producer_epoch: int
    last_sequence: int
    last_timestamp_ms: int
    coordinator_epoch: int | None
    current_transaction_start_offset: int | None


class TransactionDescription(NamedTuple):
    """A transaction, as its coordinator describes it.

    Attributes:
        coordinator_id: the broker that coordinates it.
        state: ``Empty``, ``Ongoing``, ``PrepareCommit``, ``PrepareAbort``, ``CompleteCommit``,
            ``CompleteAbort`` or ``Dead``.
        producer_id: the producer's id.
        producer_epoch: its epoch.
        timeout_ms: after how long it is aborted.
        start_time_ms: when it began, None if none is open.
        partitions: what it has written to.
    """

    coordinator_id: int
    state: str
    producer_id: int
    producer_epoch: int
    timeout_ms: int
    start_time_ms: int | None
    partitions: list[TopicPartition]


class TransactionListing(NamedTuple):
    """A transaction, as ``list_transactions`` answers it."""

    transactional_id: str
    producer_id: int
    state: str


class AbortTransactionSpec(NamedTuple):
    """An open transaction in one partition that nobody will end.

    Attributes:
        partition: the partition.
        producer_id: the producer's id.
        producer_epoch: its epoch.
        coordinator_epoch: the coordinator's epoch, -1 if none has ended a transaction yet.
    """

    partition: TopicPartition
    producer_id: int
    producer_epoch: int
    coordinator_epoch: int = -1


class FencedProducer(NamedTuple):
    """A transactional id after ``fence_producers``: its producer id and the epoch that is next."""

    producer_id: int
    producer_epoch: int
