"""The state of one consumer group: what its records make of it.

    Empty ──► Assigning ──► Reconciling ──► Stable

The group epoch grows with every change of members, subscriptions or topics; until a target
assignment exists for it the group is Assigning, and until all members have come to that target it
is Reconciling. Each member gets there by its own heartbeats, one epoch after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, MutableMapping
from typing import Any, NamedTuple
from uuid import UUID

from ottla.coordination.groups.consumer import group_log
from ottla.coordination.groups.consumer.group_log import Target
from ottla.coordination.groups.consumer.member import NO_PARTITIONS, ConsumerMember, MemberState
from ottla.coordination.groups.group import Group, GroupType, Membership, PartitionName
from ottla.coordination.groups.overlay import Overlay
from ottla.coordination.outcome import CoordinatorRecord
from ottla.wire.errors import ErrorCode
from ottla.wire.group_records import GroupRecordKey, GroupRecordValue, consumer, encode_key

# Members of the consumer protocol commit with this version at least.
_MEMBER_EPOCH_VERSION = 9

NO_TARGET: Target = {}


class ResolvedRegex(NamedTuple):
    """The topics that a regular expression matched when it was last looked at."""

    topics: frozenset[str]
    timestamp_ms: int


class TopicsSeen(NamedTuple):
    """The group has been compared with these topics of the cluster.

    topics: the image's topics; compared by identity.
    with_patterns: whether regular expressions have been matched against them as well.
    """

    group_id: str
    topics: object
    with_patterns: bool
    now_ms: int


class MemberCalled(NamedTuple):
    """A classic member was told to join again, or has joined again."""

    group_id: str
    member_id: str
    is_called: bool


class ConsumerGroup(Group):
    """One group. Only `replay` and `apply` change it; everything else reads."""

    MODULE = "ottla.coordination.groups.consumer.requests"
    TYPE = GroupType.CONSUMER

    __slots__ = (
        "assignment_timestamp_ms",
        "called",
        "classic_count",
        "classic_supporters",
        "epoch",
        "group_id",
        "has_partition_metadata",
        "holders",
        "matched_ms",
        "matched_topics",
        "members",
        "metadata_hash",
        "regex_counts",
        "resolved",
        "static_members",
        "target_epoch",
        "targets",
        "topic_counts",
        "topics_seen",
    )

    def __init__(self, group_id: str) -> None:
        self.group_id = group_id
        self.epoch = 0
        self.metadata_hash = 0
        self.target_epoch = 0
        self.assignment_timestamp_ms = 0
        self.members: MutableMapping[str, ConsumerMember] = {}
        #: group.instance.id → member id
        self.static_members: MutableMapping[str, str] = {}
        self.targets: MutableMapping[str, Target] = {}
        #: Topic id → partition → the member that owns it, or hasn't yet confirmed its revocation.
        #: By the number of the id: a UUID's own hash is computed in Python, each time.
        self.holders: MutableMapping[tuple[int, int], str] = {}
        #: Topic name → how many members subscribe to it by name.
        self.topic_counts: MutableMapping[str, int] = {}
        self.regex_counts: MutableMapping[str, int] = {}
        self.resolved: MutableMapping[str, ResolvedRegex] = {}
        self.classic_count = 0
        #: Protocol name → how many members of the classic protocol support it.
        self.classic_supporters: MutableMapping[str, int] = {}
        #: Whether a record of Kafka 4.0 is there, which the next epoch makes superfluous.
        self.has_partition_metadata = False
        #: Volatile: classic members that were told to join again and haven't yet.
        self.called: MutableMapping[str, None] = {}
        #: Volatile: the cluster's topics that the epoch and the patterns are up to date with.
        self.topics_seen: object = None
        self.matched_topics: object = None
        self.matched_ms = 0

    def draft(self) -> ConsumerGroup:
        """A copy to try records on, as cheap as the changes that will be made to it."""
        copy = ConsumerGroup.__new__(ConsumerGroup)
        for name in _PLAIN:
            setattr(copy, name, getattr(self, name))
        for name in _MAPPINGS:
            setattr(copy, name, Overlay(getattr(self, name)))
        return copy

    # Questions

    @property
    def state(self) -> str:
        """The group's state, as it is called on the wire."""
        if not self.members:
            return "Empty"
        if self.epoch > self.target_epoch:
            return "Assigning"
        if all(member.is_reconciled_to(self.target_epoch) for member in self.members.values()):
            return "Stable"
        return "Reconciling"

    def static_member(self, instance_id: str | None) -> ConsumerMember | None:
        """The member with that group.instance.id."""
        if instance_id is None:
            return None
        return self.members.get(self.static_members.get(instance_id, ""))

    def subscribed_topics(self) -> set[str]:
        """All names that members subscribe to, whether or not such topics exist."""
        topics = set(self.topic_counts)
        for regex in self.regex_counts:
            found = self.resolved.get(regex)
            if found is not None:
                topics |= found.topics
        return topics

    def topics_of(self, member: ConsumerMember) -> frozenset[str]:
        """All names that one member subscribes to."""
        found = self.resolved.get(member.regex) if member.regex else None
        return member.topics if found is None else member.topics | found.topics

    @property
    def is_homogeneous(self) -> bool:
        """Whether all members subscribe to the same topics."""
        count = len(self.members)
        if not self.regex_counts:
            return all(each == count for each in self.topic_counts.values())
        return not self.topic_counts and next(iter(self.regex_counts.values())) == count

    def preferred_assignor(self) -> str | None:
        """The assignor most members ask for."""
        votes: dict[str, int] = {}
        for member in self.members.values():
            if member.server_assignor is not None:
                votes[member.server_assignor] = votes.get(member.server_assignor, 0) + 1
        return max(votes, key=votes.__getitem__) if votes else None

    def target(self, member_id: str) -> Target:
        """What a member shall own."""
        return self.targets.get(member_id, NO_TARGET)

    def waits_for_others(self, member: ConsumerMember) -> bool:
        """Whether a partition of the member's target is still held by another member."""
        return any(
            self.is_held_by_other(member, topic_id, partition)
            for topic_id, partitions in self.target(member.member_id).items()
            for partition in partitions
        )

    def is_held_by_other(self, member: ConsumerMember, topic_id: UUID, partition: int) -> bool:
        """Whether another member owns the partition, or hasn't confirmed that it gave it up."""
        return self.holders.get((topic_id.int, partition), member.member_id) != member.member_id

    # What a shard asks of every group

    @property
    def protocol_name_on_wire(self) -> str:
        """See `Group`."""
        return "consumer"

    @property
    def state_on_wire(self) -> str:
        """See `Group`."""
        return self.state

    @property
    def has_members(self) -> bool:
        """See `Group`."""
        return bool(self.members)

    @property
    def offsets_unused_since_ms(self) -> int | None:
        """See `Group`. Each offset's own commit counts."""
        return 0

    def is_subscribed_to(self, topic: str) -> bool:
        """See `Group`."""
        return topic in self.topic_counts or any(
            topic in self.resolved[regex].topics
            for regex in self.regex_counts
            if regex in self.resolved
        )

    def check_commit(self, who: Membership, partitions: Iterable[PartitionName]) -> ErrorCode:
        """See `Group`.

        A commit of a partition assigned before the member's epoch last changed is as good as one
        at the member's epoch (KIP-1251): nobody else can own the partition yet.
        """
        if who.epoch < 0 and not self.members:
            return ErrorCode.NONE
        if who.is_transactional and who.is_anonymous:
            # All that a producer older than KIP-447 tells of the consumer.
            return ErrorCode.NONE
        member = self.members.get(who.member_id)
        if member is None:
            return ErrorCode.UNKNOWN_MEMBER_ID
        if member.classic is not None:
            same = who.epoch == member.epoch
            return ErrorCode.NONE if same else ErrorCode.ILLEGAL_GENERATION
        if not who.is_transactional and who.version < _MEMBER_EPOCH_VERSION:
            return ErrorCode.UNSUPPORTED_VERSION
        if who.epoch == member.epoch:
            return ErrorCode.NONE
        if who.epoch > member.epoch or who.epoch < 0:
            return ErrorCode.STALE_MEMBER_EPOCH
        for _, topic_id, partition in partitions:
            assigned_at = member.assignment_epoch(topic_id, partition)
            if assigned_at is None or who.epoch < assigned_at:
                return ErrorCode.STALE_MEMBER_EPOCH
        return ErrorCode.NONE

    def check_fetch(self, who: Membership) -> ErrorCode:
        """See `Group`."""
        member = self.members.get(who.member_id)
        if member is None:
            return ErrorCode.UNKNOWN_MEMBER_ID
        if who.epoch == member.epoch:
            return ErrorCode.NONE
        if member.classic is not None:
            return ErrorCode.ILLEGAL_GENERATION
        return ErrorCode.STALE_MEMBER_EPOCH

    def tombstones(self) -> list[CoordinatorRecord]:
        """See `Group`."""
        group_id = self.group_id
        keys: list[GroupRecordKey] = []
        keys += (group_log.current_key(group_id, member_id) for member_id in self.members)
        keys += (group_log.target_key(group_id, member_id) for member_id in self.targets)
        keys.append(group_log.target_metadata_key(group_id))
        keys += (group_log.member_key(group_id, member_id) for member_id in self.members)
        keys += (group_log.regex_key(group_id, regex) for regex in self.resolved)
        if self.has_partition_metadata:
            keys.append(group_log.partition_metadata_key(group_id))
        keys.append(group_log.group_key(group_id))
        return [CoordinatorRecord(encode_key(key), None) for key in keys]

    # Changes

    def apply(self, event: TopicsSeen | MemberCalled) -> None:
        """Makes a change that a restart forgets."""
        if isinstance(event, MemberCalled):
            if event.is_called:
                self.called[event.member_id] = None
            else:
                self.called.pop(event.member_id, None)
            return
        self.topics_seen = event.topics
        if event.with_patterns:
            self.matched_topics = event.topics
            self.matched_ms = event.now_ms

    def replay(self, key: GroupRecordKey, value: GroupRecordValue | None) -> None:
        """Takes in one record of the group, except the one that ends it."""
        _REPLAY[type(key)](self, key, value)

    def _group(
        self,
        _: consumer.ConsumerGroupMetadataKey,
        value: consumer.ConsumerGroupMetadataValue | None,
    ) -> None:
        if value is not None:
            self.epoch = value.epoch
            self.metadata_hash = value.metadata_hash

    def _partition_metadata(self, _: object, value: object) -> None:
        self.has_partition_metadata = value is not None

    def _subscription(
        self,
        key: consumer.ConsumerGroupMemberMetadataKey,
        value: consumer.ConsumerGroupMemberMetadataValue | None,
    ) -> None:
        old = self.members.get(key.member_id)
        if value is not None:
            member = old or ConsumerMember(key.member_id)
            self._put(old, group_log.with_subscription(member, value))
        elif old is not None:
            self._count(old, -1)
            self._release(old)
            self.called.pop(key.member_id, None)
            del self.members[key.member_id]
            if self.static_members.get(old.instance_id or "") == key.member_id:
                del self.static_members[old.instance_id or ""]

    def _assignment(
        self,
        key: consumer.ConsumerGroupCurrentMemberAssignmentKey,
        value: consumer.ConsumerGroupCurrentMemberAssignmentValue | None,
    ) -> None:
        old = self.members.get(key.member_id)
        if value is not None:
            self.assign(group_log.with_assignment(old or ConsumerMember(key.member_id), value))
        elif old is not None:
            self.assign(
                old._replace(
                    epoch=0,
                    previous_epoch=0,
                    state=MemberState.STABLE,
                    assigned=NO_PARTITIONS,
                    revoking=NO_PARTITIONS,
                ),
            )

    def assign(self, member: ConsumerMember) -> None:
        """Takes in another epoch, state or assignment of a member, new or known."""
        old = self.members.get(member.member_id)
        if old is None:
            self._put(None, member)
            return
        self.members[member.member_id] = member
        if old.assigned != member.assigned or old.revoking != member.revoking:
            self._release(old)
            self._hold(member)

    def _target(
        self,
        key: consumer.ConsumerGroupTargetAssignmentMemberKey,
        value: consumer.ConsumerGroupTargetAssignmentMemberValue | None,
    ) -> None:
        if value is not None:
            self.targets[key.member_id] = group_log.read_target(value)
        else:
            self.targets.pop(key.member_id, None)

    def _target_metadata(
        self, _: object, value: consumer.ConsumerGroupTargetAssignmentMetadataValue | None
    ) -> None:
        self.target_epoch = 0 if value is None else value.assignment_epoch
        self.assignment_timestamp_ms = 0 if value is None else value.assignment_timestamp

    def _regex(
        self,
        key: consumer.ConsumerGroupRegularExpressionKey,
        value: consumer.ConsumerGroupRegularExpressionValue | None,
    ) -> None:
        if value is not None:
            found = ResolvedRegex(frozenset(value.topics), value.timestamp)
            self.resolved[key.regular_expression] = found
        else:
            self.resolved.pop(key.regular_expression, None)

    def _put(self, old: ConsumerMember | None, new: ConsumerMember) -> None:
        self.members[new.member_id] = new
        if old is None or old.subscription != new.subscription:
            if old is not None:
                self._count(old, -1)
            self._count(new, 1)
        if new.instance_id is not None:
            self.static_members[new.instance_id] = new.member_id
        if old is not None:
            self._release(old)
        self._hold(new)

    def _hold(self, member: ConsumerMember) -> None:
        for partitions in (member.assigned, member.revoking):
            for topic_id, indexes in partitions.items():
                number = topic_id.int
                for partition in indexes:
                    self.holders[number, partition] = member.member_id

    def _release(self, member: ConsumerMember) -> None:
        for partitions in (member.assigned, member.revoking):
            for topic_id, indexes in partitions.items():
                number = topic_id.int
                for partition in indexes:
                    if self.holders.get((number, partition)) == member.member_id:
                        del self.holders[number, partition]

    def _count(self, member: ConsumerMember, difference: int) -> None:
        for topic in member.topics:
            _add(self.topic_counts, topic, difference)
        if member.regex:
            _add(self.regex_counts, member.regex, difference)
        if member.classic is not None:
            self.classic_count += difference
            for name, _ in member.classic.protocols:
                _add(self.classic_supporters, name, difference)


