"""ListTransactions: the transactional ids this broker coordinates (KIP-664)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.wire.api.k66_list_transactions import (
    ListedTransaction,
    ListTransactionsRequest,
    ListTransactionsResponse,
)
from ottla.wire.errors import ProtocolError

if TYPE_CHECKING:
    from ottla.broker.dispatch import RequestContext


async def handle(
    context: RequestContext, request: ListTransactionsRequest
) -> ListTransactionsResponse:
    from ottla.coordination.transactions.listing import ListFilter
    from ottla.coordination.transactions.transaction import STATE_NAMES

    wanted = ListFilter(
        request.state_filters,
        request.producer_id_filters,
        request.duration_filter,
        request.transactional_id_pattern,
    )
    unknown = wanted.unknown_states()
    try:
        transactions = wanted.select(
            await context.broker.transactions.transactions(), context.broker.clock.wall_ms()
        )
    except ProtocolError as error:
        return ListTransactionsResponse(
            error_code=error.code, unknown_state_filters=unknown, transaction_states=[]
        )
    return ListTransactionsResponse(
        error_code=0,
        unknown_state_filters=unknown,
        transaction_states=[
            ListedTransaction(
                transactional_id=transaction.transactional_id,
                producer_id=transaction.producer_id,
                transaction_state=STATE_NAMES[transaction.state],
            )
            for transaction in transactions
        ],
    )
