"""AlterConfigs: replace all of a resource's own configuration; superseded by key 44."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.metadata.controller.alter_configs import AlterConfigsItem, decide_alter_configs
from ottla.wire.api.k33_alter_configs import (
    AlterConfigsRequest,
    AlterConfigsResponse,
    AlteredResource,
)
from ottla.wire.errors import ProtocolError

if TYPE_CHECKING:
    from ottla.broker.dispatch import RequestContext


async def handle(context: RequestContext, request: AlterConfigsRequest) -> AlterConfigsResponse:
    broker = context.broker
    items = [
        AlterConfigsItem(
            resource.resource_type,
            resource.resource_name,
            tuple((config.name, config.value) for config in resource.configs),
        )
        for resource in request.resources
    ]
    try:
        reply = await broker.cluster.submit(
            lambda image: decide_alter_configs(
                image, broker.resolver, items, validate_only=request.validate_only
            )
        )
    except ProtocolError as error:
        reply = [(item.resource_type, item.resource_name, error) for item in items]
    return AlterConfigsResponse(
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
