"""ListConfigResources: what has a configuration of its own, or could have one (KIP-1142)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.metadata.image import ClusterImage, ResourceType
from ottla.wire.api.k74_list_config_resources import (
    ConfigResource,
    ListConfigResourcesRequest,
    ListConfigResourcesResponse,
)
from ottla.wire.errors import ErrorCode

if TYPE_CHECKING:
    from ottla.broker.dispatch import RequestContext

_LISTABLE = (
    ResourceType.TOPIC,
    ResourceType.BROKER,
    ResourceType.BROKER_LOGGER,
    ResourceType.CLIENT_METRICS,
    ResourceType.GROUP,
)


def handle(
    context: RequestContext, request: ListConfigResourcesRequest
) -> ListConfigResourcesResponse:
    # Version 0 has no types and means client metrics.
    if context.version == 0:
        wanted = [ResourceType.CLIENT_METRICS]
    elif not request.resource_types:
        wanted = list(_LISTABLE)
    else:
        if not set(request.resource_types) <= set(_LISTABLE):
            return ListConfigResourcesResponse(
                error_code=ErrorCode.UNSUPPORTED_VERSION, config_resources=[]
            )
        wanted = [ResourceType(number) for number in request.resource_types]
    image = context.broker.cluster.image
    return ListConfigResourcesResponse(
        error_code=0,
        config_resources=[
            ConfigResource(resource_name=name, resource_type=kind)
            for kind in wanted
            for name in _names(image, kind)
        ],
    )


def _names(image: ClusterImage, kind: ResourceType) -> list[str]:
    if kind is ResourceType.TOPIC:
        return list(image.topics)
    if kind in (ResourceType.BROKER, ResourceType.BROKER_LOGGER):
        return [str(broker_id) for broker_id in image.brokers]
    return [resource.name for resource in image.configs if resource.type is kind]
