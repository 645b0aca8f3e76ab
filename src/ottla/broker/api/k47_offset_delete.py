"""OffsetDelete: forget committed offsets of topics nobody in the group reads (KIP-496)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.coordination.groups.commands import OffsetDelete
from ottla.wire.api.k47_offset_delete import (
    ForgottenPartition,
    ForgottenTopic,
    OffsetDeleteRequest,
    OffsetDeleteResponse,
    TopicToForget,
)
from ottla.wire.errors import ErrorCode, ProtocolError

if TYPE_CHECKING:
    from ottla.broker.dispatch import RequestContext


async def handle(context: RequestContext, request: OffsetDeleteRequest) -> OffsetDeleteResponse:
    unknown = [
        each for each in (_take_out_unknown(context, topic) for topic in request.topics) if each
    ]
    request.topics = [topic for topic in request.topics if topic.partitions]
    try:
        response: OffsetDeleteResponse = await context.broker.groups.submit(
            request.group_id, lambda token: OffsetDelete(token, request, context.version)
        )
    except ProtocolError as error:
        return OffsetDeleteResponse(error_code=error.code, topics=[])
    if not response.error_code:
        _add(response, unknown)
    return response


def _take_out_unknown(context: RequestContext, topic: TopicToForget) -> ForgottenTopic | None:
    """Leave the topic with the partitions that exist; an answer for the others, if any."""
    found = context.broker.cluster.image.topics.get(topic.name)
    count = 0 if found is None else len(found.partitions)
    asked = topic.partitions
    topic.partitions = [each for each in asked if 0 <= each.partition_index < count]
    unknown = [
        ForgottenPartition(
            partition_index=each.partition_index,
            error_code=ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        )
        for each in asked
        if not 0 <= each.partition_index < count
    ]
    return ForgottenTopic(name=topic.name, partitions=unknown) if unknown else None


def _add(response: OffsetDeleteResponse, unknown: list[ForgottenTopic]) -> None:
    answered = {topic.name: topic for topic in response.topics}
    for topic in unknown:
        if topic.name in answered:
            answered[topic.name].partitions += topic.partitions
        else:
            response.topics.append(topic)
