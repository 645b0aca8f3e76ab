"""The view of the configuration that DescribeConfigs shows."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from ottla.metadata import topic_names
from ottla.metadata.config.broker_keys import BROKER_KEYS, broker_synonyms, find_broker_key
from ottla.metadata.config.group_keys import GROUP_KEYS, GROUP_SYNONYMS
from ottla.metadata.config.keys import ConfigKey, ConfigType, ConfigValue, UpdateMode
from ottla.metadata.config.resolve import (
    CLUSTER_DEFAULT,
    BrokerLayers,
    ConfigResolver,
    ConfigSource,
    ConfigSynonym,
    default_topic_value,
    topic_synonyms,
)
from ottla.metadata.config.topic_keys import TOPIC_KEYS
from ottla.metadata.image import ClusterImage, ConfigResource, ResourceType
from ottla.wire.errors import ErrorCode, ProtocolError


class DescribedSynonym(NamedTuple):
    """A value that competes for a key; None hides a secret."""

    name: str
    value: str | None
    source: ConfigSource


class DescribedConfig(NamedTuple):
    """One key as a client sees it; the value is None if there is none or it is secret."""

    name: str
    value: str | None
    source: ConfigSource
    is_read_only: bool
    is_sensitive: bool
    synonyms: tuple[DescribedSynonym, ...]
    type: ConfigType
    documentation: str | None

    @property
    def is_default(self) -> bool:
        """Whether nobody set the value."""
        return self.source is ConfigSource.DEFAULT_CONFIG


def describe_config(
    resolver: ConfigResolver,
    image: ClusterImage,
    resource: ConfigResource,
    names: Collection[str] | None = None,
) -> list[DescribedConfig]:
    """The configuration of a topic, a broker or a group.

    Args:
        names: The keys asked for; None or none at all is every key.

    Raises:
        ProtocolError: there is no such resource, or it is not this broker's to describe.
    """
    if resource.type is ResourceType.TOPIC:
        described = _describe_topic(resolver, image, resource.name, names)
    elif resource.type is ResourceType.BROKER:
        described = _describe_broker(resolver, image, resource.name, names)
    elif resource.type is ResourceType.GROUP:
        described = _describe_group(resolver, image, resource.name, names)
    else:
        raise ProtocolError(
            ErrorCode.INVALID_REQUEST, f"Unsupported resource type: {resource.type.name}"
        )
    return list(described)


def describe_created_topic(
    layers: BrokerLayers, overrides: dict[str, str]
) -> list[DescribedConfig]:
    """What CreateTopics answers: every key of a topic with these values of its own."""
    return [_topic_key(layers, overrides, key) for key in TOPIC_KEYS.values()]


def value_text(value: ConfigValue) -> str | None:
    """A typed value as Kafka writes it."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ",".join(value)
    return str(value)


def _is_wanted(name: str, names: Collection[str] | None) -> bool:
    return not names or name in names


def _describe_topic(
    resolver: ConfigResolver, image: ClusterImage, name: str, names: Collection[str] | None
) -> Iterable[DescribedConfig]:
    reason = topic_names.invalid_reason(name)
    if reason is not None:
        raise ProtocolError(ErrorCode.INVALID_TOPIC_EXCEPTION, reason)
    if name not in image.topics:
        raise ProtocolError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    layers = resolver.layers(image)
    overrides = dict(image.config(ResourceType.TOPIC, name))
    wanted = (key for key in TOPIC_KEYS.values() if _is_wanted(key.name, names))
    return (_topic_key(layers, overrides, key) for key in wanted)


def _topic_key(layers: BrokerLayers, overrides: dict[str, str], key: ConfigKey) -> DescribedConfig:
    synonyms = topic_synonyms(layers, overrides, key.name)
    own = overrides.get(key.name)
    value = default_topic_value(layers, key.name) if own is None else key.parse(own)
    return _described(key, value_text(value), synonyms, is_read_only=False)


