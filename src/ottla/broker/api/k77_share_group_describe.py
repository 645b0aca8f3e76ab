"""ShareGroupDescribe: state, members and assignments of share groups (KIP-932)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ottla.broker.authorized_operations import GROUP_OPERATIONS
from ottla.coordination.groups.routing import split_by_partition
from ottla.coordination.share_groups.commands import ShareGroupDescribe
from ottla.wire.api.k77_share_group_describe import (
    DescribedShareGroup,
    ShareGroupDescribeRequest,
    ShareGroupDescribeResponse,
)
from ottla.wire.errors import ProtocolError

if TYPE_CHECKING:
    import asyncio
    from typing import Any

    from ottla.broker.dispatch import RequestContext


async def handle(
    context: RequestContext, request: ShareGroupDescribeRequest
) -> ShareGroupDescribeResponse:
    groups = context.broker.groups
    try:
        context.broker.share_groups.check_enabled()
        await groups.ensure_topic()
        shares = split_by_partition(request.group_ids, groups.partition_count)
        responses = await groups.submit_to_each(
            {index: partial(_command, share, context.version) for index, share in shares.items()}
        )
    except ProtocolError as error:
        return ShareGroupDescribeResponse(
            groups=[_failed(group_id, error) for group_id in request.group_ids]
        )
    described = {group.group_id: group for response in responses for group in response.groups}
    if request.include_authorized_operations:
        for group in described.values():
            if not group.error_code:
                group.authorized_operations = GROUP_OPERATIONS
    return ShareGroupDescribeResponse(groups=[described[each] for each in request.group_ids])


def _command(group_ids: list[str], version: int, token: asyncio.Future[Any]) -> ShareGroupDescribe:
    request = ShareGroupDescribeRequest(group_ids=group_ids, include_authorized_operations=False)
    return ShareGroupDescribe(token, request, version)


def _failed(group_id: str, error: ProtocolError) -> DescribedShareGroup:
    return DescribedShareGroup(
        error_code=error.code,
        error_message=error.message,
        group_id=group_id,
        group_state="",
        group_epoch=0,
        assignment_epoch=0,
        assignor_name="",
        members=[],
    )
