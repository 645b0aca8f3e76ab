"""The cluster's metadata at one instant, immutable.

``image.apply(records)`` is the only way from one image to the next, in the controller, in a
broker that follows it, and at start from the store: so all three hold the same state.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from ottla.metadata import topic_names
from ottla.metadata.persistent_map import PersistentMap

if TYPE_CHECKING:
    from ottla.metadata.records import MetadataRecord

NO_LEADER: Final = -1
NO_CONFIG: Final[Mapping[str, str]] = MappingProxyType({})


class ResourceType(IntEnum):
    """What a configuration belongs to, numbered as in Kafka's protocol."""

    UNKNOWN = 0
    TOPIC = 2
    BROKER = 4
    BROKER_LOGGER = 8
    CLIENT_METRICS = 16
    GROUP = 32


class ConfigResource(NamedTuple):
    """The owner of a set of configuration values; the broker named "" is the cluster's default."""

    type: ResourceType
    name: str


class Endpoint(NamedTuple):
    """Where clients reach a broker through one of its listeners."""

    listener: str
    host: str
    port: int
    security_protocol: str


class BrokerRegistration(NamedTuple):
    """A broker as it last announced itself."""

    broker_id: int
    epoch: int
    rack: str | None
    endpoints: tuple[Endpoint, ...]
    log_directories: tuple[uuid.UUID, ...]
    is_fenced: bool = False

    def endpoint(self, listener: str) -> Endpoint | None:
        """The address of one of its listeners."""
        return next((each for each in self.endpoints if each.listener == listener), None)


class PartitionImage(NamedTuple):
    """One partition: who holds it and who leads it."""

    replicas: tuple[int, ...]
    isr: tuple[int, ...]
    leader: int
    leader_epoch: int
    partition_epoch: int
    # The log directory of each replica, in the order of `replicas`; zero means not assigned yet.
    directories: tuple[uuid.UUID, ...]

    @property
    def preferred_leader(self) -> int:
        """The replica that leads when everything is well."""
        return self.replicas[0]


class TopicImage(NamedTuple):
    """A topic with its partitions, whose index is their number."""

    name: str
    topic_id: uuid.UUID
    partitions: tuple[PartitionImage, ...]

    @property
    def is_internal(self) -> bool:
        """Whether the brokers own this topic."""
        return topic_names.is_internal(self.name)


class DeletedTopic(NamedTuple):
    """A topic that is gone but whose logs may still lie on disk."""

    name: str
    topic_id: uuid.UUID
    partition_count: int


class InconsistentMetadataError(Exception):
    """A record speaks of something the image does not know; the metadata is damaged."""


class ClusterImage:
    """All metadata of a cluster; see :meth:`apply`.

    Attributes:
        cluster_id: Kafka's 22 character cluster id, "" before the cluster is formatted.
        controller_id: The broker that decides, -1 before the first.
        controller_epoch: Grows with every change of controller.
        brokers: Registrations by broker id.
        topics: Topics by name.
        topic_names: Names by topic id.
        colliding_names: Names by what metrics would call them, where '.' and '_' are the same.
        configs: Values that were set, by owner; owners without any are absent.
        features: Finalized feature levels, such as ``metadata.version``.
        next_producer_id: The first id of the next block of producer ids.
        deleted_topics: Topics whose logs still have to be removed, by topic id.
        partition_count: Partitions of all topics together.
    """

    __slots__ = (
        "brokers",
        "cluster_id",
        "colliding_names",
        "configs",
        "controller_epoch",
        "controller_id",
        "deleted_topics",
        "features",
        "next_producer_id",
        "partition_count",
        "topic_names",
        "topics",
    )

    cluster_id: str
    controller_id: int
    controller_epoch: int
    brokers: PersistentMap[int, BrokerRegistration]
    topics: PersistentMap[str, TopicImage]
    topic_names: PersistentMap[uuid.UUID, str]
    colliding_names: PersistentMap[str, tuple[str, ...]]
    configs: PersistentMap[ConfigResource, Mapping[str, str]]
    features: PersistentMap[str, int]
    next_producer_id: int
    deleted_topics: PersistentMap[uuid.UUID, DeletedTopic]
    partition_count: int

    def topic_by_id(self, topic_id: uuid.UUID) -> TopicImage | None:
        """The topic of an id."""
        name = self.topic_names.get(topic_id)
        return None if name is None else self.topics.get(name)

    def partition(self, topic: str, index: int) -> PartitionImage | None:
        """One partition, or None if there is no such topic or partition."""
        found = self.topics.get(topic)
        if found is None or not 0 <= index < len(found.partitions):
            return None
        return found.partitions[index]

    def config(self, resource_type: ResourceType, name: str) -> Mapping[str, str]:
        """The values set for a resource, by key."""
        return self.configs.get(ConfigResource(resource_type, name)) or NO_CONFIG

    def active_brokers(self) -> tuple[BrokerRegistration, ...]:
        """The brokers that may lead and hold replicas, by id."""
        active = [broker for broker in self.brokers.values() if not broker.is_fenced]
        return tuple(sorted(active))

    def apply(self, records: Iterable[MetadataRecord]) -> ClusterImage:
        """The image after ``records``, in their order; this one stays as it is.

        Raises:
            InconsistentMetadataError: a record does not fit the image.
        """
        from ottla.metadata.image_builder import ImageBuilder

        builder = ImageBuilder(self)
        for record in records:
            record.apply(builder)
        return builder.build()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ClusterImage):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return (
            f"ClusterImage(cluster_id={self.cluster_id!r}, "
            f"controller={self.controller_id}@{self.controller_epoch}, "
            f"brokers={list(self.brokers)}, topics={len(self.topics)}, "
            f"partitions={self.partition_count})"
        )


def _empty_image() -> ClusterImage:
    image = ClusterImage()
    image.cluster_id = ""
    image.controller_id = -1
    image.controller_epoch = 0
    image.brokers = PersistentMap()
    image.topics = PersistentMap()
    image.topic_names = PersistentMap()
    image.colliding_names = PersistentMap()
    image.configs = PersistentMap()
    image.features = PersistentMap()
    image.next_producer_id = 0
    image.deleted_topics = PersistentMap()
    image.partition_count = 0
    return image


# The image before any record: where every load starts.
EMPTY_IMAGE: Final = _empty_image()
