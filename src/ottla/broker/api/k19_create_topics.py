"""CreateTopics: each topic is created or refused on its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.metadata.controller.create_topics import (
    CreatedTopic as Created,
)
from ottla.metadata.controller.create_topics import (
    NewTopic,
    decide_create_topics,
)
from ottla.wire.api.k19_create_topics import (
    CreatedTopic,
    CreatedTopicConfig,
    CreateTopicsRequest,
    CreateTopicsResponse,
    TopicToCreate,
)
from ottla.wire.errors import ProtocolError

if TYPE_CHECKING:
    from ottla.broker.dispatch import RequestContext


async def handle(context: RequestContext, request: CreateTopicsRequest) -> CreateTopicsResponse:
    broker = context.broker
    topics = [_new_topic(topic) for topic in request.topics]
    try:
        reply = await broker.cluster.submit(
            lambda image: decide_create_topics(
                image, broker.resolver, topics, broker.entropy, validate_only=request.validate_only
            )
        )
    except ProtocolError as error:
        reply = [(topic.name, error) for topic in topics]
    return CreateTopicsResponse(topics=[_respond(name, outcome) for name, outcome in reply])


def _new_topic(topic: TopicToCreate) -> NewTopic:
    return NewTopic(
        name=topic.name,
        partition_count=topic.num_partitions,
        replication_factor=topic.replication_factor,
        assignments=tuple(
            (each.partition_index, tuple(each.broker_ids)) for each in topic.assignments
        ),
        configs=tuple((config.name, config.value) for config in topic.configs),
    )


def _respond(name: str, outcome: Created | ProtocolError) -> CreatedTopic:
    if isinstance(outcome, ProtocolError):
        return CreatedTopic(
            name=name, error_code=outcome.code, error_message=outcome.message, configs=None
        )
    return CreatedTopic(
        name=name,
        topic_id=outcome.topic_id,
        error_code=0,
        error_message=None,
        num_partitions=outcome.partition_count,
        replication_factor=outcome.replication_factor,
        configs=[
            CreatedTopicConfig(
                name=config.name,
                value=config.value,
                read_only=config.is_read_only,
                config_source=config.source,
                is_sensitive=config.is_sensitive,
            )
            for config in outcome.configs
        ],
    )
