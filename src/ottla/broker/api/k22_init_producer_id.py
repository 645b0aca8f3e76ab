"""InitProducerId: an id of its own for a producer, or the epoch that fences the one before."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING

from ottla.broker.errors import fencing_error
from ottla.wire.api.k22_init_producer_id import InitProducerIdRequest, InitProducerIdResponse
from ottla.wire.errors import ErrorCode, ProtocolError

if TYPE_CHECKING:
    from ottla.broker.dispatch import RequestContext

_FIRST_EPOCH = 0
_NONE = -1
_FIRST_VERSION_WITH_FENCED = 4


def handle(
    context: RequestContext, request: InitProducerIdRequest
) -> InitProducerIdResponse | Awaitable[InitProducerIdResponse]:
    is_id_known = request.producer_id != _NONE
    is_epoch_known = request.producer_epoch != _NONE
    if request.transactional_id == "" or is_id_known != is_epoch_known:
        return _refused(ErrorCode.INVALID_REQUEST)
    if request.transactional_id is None:
        return _allocate(context)
    return _initialise(context, request.transactional_id, request)


async def _allocate(context: RequestContext) -> InitProducerIdResponse:
    # An id given by the client is not kept: without a transactional id Kafka always hands out a
    # fresh one, whose sequences start anew.
    try:
        producer_id = await context.broker.producer_ids.next()
    except ProtocolError as error:
        return _refused(error.code)
    return InitProducerIdResponse(
        error_code=0, producer_id=producer_id, producer_epoch=_FIRST_EPOCH
    )


async def _initialise(
    context: RequestContext, transactional_id: str, request: InitProducerIdRequest
) -> InitProducerIdResponse:
    from ottla.coordination.transactions.commands import ProducerIdAndEpoch

    expected = None
    if request.producer_id != _NONE:
        expected = ProducerIdAndEpoch(request.producer_id, request.producer_epoch)
    try:
        granted = await context.broker.transactions.init_producer_id(
            transactional_id, request.transaction_timeout_ms, expected
        )
    except ProtocolError as error:
        return _refused(error.code)
    return InitProducerIdResponse(
        error_code=fencing_error(granted.error, context.version, since=_FIRST_VERSION_WITH_FENCED),
        producer_id=granted.producer_id,
        producer_epoch=granted.producer_epoch,
    )


def _refused(code: ErrorCode) -> InitProducerIdResponse:
    return InitProducerIdResponse(error_code=code, producer_epoch=_NONE)
