"""Heartbeat: keep a classic group's member alive, and tell it of rebalances."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ottla.coordination.groups.commands import Heartbeat
from ottla.wire.api.k12_heartbeat import HeartbeatRequest, HeartbeatResponse
from ottla.wire.errors import ProtocolError

if TYPE_CHECKING:
    from ottla.broker.dispatch import RequestContext


def handle(context: RequestContext, request: HeartbeatRequest) -> Any:
    return context.broker.groups.ask(
        request.group_id, lambda token: Heartbeat(token, request, context.version), _refused
    )


def _refused(error: ProtocolError) -> HeartbeatResponse:
    return HeartbeatResponse(error_code=error.code)
