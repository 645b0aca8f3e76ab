"""DeleteRecords: move a partition's start; what lies before it is gone (KIP-107)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.broker.errors import EXPECTED_ERRORS, error_code_of
from ottla.log.errors import LogDirectoryFailed
from ottla.wire.api.k21_delete_records import (
    DeleteRecordsRequest,
    DeleteRecordsResponse,
    PartitionToTrim,
    TrimmedPartition,
    TrimmedTopic,
)
from ottla.wire.errors import ErrorCode, ProtocolError

if TYPE_CHECKING:
    from ottla.broker.dispatch import RequestContext
    from ottla.broker.partition import Partition

_UP_TO_HIGH_WATERMARK = -1


def handle(context: RequestContext, request: DeleteRecordsRequest) -> DeleteRecordsResponse:
    trimmed: list[tuple[Partition, TrimmedPartition]] = []
    response = DeleteRecordsResponse(
        topics=[
            TrimmedTopic(
                name=topic.name,
                partitions=[_trim(context, topic.name, each, trimmed) for each in topic.partitions],
            )
            for topic in request.topics
        ]
    )
    _make_durable(context, trimmed)
    return response


def _trim(
    context: RequestContext,
    topic: str,
    wanted: PartitionToTrim,
    trimmed: list[tuple[Partition, TrimmedPartition]],
) -> TrimmedPartition:
    answer = TrimmedPartition(
        partition_index=wanted.partition_index, low_watermark=-1, error_code=0
    )
    try:
        partition = context.broker.partitions.find(topic, wanted.partition_index)
        if partition.is_internal:
            raise ProtocolError(ErrorCode.INVALID_TOPIC_EXCEPTION)
        if not partition.settings.deletes_old_segments:
            raise ProtocolError(ErrorCode.POLICY_VIOLATION)
        offset = wanted.offset
        if offset == _UP_TO_HIGH_WATERMARK:
            offset = partition.high_watermark
        if not 0 <= offset <= partition.high_watermark:
            raise ProtocolError(ErrorCode.OFFSET_OUT_OF_RANGE)
        context.broker.partitions.delete_records_before(partition, offset)
        answer.low_watermark = partition.log.log_start_offset
        trimmed.append((partition, answer))
    except EXPECTED_ERRORS as error:
        answer.error_code = error_code_of(error)
    return answer


def _make_durable(
    context: RequestContext, trimmed: list[tuple[Partition, TrimmedPartition]]
) -> None:
    """What is answered as deleted must not come back with a crash."""
    try:
        context.broker.partitions.checkpoint(partition for partition, _ in trimmed)
    except LogDirectoryFailed as failure:
        for partition, answer in trimmed:
            answer.error_code, answer.low_watermark = ErrorCode.KAFKA_STORAGE_ERROR, -1
            context.broker.storage_failed(partition, failure)
