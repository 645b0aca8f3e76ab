"""InitializeShareGroupState: begin to keep state for share partitions (KIP-932)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ottla.broker.shares.state_requests import Failure, answer_all
from ottla.coordination.share_state.commands import InitializeState, SharePartitionKey
from ottla.wire.api.k83_initialize_share_group_state import (
    InitializedPartition,
    InitializedTopic,
    InitializeShareGroupStateRequest,
    InitializeShareGroupStateResponse,
    PartitionToInitialize,
)

if TYPE_CHECKING:
    from ottla.broker.dispatch import RequestContext


async def handle(
    context: RequestContext, request: InitializeShareGroupStateRequest
) -> InitializeShareGroupStateResponse:
    def command(
        token: object, key: SharePartitionKey, asked: PartitionToInitialize
    ) -> InitializeState:
        return InitializeState(token, key, asked.state_epoch, asked.start_offset)

    def result(asked: PartitionToInitialize, answer: Any) -> InitializedPartition:
        failure = Failure.of(answer)
        return InitializedPartition(
            partition=asked.partition, error_code=failure.code, error_message=failure.message
        )

    return InitializeShareGroupStateResponse(
        results=[
            InitializedTopic(topic_id=topic_id, partitions=partitions)
            for topic_id, partitions in await answer_all(context.broker, request, command, result)
        ]
    )
