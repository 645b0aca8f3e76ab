"""AlterConfigs, which replaces a resource's values, and IncrementalAlterConfigs, which edits them.

Both share Kafka's two steps: edit what is there, then check the whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from typing import NamedTuple, TypeVar

from ottla.metadata import topic_names
from ottla.metadata.config.broker_keys import find_broker_key
from ottla.metadata.config.group_keys import GROUP_KEYS
from ottla.metadata.config.keys import ConfigKey, ConfigType
from ottla.metadata.config.resolve import CLUSTER_DEFAULT, ConfigResolver
from ottla.metadata.config.topic_keys import TOPIC_KEYS
from ottla.metadata.config.validate import (
    check_broker_config,
    check_group_config,
    check_topic_config,
)
from ottla.metadata.controller.decision import Decision
from ottla.metadata.image import ClusterImage, ConfigResource, ResourceType
from ottla.metadata.records import ConfigChanged
from ottla.wire.errors import ErrorCode, ProtocolError

# Brokers accept keys they don't know, so that plugins may have some; this bounds what that costs.
MAX_KEYS_PER_RESOURCE = 1000
MAX_CONFIGURED_RESOURCES = 200_000


class ConfigOperationType(IntEnum):
    """What an incremental change does to a value, numbered as in the protocol."""

    SET = 0
    DELETE = 1
    APPEND = 2
    SUBTRACT = 3


class ConfigOperation(NamedTuple):
    """One change; ``operation`` is the number from the request, known or not."""

    name: str
    operation: int
    value: str | None


class IncrementalAlterConfigsItem(NamedTuple):
    """The changes to one resource; ``resource_type`` is the number from the request."""

    resource_type: int
    resource_name: str
    operations: tuple[ConfigOperation, ...]


class AlterConfigsItem(NamedTuple):
    """The values a resource is to have, and no others."""

    resource_type: int
    resource_name: str
    values: tuple[tuple[str, str | None], ...]


AlterConfigsReply = list[tuple[int, str, ProtocolError | None]]
_Item = TypeVar("_Item", AlterConfigsItem, IncrementalAlterConfigsItem)


def decide_alter_configs(
    image: ClusterImage,
    resolver: ConfigResolver,
    items: Sequence[AlterConfigsItem],
    *,
    validate_only: bool = False,
) -> Decision[AlterConfigsReply]:
    """Replace each resource's values.

    Returns:
        For each item, in the order of the request: its resource, and None or why not.
    """

    def replaced(resource: ConfigResource, item: AlterConfigsItem) -> dict[str, str]:
        _check_names([name for name, _ in item.values])
        _check_nulls([name for name, value in item.values if value is None])
        return {name: value for name, value in item.values if value is not None}

    return _decide(image, resolver, items, replaced, validate_only=validate_only)


def decide_incremental_alter_configs(
    image: ClusterImage,
    resolver: ConfigResolver,
    items: Sequence[IncrementalAlterConfigsItem],
    *,
    validate_only: bool = False,
) -> Decision[AlterConfigsReply]:
    """Edit each resource's values.

    Returns:
        For each item, in the order of the request: its resource, and None or why not.
    """

    def edited(resource: ConfigResource, item: IncrementalAlterConfigsItem) -> dict[str, str]:
        _check_names([operation.name for operation in item.operations])
        _check_nulls(
            [
                operation.name
                for operation in item.operations
                if operation.value is None and operation.operation != ConfigOperationType.DELETE
            ]
        )
        values = dict(image.configs.get(resource) or {})
        for operation in item.operations:
            _edit(resource, values, operation)
        return values

    return _decide(image, resolver, items, edited, validate_only=validate_only)


def _decide(
    image: ClusterImage,
    resolver: ConfigResolver,
    items: Sequence[_Item],
    next_values: Callable[[ConfigResource, _Item], dict[str, str]],
    *,
    validate_only: bool,
) -> Decision[AlterConfigsReply]:
    counts = Counter((item.resource_type, item.resource_name) for item in items)
    records: list[ConfigChanged] = []
    reply: AlterConfigsReply = []
    for item in items:
        error: ProtocolError | None = None
        try:
            if counts[item.resource_type, item.resource_name] > 1:
                raise ProtocolError(
                    ErrorCode.INVALID_REQUEST, "Each resource must appear at most once."
                )
            resource = _resource(item.resource_type, item.resource_name)
            _check_owner(resolver, resource)
            values = next_values(resource, item)
            _check_values(image, resolver, resource, values)
            _check_limits(image, resource, values, len(records))
            if values != (image.configs.get(resource) or {}):
                records.append(ConfigChanged(resource, values))
        except ProtocolError as problem:
            error = problem
        reply.append((item.resource_type, item.resource_name, error))
    return Decision(() if validate_only else tuple(records), reply)


def _resource(resource_type: int, name: str) -> ConfigResource:
    if resource_type not in (ResourceType.TOPIC, ResourceType.BROKER, ResourceType.GROUP):
        raise ProtocolError(ErrorCode.INVALID_REQUEST, f"Unknown resource type {resource_type}")
    return ConfigResource(ResourceType(resource_type), name)


def _check_owner(resolver: ConfigResolver, resource: ConfigResource) -> None:
    name = resource.name
    if resource.type is ResourceType.TOPIC:
        if not name:
            raise ProtocolError(
                ErrorCode.INVALID_REQUEST, "Default topic resources are not allowed."
            )
        reason = topic_names.invalid_reason(name)
        if reason is not None:
            raise ProtocolError(ErrorCode.INVALID_TOPIC_EXCEPTION, reason)
    elif resource.type is ResourceType.GROUP:
        if not name:
            raise ProtocolError(
                ErrorCode.INVALID_REQUEST, "Default group resources are not allowed."
            )
    elif name != CLUSTER_DEFAULT:
        if not (name.isascii() and name.isdecimal()):
            raise ProtocolError(
                ErrorCode.INVALID_REQUEST, f"Node id must be an integer, but it is: {name[:200]}"
            )
        if name != str(resolver.node_id):
            raise ProtocolError(
                ErrorCode.INVALID_REQUEST,
                f"Unexpected broker id, expected {resolver.node_id}, but received {name[:200]}",
            )


def _check_names(names: Sequence[str]) -> None:
    if len(set(names)) != len(names):
        raise ProtocolError(ErrorCode.INVALID_REQUEST, "Error due to duplicate config keys")


def _check_nulls(names: Sequence[str]) -> None:
    if names:
        raise ProtocolError(
            ErrorCode.INVALID_REQUEST, f"Null value not supported for : {', '.join(names)[:1000]}"
        )


def _check_values(
    image: ClusterImage, resolver: ConfigResolver, resource: ConfigResource, values: dict[str, str]
) -> None:
    layers = resolver.layers(image)
    if resource.type is ResourceType.TOPIC:
        check_topic_config(layers, values)
        if resource.name not in image.topics:
            raise ProtocolError(
                ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
                f"The topic '{resource.name}' does not exist.",
            )
    elif resource.type is ResourceType.GROUP:
        check_group_config(layers, values)
    else:
        check_broker_config(values, is_cluster_default=resource.name == CLUSTER_DEFAULT)


def _check_limits(
    image: ClusterImage, resource: ConfigResource, values: Mapping[str, str], pending: int
) -> None:
    if len(values) > MAX_KEYS_PER_RESOURCE:
        raise ProtocolError(
            ErrorCode.POLICY_VIOLATION,
            f"A resource may have {MAX_KEYS_PER_RESOURCE} configuration keys at most.",
        )
    is_new = bool(values) and resource not in image.configs
    if is_new and len(image.configs) + pending >= MAX_CONFIGURED_RESOURCES:
        raise ProtocolError(
            ErrorCode.POLICY_VIOLATION,
            f"{MAX_CONFIGURED_RESOURCES} resources may have a configuration at most.",
        )


def _edit(resource: ConfigResource, values: dict[str, str], operation: ConfigOperation) -> None:
    name = operation.name
    if operation.operation == ConfigOperationType.DELETE:
        values.pop(name, None)
        return
    value = operation.value
    assert value is not None
    if operation.operation == ConfigOperationType.SET:
        values[name] = value
        return
    if operation.operation not in (ConfigOperationType.APPEND, ConfigOperationType.SUBTRACT):
        raise ProtocolError(
            ErrorCode.INVALID_REQUEST, f"Unknown operations type {operation.operation}"
        )
    kind = ConfigOperationType(operation.operation)
    key = _list_key(resource, name, kind)
    current = [item for item in values.get(name, key.default or "").split(",") if item]
    changes = value.split(",")
    if kind is ConfigOperationType.APPEND:
        current.extend(item for item in dict.fromkeys(changes) if item not in current)
    else:
        current = [item for item in current if item not in changes]
    values[name] = ",".join(current)


def _list_key(resource: ConfigResource, name: str, kind: ConfigOperationType) -> ConfigKey:
    if resource.type is ResourceType.BROKER:
        key = find_broker_key(name)
        if key is None:
            raise ProtocolError(ErrorCode.INVALID_CONFIG, f"Unknown config name: {name[:200]}")
        problem = f"Config value {kind.name.lower()} is not allowed for config key: {name[:200]}"
    else:
        key = (TOPIC_KEYS if resource.type is ResourceType.TOPIC else GROUP_KEYS).get(name)
        problem = f"Can't {kind.name} to key {name[:200]} because its type is not LIST."
    if key is None or key.type is not ConfigType.LIST:
        raise ProtocolError(ErrorCode.INVALID_CONFIG, problem)
    return key
