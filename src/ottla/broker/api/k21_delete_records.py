"""DeleteRecords: move a partition's start; what lies before it is gone (KIP-107)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.broker.errors import EXPECTED_ERRORS, error_code_of
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

_UP_TO_HIGH_WATERMARK = -1


def handle(context: RequestContext, request: DeleteRecordsRequest) -> DeleteRecordsResponse:
    return DeleteRecordsResponse(
        topics=[
            TrimmedTopic(
                name=topic.name,
                partitions=[_trim(context, topic.name, each) for each in topic.partitions],
            )
            for topic in request.topics
        ]
    )


def _trim(context: RequestContext, topic: str, wanted: PartitionToTrim) -> TrimmedPartition:
    trimmed = TrimmedPartition(
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
        trimmed.low_watermark = partition.log.log_start_offset
    except EXPECTED_ERRORS as error:
        trimmed.error_code = error_code_of(error)
    return trimmed
