"""DescribeGroups: state, members and assignments of classic groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.broker.group_descriptions import describe
from ottla.coordination.groups.commands import DescribeGroups
from ottla.wire.api.k15_describe_groups import (
    DescribedGroup,
    DescribeGroupsRequest,
    DescribeGroupsResponse,
)
from ottla.wire.errors import ErrorCode, ProtocolError

if TYPE_CHECKING:
    import asyncio
    from typing import Any

    from ottla.broker.dispatch import RequestContext


async def handle(context: RequestContext, request: DescribeGroupsRequest) -> DescribeGroupsResponse:
    def command(group_ids: list[str], token: asyncio.Future[Any]) -> DescribeGroups:
        return DescribeGroups(token, DescribeGroupsRequest(groups=group_ids), context.version)

    try:
        described = await describe(
            context.broker.groups,
            request.groups,
            command,
            include_authorized_operations=request.include_authorized_operations,
        )
    except ProtocolError as error:
        return DescribeGroupsResponse(
            groups=[_refused(each, error.code) for each in request.groups]
        )
    return DescribeGroupsResponse(groups=[described[group_id] for group_id in request.groups])


def _refused(group_id: str, code: ErrorCode) -> DescribedGroup:
    return DescribedGroup(
        error_code=code,
        group_id=group_id,
        group_state="",
        protocol_type="",
        protocol_data="",
        members=[],
    )
