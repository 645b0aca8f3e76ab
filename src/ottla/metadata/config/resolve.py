"""Which value applies: a topic's own, a broker's, the cluster's, the file's, or the default.

Values are parsed once for each change of the configuration, not once for each request: an image
shares the mappings that did not change, so identity tells whether a parsed result still holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import IntEnum
from typing import Final, NamedTuple, cast

from ottla.metadata.config.broker_keys import BROKER_KEYS, broker_synonyms, find_broker_key
from ottla.metadata.config.group_keys import GROUP_KEYS, GROUP_SYNONYMS
from ottla.metadata.config.keys import ConfigValue, ConfigValueError
from ottla.metadata.config.topic_keys import TOPIC_KEYS, TOPIC_SYNONYMS, Synonym
from ottla.metadata.image import ClusterImage, ResourceType

# The broker resource of this name holds the defaults of all brokers.
CLUSTER_DEFAULT: Final = ""


class ConfigSource(IntEnum):
    """Where a value comes from, numbered as in DescribeConfigs."""

    UNKNOWN = 0
    DYNAMIC_TOPIC_CONFIG = 1
    DYNAMIC_BROKER_CONFIG = 2
    DYNAMIC_DEFAULT_BROKER_CONFIG = 3
    STATIC_BROKER_CONFIG = 4
    DEFAULT_CONFIG = 5
    DYNAMIC_BROKER_LOGGER_CONFIG = 6
    DYNAMIC_CLIENT_METRICS_CONFIG = 7
    DYNAMIC_GROUP_CONFIG = 8


class ConfigSynonym(NamedTuple):
    """One value among those that compete, as text."""

    name: str
    value: str
    source: ConfigSource


class TopicConfig(NamedTuple):
    """Every setting of a topic, typed; the fields are the keys with '.' as '_'."""

    cleanup_policy: tuple[str, ...]
    compression_gzip_level: int
    compression_lz4_level: int
    compression_type: str
    compression_zstd_level: int
    delete_retention_ms: int
    file_delete_delay_ms: int
    flush_messages: int
    flush_ms: int
    follower_replication_throttled_replicas: tuple[str, ...]
    index_interval_bytes: int
    leader_replication_throttled_replicas: tuple[str, ...]
    local_retention_bytes: int
    local_retention_ms: int
    max_compaction_lag_ms: int
    max_message_bytes: int
    message_timestamp_after_max_ms: int
    message_timestamp_before_max_ms: int
    message_timestamp_type: str
    min_cleanable_dirty_ratio: float
    min_compaction_lag_ms: int
    min_insync_replicas: int
    preallocate: bool
    remote_log_copy_disable: bool
    remote_log_delete_on_disable: bool
    remote_storage_enable: bool
    retention_bytes: int
    retention_ms: int
    segment_bytes: int
    segment_index_bytes: int
    segment_jitter_ms: int
    segment_ms: int
    unclean_leader_election_enable: bool


class BrokerLayers(NamedTuple):
    """What is set for a broker, from the strongest to the weakest."""

    dynamic: Mapping[str, str]
    cluster_default: Mapping[str, str]
    static: Mapping[str, str]

    def synonyms(self, names: tuple[str, ...]) -> Iterator[ConfigSynonym]:
        """All values under any of the names, the one that applies first."""
        for values, source in (
            (self.dynamic, ConfigSource.DYNAMIC_BROKER_CONFIG),
            (self.cluster_default, ConfigSource.DYNAMIC_DEFAULT_BROKER_CONFIG),
            (self.static, ConfigSource.STATIC_BROKER_CONFIG),
        ):
            for name in names:
                if name in values:
                    yield ConfigSynonym(name, values[name], source)
        for name in names:
            key = BROKER_KEYS.get(name)
            if key is not None and key.default is not None:
                yield ConfigSynonym(name, key.default, ConfigSource.DEFAULT_CONFIG)


class BrokerConfig:
    """A broker's values, typed; each is parsed when it is first asked for."""

    __slots__ = ("_parsed", "layers")

    def __init__(self, layers: BrokerLayers) -> None:
        self.layers = layers
        self._parsed: dict[str, ConfigValue] = {}

    def value(self, name: str) -> ConfigValue:
        """The typed value of a key.

        Raises:
            KeyError: there is no such key.
            ConfigValueError: the file gives it a value it can't have.
        """
        if name in self._parsed:
            return self._parsed[name]
        key = find_broker_key(name)
        if key is None:
            raise KeyError(name)
        names = broker_synonyms(name) if name not in BROKER_KEYS else (name,)
        first = next(self.layers.synonyms(names), None)
        value = key.parse(None if first is None else first.value)
        self._parsed[name] = value
        return value

    def integer(self, name: str) -> int:
        """The value of a key of a whole number type that has a default."""
        return cast(int, self.value(name))

    def optional_integer(self, name: str) -> int | None:
        """The value of a key of a whole number type, or None if it is not given."""
        return cast("int | None", self.value(name))

    def number(self, name: str) -> float:
        """The value of a key of type DOUBLE."""
        return cast(float, self.value(name))

    def boolean(self, name: str) -> bool:
        """The value of a key of type BOOLEAN."""
        return cast(bool, self.value(name))

    def text(self, name: str) -> str | None:
        """The value of a key of type STRING, CLASS or PASSWORD, or None if it is not given."""
        return cast("str | None", self.value(name))

    def items(self, name: str) -> tuple[str, ...]:
        """The value of a key of type LIST; empty if it is not given."""
        return cast("tuple[str, ...]", self.value(name) or ())


