"""DescribeTopicPartitions: partitions page by page, for clusters with very many (KIP-966)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.broker.authorized_operations import TOPIC_OPERATIONS
from ottla.metadata.image import ClusterImage, TopicImage
from ottla.wire.api.k75_describe_topic_partitions import (
    Cursor,
    DescribedPartition,
    DescribedTopic,
    DescribeTopicPartitionsRequest,
    DescribeTopicPartitionsResponse,
)
from ottla.wire.errors import ErrorCode

if TYPE_CHECKING:
    from ottla.broker.dispatch import RequestContext

IS_FUNCTION_OF_IMAGE = True


def handle(
    context: RequestContext, request: DescribeTopicPartitionsRequest
) -> DescribeTopicPartitionsResponse:
    image = context.broker.cluster.image
    names = sorted({topic.name for topic in request.topics} or set(image.topics))
    first_index = 0
    if request.cursor is not None:
        start = request.cursor.topic_name
        names = [name for name in names if name >= start]
        if names and names[0] == start:
            first_index = max(0, request.cursor.partition_index)
    left = max(1, min(request.response_partition_limit, context.broker.max_described_partitions))
    response = DescribeTopicPartitionsResponse(topics=[])
    for name in names:
        if left <= 0:
            response.next_cursor = Cursor(topic_name=name, partition_index=first_index)
            break
        described, next_index = _page(image, name, first_index, left)
        response.topics.append(described)
        left -= len(described.partitions)
        if next_index is not None:
            response.next_cursor = Cursor(topic_name=name, partition_index=next_index)
            break
        first_index = 0
    return response


def _page(
    image: ClusterImage, name: str, first_index: int, limit: int
) -> tuple[DescribedTopic, int | None]:
    """Up to ``limit`` partitions of one topic, and where its next page starts."""
    topic = image.topics.get(name)
    if topic is None:
        code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        return DescribedTopic(error_code=code, name=name, partitions=[]), None
    end = min(len(topic.partitions), first_index + limit)
    described = DescribedTopic(
        error_code=0,
        name=name,
        topic_id=topic.topic_id,
        is_internal=topic.is_internal,
        partitions=[_describe(topic, index) for index in range(first_index, end)],
        topic_authorized_operations=TOPIC_OPERATIONS,
    )
    return described, end if end < len(topic.partitions) else None


def _describe(topic: TopicImage, index: int) -> DescribedPartition:
    partition = topic.partitions[index]
    has_leader = partition.leader >= 0
    return DescribedPartition(
        error_code=0 if has_leader else ErrorCode.LEADER_NOT_AVAILABLE,
        partition_index=index,
        leader_id=partition.leader,
        leader_epoch=partition.leader_epoch,
        replica_nodes=list(partition.replicas),
        isr_nodes=list(partition.isr),
        eligible_leader_replicas=[],
        last_known_elr=[],
        offline_replicas=[] if has_leader else list(partition.replicas),
    )
