"""FindCoordinator: the broker that looks after a group or a transactional id."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ottla.wire.api.k10_find_coordinator import (
    Coordinator,
    FindCoordinatorRequest,
    FindCoordinatorResponse,
)
from ottla.wire.errors import ErrorCode, ProtocolError

if TYPE_CHECKING:
    from ottla.broker.dispatch import RequestContext
    from ottla.broker.node import Node

_FIRST_VERSION_WITH_SEVERAL_KEYS = 4
_GROUP = 0
_TRANSACTION = 1
_SHARE = 2
_PARTS_OF_SHARE_KEY = 3  # group id, topic id, partition
_NO_NODE = -1


async def handle(
    context: RequestContext, request: FindCoordinatorRequest
) -> FindCoordinatorResponse:
    if context.version >= _FIRST_VERSION_WITH_SEVERAL_KEYS:
        keys = request.coordinator_keys
    else:
        keys = [request.key]
    code, message = await _availability(context, request.key_type, keys)
    node = context.broker.this_node(context.session)
    coordinators = [_coordinator(node, key, code, message) for key in keys]
    if context.version >= _FIRST_VERSION_WITH_SEVERAL_KEYS:
        return FindCoordinatorResponse(coordinators=coordinators)
    only = coordinators[0]
    return FindCoordinatorResponse(
        error_code=only.error_code,
        error_message=only.error_message,
        node_id=only.node_id,
        host=only.host,
        port=only.port,
    )


async def _availability(
    context: RequestContext, key_type: int, keys: Sequence[str]
) -> tuple[ErrorCode, str | None]:
    try:
        if key_type == _GROUP:
            await context.broker.groups.ensure_topic()
        elif key_type == _TRANSACTION:
            await context.broker.transactions.ensure_topic()
        elif key_type == _SHARE:
            if any(key.count(":") < _PARTS_OF_SHARE_KEY - 1 for key in keys):
                return (
                    ErrorCode.INVALID_REQUEST,
                    "A share coordinator's key is group:topic:partition",
                )
            await context.broker.share_groups.coordinator.ensure_topic()
        else:
            return (
                ErrorCode.INVALID_REQUEST,
                f"This broker knows no coordinators of type {key_type}",
            )
    except ProtocolError as error:
        return ErrorCode.COORDINATOR_NOT_AVAILABLE, str(error)
    return ErrorCode.NONE, None


def _coordinator(node: Node, key: str, code: ErrorCode, message: str | None) -> Coordinator:
    if code:
        return Coordinator(
            key=key, node_id=_NO_NODE, host="", port=-1, error_code=code, error_message=message
        )
    return Coordinator(
        key=key, node_id=node.broker_id, host=node.host, port=node.port, error_code=0
    )
