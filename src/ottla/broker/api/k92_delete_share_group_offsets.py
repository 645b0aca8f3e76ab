"""DeleteShareGroupOffsets: make an empty share group forget topics (KIP-932)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.wire.api.k92_delete_share_group_offsets import (
    DeleteShareGroupOffsetsRequest,
    DeleteShareGroupOffsetsResponse,
    ForgottenTopic,
)
from ottla.wire.declare import ZERO_UUID
from ottla.wire.errors import ErrorCode, ProtocolError

if TYPE_CHECKING:
    from ottla.broker.dispatch import RequestContext


async def handle(
    context: RequestContext, request: DeleteShareGroupOffsetsRequest
) -> DeleteShareGroupOffsetsResponse:
    broker = context.broker
    topics = broker.cluster.image.topics
    known = [topics[each.topic_name] for each in request.topics if each.topic_name in topics]
    try:
        broker.share_groups.check_enabled()
        if not request.group_id:
            raise ProtocolError(ErrorCode.INVALID_GROUP_ID)
        results = await broker.share_groups.offsets.delete(
            request.group_id, [topic.topic_id for topic in known]
        )
    except ProtocolError as error:
        return DeleteShareGroupOffsetsResponse(
            error_code=error.code, error_message=error.message, responses=[]
        )
    responses = []
    for asked in request.topics:
        topic = topics.get(asked.topic_name)
        topic_id = ZERO_UUID if topic is None else topic.topic_id
        forgotten = ForgottenTopic(
            topic_name=asked.topic_name, topic_id=topic_id, error_code=ErrorCode.NONE
        )
        failure = results.get(topic_id)
        if topic_id not in results:
            forgotten.error_code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            forgotten.error_message = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION.message
        elif failure is not None:
            forgotten.error_code, forgotten.error_message = failure.code, failure.message
        responses.append(forgotten)
    return DeleteShareGroupOffsetsResponse(error_code=ErrorCode.NONE, responses=responses)
