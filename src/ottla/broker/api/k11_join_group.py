"""JoinGroup: become a member of a classic group; answered when the group's next generation is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ottla.coordination.groups.commands import ClientContext, JoinGroup
from ottla.wire.api.k11_join_group import JoinGroupRequest, JoinGroupResponse
from ottla.wire.errors import ProtocolError

if TYPE_CHECKING:
    from ottla.broker.dispatch import RequestContext


def handle(context: RequestContext, request: JoinGroupRequest) -> Any:
    client = ClientContext(context.client_id, f"/{context.session.client_host}")
    unique_id = "" if request.member_id else str(context.broker.entropy.uuid())

    def refused(error: ProtocolError) -> JoinGroupResponse:
        return JoinGroupResponse(
            error_code=error.code,
            protocol_name="",
            leader="",
            member_id=request.member_id,
            members=[],
        )

    return context.broker.groups.ask(
        request.group_id,
        lambda token: JoinGroup(token, request, context.version, client, unique_id),
        refused,
    )