class ConfigResolver:
    """Answers what applies on one broker.

    Args:
        static: The broker's own properties, from its file, environment and command line.
        node_id: The broker's id.
    """

    def __init__(self, static: Mapping[str, str], node_id: int) -> None:
        self.static = static
        self.node_id = node_id
        self._broker = BrokerConfig(BrokerLayers({}, {}, static))
        self._topic_defaults: TopicConfig | None = None
        # What was asked for since the last image, and what was parsed for any.
        self._image: ClusterImage | None = None
        self._topics: dict[str, TopicConfig] = {}
        self._overridden: dict[str, tuple[Mapping[str, str], TopicConfig]] = {}

    def layers(self, image: ClusterImage) -> BrokerLayers:
        """What is set for this broker."""
        return BrokerLayers(
            image.config(ResourceType.BROKER, str(self.node_id)),
            image.config(ResourceType.BROKER, CLUSTER_DEFAULT),
            self.static,
        )

    def broker(self, image: ClusterImage) -> BrokerConfig:
        """This broker's values."""
        if image is not self._image:
            self._follow(image)
        return self._broker

    def topic(self, image: ClusterImage, name: str) -> TopicConfig:
        """A topic's settings; those of a topic without any of its own if there is none."""
        if image is not self._image:
            self._follow(image)
        found = self._topics.get(name)
        if found is None:
            found = self._resolve_topic(image, name)
            # Only what exists is remembered: clients can ask for any number of other names.
            if name in image.topics:
                self._topics[name] = found
        return found

    def _follow(self, image: ClusterImage) -> None:
        self._image = image
        self._topics.clear()
        layers = self.layers(image)
        known = self._broker.layers
        if (
            layers.dynamic is not known.dynamic
            or layers.cluster_default is not known.cluster_default
        ):
            self._broker = BrokerConfig(layers)
            self._topic_defaults = None
            self._overridden.clear()

    def _resolve_topic(self, image: ClusterImage, name: str) -> TopicConfig:
        defaults = self.topic_defaults(image)
        overrides = image.config(ResourceType.TOPIC, name)
        if not overrides:
            self._overridden.pop(name, None)
            return defaults
        known = self._overridden.get(name)
        if known is not None and known[0] is overrides:
            return known[1]
        if len(self._overridden) > len(image.configs):
            self._overridden.clear()
        resolved = defaults._replace(**parse_overrides(overrides))  # type: ignore[arg-type]
        self._overridden[name] = (overrides, resolved)
        return resolved

    def topic_defaults(self, image: ClusterImage) -> TopicConfig:
        """What a topic gets that sets nothing itself."""
        layers = self.broker(image).layers
        if self._topic_defaults is None:
            values = {_field(name): default_topic_value(layers, name) for name in TOPIC_KEYS}
            self._topic_defaults = TopicConfig(**values)  # type: ignore[arg-type]
        return self._topic_defaults

    def group(self, image: ClusterImage, group_id: str, name: str) -> ConfigValue:
        """One setting of a group: its own, else its broker key's, else the default.

        Raises:
            KeyError: there is no such key.
        """
        overrides = image.config(ResourceType.GROUP, group_id)
        if name in overrides:
            return GROUP_KEYS[name].parse(overrides[name])
        if name in GROUP_SYNONYMS:
            return self.broker(image).value(GROUP_SYNONYMS[name])
        return GROUP_KEYS[name].default_value()


def topic_synonyms(
    layers: BrokerLayers, overrides: Mapping[str, str], name: str
) -> list[ConfigSynonym]:
    """All values that compete for a topic key, the one that applies first."""
    found = []
    if name in overrides:
        found.append(ConfigSynonym(name, overrides[name], ConfigSource.DYNAMIC_TOPIC_CONFIG))
    names = tuple(synonym.name for synonym in TOPIC_SYNONYMS.get(name, ()))
    found.extend(layers.synonyms(names))
    return found


def default_topic_value(layers: BrokerLayers, name: str) -> ConfigValue:
    """What the broker's settings make of a topic key."""
    synonyms = {synonym.name: synonym for synonym in TOPIC_SYNONYMS.get(name, ())}
    first = next(layers.synonyms(tuple(synonyms)), None)
    if first is None:
        return TOPIC_KEYS[name].default_value()
    return _in_topic_units(name, synonyms[first.name], first.value)


def parse_overrides(overrides: Mapping[str, str]) -> dict[str, ConfigValue]:
    """A topic's own values, typed, by field of :class:`TopicConfig`; unknown keys are left out."""
    return {
        _field(name): TOPIC_KEYS[name].parse(text)
        for name, text in overrides.items()
        if name in TOPIC_KEYS
    }


def static_problems(static: Mapping[str, str]) -> list[str]:
    """What is wrong with a broker's properties, in Kafka's words; unknown keys are no problem."""
    problems = []
    for name, text in static.items():
        key = find_broker_key(name)
        if key is None:
            continue
        try:
            key.parse(text)
        except ConfigValueError as error:
            problems.append(str(error))
    return problems


def unknown_keys(static: Mapping[str, str]) -> list[str]:
    """The names in a broker's properties that mean nothing to Ottla; Kafka only warns of them."""
    return [name for name in static if find_broker_key(name) is None]


def _in_topic_units(name: str, synonym: Synonym, text: str) -> ConfigValue:
    value = BROKER_KEYS[synonym.name].parse(text)
    if isinstance(value, int) and not isinstance(value, bool):
        # Any negative retention time means for ever, in whatever unit it is given.
        if name == "retention.ms" and value < 0:
            return -1
        return value * synonym.factor
    return value


def _field(name: str) -> str:
    return name.replace(".", "_")
