"""ConsumerGroupHeartbeat: join a consumer group, stay in it, leave it (KIP-848)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ottla.coordination.groups.commands import ClientContext, ConsumerGroupHeartbeat
from ottla.metadata.features import GROUP_VERSION
from ottla.wire.api.k68_consumer_group_heartbeat import (
    ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse,
)
from ottla.wire.errors import ErrorCode, ProtocolError

if TYPE_CHECKING:
    from ottla.broker.dispatch import RequestContext


def handle(context: RequestContext, request: ConsumerGroupHeartbeatRequest) -> Any:
    broker = context.broker
    try:
        _check_protocol(context)
    except ProtocolError as error:
        return _refused(error)
    client = ClientContext(context.client_id, f"/{context.session.client_host}")
    unique_id = "" if request.member_id else str(broker.entropy.uuid())
    return broker.groups.ask(
        request.group_id,
        lambda token: ConsumerGroupHeartbeat(token, request, context.version, client, unique_id),
        _refused,
        is_gathered=True,
    )


def _refused(error: ProtocolError) -> ConsumerGroupHeartbeatResponse:
    return ConsumerGroupHeartbeatResponse(
        error_code=error.code,
        error_message=error.message,
        member_epoch=0,
        heartbeat_interval_ms=0,
    )


def _check_protocol(context: RequestContext) -> None:
    """Whether consumer groups are switched on.

    Raises:
        ProtocolError: UNSUPPORTED_VERSION, as if the request wasn't known at all.
    """
    broker = context.broker
    protocols = broker.config.items("group.coordinator.rebalance.protocols")
    if "consumer" not in protocols or not GROUP_VERSION.level(broker.cluster.image):
        raise ProtocolError(
            ErrorCode.UNSUPPORTED_VERSION, "The consumer group protocol is disabled."
        )
