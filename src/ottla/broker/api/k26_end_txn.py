"""EndTxn: a transaction is committed or aborted; the markers follow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.broker.errors import fencing_error
from ottla.wire.api.k26_end_txn import EndTxnRequest, EndTxnResponse
from ottla.wire.errors import ErrorCode, ProtocolError

if TYPE_CHECKING:
    from ottla.broker.dispatch import RequestContext

_FIRST_VERSION_WITH_FENCED = 2
# Clients speak this version where the cluster has finalized transaction.version 2.
_FIRST_VERSION_THAT_BUMPS_EPOCH = 5


async def handle(context: RequestContext, request: EndTxnRequest) -> EndTxnResponse:
    from ottla.coordination.transactions.commands import ProducerIdAndEpoch

    if not request.transactional_id:
        return EndTxnResponse(error_code=ErrorCode.INVALID_REQUEST)
    try:
        granted = await context.broker.transactions.end_transaction(
            request.transactional_id,
            ProducerIdAndEpoch(request.producer_id, request.producer_epoch),
            is_commit=request.committed,
            client_version=2 if context.version >= _FIRST_VERSION_THAT_BUMPS_EPOCH else 0,
        )
    except ProtocolError as error:
        return EndTxnResponse(error_code=error.code)
    return EndTxnResponse(
        error_code=fencing_error(granted.error, context.version, since=_FIRST_VERSION_WITH_FENCED),
        producer_id=granted.producer_id,
        producer_epoch=granted.producer_epoch,
    )
