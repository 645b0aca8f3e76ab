"""AddPartitionsToTxn: partitions become part of a transaction, or are found to be (KIP-890)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from ottla.broker.errors import fencing_error
from ottla.wire.api.k24_add_partitions_to_txn import (
    AddedPartition,
    AddedTopic,
    AddPartitionsToTxnRequest,
    AddPartitionsToTxnResponse,
    ExtendedTransaction,
    TopicToAdd,
    TransactionToExtend,
)
from ottla.wire.errors import ErrorCode, ProtocolError

if TYPE_CHECKING:
    from ottla.broker.dispatch import RequestContext
    from ottla.coordination.transactions.transaction import TopicPartition

_FIRST_VERSION_WITH_FENCED = 2
_FIRST_VERSION_WITH_SEVERAL = 4


async def handle(
    context: RequestContext, request: AddPartitionsToTxnRequest
) -> AddPartitionsToTxnResponse:
    if context.version >= _FIRST_VERSION_WITH_SEVERAL:
        return AddPartitionsToTxnResponse(
            results_by_transaction=[
                ExtendedTransaction(
                    transactional_id=transaction.transactional_id,
                    topic_results=await _extend(context, transaction),
                )
                for transaction in request.transactions
            ]
        )
    transaction = TransactionToExtend(
        transactional_id=request.v3_and_below_transactional_id,
        producer_id=request.v3_and_below_producer_id,
        producer_epoch=request.v3_and_below_producer_epoch,
        topics=request.v3_and_below_topics,
    )
    return AddPartitionsToTxnResponse(
        results_by_topic_v3_and_below=await _extend(context, transaction)
    )


async def _extend(context: RequestContext, transaction: TransactionToExtend) -> list[AddedTopic]:
    """Add one transaction's partitions: all of them or none."""
    asked = frozenset(
        (topic.name, index) for topic in transaction.topics for index in topic.partitions
    )
    image = context.broker.cluster.image
    unknown = frozenset(each for each in asked if image.partition(*each) is None)
    if not transaction.transactional_id:
        codes: Mapping[TopicPartition, ErrorCode] = _all(asked, ErrorCode.INVALID_REQUEST)
    elif unknown and not transaction.verify_only:
        codes = {
            **_all(asked, ErrorCode.OPERATION_NOT_ATTEMPTED),
            **_all(unknown, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        }
    else:
        codes = await _ask_coordinator(context, transaction, asked)
    return [_added(context.version, topic, codes) for topic in transaction.topics]


async def _ask_coordinator(
    context: RequestContext, transaction: TransactionToExtend, asked: frozenset[TopicPartition]
) -> Mapping[TopicPartition, ErrorCode]:
    from ottla.coordination.transactions.commands import ProducerIdAndEpoch

    transactional_id = transaction.transactional_id
    producer = ProducerIdAndEpoch(transaction.producer_id, transaction.producer_epoch)
    coordinator = context.broker.transactions
    try:
        if transaction.verify_only:
            return await coordinator.verify(transactional_id, *producer, asked)
        return _all(asked, await coordinator.add_partitions(transactional_id, producer, asked))
    except ProtocolError as error:
        return _all(asked, error.code)


def _all(
    partitions: Iterable[TopicPartition], code: ErrorCode
) -> Mapping[TopicPartition, ErrorCode]:
    return dict.fromkeys(partitions, code)


def _added(
    version: int, topic: TopicToAdd, codes: Mapping[TopicPartition, ErrorCode]
) -> AddedTopic:
    return AddedTopic(
        name=topic.name,
        results_by_partition=[
            AddedPartition(
                partition_index=index,
                partition_error_code=fencing_error(
                    codes[topic.name, index], version, since=_FIRST_VERSION_WITH_FENCED
                ),
            )
            for index in topic.partitions
        ],
    )
