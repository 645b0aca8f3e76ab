"""Partitions on their way to other brokers, and how their leaders stand."""

from __future__ import annotations

from typing import NamedTuple

from ottla.client.values import Uuid


class PartitionReassignment(NamedTuple):
    """A move that is under way.

    Attributes:
        replicas: the brokers that hold the partition now.
        adding_replicas: those of them that are new.
        removing_replicas: those of them that will not hold it any more.
    """

    replicas: list[int]
    adding_replicas: list[int]
    removing_replicas: list[int]


class PartitionDescription(NamedTuple):
    """A partition as ``describe_topic_partitions`` answers it (KIP-966).

    Attributes:
        partition: its number.
        leader: the id of its leader, -1 for none.
        leader_epoch: the leader's epoch, -1 if it is not known.
        replicas: the brokers that hold it.
        in_sync_replicas: those that have all of it.
        eligible_leader_replicas: those that may also be elected without loss, None if the broker
            does not tell.
        last_known_eligible_leader_replicas: the last ones there were, None likewise.
        offline_replicas: those that are down.
    """

    partition: int
    leader: int
    leader_epoch: int
    replicas: list[int]
    in_sync_replicas: list[int]
    eligible_leader_replicas: list[int] | None
    last_known_eligible_leader_replicas: list[int] | None
    offline_replicas: list[int]


class TopicPartitionsDescription(NamedTuple):
    """A topic as ``describe_topic_partitions`` answers it.

    Attributes:
        name: its name.
        topic_id: its id.
        is_internal: whether it is Kafka's own.
        partitions: its partitions by number.
    """

    name: str
    topic_id: Uuid
    is_internal: bool
    partitions: list[PartitionDescription]
