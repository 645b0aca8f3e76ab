"""WriteShareGroupState: change the state kept for share partitions (KIP-932)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ottla.broker.shares.state_requests import Failure, answer_all, checked_batches
from ottla.coordination.share_state.commands import SharePartitionKey, WriteState
from ottla.wire.api.k85_write_share_group_state import (
    PartitionToWrite,
    WriteShareGroupStateRequest,
    WriteShareGroupStateResponse,
    WrittenPartition,
    WrittenTopic,
)

if TYPE_CHECKING:
    from ottla.broker.dispatch import RequestContext


async def handle(
    context: RequestContext, request: WriteShareGroupStateRequest
) -> WriteShareGroupStateResponse:
    def command(token: object, key: SharePartitionKey, asked: PartitionToWrite) -> WriteState:
        return WriteState(
            token,
            key,
            asked.state_epoch,
            asked.leader_epoch,
            asked.start_offset,
            asked.delivery_complete_count,
            checked_batches(asked.state_batches),
        )

    def result(asked: PartitionToWrite, answer: Any) -> WrittenPartition:
        failure = Failure.of(answer)
        return WrittenPartition(
            partition=asked.partition, error_code=failure.code, error_message=failure.message
        )

    return WriteShareGroupStateResponse(
        results=[
            WrittenTopic(topic_id=topic_id, partitions=partitions)
            for topic_id, partitions in await answer_all(context.broker, request, command, result)
        ]
    )
