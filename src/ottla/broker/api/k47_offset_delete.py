"""OffsetDelete: forget committed offsets of topics nobody in the group reads (KIP-496)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.coordination.groups.commands import OffsetDelete
from ottla.wire.api.k47_offset_delete import (
    ForgottenPartition,
    ForgottenTopic,
    OffsetDeleteRequest,
    OffsetDeleteResponse,
)
from ottla.wire.errors import ErrorCode, ProtocolError

if TYPE_CHECKING:
    from ottla.broker.dispatch import RequestContext


async def handle(context: RequestContext, request: OffsetDeleteRequest) -> OffsetDeleteResponse:
    asked = request.topics
    topics = context.broker.cluster.image.topics
    request.topics = [topic for topic in asked if topic.name in topics]
    try:
        response: OffsetDeleteResponse = await context.broker.groups.submit(
            request.group_id, lambda token: OffsetDelete(token, request, context.version)
        )
    except ProtocolError as error:
        return OffsetDeleteResponse(error_code=error.code, topics=[])
    if not response.error_code:
        response.topics += [
            ForgottenTopic(
                name=topic.name,
                partitions=[
                    ForgottenPartition(
                        partition_index=each.partition_index,
                        error_code=ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
                    )
                    for each in topic.partitions
                ],
            )
            for topic in asked
            if topic.name not in topics
        ]
    return response
