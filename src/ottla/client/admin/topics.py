"""Topics to create, partitions to add, and what a topic is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import SupportsIndex

from ottla.client.admin.acls import authorized
from ottla.client.arguments import int32, text
from ottla.client.enumerations import AclOperation
from ottla.client.ordering import OrderedByKey
from ottla.client.values import TopicPartitionInfo, Uuid

ReplicaAssignment = Sequence[Sequence[int]]


class NewTopic(OrderedByKey):
    """A topic for ``create_topics``.

    Equality, order and hash look at the name and the number of partitions; compared with anything
    that is no ``NewTopic`` it raises ``NotImplementedError``, as confluent_kafka's does.

    Args:
        topic: its name.
        num_partitions: how many partitions; -1: the broker's default.
        replication_factor: how many replicas; -1: the broker's default. Not to be given together
            with ``replica_assignment``.
        replica_assignment: for every partition the brokers of its replicas.
        config: configuration entries of the topic, names and values as text.
    """

    __slots__ = ("_topic", "config", "num_partitions", "replica_assignment", "replication_factor")

    def __init__(
        self,
        topic: str,
        num_partitions: SupportsIndex = -1,
        replication_factor: SupportsIndex = -1,
        replica_assignment: ReplicaAssignment | None = None,
        config: Mapping[str, str] | None = None,
    ) -> None:
        if config is not None and not isinstance(config, dict):
            raise TypeError("config must be a dict of strings")
        self._topic = text(topic, "topic")
        self.num_partitions = int32(num_partitions)
        self.replication_factor = int32(replication_factor)
        self.replica_assignment = replica_assignment
        self.config = config

    @property
    def topic(self) -> str:
        """The topic's name."""
        return self._topic

    def __repr__(self) -> str:
        partitions = "" if self.num_partitions == -1 else f",num_partitions={self.num_partitions}"
        return f"NewTopic(topic={self._topic}{partitions})"

    def __hash__(self) -> int:
        return hash(self._topic)

    def _key(self) -> tuple[str, int]:
        return self._topic, self.num_partitions


class NewPartitions(OrderedByKey):
    """More partitions of a topic, for ``create_partitions``.

    Equality, order and hash look at the name and the count, with the same ``NotImplementedError``
    as :class:`NewTopic`.

    Args:
        topic: the topic's name.
        new_total_count: how many partitions it shall have.
        replica_assignment: for every new partition the brokers of its replicas.
    """

    __slots__ = ("_topic", "new_total_count", "replica_assignment")

    def __init__(
        self,
        topic: str,
        new_total_count: SupportsIndex,
        replica_assignment: ReplicaAssignment | None = None,
    ) -> None:
        self._topic = text(topic, "topic")
        self.new_total_count = int32(new_total_count)
        self.replica_assignment = replica_assignment

    @property
    def topic(self) -> str:
        """The topic's name."""
        return self._topic

    def __repr__(self) -> str:
        return f"NewPartitions(topic={self._topic},new_total_count={self.new_total_count})"

    def __hash__(self) -> int:
        return hash(self._topic) ^ self.new_total_count

    def _key(self) -> tuple[str, int]:
        return self._topic, self.new_total_count


class TopicDescription:
    """What ``describe_topics`` answers for one topic."""

    def __init__(
        self,
        name: str,
        topic_id: Uuid,
        is_internal: bool,
        partitions: list[TopicPartitionInfo],
        authorized_operations: Sequence[AclOperation | str | int] | None = None,
    ) -> None:
        self.name = name
        self.topic_id = topic_id
        self.is_internal = is_internal
        self.partitions = partitions
        self.authorized_operations = authorized(authorized_operations)
