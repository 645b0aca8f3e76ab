"""DescribeConfigs: values with their sources, of topics, brokers and groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.metadata.config.describe import DescribedConfig as Described
from ottla.metadata.config.describe import describe_config
from ottla.metadata.config.resolve import ConfigSource
from ottla.metadata.image import ConfigResource, ResourceType
from ottla.wire.api.k32_describe_configs import (
    ConfigSynonym,
    DescribeConfigsRequest,
    DescribeConfigsResponse,
    DescribedConfig,
    DescribedResource,
    ResourceToDescribe,
)
from ottla.wire.errors import ErrorCode, ProtocolError

if TYPE_CHECKING:
    from ottla.broker.dispatch import RequestContext


def handle(context: RequestContext, request: DescribeConfigsRequest) -> DescribeConfigsResponse:
    return DescribeConfigsResponse(
        results=[_describe(context, request, resource) for resource in request.resources]
    )


def _describe(
    context: RequestContext, request: DescribeConfigsRequest, wanted: ResourceToDescribe
) -> DescribedResource:
    described = DescribedResource(
        error_code=0,
        error_message=None,
        resource_type=wanted.resource_type,
        resource_name=wanted.resource_name,
        configs=[],
    )
    broker = context.broker
    try:
        resource = ConfigResource(_resource_type(wanted.resource_type), wanted.resource_name)
        if resource.type is ResourceType.BROKER_LOGGER:
            described.configs = _describe_loggers(broker.configuration.node_id, wanted)
            return described
        found = describe_config(
            broker.resolver, broker.cluster.image, resource, wanted.configuration_keys
        )
    except ProtocolError as error:
        described.error_code = error.code
        described.error_message = error.message
    else:
        described.configs = [_respond(request, config) for config in found]
    return described


def _describe_loggers(node_id: int, wanted: ResourceToDescribe) -> list[DescribedConfig]:
    from ottla.broker.loggers import check_is_own, logger_levels

    check_is_own(wanted.resource_name, node_id)
    return [
        DescribedConfig(
            name=name,
            value=level,
            read_only=False,
            config_source=ConfigSource.DYNAMIC_BROKER_LOGGER_CONFIG,
            is_sensitive=False,
            synonyms=[],
        )
        for name, level in logger_levels().items()
        if not wanted.configuration_keys or name in wanted.configuration_keys
    ]


def _resource_type(number: int) -> ResourceType:
    try:
        return ResourceType(number)
    except ValueError:
        raise ProtocolError(ErrorCode.INVALID_REQUEST, f"Unknown resource type {number}") from None


def _respond(request: DescribeConfigsRequest, config: Described) -> DescribedConfig:
    return DescribedConfig(
        name=config.name,
        value=config.value,
        read_only=config.is_read_only,
        config_source=config.source,
        is_sensitive=config.is_sensitive,
        synonyms=[
            ConfigSynonym(name=synonym.name, value=synonym.value, source=synonym.source)
            for synonym in config.synonyms
        ]
        if request.include_synonyms
        else [],
        config_type=config.type,
        documentation=config.documentation if request.include_documentation else None,
    )
