"""From the store's entries back to records and to an image.

What stands in a store is checked as if a stranger had written it: a wrong byte is named with its
key and never becomes a wrong image.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from ottla.metadata import codec, records, topic_names
from ottla.metadata.config.broker_keys import find_broker_key
from ottla.metadata.config.group_keys import GROUP_KEYS
from ottla.metadata.config.keys import ConfigKey, ConfigValueError
from ottla.metadata.config.topic_keys import TOPIC_KEYS
from ottla.metadata.image import (
    EMPTY_IMAGE,
    BrokerRegistration,
    ClusterImage,
    ConfigResource,
    Endpoint,
    InconsistentMetadataError,
    PartitionImage,
    ResourceType,
)
from ottla.metadata.records import MetadataRecord
from ottla.metadata.uuids import parse_uuid

_MAX_INT32 = 2**31 - 1
_MAX_INT64 = 2**63 - 1
_RESOURCE_TYPES = {name: kind for kind, name in codec.RESOURCE_NAMES.items()}


class CorruptEntryError(Exception):
    """An entry of the metadata store is not what its key promises.

    Attributes:
        key: The entry's key.
        reason: What is wrong with it.
    """

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(f"metadata entry {key!r} is corrupt: {reason}")
        self.key = key
        self.reason = reason


def load_image(entries: Iterable[tuple[str, str]]) -> ClusterImage:
    """The image that the store's entries, given as (key, value), add up to.

    Raises:
        CorruptEntryError: an entry can't be read, or contradicts another.
    """
    loaded = [(key, decode_entry(key, value)) for key, value in entries]
    # Partitions need their topic first, whatever the order of the keys.
    loaded.sort(key=lambda each: isinstance(each[1], records.PartitionChanged))
    try:
        return EMPTY_IMAGE.apply(record for _, record in loaded)
    except InconsistentMetadataError as error:
        raise CorruptEntryError("*", str(error)) from error


def decode_entry(key: str, value: str) -> MetadataRecord:
    """The record that puts this entry.

    Raises:
        CorruptEntryError: the key is unknown or the value is not as this version writes it.
    """
    prefix, slash, rest = key.partition("/")
    decoder = _DECODERS.get(prefix + slash)
    if decoder is None:
        raise CorruptEntryError(key, "this version of Ottla knows no such key")
    try:
        return decoder(rest, _Fields(value))
    except (ValueError, ConfigValueError, RecursionError) as error:
        raise CorruptEntryError(key, str(error) or type(error).__name__) from error


class _Fields:
    """A value's fields, each checked as it is read."""

    def __init__(self, text: str) -> None:
        parsed = json.loads(text)
        if not isinstance(parsed, dict):
            raise ValueError("the value is no JSON object")
        self._fields: dict[str, Any] = parsed
        version = self.integer("version", _MAX_INT32)
        if version != codec.VALUE_VERSION:
            raise ValueError(f"value version {version}; this Ottla reads {codec.VALUE_VERSION}")

    def _get(self, name: str) -> Any:
        if name not in self._fields:
            raise ValueError(f"field {name!r} is missing")
        return self._fields[name]

    def integer(self, name: str, highest: int, lowest: int = 0) -> int:
        return _integer(name, self._get(name), highest, lowest)

    def text(self, name: str) -> str:
        return _text(name, self._get(name))

    def optional_text(self, name: str) -> str | None:
        value = self._get(name)
        return None if value is None else _text(name, value)

    def boolean(self, name: str) -> bool:
        value = self._get(name)
        if not isinstance(value, bool):
            raise ValueError(f"field {name!r} is no boolean")
        return value

    def array(self, name: str) -> list[Any]:
        return _array(name, self._get(name))

    def integers(self, name: str) -> tuple[int, ...]:
        return tuple(_integer(name, each, _MAX_INT32) for each in self.array(name))

    def texts(self, name: str) -> dict[str, str]:
        value = self._get(name)
        if not isinstance(value, dict):
            raise ValueError(f"field {name!r} is no object")
        return {key: _text(f"{name}.{key}", each) for key, each in value.items()}


def _integer(name: str, value: Any, highest: int, lowest: int = 0) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
        raise ValueError(f"field {name!r} is no integer of {lowest} to {highest}")
    return value


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"field {name!r} is no string")
    return value


def _array(name: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"field {name!r} is no array")
    return value


def _number_of_key(text: str) -> int:
    if not text.isdecimal() or not text.isascii() or int(text) > _MAX_INT32:
        raise ValueError("the key ends in no number")
    return int(text)


def _cluster(rest: str, fields: _Fields) -> MetadataRecord:
    return records.ClusterFormatted(fields.text("cluster_id"))


