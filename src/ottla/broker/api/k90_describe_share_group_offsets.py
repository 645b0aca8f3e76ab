"""DescribeShareGroupOffsets: where share groups start in partitions, and their lag."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING
from uuid import UUID

from ottla.coordination.share_state.commands import FoundSummary, SharePartitionKey
from ottla.wire.api.k90_describe_share_group_offsets import (
    DescribeShareGroupOffsetsRequest,
    DescribeShareGroupOffsetsResponse,
    FoundPartition,
    FoundShareGroup,
    FoundTopic,
    ShareGroupToLookUp,
    TopicToLookUp,
)
from ottla.wire.declare import ZERO_UUID
from ottla.wire.errors import ErrorCode, ProtocolError

if TYPE_CHECKING:
    from ottla.broker.dispatch import RequestContext
    from ottla.broker.node import BrokerNode

_UNKNOWN = -1
# Each of them asks a share coordinator, for four bytes of the request.
_MAX_PARTITIONS = 2**16


async def handle(
    context: RequestContext, request: DescribeShareGroupOffsetsRequest
) -> DescribeShareGroupOffsetsResponse:
    return DescribeShareGroupOffsetsResponse(
        groups=[await _describe(context.broker, asked) for asked in request.groups]
    )


async def _describe(broker: BrokerNode, asked: ShareGroupToLookUp) -> FoundShareGroup:
    found = FoundShareGroup(group_id=asked.group_id, topics=[], error_code=ErrorCode.NONE)
    try:
        broker.share_groups.check_enabled()
        if not asked.group_id:
            raise ProtocolError(ErrorCode.INVALID_GROUP_ID)
        if asked.topics is None:
            partitions = await broker.share_groups.offsets.with_state(asked.group_id)
            names = broker.cluster.image.topic_names
            for topic_id, indexes in partitions.items():
                name = names.get(topic_id)
                if name is not None:
                    topic = await _topic(broker, asked.group_id, name, topic_id, sorted(indexes))
                    found.topics.append(topic)
        else:
            if sum(len(wanted.partitions) for wanted in asked.topics) > _MAX_PARTITIONS:
                raise ProtocolError(ErrorCode.INVALID_REQUEST, "too many partitions")
            for wanted in asked.topics:
                found.topics.append(await _wanted_topic(broker, asked.group_id, wanted))
    except ProtocolError as error:
        found.error_code, found.error_message = error.code, error.message
    return found


async def _wanted_topic(broker: BrokerNode, group_id: str, wanted: TopicToLookUp) -> FoundTopic:
    topic = broker.cluster.image.topics.get(wanted.topic_name)
    if topic is None:
        error = ProtocolError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        return FoundTopic(
            topic_name=wanted.topic_name,
            topic_id=ZERO_UUID,
            partitions=[_failed(index, error) for index in wanted.partitions],
        )
    return await _topic(broker, group_id, topic.name, topic.topic_id, wanted.partitions)


async def _topic(
    broker: BrokerNode, group_id: str, name: str, topic_id: UUID, indexes: Iterable[int]
) -> FoundTopic:
    summaries = await broker.share_groups.offsets.describe(group_id, {topic_id: frozenset(indexes)})
    partitions = []
    for index in indexes:
        summary = summaries[SharePartitionKey(group_id, topic_id, index)]
        if isinstance(summary, ProtocolError):
            partitions.append(_failed(index, summary))
        else:
            partitions.append(_partition(broker, name, index, summary))
    return FoundTopic(topic_name=name, topic_id=topic_id, partitions=partitions)


def _partition(broker: BrokerNode, name: str, index: int, summary: FoundSummary) -> FoundPartition:
    return FoundPartition(
        partition_index=index,
        start_offset=summary.start_offset,
        leader_epoch=summary.leader_epoch,
        lag=_lag(broker, name, index, summary),
        error_code=ErrorCode.NONE,
    )


def _lag(broker: BrokerNode, name: str, index: int, summary: FoundSummary) -> int:
    """Records that are still to be delivered, or in delivery (KIP-1226)."""
    partition = broker.partitions.get(name, index)
    if _UNKNOWN in summary[2:] or partition is None:
        return _UNKNOWN
    start_offset = max(summary.start_offset, partition.log.log_start_offset)
    outstanding = partition.high_watermark - start_offset
    if start_offset == summary.start_offset:
        outstanding -= summary.delivery_complete_count
    return max(0, outstanding)


def _failed(index: int, error: ProtocolError) -> FoundPartition:
    return FoundPartition(
        partition_index=index,
        start_offset=_UNKNOWN,
        leader_epoch=0,
        error_code=error.code,
        error_message=error.message,
    )
