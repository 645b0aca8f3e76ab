"""A cluster's topics for tests of coordinators: metadata without a controller."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from ottla.metadata.image import EMPTY_IMAGE, ConfigResource, PartitionImage, ResourceType
from ottla.metadata.records import (
    ConfigChanged,
    MetadataRecord,
    PartitionChanged,
    TopicCreated,
    TopicRemoved,
)

_PARTITION = PartitionImage((1,), (1,), 1, 0, 0, (UUID(int=0),))


class SimulatedTopics:
    """Topics that tests make, enlarge and remove; ``image`` is the metadata as it is now."""

    def __init__(self, topics: Mapping[str, int] | None = None) -> None:
        self.image = EMPTY_IMAGE
        self._ids = 0
        for name, partition_count in (topics or {}).items():
            self.create(name, partition_count)

    def create(self, name: str, partition_count: int) -> UUID:
        """Makes a topic; its id."""
        self._ids += 1
        topic_id = UUID(int=self._ids)
        self._apply(TopicCreated(name, topic_id), *_partitions(topic_id, range(partition_count)))
        return topic_id

    def grow(self, name: str, partition_count: int) -> None:
        """Gives a topic more partitions."""
        topic = self.image.topics[name]
        added = range(len(topic.partitions), partition_count)
        self._apply(*_partitions(topic.topic_id, added))

    def delete(self, name: str) -> None:
        """Removes a topic."""
        topic = self.image.topics[name]
        self._apply(TopicRemoved(name, topic.topic_id, len(topic.partitions)))

    def configure_group(self, group_id: str, values: Mapping[str, str]) -> None:
        """Makes these the group's own configuration."""
        self._apply(ConfigChanged(ConfigResource(ResourceType.GROUP, group_id), values))

    def topic_id(self, name: str) -> UUID:
        """The id of a topic."""
        return self.image.topics[name].topic_id

    def _apply(self, *records: MetadataRecord) -> None:
        self.image = self.image.apply(records)


def _partitions(topic_id: UUID, indexes: range) -> list[PartitionChanged]:
    return [PartitionChanged(topic_id, index, _PARTITION) for index in indexes]
