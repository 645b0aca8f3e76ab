"""The state of a share group. Its epoch rises with every change of members, subscriptions, topics;
an assignment is made for each epoch, and a member has the epoch of the assignment it was told.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple
from uuid import UUID

from ottla.coordination.groups.group import Group, GroupType, Membership, PartitionName
from ottla.coordination.outcome import CoordinatorRecord
from ottla.coordination.share_groups.assignor import TopicPartitionId
from ottla.wire.errors import ErrorCode

#: What a member that is not told to read anything reads.
NOTHING: frozenset[TopicPartitionId] = frozenset()


class ShareMember(NamedTuple):
    """A member of a share group.

    previous_epoch: accepted too, because the answer with the new epoch may be lost.
    assigned: what it was told to read.
    """

    member_id: str
    rack_id: str | None
    client_id: str
    client_host: str
    subscribed_topic_names: frozenset[str]
    epoch: int = 0
    previous_epoch: int = -1
    assigned: frozenset[TopicPartitionId] = NOTHING


class StateTopic(NamedTuple):
    """Partitions of one topic that share coordinators keep state of."""

    name: str
    partitions: frozenset[int]


class ShareGroup(Group):
    """One share group.

    Attributes:
        epoch: raised by every change that asks for another assignment.
        metadata_hash: of the subscribed topics, as they were at that epoch.
        assignment_epoch: of the target assignment.
        assignment_timestamp_ms: when that was made; 0: there is none.
        target: what each member shall read.
        initializing: topics whose state is not there yet.
        initialized: topics whose partitions may be assigned.
        deleting: topics whose state is on its way out, with their names.
    """

    __slots__ = (
        "assignment_epoch",
        "assignment_timestamp_ms",
        "deleting",
        "epoch",
        "group_id",
        "initialized",
        "initializing",
        "members",
        "metadata_hash",
        "target",
    )

    MODULE = "ottla.coordination.share_groups.requests"
    TYPE = GroupType.SHARE

    def __init__(self, group_id: str) -> None:
        self.group_id = group_id
        self.epoch = 0
        self.metadata_hash = 0
        self.assignment_epoch = 0
        self.assignment_timestamp_ms = 0
        self.members: dict[str, ShareMember] = {}
        self.target: dict[str, frozenset[TopicPartitionId]] = {}
        self.initializing: dict[UUID, StateTopic] = {}
        self.initialized: dict[UUID, StateTopic] = {}
        self.deleting: dict[UUID, str] = {}

    # What a shard asks of every group

    @property
    def protocol_name_on_wire(self) -> str:
        return "share"

    @property
    def state_on_wire(self) -> str:
        return "Stable" if self.members else "Empty"

    @property
    def has_members(self) -> bool:
        return bool(self.members)

    @property
    def may_vanish(self) -> bool:
        """Never by itself: what was delivered must not be delivered again."""
        return False

    def is_subscribed_to(self, topic: str) -> bool:
        return any(topic in member.subscribed_topic_names for member in self.members.values())

    def check_commit(self, who: Membership, partitions: Iterable[PartitionName]) -> ErrorCode:
        """Share groups have no committed offsets."""
        return ErrorCode.GROUP_ID_NOT_FOUND

    def check_fetch(self, who: Membership) -> ErrorCode:
        return ErrorCode.GROUP_ID_NOT_FOUND

    def check_offset_delete(self) -> ErrorCode:
        return ErrorCode.GROUP_ID_NOT_FOUND

    def tombstones(self) -> list[CoordinatorRecord]:
        from ottla.coordination.share_groups.records import group_tombstones

        return group_tombstones(self)

    def apply(self, event: Any) -> None:
        """There are no events: everything is a record."""
        raise TypeError(f"a share group knows no {type(event).__name__}")

    # Questions

    def state_topic(self, topic_id: UUID) -> StateTopic | None:
        """The partitions of a topic with state, whether ready or not."""
        ready = self.initialized.get(topic_id)
        coming = self.initializing.get(topic_id)
        if ready is None or coming is None:
            return ready or coming
        return ready._replace(partitions=ready.partitions | coming.partitions)
