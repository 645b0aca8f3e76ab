"""CreateTopics."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ottla.metadata import topic_names
from ottla.metadata.config.describe import DescribedConfig, describe_created_topic
from ottla.metadata.config.resolve import ConfigResolver
from ottla.metadata.config.validate import check_topic_config
from ottla.metadata.controller.assignment import (
    check_manual_assignment,
    check_partition_limits,
    new_manual_partition,
    new_partition,
    registered_brokers,
)
from ottla.metadata.controller.decision import Decision, RecordBudget
from ottla.metadata.image import ClusterImage, ConfigResource, PartitionImage, ResourceType
from ottla.metadata.placement import place_replicas
from ottla.metadata.records import (
    ConfigChanged,
    MetadataRecord,
    PartitionChanged,
    TopicCreated,
)
from ottla.wire.errors import ErrorCode, ProtocolError

if TYPE_CHECKING:
    from ottla.ports.entropy import Entropy


class NewTopic(NamedTuple):
    """A topic that is asked for.

    Attributes:
        name: Its name.
        partition_count: -1 for the broker's default, or if there are assignments.
        replication_factor: -1 for the broker's default, or if there are assignments.
        assignments: Replicas by hand, as (partition index, broker ids).
        configs: Its own configuration, as (key, value).
    """

    name: str
    partition_count: int = -1
    replication_factor: int = -1
    assignments: tuple[tuple[int, tuple[int, ...]], ...] = ()
    configs: tuple[tuple[str, str | None], ...] = ()


class CreatedTopic(NamedTuple):
    """A topic as it was, or with validate_only would be, created."""

    name: str
    topic_id: uuid.UUID
    partition_count: int
    replication_factor: int
    configs: list[DescribedConfig]


CreateTopicsReply = list[tuple[str, CreatedTopic | ProtocolError]]


def decide_create_topics(
    image: ClusterImage,
    resolver: ConfigResolver,
    topics: Sequence[NewTopic],
    entropy: Entropy,
    *,
    validate_only: bool = False,
    allow_internal: bool = True,
) -> Decision[CreateTopicsReply]:
    """Create what can be created.

    Args:
        resolver: The broker's configuration, for defaults.
        validate_only: Answer as if, but write nothing.
        allow_internal: Whether the names of internal topics may be used; Kafka lets any client
            with the right to create topics use them, so this is the default.

    Returns:
        For each name, in the order of the request, the topic or why not. A name that was given
        several times is answered once, with INVALID_REQUEST.
    """
    counts = Counter(topic.name for topic in topics)
    creation = _Creation(image, resolver, entropy, allow_internal)
    reply: CreateTopicsReply = []
    for topic in {each.name: each for each in topics}.values():
        try:
            if counts[topic.name] > 1:
                raise ProtocolError(ErrorCode.INVALID_REQUEST, "Duplicate topic name.")
            reply.append((topic.name, creation.create(topic)))
        except ProtocolError as error:
            reply.append((topic.name, error))
    return Decision(() if validate_only else tuple(creation.records), reply)


class _Creation:
    """One request; what its earlier topics took counts for the later ones."""

    def __init__(
        self,
        image: ClusterImage,
        resolver: ConfigResolver,
        entropy: Entropy,
        allow_internal: bool,
    ) -> None:
        self.records: list[MetadataRecord] = []
        self._image = image
        self._resolver = resolver
        self._entropy = entropy
        self._allow_internal = allow_internal
        self._budget = RecordBudget()
        self._collisions: dict[str, str] = {}
        self._partition_count = image.partition_count

    def create(self, topic: NewTopic) -> CreatedTopic:
        self._check_name(topic.name)
        configs = _checked_configs(self._image, self._resolver, topic)
        partitions = self._partitions(topic)
        topic_id = self._entropy.uuid()
        self.records.append(TopicCreated(topic.name, topic_id))
        if configs:
            resource = ConfigResource(ResourceType.TOPIC, topic.name)
            self.records.append(ConfigChanged(resource, configs))
        self.records.extend(
            PartitionChanged(topic_id, index, partition)
            for index, partition in enumerate(partitions)
        )
        self._partition_count += len(partitions)
        collision_key = topic_names.collision_key(topic.name)
        if collision_key is not None:
            self._collisions[collision_key] = topic.name
        layers = self._resolver.layers(self._image)
        return CreatedTopic(
            topic.name,
            topic_id,
            len(partitions),
            len(partitions[0].replicas),
            describe_created_topic(layers, configs),
        )

    def _check_name(self, name: str) -> None:
        reason = topic_names.invalid_reason(name)
        if reason is not None:
            raise ProtocolError(ErrorCode.INVALID_TOPIC_EXCEPTION, reason)
        if name == topic_names.CLUSTER_METADATA_TOPIC or (
            topic_names.is_internal(name) and not self._allow_internal
        ):
            raise ProtocolError(
                ErrorCode.INVALID_REQUEST, f"Creation of internal topic {name} is prohibited."
            )
        if name in self._image.topics:
            raise ProtocolError(ErrorCode.TOPIC_ALREADY_EXISTS, f"Topic '{name}' already exists.")
        collision_key = topic_names.collision_key(name)
        if collision_key is not None:
            existing = self._image.colliding_names.get(collision_key) or ()
            colliding = next(iter(existing), self._collisions.get(collision_key))
            if colliding is not None:
                raise ProtocolError(
                    ErrorCode.INVALID_TOPIC_EXCEPTION,
                    f"Topic '{name}' collides with existing topic: {colliding}",
                )

    def _partitions(self, topic: NewTopic) -> list[PartitionImage]:
        if topic.assignments:
            return self._manual_partitions(topic)
        if topic.replication_factor < -1 or topic.replication_factor == 0:
            raise ProtocolError(
                ErrorCode.INVALID_REPLICATION_FACTOR,
                "Replication factor must be larger than 0, or -1 to use the default value.",
            )
        if topic.partition_count < -1 or topic.partition_count == 0:
            raise ProtocolError(
                ErrorCode.INVALID_PARTITIONS,
                "Number of partitions was set to an invalid non-positive value.",
            )
        broker = self._resolver.broker(self._image)
        count = topic.partition_count
        if count == -1:
            count = broker.integer("num.partitions")
        factor = topic.replication_factor
        if factor == -1:
            factor = broker.integer("default.replication.factor")
        self._take(count)
        replicas = place_replicas(registered_brokers(self._image), count, factor, self._entropy)
        active = {each.broker_id for each in self._image.active_brokers()}
        return [new_partition(each, active) for each in replicas]

    def _manual_partitions(self, topic: NewTopic) -> list[PartitionImage]:
        if topic.replication_factor != -1:
            raise ProtocolError(
                ErrorCode.INVALID_REQUEST,
                "A manual partition assignment was specified, but replication factor was not "
                "set to -1.",
            )
        if topic.partition_count != -1:
            raise ProtocolError(
                ErrorCode.INVALID_REQUEST,
                "A manual partition assignment was specified, but numPartitions was not set to -1.",
            )
        self._take(len(topic.assignments))
        partitions: dict[int, PartitionImage] = {}
        factor: int | None = None
        for index, replicas in topic.assignments:
            if index in partitions:
                raise ProtocolError(
                    ErrorCode.INVALID_REPLICA_ASSIGNMENT,
                    f"Found multiple manual partition assignments for partition {index}",
                )
            check_manual_assignment(self._image, replicas, factor)
            factor = len(replicas)
            partitions[index] = new_manual_partition(self._image, index, replicas)
        if sorted(partitions) != list(range(len(partitions))):
            raise ProtocolError(
                ErrorCode.INVALID_REPLICA_ASSIGNMENT,
                "partitions should be a consecutive 0-based integer sequence",
            )
        return [partitions[index] for index in range(len(partitions))]

    def _take(self, partition_count: int) -> None:
        broker = self._resolver.broker(self._image)
        check_partition_limits(broker, partition_count, self._partition_count + partition_count)
        # The topic, its configuration, its partitions.
        self._budget.take(2 + partition_count)


def _checked_configs(
    image: ClusterImage, resolver: ConfigResolver, topic: NewTopic
) -> dict[str, str]:
    missing = [name for name, value in topic.configs if value is None]
    if missing:
        raise ProtocolError(
            ErrorCode.INVALID_CONFIG,
            f"Null value not supported for topic configs: {','.join(missing)}",
        )
    configs: Mapping[str, str] = {name: value for name, value in topic.configs if value is not None}
    check_topic_config(resolver.layers(image), configs)
    return dict(configs)
