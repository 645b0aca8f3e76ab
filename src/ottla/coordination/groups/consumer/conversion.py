"""Classic groups that become consumer groups while their members consume, and the other way round.

``group.consumer.migration.policy`` says which way is open. A group is upgraded by the first member
that joins it with the consumer protocol; the others go on with the classic one, see
`classic_members`. It is downgraded when the last member with the consumer protocol leaves.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING
from uuid import UUID

from ottla.coordination.groups import rebalance
from ottla.coordination.groups.classic import ClassicGroup, GroupState
from ottla.coordination.groups.consumer import group_log, topics
from ottla.coordination.groups.consumer.draft import ConsumerDraft
from ottla.coordination.groups.consumer.group import ConsumerGroup
from ottla.coordination.groups.consumer.member import ClassicProtocols, ConsumerMember, Partitions
from ottla.coordination.groups.draft import Draft
from ottla.coordination.groups.group import Group
from ottla.coordination.groups.membership import Member
from ottla.coordination.groups.subscription import CONSUMER_PROTOCOL_TYPE
from ottla.coordination.groups.timers import join_timer, session_timer, sync_timer
from ottla.coordination.outcome import CoordinatorRecord
from ottla.metadata.image import ClusterImage
from ottla.wire.consumer_protocol import (
    ConsumerProtocolAssignment,
    TopicPartitions,
    decode_assignment,
    decode_subscription,
    encode_assignment,
)
from ottla.wire.errors import ErrorCode, ProtocolError
from ottla.wire.group_records import (
    GroupMember,
    GroupMetadataKey,
    GroupMetadataValue,
    encode_key,
    encode_value,
)
from ottla.wire.group_records.consumer import (
    ConsumerGroupMetadataValue,
    ConsumerGroupTargetAssignmentMetadataValue,
)

if TYPE_CHECKING:
    from ottla.coordination.groups.shard import GroupShard
    from ottla.coordination.outcome import Outcome

_MAY_UPGRADE = ("bidirectional", "upgrade")
_MAY_DOWNGRADE = ("bidirectional", "downgrade")
_SUBSCRIPTION_VERSION_BYTES = 2
_NEWEST_ASSIGNMENT_VERSION = 3


def open_group(
    shard: GroupShard, group_id: str, outcome: Outcome, now_ms: int, *, may_create: bool
) -> ConsumerDraft:
    """The consumer group of that id; one that joins makes or converts it if need be.

    Raises:
        ProtocolError: GROUP_ID_NOT_FOUND: there is none, or one that can't be converted.
    """
    group = shard.groups.get(group_id)
    if isinstance(group, ConsumerGroup):
        return ConsumerDraft(shard, group, outcome, now_ms)
    if not may_create:
        raise _not_found(group_id, "not found.")
    if group is None:
        if shard.is_full:
            raise ProtocolError(ErrorCode.POLICY_VIOLATION, "There are too many groups.")
        return ConsumerDraft(shard, ConsumerGroup(group_id), outcome, now_ms)
    if not group.has_members:
        outcome.records.extend(group.tombstones())
        for member_id in group.volatile_sessions():
            outcome.cancel_timer(session_timer(group_id, member_id))
        return ConsumerDraft(shard, ConsumerGroup(group_id), outcome, now_ms)
    return _upgrade(shard, _upgradable(shard, group), outcome, now_ms)


def _not_found(group_id: str, why: str) -> ProtocolError:
    return ProtocolError(ErrorCode.GROUP_ID_NOT_FOUND, f"Consumer group {group_id[:1_000]} {why}")


def _upgradable(shard: GroupShard, group: Group) -> ClassicGroup:
    if not isinstance(group, ClassicGroup):
        raise _not_found(group.group_id, "is not a consumer group.")
    if shard.settings.consumer_migration_policy not in _MAY_UPGRADE:
        raise _not_found(group.group_id, "can't be upgraded: online upgrade is disabled.")
    if not group.uses_consumer_protocol:
        raise _not_found(group.group_id, "can't be upgraded: its members are not consumers.")
    if len(group.members) > shard.settings.consumer_max_group_members:
        raise _not_found(group.group_id, "can't be upgraded: it has too many members.")
    return group


def _upgrade(
    shard: GroupShard, classic: ClassicGroup, outcome: Outcome, now_ms: int
) -> ConsumerDraft:
    """Makes a consumer group with the same members, assignment and epoch."""
    group_id = classic.group_id
    members = [_upgraded(classic, member, shard.image) for member in classic.members.values()]
    outcome.replies.extend(classic.abandon(ErrorCode.REBALANCE_IN_PROGRESS))
    outcome.records.extend(classic.tombstones())
    outcome.cancel_timer(join_timer(group_id))
    outcome.cancel_timer(sync_timer(group_id))
    for member_id in classic.volatile_sessions():
        outcome.cancel_timer(session_timer(group_id, member_id))
    draft = ConsumerDraft(shard, ConsumerGroup(group_id), outcome, now_ms)
    for member in members:
        draft.put_subscription(member)
    metadata_hash = topics.metadata_hash(shard.image, draft.group.subscribed_topics())
    # An epoch of 0 would ask the members to join anew.
    epoch = max(classic.generation_id, 1)
    draft.emit(
        group_log.group_key(group_id),
        ConsumerGroupMetadataValue(epoch=epoch, metadata_hash=metadata_hash),
    )
    for member in members:
        target = {topic_id: tuple(indexes) for topic_id, indexes in member.assigned.items()}
        key = group_log.target_key(group_id, member.member_id)
        draft.emit(key, group_log.target_value(target))
    draft.emit(
        group_log.target_metadata_key(group_id),
        ConsumerGroupTargetAssignmentMetadataValue(assignment_epoch=epoch),
    )
    for member in members:
        draft.put_assignment(member)
        assert member.classic is not None
        draft.restart_session(member.member_id, member.classic.session_timeout_ms)
    return draft


def _upgraded(classic: ClassicGroup, member: Member, image: ClusterImage) -> ConsumerMember:
    name = classic.protocol_name
    if classic.state is GroupState.PREPARING_REBALANCE and name is None:
        name = member.protocols[0][0]
    metadata = dict(member.protocols).get(name or "", member.protocols[0][1])
    try:
        subscription = decode_subscription(metadata)
        assigned = _assigned(member.assignment, max(classic.generation_id, 1), image)
    except ProtocolError as error:
        raise _not_found(
            classic.group_id, "can't be upgraded: a member's metadata is malformed."
        ) from error
    return ConsumerMember(
        member_id=member.member_id,
        instance_id=member.group_instance_id,
        rack_id=subscription.rack_id or None,
        client_id=member.client_id,
        client_host=member.client_host,
        rebalance_timeout_ms=member.rebalance_timeout_ms,
        topics=frozenset(subscription.topics),
        classic=ClassicProtocols(member.session_timeout_ms, member.protocols),
        epoch=max(classic.generation_id, 1),
        previous_epoch=max(classic.generation_id, 1),
        assigned=assigned,
    )


def _assigned(data: bytes, epoch: int, image: ClusterImage) -> Partitions:
    if not data:
        return {}
    assignment = decode_assignment(data)
    if assignment.user_data:
        # A custom assignor would lose what it keeps there.
        raise ProtocolError(ErrorCode.UNSUPPORTED_VERSION, "the assignment has user data")
    found: dict[UUID, dict[int, int]] = {}
    for each in assignment.assigned_partitions:
        topic = image.topics.get(each.topic)
        if topic is not None:
            found[topic.topic_id] = dict.fromkeys(each.partitions, epoch)
    return found


def can_downgrade(draft: ConsumerDraft, leaving: Collection[str]) -> bool:
    """Whether only members of the classic protocol remain, and may have their group back."""
    group = draft.group
    remaining = len(group.members) - len(leaving)
    leaving_classic = sum(
        1
        for member_id in leaving
        if (member := group.members.get(member_id)) is not None and member.classic is not None
    )
    return (
        0 < remaining <= draft.shard.settings.max_group_members
        and group.classic_count - leaving_classic == remaining
        and draft.shard.settings.consumer_migration_policy in _MAY_DOWNGRADE
    )


def downgrade(
    draft: ConsumerDraft, leaving: Collection[str], *, must_rebalance: bool = True
) -> ClassicGroup:
    """Makes a classic group of the members that remain, with the targets as their assignment.

    Returns:
        The classic group as it will be.
    """
    group = draft.group
    outcome = draft.outcome
    members = [member for member in group.members.values() if member.member_id not in leaving]
    protocol = _common_protocol(group, members)
    value = GroupMetadataValue(
        protocol_type=CONSUMER_PROTOCOL_TYPE,
        generation=group.epoch,
        protocol=protocol,
        leader=members[0].member_id,
        current_state_timestamp=draft.now_ms,
        members=[_downgraded(member, protocol, group, draft.shard.image) for member in members],
    )
    for member_id in group.members:
        draft.cancel_timers(member_id)
    outcome.records.extend(group.tombstones())
    key = GroupMetadataKey(group=group.group_id)
    outcome.records.append(CoordinatorRecord(encode_key(key), encode_value(value)))
    classic = ClassicGroup(group.group_id)
    classic.replay(value)
    classic_draft = Draft(classic, draft.shard.settings, draft.now_ms, outcome)
    for member in classic_draft.group.members.values():
        classic_draft.restart_session(member)
    if must_rebalance:
        rebalance.prepare(classic_draft)
    return classic


def _common_protocol(group: ConsumerGroup, members: list[ConsumerMember]) -> str:
    """The first of the first member's protocols that all members support."""
    first = members[0].classic
    assert first is not None
    for name, _ in first.protocols:
        if all(name in dict(each.classic.protocols) for each in members if each.classic):
            return name
    raise _not_found(group.group_id, "can't be downgraded: its members share no protocol.")


