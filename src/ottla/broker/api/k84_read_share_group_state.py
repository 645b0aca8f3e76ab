"""ReadShareGroupState: the state kept for share partitions (KIP-932)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ottla.broker.shares.state_requests import Failure, answer_all
from ottla.coordination.share_state.commands import FoundState, ReadState, SharePartitionKey
from ottla.wire.api.k84_read_share_group_state import (
    PartitionToRead,
    ReadPartition,
    ReadShareGroupStateRequest,
    ReadShareGroupStateResponse,
    ReadTopic,
    StateBatch,
)

if TYPE_CHECKING:
    from ottla.broker.dispatch import RequestContext

_UNKNOWN_START_OFFSET = -1


async def handle(
    context: RequestContext, request: ReadShareGroupStateRequest
) -> ReadShareGroupStateResponse:
    def command(token: object, key: SharePartitionKey, asked: PartitionToRead) -> ReadState:
        return ReadState(token, key, asked.leader_epoch)

    return ReadShareGroupStateResponse(
        results=[
            ReadTopic(topic_id=topic_id, partitions=partitions)
            for topic_id, partitions in await answer_all(context.broker, request, command, _result)
        ]
    )


def _result(asked: PartitionToRead, answer: Any) -> ReadPartition:
    failure = Failure.of(answer)
    result = ReadPartition(
        partition=asked.partition,
        error_code=failure.code,
        error_message=failure.message,
        state_epoch=0,
        start_offset=_UNKNOWN_START_OFFSET,
        state_batches=[],
    )
    if isinstance(answer, FoundState):
        result.state_epoch, result.start_offset = answer.state_epoch, answer.start_offset
        result.state_batches = [
            StateBatch(
                first_offset=batch.first_offset,
                last_offset=batch.last_offset,
                delivery_state=batch.delivery_state,
                delivery_count=batch.delivery_count,
            )
            for batch in answer.state_batches
        ]
    return result
