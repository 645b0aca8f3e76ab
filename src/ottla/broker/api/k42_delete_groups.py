"""DeleteGroups: remove empty groups with their offsets (KIP-229)."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING

from ottla.broker.group_descriptions import in_pieces
from ottla.coordination.groups.commands import DeleteGroups
from ottla.coordination.groups.routing import split_by_partition
from ottla.wire.api.k42_delete_groups import (
    DeletedGroup,
    DeleteGroupsRequest,
    DeleteGroupsResponse,
)
from ottla.wire.errors import ProtocolError

if TYPE_CHECKING:
    import asyncio
    from typing import Any

    from ottla.broker.dispatch import RequestContext


async def handle(context: RequestContext, request: DeleteGroupsRequest) -> DeleteGroupsResponse:
    results: list[DeletedGroup] = []
    async for some in in_pieces(list(dict.fromkeys(request.groups_names))):
        results += await _delete(context, some)
    return DeleteGroupsResponse(results=results)


async def _delete(context: RequestContext, group_ids: list[str]) -> list[DeletedGroup]:
    groups = context.broker.groups
    try:
        await groups.ensure_topic()
        shares = split_by_partition(group_ids, groups.partition_count)
        await _delete_share_state(context, group_ids)
        responses = await groups.submit_to_each(
            {index: partial(_command, share, context.version) for index, share in shares.items()}
        )
    except ProtocolError as error:
        return [DeletedGroup(group_id=group_id, error_code=error.code) for group_id in group_ids]
    return [result for response in responses for result in response.results]


async def _delete_share_state(context: RequestContext, group_ids: list[str]) -> None:
    """Share groups have state with other coordinators, which goes first."""
    share_groups = context.broker.share_groups
    if share_groups.coordinator_exists(context.broker.cluster.image):
        for group_id in group_ids:
            with contextlib.suppress(ProtocolError):
                # Of another kind, unknown or not empty: the group's coordinator says so.
                await share_groups.offsets.delete(group_id, None)


def _command(group_ids: list[str], version: int, token: asyncio.Future[Any]) -> DeleteGroups:
    return DeleteGroups(token, DeleteGroupsRequest(groups_names=group_ids), version)
