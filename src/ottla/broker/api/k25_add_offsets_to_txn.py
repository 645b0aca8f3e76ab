"""AddOffsetsToTxn: the partition that holds a group's offsets becomes part of a transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.broker.errors import fencing_error
from ottla.metadata.topic_names import GROUP_METADATA_TOPIC
from ottla.wire.api.k25_add_offsets_to_txn import AddOffsetsToTxnRequest, AddOffsetsToTxnResponse
from ottla.wire.errors import ErrorCode, ProtocolError

if TYPE_CHECKING:
    from ottla.broker.dispatch import RequestContext

_FIRST_VERSION_WITH_FENCED = 2


async def handle(
    context: RequestContext, request: AddOffsetsToTxnRequest
) -> AddOffsetsToTxnResponse:
    try:
        code = await _add(context, request)
    except ProtocolError as error:
        code = error.code
    return AddOffsetsToTxnResponse(
        error_code=fencing_error(code, context.version, since=_FIRST_VERSION_WITH_FENCED)
    )


async def _add(context: RequestContext, request: AddOffsetsToTxnRequest) -> ErrorCode:
    from ottla.coordination.routing import partition_for
    from ottla.coordination.transactions.commands import ProducerIdAndEpoch

    if not request.transactional_id:
        return ErrorCode.INVALID_REQUEST
    if not request.group_id:
        return ErrorCode.INVALID_GROUP_ID
    groups = context.broker.groups
    await groups.ensure_topic()
    index = partition_for(request.group_id, groups.partition_count)
    return await context.broker.transactions.add_partitions(
        request.transactional_id,
        ProducerIdAndEpoch(request.producer_id, request.producer_epoch),
        frozenset({(GROUP_METADATA_TOPIC, index)}),
    )
