"""DescribeGroups: state, members and assignments of classic groups."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ottla.broker.authorized_operations import GROUP_OPERATIONS
from ottla.coordination.groups.commands import DescribeGroups
from ottla.coordination.groups.routing import split_by_partition
from ottla.wire.api.k15_describe_groups import (
    DescribedGroup,
    DescribeGroupsRequest,
    DescribeGroupsResponse,
)
from ottla.wire.errors import ProtocolError

if TYPE_CHECKING:
    import asyncio
    from typing import Any

    from ottla.broker.dispatch import RequestContext


async def handle(context: RequestContext, request: DescribeGroupsRequest) -> DescribeGroupsResponse:
    groups = context.broker.groups
    try:
        await groups.ensure_topic()
        shares = split_by_partition(request.groups, groups.partition_count)
        responses = await groups.submit_to_each(
            {index: partial(_command, share, context.version) for index, share in shares.items()}
        )
    except ProtocolError as error:
        return DescribeGroupsResponse(
            groups=[
                DescribedGroup(
                    error_code=error.code,
                    group_id=group_id,
                    group_state="",
                    protocol_type="",
                    protocol_data="",
                    members=[],
                )
                for group_id in request.groups
            ]
        )
    described = {group.group_id: group for response in responses for group in response.groups}
    if request.include_authorized_operations:
        for group in described.values():
            group.authorized_operations = GROUP_OPERATIONS
    return DescribeGroupsResponse(groups=[described[group_id] for group_id in request.groups])


def _command(group_ids: list[str], version: int, token: asyncio.Future[Any]) -> DescribeGroups:
    return DescribeGroups(token, DescribeGroupsRequest(groups=group_ids), version)
