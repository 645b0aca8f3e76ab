"""Asking the transaction coordinator for its consent, and what clients hear of a refusal (KIP-890).

No record of a transaction is appended to a partition behind the coordinator's back: before the
first one it is asked whether the partition is part of the transaction. For clients of
transaction.version 2 the same question makes it so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ottla.broker.errors import code_of
from ottla.log.names import TopicPartition
from ottla.wire.errors import ErrorCode, ProtocolError

if TYPE_CHECKING:
    from ottla.broker.node import BrokerNode

_PASSING_ERRORS = frozenset(
    {
        ErrorCode.NETWORK_EXCEPTION,
        ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
        ErrorCode.COORDINATOR_NOT_AVAILABLE,
        ErrorCode.NOT_COORDINATOR,
    }
)


class ClientKnowledge(NamedTuple):
    """What a client of some version of an API expects of transactions."""

    knows_abortable: bool
    """It understands TRANSACTION_ABORTABLE."""
    leaves_adding_to_broker: bool
    """It speaks transaction.version 2, which has no AddPartitionsToTxn."""
    retried: ErrorCode
    """What clients that know nothing of verification try again after."""


async def consent_of_coordinator(
    broker: BrokerNode,
    transactional_id: str,
    producer_id: int,
    producer_epoch: int,
    partitions: frozenset[TopicPartition],
    client: ClientKnowledge,
) -> dict[TopicPartition, ErrorCode]:
    """Whether a transaction may begin in these partitions: ``NONE``, or what the client is told."""
    try:
        answers = await broker.transactions.verify(
            transactional_id,
            producer_id,
            producer_epoch,
            partitions,
            adds=client.leaves_adding_to_broker,
        )
    except ProtocolError as error:
        answers = dict.fromkeys(partitions, code_of(error.code))
    return {TopicPartition(*name): told_to(client, error) for name, error in answers.items()}


def told_to(client: ClientKnowledge, error: ErrorCode) -> ErrorCode:
    """What a client hears of the coordinator's answer."""
    if error is ErrorCode.PRODUCER_FENCED:
        return ErrorCode.INVALID_PRODUCER_EPOCH
    if error is ErrorCode.TRANSACTION_ABORTABLE and not client.knows_abortable:
        return ErrorCode.INVALID_TXN_STATE
    if error is ErrorCode.CONCURRENT_TRANSACTIONS and not client.leaves_adding_to_broker:
        # Who adds partitions itself never hears this later than then.
        return client.retried
    return client.retried if error in _PASSING_ERRORS else error
