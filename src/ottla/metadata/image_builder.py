"""What changes between two images, collected record by record."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from types import MappingProxyType

from ottla.metadata.image import (
    BrokerRegistration,
    ClusterImage,
    ConfigResource,
    DeletedTopic,
    InconsistentMetadataError,
    PartitionImage,
    ResourceType,
    TopicImage,
)
from ottla.metadata.topic_names import collision_key


class ImageBuilder:
    """The mutable step between two images; only ``ClusterImage.apply`` makes one.

    Maps hold only what changed (None: removed), so a build costs what the records changed and not
    what the cluster holds.
    """

    def __init__(self, image: ClusterImage) -> None:
        self.image = image
        self.cluster_id = image.cluster_id
        self.controller_id = image.controller_id
        self.controller_epoch = image.controller_epoch
        self.next_producer_id = image.next_producer_id
        self.brokers: dict[int, BrokerRegistration | None] = {}
        self.configs: dict[ConfigResource, Mapping[str, str] | None] = {}
        self.features: dict[str, int | None] = {}
        self.deleted_topics: dict[uuid.UUID, DeletedTopic | None] = {}
        self._names: dict[uuid.UUID, str | None] = {}
        self._topic_ids: dict[str, uuid.UUID | None] = {}
        self._partitions: dict[uuid.UUID, dict[int, PartitionImage]] = {}

    def create_topic(self, name: str, topic_id: uuid.UUID) -> None:
        """A new topic, still without partitions."""
        if self._topic_id(name) is not None or self._topic_name(topic_id) is not None:
            raise InconsistentMetadataError(f"topic {name} or its id {topic_id} exists twice")
        self._names[topic_id] = name
        self._topic_ids[name] = topic_id
        self._partitions[topic_id] = {}

    def remove_topic(self, topic_id: uuid.UUID) -> None:
        """The topic, its partitions and its configuration are gone; its logs are still there."""
        name = self._known_name(topic_id)
        count = len(self._topic_partitions(topic_id))
        self._names[topic_id] = None
        self._topic_ids[name] = None
        del self._partitions[topic_id]
        resource = ConfigResource(ResourceType.TOPIC, name)
        if resource in self.image.configs or resource in self.configs:
            self.configs[resource] = None
        self.deleted_topics[topic_id] = DeletedTopic(name, topic_id, count)

    def load_deleted_topic(self, name: str, topic_id: uuid.UUID, partition_count: int) -> None:
        """A topic that an earlier run deleted and whose logs may still be there."""
        self.deleted_topics[topic_id] = DeletedTopic(name, topic_id, partition_count)

    def set_partition(self, topic_id: uuid.UUID, index: int, partition: PartitionImage) -> None:
        """A new partition, or a new state of an old one."""
        self._known_name(topic_id)
        self._topic_partitions(topic_id)[index] = partition

    def set_config(self, resource: ConfigResource, values: Mapping[str, str]) -> None:
        """All values of a resource; none at all forgets it."""
        self.configs[resource] = MappingProxyType(dict(values)) if values else None

    def build(self) -> ClusterImage:
        """The next image."""
        image = self.image
        topics = self._changed_topics()
        built = ClusterImage()
        built.cluster_id = self.cluster_id
        built.controller_id = self.controller_id
        built.controller_epoch = self.controller_epoch
        built.next_producer_id = self.next_producer_id
        built.brokers = image.brokers.changed(self.brokers)
        built.topics = image.topics.changed(topics)
        built.topic_names = image.topic_names.changed(self._names)
        built.colliding_names = image.colliding_names.changed(self._changed_collisions())
        built.configs = image.configs.changed(self.configs)
        built.features = image.features.changed(self.features)
        built.deleted_topics = image.deleted_topics.changed(self.deleted_topics)
        built.partition_count = image.partition_count + sum(
            _count(topic) - _count(image.topics.get(name)) for name, topic in topics.items()
        )
        return built

    def _topic_name(self, topic_id: uuid.UUID) -> str | None:
        if topic_id in self._names:
            return self._names[topic_id]
        return self.image.topic_names.get(topic_id)

    def _topic_id(self, name: str) -> uuid.UUID | None:
        if name in self._topic_ids:
            return self._topic_ids[name]
        topic = self.image.topics.get(name)
        return None if topic is None else topic.topic_id

    def _known_name(self, topic_id: uuid.UUID) -> str:
        name = self._topic_name(topic_id)
        if name is None:
            raise InconsistentMetadataError(f"no topic has the id {topic_id}")
        return name

    def _topic_partitions(self, topic_id: uuid.UUID) -> dict[int, PartitionImage]:
        partitions = self._partitions.get(topic_id)
        if partitions is None:
            topic = self.image.topics[self._known_name(topic_id)]
            partitions = self._partitions[topic_id] = dict(enumerate(topic.partitions))
        return partitions

    def _changed_topics(self) -> dict[str, TopicImage | None]:
        changed: dict[str, TopicImage | None] = {}
        for name, topic_id in self._topic_ids.items():
            if topic_id is None:
                changed[name] = None
        for topic_id, partitions in self._partitions.items():
            name = self._known_name(topic_id)
            count = len(partitions)
            if any(index not in partitions for index in range(count)):
                raise InconsistentMetadataError(f"partitions of topic {name} are missing")
            ordered = tuple(partitions[index] for index in range(count))
            changed[name] = TopicImage(name, topic_id, ordered)
        return changed

    def _changed_collisions(self) -> dict[str, tuple[str, ...] | None]:
        changed: dict[str, tuple[str, ...] | None] = {}
        for name, topic_id in self._topic_ids.items():
            key = collision_key(name)
            if key is None:
                continue
            names = changed[key] if key in changed else self.image.colliding_names.get(key)
            others = tuple(each for each in names or () if each != name)
            changed[key] = (*others, name) if topic_id is not None else others or None
        return changed


def _count(topic: TopicImage | None) -> int:
    return 0 if topic is None else len(topic.partitions)
