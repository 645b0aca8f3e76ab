"""DeleteShareGroupState: forget the state kept for share partitions (KIP-932)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ottla.broker.shares.state_requests import Failure, answer_all
from ottla.coordination.share_state.commands import DeleteState, SharePartitionKey
from ottla.wire.api.k86_delete_share_group_state import (
    DeletedPartition,
    DeletedTopic,
    DeleteShareGroupStateRequest,
    DeleteShareGroupStateResponse,
    PartitionToDelete,
)

if TYPE_CHECKING:
    from ottla.broker.dispatch import RequestContext


async def handle(
    context: RequestContext, request: DeleteShareGroupStateRequest
) -> DeleteShareGroupStateResponse:
    def command(token: object, key: SharePartitionKey, _: PartitionToDelete) -> DeleteState:
        return DeleteState(token, key)

    def result(asked: PartitionToDelete, answer: Any) -> DeletedPartition:
        failure = Failure.of(answer)
        return DeletedPartition(
            partition=asked.partition, error_code=failure.code, error_message=failure.message
        )

    return DeleteShareGroupStateResponse(
        results=[
            DeletedTopic(topic_id=topic_id, partitions=partitions)
            for topic_id, partitions in await answer_all(context.broker, request, command, result)
        ]
    )
