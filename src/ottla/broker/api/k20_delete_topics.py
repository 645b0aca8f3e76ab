"""DeleteTopics: by name or by id; the data goes after ``file.delete.delay.ms``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.metadata.controller.delete_topics import TopicReference, decide_delete_topics
from ottla.wire.api.k20_delete_topics import (
    DeletedTopic,
    DeleteTopicsRequest,
    DeleteTopicsResponse,
)
from ottla.wire.errors import ProtocolError

if TYPE_CHECKING:
    from ottla.broker.dispatch import RequestContext

_FIRST_VERSION_WITH_TOPIC_IDS = 6


async def handle(context: RequestContext, request: DeleteTopicsRequest) -> DeleteTopicsResponse:
    broker = context.broker
    if context.version >= _FIRST_VERSION_WITH_TOPIC_IDS:
        references = [TopicReference(topic.name, topic.topic_id) for topic in request.topics]
    else:
        references = [TopicReference(name) for name in request.topic_names]
    try:
        reply = await broker.cluster.submit(
            lambda image: decide_delete_topics(image, broker.resolver, references)
        )
    except ProtocolError as error:
        return DeleteTopicsResponse(
            responses=[
                DeletedTopic(
                    name=each.name,
                    topic_id=each.topic_id,
                    error_code=error.code,
                    error_message=error.message,
                )
                for each in references
            ]
        )
    return DeleteTopicsResponse(
        responses=[
            DeletedTopic(
                name=deletion.name,
                topic_id=deletion.topic_id,
                error_code=deletion.error.code if deletion.error else 0,
                error_message=deletion.error.message if deletion.error else None,
            )
            for deletion in reply
        ]
    )
