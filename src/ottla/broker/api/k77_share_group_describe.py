"""ShareGroupDescribe: state, members and assignments of share groups (KIP-932)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.broker.group_descriptions import describe
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
    def command(group_ids: list[str], token: asyncio.Future[Any]) -> ShareGroupDescribe:
        part = ShareGroupDescribeRequest(group_ids=group_ids, include_authorized_operations=False)
        return ShareGroupDescribe(token, part, context.version)

    try:
        context.broker.share_groups.check_enabled()
        described = await describe(
            context.broker.groups,
            request.group_ids,
            command,
            include_authorized_operations=request.include_authorized_operations,
        )
    except ProtocolError as error:
        return ShareGroupDescribeResponse(
            groups=[_failed(group_id, error) for group_id in request.group_ids]
        )
    return ShareGroupDescribeResponse(groups=[described[each] for each in request.group_ids])


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
