"""IncrementalAlterConfigs: set, delete, append to and subtract from single keys (KIP-339)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.metadata.controller.alter_configs import (
    ConfigOperation,
    IncrementalAlterConfigsItem,
    decide_incremental_alter_configs,
)
from ottla.wire.api.k44_incremental_alter_configs import (
    AlteredResource,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
    ResourceToAlter,
)
from ottla.wire.errors import ProtocolError

if TYPE_CHECKING:
    from ottla.broker.dispatch import RequestContext


async def handle(
    context: RequestContext, request: IncrementalAlterConfigsRequest
) -> IncrementalAlterConfigsResponse:
    broker = context.broker
    items = [_item(resource) for resource in request.resources]
    try:
        reply = await broker.cluster.submit(
            lambda image: decide_incremental_alter_configs(
                image, broker.resolver, items, validate_only=request.validate_only
            )
        )
    except ProtocolError as error:
        reply = [(item.resource_type, item.resource_name, error) for item in items]
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


def _item(resource: ResourceToAlter) -> IncrementalAlterConfigsItem:
    return IncrementalAlterConfigsItem(
        resource.resource_type,
        resource.resource_name,
        tuple(
            ConfigOperation(config.name, config.config_operation, config.value)
            for config in resource.configs
        ),
    )
