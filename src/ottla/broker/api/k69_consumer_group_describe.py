"""ConsumerGroupDescribe: state, epochs and members of consumer groups (KIP-848)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ottla.broker.authorized_operations import GROUP_OPERATIONS
from ottla.coordination.groups.commands import ConsumerGroupDescribe
from ottla.coordination.groups.routing import split_by_partition
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
    groups = context.broker.groups
    try:
        await groups.ensure_topic()
        shares = split_by_partition(request.group_ids, groups.partition_count)
        responses = await groups.submit_to_each(
            {index: partial(_command, share, context.version) for index, share in shares.items()}
        )
    except ProtocolError as error:
        return ConsumerGroupDescribeResponse(
            groups=[_refused(group_id, error.code) for group_id in request.group_ids]
        )
    described = {group.group_id: group for response in responses for group in response.groups}
    if request.include_authorized_operations:
        for group in described.values():
            if not group.error_code:
                group.authorized_operations = GROUP_OPERATIONS
    return ConsumerGroupDescribeResponse(
        groups=[
            described[group_id] if group_id else _refused(group_id, ErrorCode.INVALID_GROUP_ID)
            for group_id in request.group_ids
        ]
    )


def _command(
    group_ids: list[str], version: int, token: asyncio.Future[Any]
) -> ConsumerGroupDescribe:
    request = ConsumerGroupDescribeRequest(group_ids=group_ids, include_authorized_operations=False)
    return ConsumerGroupDescribe(token, request, version)


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