def _describe_group(
    resolver: ConfigResolver, image: ClusterImage, name: str, names: Collection[str] | None
) -> Iterable[DescribedConfig]:
    if not name:
        raise ProtocolError(ErrorCode.INVALID_REQUEST, "Group name must not be empty")
    layers = resolver.layers(image)
    overrides = image.config(ResourceType.GROUP, name)
    for key in GROUP_KEYS.values():
        if not _is_wanted(key.name, names):
            continue
        synonyms = []
        if key.name in overrides:
            own = ConfigSynonym(key.name, overrides[key.name], ConfigSource.DYNAMIC_GROUP_CONFIG)
            synonyms.append(own)
        if key.name in GROUP_SYNONYMS:
            synonyms.extend(layers.synonyms((GROUP_SYNONYMS[key.name],)))
        elif key.default is not None:
            synonyms.append(ConfigSynonym(key.name, key.default, ConfigSource.DEFAULT_CONFIG))
        yield _described(
            key, value_text(key.parse(synonyms[0].value)), synonyms, is_read_only=False
        )


def _describe_broker(
    resolver: ConfigResolver, image: ClusterImage, name: str, names: Collection[str] | None
) -> Iterable[DescribedConfig]:
    layers = resolver.layers(image)
    if name == CLUSTER_DEFAULT:
        shown: Iterable[str] = layers.cluster_default
    else:
        _check_is_this_broker(name, resolver.node_id)
        others = {**layers.static, **layers.cluster_default, **layers.dynamic}
        shown = dict.fromkeys([*BROKER_KEYS, *others])
    for key_name in shown:
        if _is_wanted(key_name, names):
            yield _broker_key(layers, key_name, is_cluster_default=name == CLUSTER_DEFAULT)


def _broker_key(layers: BrokerLayers, name: str, *, is_cluster_default: bool) -> DescribedConfig:
    # A name that means nothing to us may hold anything, a secret too.
    key = find_broker_key(name) or _unknown_key(name)
    synonyms = list(layers.synonyms(broker_synonyms(name)))
    if is_cluster_default:
        dynamic_default = ConfigSource.DYNAMIC_DEFAULT_BROKER_CONFIG
        synonyms = [each for each in synonyms if each.source is dynamic_default]
    # Another unit's value is a synonym only behind one of our own name, as in Kafka.
    while synonyms and synonyms[0].name != name:
        synonyms.pop(0)
    value = synonyms[0].value if synonyms else None
    is_read_only = name not in BROKER_KEYS or key.update_mode is UpdateMode.READ_ONLY
    described = _described(key, value_text(key.parse(value)), synonyms, is_read_only=is_read_only)
    return described._replace(name=name)


def _unknown_key(name: str) -> ConfigKey:
    template = BROKER_KEYS["sasl.jaas.config"]
    return template._replace(name=name, default=None, documentation="")


def _check_is_this_broker(name: str, node_id: int) -> None:
    if not name.isascii() or not name.isdecimal():
        raise ProtocolError(
            ErrorCode.INVALID_REQUEST, f"Broker id must be an integer, but it is: {name}"
        )
    if int(name[:20]) != node_id:
        raise ProtocolError(
            ErrorCode.INVALID_REQUEST,
            f"Unexpected broker id, expected {node_id} or empty string, but received {name}",
        )


def _described(
    key: ConfigKey, value: str | None, synonyms: list[ConfigSynonym], *, is_read_only: bool
) -> DescribedConfig:
    source = synonyms[0].source if synonyms else ConfigSource.DEFAULT_CONFIG
    if source is ConfigSource.DEFAULT_CONFIG and synonyms and synonyms[0].name == key.name:
        value = synonyms[0].value
    hidden = key.is_sensitive
    return DescribedConfig(
        name=key.name,
        value=None if hidden else value,
        source=source,
        is_read_only=is_read_only,
        is_sensitive=hidden,
        synonyms=tuple(
            DescribedSynonym(each.name, None if hidden else each.value, each.source)
            for each in synonyms
        ),
        type=key.type,
        documentation=key.documentation or None,
    )
