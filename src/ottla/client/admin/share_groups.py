"""Share groups (KIP-932): members, and where in the partitions a group is."""

from __future__ import annotations

from typing import NamedTuple

from ottla.client.enumerations import AclOperation
from ottla.client.errors import KafkaError
from ottla.client.values import Node, TopicPartition


class ShareMemberDescription(NamedTuple):
    """A member of a share group.

    Attributes:
        member_id: the id the coordinator knows it by.
        client_id: its ``client.id``.
        host: where it connects from.
        rack_id: its rack, if it has one.
        member_epoch: the epoch it has reached.
        subscribed_topics: the topics it wants.
        assignment: the partitions it reads; others may read them too.
    """

    member_id: str
    client_id: str
    host: str
    rack_id: str | None
    member_epoch: int
    subscribed_topics: list[str]
    assignment: list[TopicPartition]


class ShareGroupDescription(NamedTuple):
    """What ``describe_share_groups`` answers for one group.

    Attributes:
        group_id: its id.
        state: ``Empty``, ``Stable`` or ``Dead``.
        members: its members.
        assignor: what distributes the partitions.
        group_epoch: counts changes of members and subscriptions.
        target_assignment_epoch: the group epoch that the assignment was made for.
        coordinator: the broker that coordinates it.
        authorized_operations: what this client may do with it, None if that was not asked for.
    """

    group_id: str
    state: str
    members: list[ShareMemberDescription]
    assignor: str
    group_epoch: int
    target_assignment_epoch: int
    coordinator: Node
    authorized_operations: list[AclOperation] | None


class SharePartitionOffset(NamedTuple):
    """Where a share group is in a partition.

    Attributes:
        start_offset: the first offset that is not done with, None if the group has not begun.
        leader_epoch: the epoch of the leader then, None if it is not known.
        lag: how many records are not done with, None if the broker does not tell (KIP-1226).
        error: why nothing is known.
    """

    start_offset: int | None
    leader_epoch: int | None
    lag: int | None
    error: KafkaError | None
