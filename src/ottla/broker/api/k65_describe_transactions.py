"""DescribeTransactions: the producers and states of transactional ids (KIP-664)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.wire.api.k65_describe_transactions import (
    DescribedTransaction,
    DescribeTransactionsRequest,
    DescribeTransactionsResponse,
    TransactionTopic,
)
from ottla.wire.errors import ErrorCode, ProtocolError

if TYPE_CHECKING:
    from ottla.broker.dispatch import RequestContext
    from ottla.coordination.transactions.transaction import Transaction


async def handle(
    context: RequestContext, request: DescribeTransactionsRequest
) -> DescribeTransactionsResponse:
    return DescribeTransactionsResponse(
        transaction_states=[
            await _describe(context, transactional_id)
            for transactional_id in dict.fromkeys(request.transactional_ids)
        ]
    )


async def _describe(context: RequestContext, transactional_id: str) -> DescribedTransaction:
    if not transactional_id:
        return _refused(transactional_id, ErrorCode.INVALID_REQUEST)
    try:
        transaction = await context.broker.transactions.describe(transactional_id)
    except ProtocolError as error:
        return _refused(transactional_id, error.code)
    if transaction is None:
        return _refused(transactional_id, ErrorCode.TRANSACTIONAL_ID_NOT_FOUND)
    return _described(transaction)


def _described(transaction: Transaction) -> DescribedTransaction:
    from ottla.coordination.transactions.transaction import STATE_NAMES
    from ottla.coordination.transactions.transaction_log import by_topic

    return DescribedTransaction(
        error_code=0,
        transactional_id=transaction.transactional_id,
        transaction_state=STATE_NAMES[transaction.state],
        transaction_timeout_ms=transaction.timeout_ms,
        transaction_start_time_ms=transaction.started_ms,
        producer_id=transaction.producer_id,
        producer_epoch=transaction.producer_epoch,
        topics=[
            TransactionTopic(topic=topic.topic, partitions=topic.partition_ids)
            for topic in by_topic(transaction.partitions)
        ],
    )


def _refused(transactional_id: str, code: ErrorCode) -> DescribedTransaction:
    return DescribedTransaction(
        error_code=code,
        transactional_id=transactional_id,
        transaction_state="",
        transaction_timeout_ms=0,
        transaction_start_time_ms=0,
        producer_id=0,
        producer_epoch=0,
        topics=[],
    )
