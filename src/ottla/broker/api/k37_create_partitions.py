"""CreatePartitions: let topics grow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.metadata.controller.create_partitions import NewPartitions, decide_create_partitions
from ottla.wire.api.k37_create_partitions import (
    CreatePartitionsRequest,
    CreatePartitionsResponse,
    GrownTopic,
    TopicToGrow,
)
from ottla.wire.errors import ProtocolError

if TYPE_CHECKING:
    from ottla.broker.dispatch import RequestContext


async def handle(
    context: RequestContext, request: CreatePartitionsRequest
) -> CreatePartitionsResponse:
    broker = context.broker
    wanted = [_new_partitions(topic) for topic in request.topics]
    try:
        reply = await broker.cluster.submit(
            lambda image: decide_create_partitions(
                image, broker.resolver, wanted, broker.entropy, validate_only=request.validate_only
            )
        )
    except ProtocolError as error:
        reply = [(topic.topic, error) for topic in wanted]
    return CreatePartitionsResponse(
        results=[
            GrownTopic(
                name=name,
                error_code=error.code if error else 0,
                error_message=error.message if error else None,
            )
            for name, error in reply
        ]
    )


def _new_partitions(topic: TopicToGrow) -> NewPartitions:
    assignments = None
    if topic.assignments is not None:
        assignments = tuple(tuple(each.broker_ids) for each in topic.assignments)
    return NewPartitions(topic.name, topic.count, assignments)
