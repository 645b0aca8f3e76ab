"""InitProducerId: an id for an idempotent producer."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING

from ottla.broker.errors import TRANSACTIONS_NOT_OFFERED
from ottla.wire.api.k22_init_producer_id import InitProducerIdRequest, InitProducerIdResponse
from ottla.wire.errors import ErrorCode, ProtocolError

if TYPE_CHECKING:
    from ottla.broker.dispatch import RequestContext

_FIRST_EPOCH = 0


def handle(
    context: RequestContext, request: InitProducerIdRequest
) -> InitProducerIdResponse | Awaitable[InitProducerIdResponse]:
    if request.transactional_id is not None:
        code = (
            ErrorCode.INVALID_REQUEST if not request.transactional_id else TRANSACTIONS_NOT_OFFERED
        )
        return InitProducerIdResponse(error_code=code, producer_epoch=-1)
    return _allocate(context)


async def _allocate(context: RequestContext) -> InitProducerIdResponse:
    # An id given by the client is not kept: without a transactional id Kafka always hands out a
    # fresh one, whose sequences start anew.
    try:
        producer_id = await context.broker.producer_ids.next()
    except ProtocolError as error:
        return InitProducerIdResponse(error_code=error.code, producer_epoch=-1)
    return InitProducerIdResponse(
        error_code=0, producer_id=producer_id, producer_epoch=_FIRST_EPOCH
    )
