"""Configuration of topics, brokers, loggers, groups and client metrics: read, changed, listed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from ottla.client.admin.configs import ConfigEntry, ConfigResource
from ottla.client.core.admin.call import (
    Call,
    Operation,
    Outcomes,
    ask_all,
    ask_one,
    deferring_refusals,
)
from ottla.client.core.admin.checks import all_are, flag, non_empty_list
from ottla.client.core.admin.outcomes import invalid, outcome, raise_for
from ottla.client.core.admin.routes import (
    NO_BROKER,
    NO_CONTROLLER,
    Each,
    any_broker,
)
from ottla.client.core.targets import CONTROLLER, Target
from ottla.client.enumerations import AlterConfigOpType, ConfigSource, ResourceType
from ottla.client.errors import KafkaError
from ottla.wire.api.k32_describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResponse,
    DescribedConfig,
    ResourceToDescribe,
)
from ottla.wire.api.k33_alter_configs import (
    AlterConfigsRequest,
    AlterConfigsResponse,
    ConfigToSet,
)
from ottla.wire.api.k33_alter_configs import ResourceToAlter as ResourceToReplace
from ottla.wire.api.k44_incremental_alter_configs import (
    ConfigChange,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
    ResourceToAlter,
)
from ottla.wire.api.k74_list_config_resources import (
    ListConfigResourcesRequest,
    ListConfigResourcesResponse,
)
from ottla.wire.declare import Message

# Kafka's numbers of what has a configuration; users see the numbers of librdkafka.
_WIRE_TYPES = {
    ResourceType.UNKNOWN: 0,
    ResourceType.ANY: 1,
    ResourceType.TOPIC: 2,
    ResourceType.GROUP: 32,
    ResourceType.BROKER: 4,
    ResourceType.BROKER_LOGGER: 8,
    ResourceType.CLIENT_METRICS: 16,
}
_TYPES = {number: member for member, number in _WIRE_TYPES.items()}
_BROKER_TYPES = (ResourceType.BROKER, ResourceType.BROKER_LOGGER)
_Resource = tuple[int, str]


@deferring_refusals
def describe_configs(
    resources: list[ConfigResource],
    *,
    broker: int | None = None,
) -> Operation[Outcomes[ConfigResource, dict[str, ConfigEntry]]]:
    """Read configurations: those of brokers and their loggers from the broker itself."""
    all_are(resources, ConfigResource)
    non_empty_list(resources, "ConfigResource objects")
    by_wire = {_wire_key(resource): resource for resource in resources}

    def request(keys: Sequence[ConfigResource]) -> DescribeConfigsRequest:
        wanted = [
            ResourceToDescribe(resource_type=kind, resource_name=name, configuration_keys=None)
            for kind, name in map(_wire_key, keys)
        ]
        return DescribeConfigsRequest(resources=wanted, include_synonyms=True)

    def read(
        answer: DescribeConfigsResponse, _: Sequence[ConfigResource]
    ) -> Iterable[tuple[ConfigResource, dict[str, ConfigEntry] | KafkaError]]:
        for found in answer.results:
            resource = by_wire.get((found.resource_type, found.resource_name))
            if resource is not None:
                entries = {config.name: _entry(config) for config in found.configs}
                yield resource, outcome(found.error_code, found.error_message, entries)

    route = _route(resources, broker)
    return ask_all(Call(resources, route, request, DescribeConfigsResponse, read))


def _wire_key(resource: ConfigResource) -> _Resource:
    kind = _WIRE_TYPES.get(resource.restype)
    if not resource.name:
        raise ValueError(f"Invalid ConfigResource({resource.restype_int},{resource.name})")
    if kind is None:
        raise invalid(f"A resource of type {resource.restype.name} has no configuration")
    return kind, resource.name


def _route(resources: Sequence[ConfigResource], broker: int | None) -> Each[ConfigResource]:
    """To the controller, but to a broker about itself, and to ``broker`` if that is wanted.

    Raises:
        KafkaException: a broker's name is no number.
    """
    default: Target = CONTROLLER if broker is None else broker
    targets = {resource: _broker_of(resource, default) for resource in resources}
    is_controller = CONTROLLER in targets.values()
    return Each(targets.__getitem__, NO_CONTROLLER if is_controller else NO_BROKER)


def _broker_of(resource: ConfigResource, default: Target) -> Target:
    if resource.restype not in _BROKER_TYPES:
        return default
    try:
        return int(resource.name)
    except ValueError:
        message = (
            f"Expected an int32 broker_id for ConfigResource(type={resource.restype.name}, "
            f"name={resource.name})"
        )
        raise invalid(message) from None


def _entry(config: DescribedConfig) -> ConfigEntry:
    synonyms = {
        synonym.name: ConfigEntry(synonym.name, synonym.value, synonym.source, is_synonym=True)
        for synonym in config.synonyms
    }
    source = config.config_source
    return ConfigEntry(
        config.name,
        config.value,
        source,
        is_read_only=config.read_only,
        is_default=source == ConfigSource.DEFAULT_CONFIG.value,
        is_sensitive=config.is_sensitive,
        synonyms=synonyms,
    )


@deferring_refusals
def alter_configs(
    resources: list[ConfigResource], *, validate_only: bool, broker: int | None = None
) -> Operation[Outcomes[ConfigResource, None]]:
    """Replace configurations: what is not given falls back to its default."""
    all_are(resources, ConfigResource)
    non_empty_list(resources, "ConfigResource objects")
    flag(validate_only, "validate_only")
    by_wire = {_wire_key(resource): resource for resource in resources}

    def request(keys: Sequence[ConfigResource]) -> AlterConfigsRequest:
        wanted = [
            ResourceToReplace(
                resource_type=_wire_key(resource)[0],
                resource_name=resource.name,
                configs=[
                    ConfigToSet(name=str(name), value=str(value))
                    for name, value in resource.set_config_dict.items()
                ],
            )
            for resource in keys
        ]
        return AlterConfigsRequest(resources=wanted, validate_only=validate_only)

    def read(
        answer: AlterConfigsResponse, _: Sequence[ConfigResource]
    ) -> Iterable[tuple[ConfigResource, KafkaError | None]]:
        return _altered(by_wire, answer.responses)

    route = _route(resources, broker)
    return ask_all(Call(resources, route, request, AlterConfigsResponse, read))


def _altered(
    by_wire: Mapping[_Resource, ConfigResource], altered: Iterable[Any]
) -> Iterable[tuple[ConfigResource, KafkaError | None]]:
    for found in altered:
        resource = by_wire.get((found.resource_type, found.resource_name))
        if resource is not None:
            yield resource, outcome(found.error_code, found.error_message, None)


@deferring_refusals
def incremental_alter_configs(
    resources: list[ConfigResource], *, validate_only: bool, broker: int | None = None
) -> Operation[Outcomes[ConfigResource, None]]:
    """Change entries of configurations and leave the others as they are."""
    all_are(resources, ConfigResource, TypeError)
    non_empty_list(resources, "ConfigResource objects")
    flag(validate_only, "validate_only")
    by_wire = {_wire_key(resource): resource for resource in resources}
    changes = {resource: _changes(resource) for resource in resources}
    if len(changes) < len(resources):
        raise invalid("Duplicate ConfigResource found")
    if any(len({c.name for c in made}) < len(made) for made in changes.values()):
        raise invalid("Duplicate ConfigEntry found")

    def request(keys: Sequence[ConfigResource]) -> IncrementalAlterConfigsRequest:
        wanted = [
            ResourceToAlter(
                resource_type=_wire_key(resource)[0],
                resource_name=resource.name,
                configs=changes[resource],
            )
            for resource in keys
        ]
        return IncrementalAlterConfigsRequest(resources=wanted, validate_only=validate_only)

    def read(
        answer: IncrementalAlterConfigsResponse, _: Sequence[ConfigResource]
    ) -> Iterable[tuple[ConfigResource, KafkaError | None]]:
        return _altered(by_wire, answer.responses)

    route = _route(resources, broker)
    return ask_all(Call(resources, route, request, IncrementalAlterConfigsResponse, read))


def _changes(resource: ConfigResource) -> list[ConfigChange]:
    entries: Any = resource.incremental_configs
    if not isinstance(entries, list):
        raise TypeError("expected list of ConfigEntry in incremental_configs field")
    if not entries:
        raise ValueError(
            "expected non-empty list of ConfigEntry to alter incrementally in "
            "incremental_configs field"
        )
    for number, entry in enumerate(entries):
        if not isinstance(entry, ConfigEntry):
            raise TypeError(
                f"expected ConfigEntry type in incremental_configs field, index {number}"
            )
    return [_change(entry, number) for number, entry in enumerate(entries)]


def _change(entry: ConfigEntry, number: int) -> ConfigChange:
    operation = entry.incremental_operation
    if operation is None:
        raise TypeError("Required attribute .value missing")
    value = None if operation is AlterConfigOpType.DELETE else entry.value
    for field, text in (("name", entry.name), ("value", value)):
        is_needed = field == "name" or operation is not AlterConfigOpType.DELETE
        if is_needed and not isinstance(text, str):
            raise TypeError(f"Expected .{field} to be str type, not {type(text).__name__}")
    if not entry.name:
        raise ValueError(
            f'setting config entry "{entry.name}", index {number}, failed: '
            "Config name mustn't be empty"
        )
    return ConfigChange(name=entry.name, config_operation=operation.value, value=value)


def list_config_resources(
    types: Collection[ResourceType] | None,
) -> Operation[list[ConfigResource]]:
    """The resources that have a configuration, of these types or of all."""
    numbers = sorted(_WIRE_TYPES[kind] for kind in types or ())

    def request(_: Sequence[None]) -> Callable[[int], Message]:
        # Version 0 knows client metrics only, and does not name them.
        return lambda version: ListConfigResourcesRequest(resource_types=numbers if version else [])

    def read(
        answer: ListConfigResourcesResponse, _: Sequence[None]
    ) -> Iterable[tuple[None, list[ConfigResource] | KafkaError]]:
        raise_for(answer.error_code)
        yield (
            None,
            [
                ConfigResource(
                    _TYPES.get(found.resource_type, ResourceType.UNKNOWN), found.resource_name
                )
                for found in answer.config_resources
            ],
        )

    at_least = 0 if numbers == [_WIRE_TYPES[ResourceType.CLIENT_METRICS]] else 1
    call = Call([None], any_broker(), request, ListConfigResourcesResponse, read, at_least=at_least)
    return ask_one(call)