def _controller(rest: str, fields: _Fields) -> MetadataRecord:
    return records.ControllerChanged(
        fields.integer("broker_id", _MAX_INT32), fields.integer("epoch", _MAX_INT32)
    )


def _producer_ids(rest: str, fields: _Fields) -> MetadataRecord:
    return records.ProducerIdsAllocated(
        fields.integer("broker_id", _MAX_INT32), fields.integer("next_producer_id", _MAX_INT64)
    )


def _broker(rest: str, fields: _Fields) -> MetadataRecord:
    return records.BrokerRegistered(
        BrokerRegistration(
            broker_id=_number_of_key(rest),
            epoch=fields.integer("epoch", _MAX_INT64),
            rack=fields.optional_text("rack"),
            endpoints=tuple(_endpoint(each) for each in fields.array("endpoints")),
            log_directories=tuple(
                parse_uuid(_text("log_directories", each))
                for each in fields.array("log_directories")
            ),
            is_fenced=fields.boolean("is_fenced"),
        )
    )


def _endpoint(value: Any) -> Endpoint:
    parts = _array("endpoints", value)
    if len(parts) != 4:
        raise ValueError("an endpoint has four parts")
    listener, host, port, protocol = parts
    return Endpoint(
        _text("listener", listener),
        _text("host", host),
        _integer("port", port, 65535),
        _text("security_protocol", protocol),
    )


def _feature(rest: str, fields: _Fields) -> MetadataRecord:
    return records.FeatureChanged(rest, fields.integer("level", 2**15 - 1, lowest=1))


def _topic_name(fields: _Fields) -> str:
    name = fields.text("name")
    reason = topic_names.invalid_reason(name)
    if reason is not None:
        raise ValueError(reason)
    return name


def _topic(rest: str, fields: _Fields) -> MetadataRecord:
    return records.TopicCreated(_topic_name(fields), parse_uuid(rest))


def _deleted_topic(rest: str, fields: _Fields) -> MetadataRecord:
    count = fields.integer("partition_count", _MAX_INT32)
    return records.DeletedTopicLoaded(_topic_name(fields), parse_uuid(rest), count)


def _partition(rest: str, fields: _Fields) -> MetadataRecord:
    topic_id, _, index = rest.partition("/")
    partition = PartitionImage(
        replicas=fields.integers("replicas"),
        isr=fields.integers("isr"),
        leader=fields.integer("leader", _MAX_INT32, lowest=-1),
        leader_epoch=fields.integer("leader_epoch", _MAX_INT32),
        partition_epoch=fields.integer("partition_epoch", _MAX_INT32),
        directories=tuple(
            parse_uuid(_text("directories", each)) for each in fields.array("directories")
        ),
    )
    replicas = set(partition.replicas)
    if not replicas or len(replicas) != len(partition.replicas):
        raise ValueError("replicas are missing or named twice")
    if not replicas.issuperset(partition.isr) or len(set(partition.isr)) != len(partition.isr):
        raise ValueError("the in-sync replicas are no subset of the replicas")
    if partition.leader != -1 and partition.leader not in replicas:
        raise ValueError("the leader is no replica")
    if len(partition.directories) != len(partition.replicas):
        raise ValueError("there is not one directory for each replica")
    return records.PartitionChanged(parse_uuid(topic_id), _number_of_key(index), partition)


def _config(rest: str, fields: _Fields) -> MetadataRecord:
    kind, _, name = rest.partition("/")
    if kind not in _RESOURCE_TYPES:
        raise ValueError(f"{kind!r} is no resource type")
    resource = ConfigResource(_RESOURCE_TYPES[kind], name)
    values = fields.texts("values")
    for key_name, value in values.items():
        key = _find_key(resource.type, key_name)
        if key is not None:
            key.parse(value)
    return records.ConfigChanged(resource, values)


def _find_key(resource_type: ResourceType, name: str) -> ConfigKey | None:
    if resource_type is ResourceType.TOPIC:
        return TOPIC_KEYS.get(name)
    if resource_type is ResourceType.GROUP:
        return GROUP_KEYS.get(name)
    return find_broker_key(name)


_DECODERS: dict[str, Callable[[str, _Fields], MetadataRecord]] = {
    codec.CLUSTER_KEY: _cluster,
    codec.CONTROLLER_KEY: _controller,
    codec.PRODUCER_IDS_KEY: _producer_ids,
    codec.BROKER_PREFIX: _broker,
    codec.FEATURE_PREFIX: _feature,
    codec.TOPIC_PREFIX: _topic,
    codec.DELETED_TOPIC_PREFIX: _deleted_topic,
    codec.PARTITION_PREFIX: _partition,
    codec.CONFIG_PREFIX: _config,
}
