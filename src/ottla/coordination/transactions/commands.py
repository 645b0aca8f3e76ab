"""What a transaction shard can be asked, and what it answers or asks for in return."""

from __future__ import annotations

from typing import NamedTuple

from ottla.coordination.transactions.transaction import (
    NO_PRODUCER_EPOCH,
    NO_PRODUCER_ID,
    TopicPartition,
    Transaction,
)
from ottla.wire.errors import ErrorCode


class ProducerIdAndEpoch(NamedTuple):
    """A producer as it knows itself."""

    producer_id: int
    producer_epoch: int


class InitProducerId(NamedTuple):
    """A producer begins, or recovers (KIP-360), under a transactional id.

    Answered with `ProducerGranted`, or with `FreshProducerIdNeeded`: then it is to be sent again
    with a ``fresh_producer_id``.

    Attributes:
        expected: what the producer is as far as it knows; ``None`` for one that begins.
        fresh_producer_id: an id that no producer has; ``None`` until one is needed.
    """

    token: object
    transactional_id: str
    timeout_ms: int
    expected: ProducerIdAndEpoch | None = None
    fresh_producer_id: int | None = None


class AddPartitions(NamedTuple):
    """Makes partitions part of the producer's transaction, which begins with the first of them.

    Answered with an `ErrorCode`.
    """

    token: object
    transactional_id: str
    producer: ProducerIdAndEpoch
    partitions: frozenset[TopicPartition]


class VerifyPartitions(NamedTuple):
    """Asks whether partitions are part of the producer's transaction (KIP-890).

    Answered with an `ErrorCode` for each partition.
    """

    token: object
    transactional_id: str
    producer: ProducerIdAndEpoch
    partitions: frozenset[TopicPartition]


class EndTransaction(NamedTuple):
    """Commits or aborts the producer's transaction.

    Answered with `ProducerGranted`: what to go on with; or with `FreshProducerIdNeeded`.

    Attributes:
        client_version: the transaction.version the client speaks: 2 bumps the epoch (KIP-890).
    """

    token: object
    transactional_id: str
    producer: ProducerIdAndEpoch
    is_commit: bool
    client_version: int
    fresh_producer_id: int | None = None


class MarkersWritten(NamedTuple):
    """All markers of an ended transaction are durable. Nobody waits for it."""

    transactional_id: str
    producer: ProducerIdAndEpoch


class DescribeTransaction(NamedTuple):
    """Answered with the `Transaction`, or ``None``."""

    token: object
    transactional_id: str


class ListTransactions(NamedTuple):
    """Answered with the `Transaction` of every transactional id of the shard."""

    token: object


class VersionFinalized(NamedTuple):
    """The cluster agreed on another level of ``transaction.version``. Nobody waits for it."""

    transaction_version: int


Command = (
    InitProducerId
    | AddPartitions
    | VerifyPartitions
    | EndTransaction
    | MarkersWritten
    | DescribeTransaction
    | ListTransactions
    | VersionFinalized
)


class ProducerGranted(NamedTuple):
    """The producer id and epoch to go on with, or why there are none."""

    error: ErrorCode
    producer_id: int = NO_PRODUCER_ID
    producer_epoch: int = NO_PRODUCER_EPOCH


class FreshProducerIdNeeded(NamedTuple):
    """The command can't be decided without a producer id that nobody has."""


class WriteMarkers(NamedTuple):
    """Asks the port to end a transaction in its partitions, then to say `MarkersWritten`.

    The transaction's end is durable; it only remains to be told.
    """

    transactional_id: str
    producer: ProducerIdAndEpoch
    coordinator_epoch: int
    is_commit: bool
    partitions: frozenset[TopicPartition]
    transaction_version: int


def markers_of(transaction: Transaction, coordinator_epoch: int) -> WriteMarkers:
    """The request to write the markers of a transaction that is ending."""
    return WriteMarkers(
        transaction.transactional_id,
        ProducerIdAndEpoch(transaction.producer_id, transaction.producer_epoch),
        coordinator_epoch,
        transaction.is_commit,
        transaction.partitions,
        transaction.client_version,
    )
