"""ReadShareGroupStateSummary: where share partitions start, without details (KIP-932)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ottla.broker.shares.state_requests import Failure, answer_all
from ottla.coordination.share_state.commands import FoundSummary, ReadSummary, SharePartitionKey
from ottla.wire.api.k87_read_share_group_state_summary import (
    PartitionToSummarize,
    ReadShareGroupStateSummaryRequest,
    ReadShareGroupStateSummaryResponse,
    SummarizedPartition,
    SummarizedTopic,
)

if TYPE_CHECKING:
    from ottla.broker.dispatch import RequestContext

_UNKNOWN = FoundSummary(0, 0, -1, -1)


async def handle(
    context: RequestContext, request: ReadShareGroupStateSummaryRequest
) -> ReadShareGroupStateSummaryResponse:
    def command(token: object, key: SharePartitionKey, asked: PartitionToSummarize) -> ReadSummary:
        return ReadSummary(token, key, asked.leader_epoch)

    return ReadShareGroupStateSummaryResponse(
        results=[
            SummarizedTopic(topic_id=topic_id, partitions=partitions)
            for topic_id, partitions in await answer_all(context.broker, request, command, _result)
        ]
    )


def _result(asked: PartitionToSummarize, answer: Any) -> SummarizedPartition:
    failure = Failure.of(answer)
    summary = answer if isinstance(answer, FoundSummary) else _UNKNOWN
    return SummarizedPartition(
        partition=asked.partition,
        error_code=failure.code,
        error_message=failure.message,
        state_epoch=summary.state_epoch,
        leader_epoch=summary.leader_epoch,
        start_offset=summary.start_offset,
        delivery_complete_count=summary.delivery_complete_count,
    )
