"""Heartbeat: keep a classic group's member alive, and tell it of rebalances."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.coordination.groups.commands import Heartbeat
from ottla.wire.api.k12_heartbeat import HeartbeatRequest, HeartbeatResponse
from ottla.wire.errors import ProtocolError

if TYPE_CHECKING:
    from ottla.broker.dispatch import RequestContext


async def handle(context: RequestContext, request: HeartbeatRequest) -> HeartbeatResponse:
    try:
        response: HeartbeatResponse = await context.broker.groups.submit(
            request.group_id, lambda token: Heartbeat(token, request, context.version)
        )
    except ProtocolError as error:
        return HeartbeatResponse(error_code=error.code)
    return response
