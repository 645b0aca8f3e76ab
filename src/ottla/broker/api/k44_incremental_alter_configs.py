"""IncrementalAlterConfigs: set, delete, append to and subtract from single keys (KIP-339)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.metadata.controller.alter_configs import (
    ConfigOperation,
    IncrementalAlterConfigsItem,
    decide_incremental_alter_configs,
)
from ottla.metadata.image import ResourceType
from ottla.wire.api.k44_incremental_alter_configs import (
    AlteredResource,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
    ResourceToAlter,
)
from ottla.wire.errors import ErrorCode, ProtocolError

if TYPE_CHECKING:
    from ottla.broker.dispatch import RequestContext


async def handle(
    context: RequestContext, request: IncrementalAlterConfigsRequest
) -> IncrementalAlterConfigsResponse:
    broker = context.broker
    items = [_item(resource) for resource in request.resources]
    loggers = [item for item in items if item.resource_type == ResourceType.BROKER_LOGGER]
    items = [item for item in items if item.resource_type != ResourceType.BROKER_LOGGER]
    try:
        reply = await broker.cluster.submit(
            lambda image: decide_incremental_alter_configs(
                image, broker.resolver, items, validate_only=request.validate_only
            )
        )
    except ProtocolError as error:
        reply = [(item.resource_type, item.resource_name, error) for item in items]
    for item in loggers:
        refusal = _alter_loggers(context, item, loggers, validate_only=request.validate_only)
        reply.append((item.resource_type, item.resource_name, refusal))
    return IncrementalAlterConfigsResponse(
        responses=[
            AlteredResource(
                error_code=error.code if error else 0,
                error_message=error.message if error else None,
                resource_type=resource_type,
                resource_name=resource_name,
            )
            for resource_type, resource_name, error in reply
        ]
    )


def _alter_loggers(
    context: RequestContext,
    item: IncrementalAlterConfigsItem,
    items: list[IncrementalAlterConfigsItem],
    *,
    validate_only: bool,
) -> ProtocolError | None:
    """What runs is changed at once, and nothing is stored (KIP-412)."""
    from ottla.broker.loggers import alter_levels, check_is_own

    try:
        if [each.resource_name for each in items].count(item.resource_name) > 1:
            raise ProtocolError(
                ErrorCode.INVALID_REQUEST, "Each resource must appear at most once."
            )
        check_is_own(item.resource_name, context.broker.configuration.node_id)
        alter_levels(item.operations, validate_only=validate_only)
    except ProtocolError as error:
        return error
    return None


def _item(resource: ResourceToAlter) -> IncrementalAlterConfigsItem:
    return IncrementalAlterConfigsItem(
        resource.resource_type,
        resource.resource_name,
        tuple(
            ConfigOperation(config.name, config.config_operation, config.value)
            for config in resource.configs
        ),
    )
