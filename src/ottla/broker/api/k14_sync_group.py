"""SyncGroup: bring or fetch the assignment of a classic group's generation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ottla.coordination.groups.commands import SyncGroup
from ottla.wire.api.k14_sync_group import SyncGroupRequest, SyncGroupResponse
from ottla.wire.errors import ProtocolError

if TYPE_CHECKING:
    from ottla.broker.dispatch import RequestContext


def handle(context: RequestContext, request: SyncGroupRequest) -> Any:
    return context.broker.groups.ask(
        request.group_id, lambda token: SyncGroup(token, request, context.version), _refused
    )


def _refused(error: ProtocolError) -> SyncGroupResponse:
    return SyncGroupResponse(error_code=error.code, assignment=b"")
