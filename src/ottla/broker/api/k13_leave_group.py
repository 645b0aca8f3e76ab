"""LeaveGroup: take members out of a classic group at once, without waiting for their sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ottla.coordination.groups.commands import LeaveGroup
from ottla.wire.api.k13_leave_group import LeaveGroupRequest, LeaveGroupResponse
from ottla.wire.errors import ProtocolError

if TYPE_CHECKING:
    from ottla.broker.dispatch import RequestContext


def handle(context: RequestContext, request: LeaveGroupRequest) -> Any:
    return context.broker.groups.ask(
        request.group_id, lambda token: LeaveGroup(token, request, context.version), _refused
    )


def _refused(error: ProtocolError) -> LeaveGroupResponse:
    return LeaveGroupResponse(error_code=error.code)
