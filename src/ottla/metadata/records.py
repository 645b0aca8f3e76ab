"""The metadata records: every change there is to a cluster's metadata.

A record knows two things: what it does to an image being built (``apply``), and what it does to
the entries of the metadata store (``mutations``). The store holds state, not history: one entry
for each thing that is, so that loading costs what the cluster holds. ``metadata.codec`` turns the
entries back into records.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import NamedTuple

from ottla.metadata import codec
from ottla.metadata.image import (
    BrokerRegistration,
    ConfigResource,
    InconsistentMetadataError,
    PartitionImage,
)
from ottla.metadata.image_builder import ImageBuilder
from ottla.metadata.mutations import Delete, DeletePrefix, Mutation, Put


class ClusterFormatted(NamedTuple):
    """The cluster has its id; the first record of all."""

    cluster_id: str

    def apply(self, builder: ImageBuilder) -> None:
        builder.cluster_id = self.cluster_id

    def mutations(self) -> tuple[Mutation, ...]:
        return (Put(codec.CLUSTER_KEY, codec.encode_cluster(self.cluster_id)),)


class ControllerChanged(NamedTuple):
    """A broker became controller."""

    controller_id: int
    epoch: int

    def apply(self, builder: ImageBuilder) -> None:
        if self.epoch < builder.controller_epoch:
            raise InconsistentMetadataError(
                f"controller epoch {self.epoch} is older than {builder.controller_epoch}"
            )
        builder.controller_id = self.controller_id
        builder.controller_epoch = self.epoch

    def mutations(self) -> tuple[Mutation, ...]:
        value = codec.encode_controller(self.controller_id, self.epoch)
        return (Put(codec.CONTROLLER_KEY, value),)


class BrokerRegistered(NamedTuple):
    """A broker announced itself, or what it announced changed."""

    registration: BrokerRegistration

    def apply(self, builder: ImageBuilder) -> None:
        builder.brokers[self.registration.broker_id] = self.registration

    def mutations(self) -> tuple[Mutation, ...]:
        key = codec.broker_key(self.registration.broker_id)
        return (Put(key, codec.encode_broker(self.registration)),)


class BrokerUnregistered(NamedTuple):
    """A broker left the cluster for good."""

    broker_id: int

    def apply(self, builder: ImageBuilder) -> None:
        builder.brokers[self.broker_id] = None

    def mutations(self) -> tuple[Mutation, ...]:
        return (Delete(codec.broker_key(self.broker_id)),)


class FeatureChanged(NamedTuple):
    """A feature level was finalized; level 0 disables the feature."""

    name: str
    level: int

    def apply(self, builder: ImageBuilder) -> None:
        builder.features[self.name] = self.level or None

    def mutations(self) -> tuple[Mutation, ...]:
        key = codec.feature_key(self.name)
        return (Put(key, codec.encode_feature(self.level)) if self.level else Delete(key),)


class TopicCreated(NamedTuple):
    """A topic exists; its partitions follow."""

    name: str
    topic_id: uuid.UUID

    def apply(self, builder: ImageBuilder) -> None:
        builder.create_topic(self.name, self.topic_id)

    def mutations(self) -> tuple[Mutation, ...]:
        return (Put(codec.topic_key(self.topic_id), codec.encode_topic(self.name)),)


class PartitionChanged(NamedTuple):
    """A partition is new, or its replicas, leader or directories changed."""

    topic_id: uuid.UUID
    partition_index: int
    partition: PartitionImage

    def apply(self, builder: ImageBuilder) -> None:
        builder.set_partition(self.topic_id, self.partition_index, self.partition)

    def mutations(self) -> tuple[Mutation, ...]:
        key = codec.partition_key(self.topic_id, self.partition_index)
        return (Put(key, codec.encode_partition(self.partition)),)


class TopicRemoved(NamedTuple):
    """A topic is gone from the metadata; its logs wait for :class:`TopicPurged`."""

    name: str
    topic_id: uuid.UUID
    partition_count: int

    def apply(self, builder: ImageBuilder) -> None:
        builder.remove_topic(self.topic_id)

    def mutations(self) -> tuple[Mutation, ...]:
        return (
            Delete(codec.topic_key(self.topic_id)),
            DeletePrefix(codec.partition_prefix(self.topic_id)),
            Delete(codec.topic_config_key(self.name)),
            Put(
                codec.deleted_topic_key(self.topic_id),
                codec.encode_deleted_topic(self.name, self.partition_count),
            ),
        )


class DeletedTopicLoaded(NamedTuple):
    """A deleted topic whose logs were not all removed before the restart; only a load makes it."""

    name: str
    topic_id: uuid.UUID
    partition_count: int

    def apply(self, builder: ImageBuilder) -> None:
        builder.load_deleted_topic(self.name, self.topic_id, self.partition_count)

    def mutations(self) -> tuple[Mutation, ...]:
        value = codec.encode_deleted_topic(self.name, self.partition_count)
        return (Put(codec.deleted_topic_key(self.topic_id), value),)


class TopicPurged(NamedTuple):
    """The logs of a deleted topic are gone from every disk."""

    topic_id: uuid.UUID

    def apply(self, builder: ImageBuilder) -> None:
        builder.deleted_topics[self.topic_id] = None

    def mutations(self) -> tuple[Mutation, ...]:
        return (Delete(codec.deleted_topic_key(self.topic_id)),)


class ConfigChanged(NamedTuple):
    """A resource's configuration is now exactly ``values``."""

    resource: ConfigResource
    values: Mapping[str, str]

    def apply(self, builder: ImageBuilder) -> None:
        builder.set_config(self.resource, self.values)

    def mutations(self) -> tuple[Mutation, ...]:
        key = codec.config_key(self.resource)
        return (Put(key, codec.encode_config(self.values)) if self.values else Delete(key),)


class ProducerIdsAllocated(NamedTuple):
    """A block of producer ids was handed out; the next one starts at ``next_producer_id``."""

    broker_id: int
    next_producer_id: int

    def apply(self, builder: ImageBuilder) -> None:
        if self.next_producer_id < builder.next_producer_id:
            raise InconsistentMetadataError(
                f"producer ids would be handed out twice: {self.next_producer_id} "
                f"is below {builder.next_producer_id}"
            )
        builder.next_producer_id = self.next_producer_id

    def mutations(self) -> tuple[Mutation, ...]:
        value = codec.encode_producer_ids(self.broker_id, self.next_producer_id)
        return (Put(codec.PRODUCER_IDS_KEY, value),)


MetadataRecord = (
    ClusterFormatted
    | ControllerChanged
    | BrokerRegistered
    | BrokerUnregistered
    | FeatureChanged
    | TopicCreated
    | PartitionChanged
    | TopicRemoved
    | DeletedTopicLoaded
    | TopicPurged
    | ConfigChanged
    | ProducerIdsAllocated
)
