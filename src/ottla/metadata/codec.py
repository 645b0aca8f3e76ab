"""Keys and values of the store's entries: readable text, JSON with a version in every value.

Keys: ``cluster``, ``controller``, ``producer-ids``, ``broker/<id>``, ``feature/<name>``,
``topic/<topic id>``, ``partition/<topic id>/<index>``, ``deleted-topic/<topic id>``,
``config/<resource type>/<name>``. Indexes are padded so that text order is number order.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping

from ottla.metadata.image import BrokerRegistration, ConfigResource, PartitionImage, ResourceType
from ottla.metadata.uuids import format_uuid

VALUE_VERSION = 1

CLUSTER_KEY = "cluster"
CONTROLLER_KEY = "controller"
PRODUCER_IDS_KEY = "producer-ids"
BROKER_PREFIX = "broker/"
FEATURE_PREFIX = "feature/"
TOPIC_PREFIX = "topic/"
PARTITION_PREFIX = "partition/"
DELETED_TOPIC_PREFIX = "deleted-topic/"
CONFIG_PREFIX = "config/"

_INDEX_DIGITS = 10
RESOURCE_NAMES = {
    ResourceType.TOPIC: "topic",
    ResourceType.BROKER: "broker",
    ResourceType.GROUP: "group",
    ResourceType.CLIENT_METRICS: "client-metrics",
}


def broker_key(broker_id: int) -> str:
    """Where a broker's registration stands."""
    return f"{BROKER_PREFIX}{broker_id}"


def feature_key(name: str) -> str:
    """Where a feature's finalized level stands."""
    return FEATURE_PREFIX + name


def topic_key(topic_id: uuid.UUID) -> str:
    """Where a topic stands."""
    return TOPIC_PREFIX + format_uuid(topic_id)


def partition_prefix(topic_id: uuid.UUID) -> str:
    """What the keys of all partitions of a topic start with."""
    return f"{PARTITION_PREFIX}{format_uuid(topic_id)}/"


def partition_key(topic_id: uuid.UUID, index: int) -> str:
    """Where a partition stands."""
    return f"{partition_prefix(topic_id)}{index:0{_INDEX_DIGITS}}"


def deleted_topic_key(topic_id: uuid.UUID) -> str:
    """Where a topic stands between its deletion and that of its logs."""
    return DELETED_TOPIC_PREFIX + format_uuid(topic_id)


def config_key(resource: ConfigResource) -> str:
    """Where a resource's configuration stands."""
    return f"{CONFIG_PREFIX}{RESOURCE_NAMES[resource.type]}/{resource.name}"


def topic_config_key(name: str) -> str:
    """Where a topic's configuration stands."""
    return config_key(ConfigResource(ResourceType.TOPIC, name))


def encode_cluster(cluster_id: str) -> str:
    """The value of ``cluster``."""
    return _encode({"cluster_id": cluster_id})


def encode_controller(controller_id: int, epoch: int) -> str:
    """The value of ``controller``."""
    return _encode({"broker_id": controller_id, "epoch": epoch})


def encode_producer_ids(broker_id: int, next_producer_id: int) -> str:
    """The value of ``producer-ids``: the last allocation."""
    return _encode({"broker_id": broker_id, "next_producer_id": next_producer_id})


def encode_broker(broker: BrokerRegistration) -> str:
    """The value of a registration."""
    return _encode(
        {
            "epoch": broker.epoch,
            "rack": broker.rack,
            "endpoints": [list(endpoint) for endpoint in broker.endpoints],
            "log_directories": [format_uuid(each) for each in broker.log_directories],
            "is_fenced": broker.is_fenced,
        }
    )


def encode_feature(level: int) -> str:
    """The value of a feature."""
    return _encode({"level": level})


def encode_topic(name: str) -> str:
    """The value of a topic."""
    return _encode({"name": name})


def encode_deleted_topic(name: str, partition_count: int) -> str:
    """The value of a deleted topic."""
    return _encode({"name": name, "partition_count": partition_count})


def encode_partition(partition: PartitionImage) -> str:
    """The value of a partition."""
    return _encode(
        {
            "replicas": partition.replicas,
            "isr": partition.isr,
            "leader": partition.leader,
            "leader_epoch": partition.leader_epoch,
            "partition_epoch": partition.partition_epoch,
            "directories": [format_uuid(each) for each in partition.directories],
        }
    )


def encode_config(values: Mapping[str, str]) -> str:
    """The value of a resource's configuration."""
    return _encode({"values": dict(values)})


def _encode(fields: Mapping[str, object]) -> str:
    return json.dumps({"version": VALUE_VERSION, **fields}, separators=(",", ":"))