def _downgraded(
    member: ConsumerMember, protocol: str, group: ConsumerGroup, image: ClusterImage
) -> GroupMember:
    assert member.classic is not None
    subscription = dict(member.classic.protocols)[protocol]
    return GroupMember(
        member_id=member.member_id,
        group_instance_id=member.instance_id,
        client_id=member.client_id,
        client_host=member.client_host,
        rebalance_timeout=member.rebalance_timeout_ms,
        session_timeout=member.classic.session_timeout_ms,
        subscription=subscription,
        assignment=assignment_for(group.target(member.member_id), subscription, image),
    )


def assignment_for(
    partitions: Mapping[UUID, Iterable[int]], subscription: bytes, image: ClusterImage
) -> bytes:
    """Partitions as a classic consumer reads them, in the version of its subscription."""
    version = int.from_bytes(subscription[:_SUBSCRIPTION_VERSION_BYTES], "big", signed=True)
    assigned = [
        TopicPartitions(topic=image.topic_names[topic_id], partitions=sorted(indexes))
        for topic_id, indexes in partitions.items()
        if topic_id in image.topic_names
    ]
    return encode_assignment(
        ConsumerProtocolAssignment(assigned_partitions=assigned),
        max(0, min(version, _NEWEST_ASSIGNMENT_VERSION)),
    )