_MAPPINGS = tuple(
    name for name in ConsumerGroup.__slots__ if isinstance(getattr(ConsumerGroup(""), name), dict)
)
_PLAIN = tuple(name for name in ConsumerGroup.__slots__ if name not in _MAPPINGS)


def _add(counts: MutableMapping[str, int], key: str, difference: int) -> None:
    count = counts.get(key, 0) + difference
    if count:
        counts[key] = count
    else:
        counts.pop(key, None)


def is_settled(group: ConsumerGroup, member: ConsumerMember) -> bool:
    """Whether neither the group nor the member has anything left to do."""
    return group.epoch == group.target_epoch and member.state is MemberState.STABLE


_REPLAY: dict[type[GroupRecordKey], Callable[[ConsumerGroup, Any, Any], None]] = {
    consumer.ConsumerGroupMetadataKey: ConsumerGroup._group,
    consumer.ConsumerGroupPartitionMetadataKey: ConsumerGroup._partition_metadata,
    consumer.ConsumerGroupMemberMetadataKey: ConsumerGroup._subscription,
    consumer.ConsumerGroupCurrentMemberAssignmentKey: ConsumerGroup._assignment,
    consumer.ConsumerGroupTargetAssignmentMemberKey: ConsumerGroup._target,
    consumer.ConsumerGroupTargetAssignmentMetadataKey: ConsumerGroup._target_metadata,
    consumer.ConsumerGroupRegularExpressionKey: ConsumerGroup._regex,
}
