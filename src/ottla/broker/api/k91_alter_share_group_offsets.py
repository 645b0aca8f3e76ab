"""AlterShareGroupOffsets: move an empty share group to other offsets (KIP-932)."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from ottla.coordination.share_state.commands import SharePartitionKey
from ottla.wire.api.k91_alter_share_group_offsets import (
    AlterShareGroupOffsetsRequest,
    AlterShareGroupOffsetsResponse,
    ResetPartition,
    ResetTopic,
    TopicToReset,
)
from ottla.wire.declare import ZERO_UUID
from ottla.wire.errors import ErrorCode, ProtocolError

if TYPE_CHECKING:
    from ottla.broker.dispatch import RequestContext
    from ottla.broker.shares.offsets import StartOffsets
    from ottla.metadata.image import ClusterImage

_UNKNOWN = ProtocolError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)


async def handle(
    context: RequestContext, request: AlterShareGroupOffsetsRequest
) -> AlterShareGroupOffsetsResponse:
    broker = context.broker
    image = broker.cluster.image
    try:
        broker.share_groups.check_enabled()
        if not request.group_id:
            raise ProtocolError(ErrorCode.INVALID_GROUP_ID)
        wanted = _start_offsets(image, request)
        results = await broker.share_groups.offsets.alter(request.group_id, wanted)
    except ProtocolError as error:
        return AlterShareGroupOffsetsResponse(
            error_code=error.code, error_message=error.message, responses=[]
        )
    return AlterShareGroupOffsetsResponse(
        error_code=ErrorCode.NONE,
        responses=[_topic(image, request.group_id, asked, results) for asked in request.topics],
    )


def _start_offsets(image: ClusterImage, request: AlterShareGroupOffsetsRequest) -> StartOffsets:
    wanted: dict[UUID, dict[int, int]] = {}
    for asked in request.topics:
        topic = image.topics.get(asked.topic_name)
        for partition in asked.partitions:
            if partition.start_offset < 0:
                raise ProtocolError(ErrorCode.INVALID_REQUEST, "a start offset is negative")
            if topic is not None and 0 <= partition.partition_index < len(topic.partitions):
                offsets = wanted.setdefault(topic.topic_id, {})
                offsets[partition.partition_index] = partition.start_offset
    return wanted


def _topic(
    image: ClusterImage,
    group_id: str,
    asked: TopicToReset,
    results: dict[SharePartitionKey, ProtocolError | None],
) -> ResetTopic:
    topic = image.topics.get(asked.topic_name)
    topic_id = ZERO_UUID if topic is None else topic.topic_id
    partitions = []
    for partition in asked.partitions:
        index = partition.partition_index
        error = results.get(SharePartitionKey(group_id, topic_id, index), _UNKNOWN)
        partitions.append(
            ResetPartition(partition_index=index, error_code=ErrorCode.NONE)
            if error is None
            else ResetPartition(
                partition_index=index, error_code=error.code, error_message=error.message
            )
        )
    return ResetTopic(topic_name=asked.topic_name, topic_id=topic_id, partitions=partitions)
