"""ConsumerGroupDescribe: state, epochs and members of consumer groups (KIP-848)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.broker.group_descriptions import describe
from ottla.coordination.groups.commands import ConsumerGroupDescribe
from ottla.wire.api.k69_consumer_group_describe import (
    ConsumerGroupDescribeRequest,
    ConsumerGroupDescribeResponse,
    DescribedConsumerGroup,
)
from ottla.wire.errors import ErrorCode, ProtocolError

if TYPE_CHECKING:
    import asyncio
    from typing import Any

    from ottla.broker.dispatch import RequestContext


async def handle(
    context: RequestContext, request: ConsumerGroupDescribeRequest
) -> ConsumerGroupDescribeResponse:
    def command(group_ids: list[str], token: asyncio.Future[Any]) -> ConsumerGroupDescribe:
        part = ConsumerGroupDescribeRequest(
            group_ids=group_ids, include_authorized_operations=False
        )
        return ConsumerGroupDescribe(token, part, context.version)

    try:
        described = await describe(
            context.broker.groups,
            request.group_ids,
            command,
            include_authorized_operations=request.include_authorized_operations,
        )
    except ProtocolError as error:
        return ConsumerGroupDescribeResponse(
            groups=[_refused(group_id, error.code) for group_id in request.group_ids]
        )
    return ConsumerGroupDescribeResponse(
        groups=[
            described[group_id] if group_id else _refused(group_id, ErrorCode.INVALID_GROUP_ID)
            for group_id in request.group_ids
        ]
    )


def _refused(group_id: str, code: ErrorCode) -> DescribedConsumerGroup:
    return DescribedConsumerGroup(
        error_code=code,
        group_id=group_id,
        group_state="",
        group_epoch=0,
        assignment_epoch=0,
        assignor_name="",
        members=[],
    )
