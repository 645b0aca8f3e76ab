"""Metadata: the broker, and topics with their partitions; may create topics that are asked for."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING

from ottla.broker.authorized_operations import CLUSTER_OPERATIONS, TOPIC_OPERATIONS
from ottla.metadata.image import ClusterImage, TopicImage
from ottla.metadata.topic_names import invalid_reason
from ottla.wire.api.k03_metadata import (
    DescribedPartition,
    DescribedTopic,
    ListedBroker,
    MetadataRequest,
    MetadataResponse,
    TopicToDescribe,
)
from ottla.wire.declare import ZERO_UUID
from ottla.wire.errors import ErrorCode

if TYPE_CHECKING:
    from ottla.broker.dispatch import RequestContext

IS_FUNCTION_OF_IMAGE = True

_FIRST_VERSION_WITH_NULL_FOR_ALL = 1
# Versions 10 and 11 have the field for a topic id in requests, but can't answer without a name.
_FIRST_VERSION_BY_TOPIC_ID = 12


def handle(
    context: RequestContext, request: MetadataRequest
) -> MetadataResponse | Awaitable[MetadataResponse]:
    topics = request.topics or ()
    if context.version < _FIRST_VERSION_BY_TOPIC_ID and any(map(_has_no_name_alone, topics)):
        return MetadataResponse(
            brokers=[],
            topics=[
                DescribedTopic(
                    error_code=ErrorCode.INVALID_REQUEST,
                    name=each.name or "",
                    topic_id=each.topic_id,
                    partitions=[],
                )
                for each in topics
            ],
        )
    missing = _missing_topics(context, request)
    if missing:
        return _create_then_respond(context, request, missing)
    return _respond(context, request)


def _has_no_name_alone(topic: TopicToDescribe) -> bool:
    return topic.name is None or topic.topic_id != ZERO_UUID


def _missing_topics(context: RequestContext, request: MetadataRequest) -> list[str]:
    """Topics to create because a client named them (``auto.create.topics.enable``)."""
    if not request.allow_auto_topic_creation or not context.broker.auto_creates_topics:
        return []
    image = context.broker.cluster.image
    return [
        wanted.name
        for wanted in request.topics or ()
        if wanted.name is not None
        and wanted.topic_id == ZERO_UUID
        and wanted.name not in image.topics
        and invalid_reason(wanted.name) is None
    ]


async def _create_then_respond(
    context: RequestContext, request: MetadataRequest, missing: list[str]
) -> MetadataResponse:
    await context.broker.create_topics_on_demand(missing)
    return _respond(context, request)


def _respond(context: RequestContext, request: MetadataRequest) -> MetadataResponse:
    broker = context.broker
    image = broker.cluster.image
    include_operations = request.include_topic_authorized_operations
    asks_all = request.topics is None or (
        not request.topics and context.version < _FIRST_VERSION_WITH_NULL_FOR_ALL
    )
    if asks_all:
        topics = [
            _describe(topic, include_operations=include_operations)
            for topic in image.topics.values()
        ]
    else:
        topics = [
            _look_up(image, wanted, include_operations=include_operations)
            for wanted in request.topics or ()
        ]
    response = MetadataResponse(
        brokers=[
            ListedBroker(node_id=node.broker_id, host=node.host, port=node.port, rack=node.rack)
            for node in broker.nodes(context.session)
        ],
        cluster_id=image.cluster_id,
        controller_id=image.controller_id,
        topics=topics,
    )
    if request.include_cluster_authorized_operations:
        response.cluster_authorized_operations = CLUSTER_OPERATIONS
    return response


def _look_up(
    image: ClusterImage, wanted: TopicToDescribe, *, include_operations: bool
) -> DescribedTopic:
    if wanted.topic_id != ZERO_UUID:
        topic = image.topic_by_id(wanted.topic_id)
        if topic is None:
            return DescribedTopic(
                error_code=ErrorCode.UNKNOWN_TOPIC_ID,
                name=None,
                topic_id=wanted.topic_id,
                partitions=[],
            )
    else:
        name = wanted.name or ""
        topic = image.topics.get(name)
        if topic is None:
            code = (
                ErrorCode.INVALID_TOPIC_EXCEPTION
                if invalid_reason(name)
                else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            )
            return DescribedTopic(error_code=code, name=name, partitions=[])
    return _describe(topic, include_operations=include_operations)


def _describe(topic: TopicImage, *, include_operations: bool) -> DescribedTopic:
    described = DescribedTopic(
        error_code=0,
        name=topic.name,
        topic_id=topic.topic_id,
        is_internal=topic.is_internal,
        partitions=[
            DescribedPartition(
                error_code=0 if partition.leader >= 0 else ErrorCode.LEADER_NOT_AVAILABLE,
                partition_index=index,
                leader_id=partition.leader,
                leader_epoch=partition.leader_epoch,
                replica_nodes=list(partition.replicas),
                isr_nodes=list(partition.isr),
                offline_replicas=list(partition.replicas) if partition.leader < 0 else [],
            )
            for index, partition in enumerate(topic.partitions)
        ],
    )
    if include_operations:
        described.topic_authorized_operations = TOPIC_OPERATIONS
    return described
