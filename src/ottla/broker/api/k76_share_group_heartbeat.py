"""ShareGroupHeartbeat: membership of a share group (KIP-932)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ottla.coordination.groups.commands import ClientContext
from ottla.coordination.share_groups.commands import HeartbeatReply, ShareGroupHeartbeat
from ottla.wire.api.k76_share_group_heartbeat import (
    ShareGroupHeartbeatRequest,
    ShareGroupHeartbeatResponse,
)
from ottla.wire.errors import ProtocolError

if TYPE_CHECKING:
    from ottla.broker.dispatch import RequestContext

_logger = logging.getLogger(__name__)


async def handle(
    context: RequestContext, request: ShareGroupHeartbeatRequest
) -> ShareGroupHeartbeatResponse:
    try:
        context.broker.share_groups.check_enabled()
        reply = await _heartbeat(context, request)
        if reply.to_initialize:
            return await _initialize(context, request, reply)
    except ProtocolError as error:
        return ShareGroupHeartbeatResponse(
            error_code=error.code,
            error_message=error.message,
            member_epoch=0,
            heartbeat_interval_ms=0,
        )
    return reply.response


async def _initialize(
    context: RequestContext, request: ShareGroupHeartbeatRequest, reply: HeartbeatReply
) -> ShareGroupHeartbeatResponse:
    """Make state for partitions the member may read, and tell it of them in the same answer.

    Kafka lets the member wait for its next heartbeat, which is 5 s later by default.
    """
    try:
        await context.broker.share_groups.offsets.initialize(
            request.group_id, reply.to_initialize, reply.state_epoch
        )
        request.member_epoch = reply.response.member_epoch
        again = await _heartbeat(context, request)
    except ProtocolError as error:
        # The next heartbeat tries again.
        _logger.warning("can't begin state of share group %s: %s", request.group_id, error)
        return reply.response
    return reply.response if again.response.error_code else again.response


async def _heartbeat(
    context: RequestContext, request: ShareGroupHeartbeatRequest
) -> HeartbeatReply:
    client = ClientContext(context.client_id, f"/{context.session.client_host}")
    reply: HeartbeatReply = await context.broker.groups.submit(
        request.group_id,
        lambda token: ShareGroupHeartbeat(token, request, context.version, client),
    )
    return reply
