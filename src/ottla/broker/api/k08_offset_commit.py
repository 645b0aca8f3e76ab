"""OffsetCommit: remember how far a group has read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.coordination.groups.commands import OffsetCommit
from ottla.wire.api.k08_offset_commit import (
    CommittedPartition,
    CommittedTopic,
    OffsetCommitRequest,
    OffsetCommitResponse,
    TopicToCommit,
)
from ottla.wire.errors import ErrorCode, ProtocolError

if TYPE_CHECKING:
    from ottla.broker.dispatch import RequestContext

_FIRST_VERSION_WITH_TOPIC_IDS = 10


async def handle(context: RequestContext, request: OffsetCommitRequest) -> OffsetCommitResponse:
    asked = request.topics
    refused = {id(topic): code for topic in asked if (code := _resolve(context, topic))}
    request.topics = [topic for topic in asked if id(topic) not in refused]
    committed: list[CommittedTopic] = []
    if request.topics:
        try:
            response = await context.broker.groups.submit(
                request.group_id, lambda token: OffsetCommit(token, request, context.version)
            )
        except ProtocolError as error:
            committed = [_refused(topic, error.code) for topic in request.topics]
        else:
            committed = response.topics
    answers = iter(committed)
    return OffsetCommitResponse(
        topics=[
            _refused(topic, refused[id(topic)]) if id(topic) in refused else next(answers)
            for topic in asked
        ]
    )


def _resolve(context: RequestContext, topic: TopicToCommit) -> ErrorCode | None:
    """Give the topic its name; an error when it does not exist."""
    image = context.broker.cluster.image
    if context.version >= _FIRST_VERSION_WITH_TOPIC_IDS:
        name = image.topic_names.get(topic.topic_id)
        if name is None:
            return ErrorCode.UNKNOWN_TOPIC_ID
        topic.name = name
    elif topic.name not in image.topics:
        return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    return None


def _refused(topic: TopicToCommit, code: ErrorCode) -> CommittedTopic:
    return CommittedTopic(
        name=topic.name,
        topic_id=topic.topic_id,
        partitions=[
            CommittedPartition(partition_index=each.partition_index, error_code=code)
            for each in topic.partitions
        ],
    )
