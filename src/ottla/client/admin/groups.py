"""Consumer groups: listings, members and descriptions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ottla.client.admin.acls import authorized
from ottla.client.enumerations import (
    AclOperation,
    ConsumerGroupState,
    ConsumerGroupType,
    as_member,
)
from ottla.client.errors import KafkaError
from ottla.client.values import Node, TopicPartition


class ConsumerGroupListing:
    """One group of ``list_consumer_groups``; ``state`` and ``type`` only where they are known."""

    state: ConsumerGroupState
    type: ConsumerGroupType

    def __init__(
        self,
        group_id: str,
        is_simple_consumer_group: bool,
        state: ConsumerGroupState | str | int | None = None,
        type: ConsumerGroupType | str | int | None = None,
    ) -> None:
        self.group_id = group_id
        self.is_simple_consumer_group = is_simple_consumer_group
        if state is not None:
            self.state = as_member(state, ConsumerGroupState)
        if type is not None:
            self.type = as_member(type, ConsumerGroupType)


class GroupListing(NamedTuple):
    """One group of ``list_all_groups``.

    Attributes:
        group_id: its id.
        protocol_type: ``consumer`` for consumers, something else for other programs; empty for a
            group that only has offsets.
        state: what it is doing, as the broker names it; empty if the broker does not say.
        group_type: ``Consumer``, ``Classic``, ``Share`` or ``Streams``; empty likewise.
    """

    group_id: str
    protocol_type: str
    state: str
    group_type: str


class MemberToRemove(NamedTuple):
    """A member for ``remove_group_members``: a static one by its instance id, or by member id.

    Attributes:
        member_id: the id the coordinator knows it by, None for whichever has the instance id.
        group_instance_id: its ``group.instance.id``, None if it is no static member.
    """

    member_id: str | None = None
    group_instance_id: str | None = None


class ListConsumerGroupsResult:
    """What ``list_consumer_groups`` answers: the groups, and errors of brokers that failed."""

    def __init__(
        self,
        valid: list[ConsumerGroupListing] | None = None,
        errors: list[KafkaError] | None = None,
    ) -> None:
        self.valid = valid
        self.errors = errors


class MemberAssignment:
    """The partitions of one group member."""

    def __init__(self, topic_partitions: list[TopicPartition] | None) -> None:
        self.topic_partitions = topic_partitions or []


class MemberDescription:
    """One member of a group.

    Args:
        member_id: the id the coordinator knows it by.
        client_id: its ``client.id``.
        host: where it connects from.
        assignment: its partitions.
        group_instance_id: its ``group.instance.id``, if it is a static member.
        target_assignment: the partitions it is to have (new group protocol).

    Attributes:
        rack_id: its rack; like the following, known of members of the new protocol only.
        member_epoch: the epoch it has reached.
        subscribed_topics: the topics it names.
        subscribed_topic_regex: the pattern of topics that it wants.
        is_classic: it speaks the classic protocol in a group of the new one.
    """

    rack_id: str | None = None
    member_epoch: int | None = None
    subscribed_topics: list[str] | None = None
    subscribed_topic_regex: str | None = None
    is_classic: bool | None = None

    def __init__(
        self,
        member_id: str,
        client_id: str,
        host: str,
        assignment: MemberAssignment,
        group_instance_id: str | None = None,
        target_assignment: MemberAssignment | None = None,
    ) -> None:
        self.member_id = member_id
        self.client_id = client_id
        self.host = host
        self.assignment = assignment
        self.target_assignment = target_assignment
        self.group_instance_id = group_instance_id


class ConsumerGroupDescription:
    """What ``describe_consumer_groups`` answers for one group.

    Attributes:
        state_name: the state as the broker names it, also where ``state`` is ``UNKNOWN``.
        group_epoch: counts changes of members and subscriptions (new group protocol).
        target_assignment_epoch: the group epoch that the target assignment was made for.
    """

    state_name: str | None = None
    group_epoch: int | None = None
    target_assignment_epoch: int | None = None
    state: ConsumerGroupState
    type: ConsumerGroupType

    def __init__(
        self,
        group_id: str,
        is_simple_consumer_group: bool,
        members: list[MemberDescription],
        partition_assignor: str,
        state: ConsumerGroupState | str | int | None,
        coordinator: Node,
        authorized_operations: Sequence[AclOperation | str | int] | None = None,
        type: ConsumerGroupType | str | int | None = ConsumerGroupType.UNKNOWN,
    ) -> None:
        self.group_id = group_id
        self.is_simple_consumer_group = is_simple_consumer_group
        self.members = members
        self.authorized_operations = authorized(authorized_operations)
        self.partition_assignor = partition_assignor
        if state is not None:
            self.state = as_member(state, ConsumerGroupState)
        if type is not None:
            self.type = as_member(type, ConsumerGroupType)
        self.coordinator = coordinator
