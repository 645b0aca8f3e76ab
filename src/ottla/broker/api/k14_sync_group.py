"""SyncGroup: bring or fetch the assignment of a classic group's generation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.coordination.groups.commands import SyncGroup
from ottla.wire.api.k14_sync_group import SyncGroupRequest, SyncGroupResponse
from ottla.wire.errors import ProtocolError

if TYPE_CHECKING:
    from ottla.broker.dispatch import RequestContext


async def handle(context: RequestContext, request: SyncGroupRequest) -> SyncGroupResponse:
    try:
        response: SyncGroupResponse = await context.broker.groups.submit(
            request.group_id, lambda token: SyncGroup(token, request, context.version)
        )
    except ProtocolError as error:
        return SyncGroupResponse(error_code=error.code, assignment=b"")
    return response
