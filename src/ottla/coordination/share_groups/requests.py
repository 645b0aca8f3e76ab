"""What a shard does for share groups."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ottla.coordination.groups.group import Group
from ottla.coordination.groups.timers import TimerKey, TimerKind, session_timer
from ottla.coordination.outcome import Outcome
from ottla.coordination.share_groups import commands, heartbeats, records
from ottla.coordination.share_groups.draft import Draft
from ottla.coordination.share_groups.group import ShareGroup, ShareMember
from ottla.metadata.image import ClusterImage
from ottla.wire.api.k77_share_group_describe import (
    AssignedTopic,
    DescribedAssignment,
    DescribedShareGroup,
    DescribedShareMember,
    ShareGroupDescribeResponse,
)
from ottla.wire.errors import ErrorCode
from ottla.wire.group_records import GroupRecordKey, GroupRecordValue
from ottla.wire.group_records.share import ShareGroupMetadataKey

if TYPE_CHECKING:
    from ottla.coordination.groups.shard import GroupShard

_ASSIGNOR = "simple"
_DEAD = "Dead"
# Of a group's id in an error message: with the words around it, a longest id is too long a string.
_SHOWN_CHARACTERS = 1_000


def replay(shard: GroupShard, key: GroupRecordKey, value: GroupRecordValue | None) -> None:
    """Takes in a record of a share group."""
    group_id: str = key.group_id  # type: ignore[attr-defined]
    group = shard.groups.get(group_id)
    if not isinstance(group, ShareGroup):
        if value is None or group is not None:
            # A tombstone of what is gone, or a group of that name of another kind.
            return
        group = shard.groups[group_id] = ShareGroup(group_id)
    if value is None and isinstance(key, ShareGroupMetadataKey):
        del shard.groups[group_id]
        return
    records.replay_into(group, key, value)


def on_timer(shard: GroupShard, group: Group, key: TimerKey, outcome: Outcome, now_ms: int) -> None:
    """A member hasn't been heard of for its session timeout: it is gone."""
    assert isinstance(group, ShareGroup)
    if key.kind is TimerKind.SESSION and key.member_id in group.members:
        Draft(group, shard.image, now_ms, outcome).remove_member(key.member_id)


def loaded(shard: GroupShard, group: Group, outcome: Outcome, now_ms: int) -> None:
    """After the replay of the log: every member gets a fresh session."""
    assert isinstance(group, ShareGroup)
    timeout_ms = heartbeats.session_timeout_ms(shard, group.group_id)
    for member_id in group.members:
        outcome.set_timer(session_timer(group.group_id, member_id), now_ms + timeout_ms)


def _describe(
    shard: GroupShard, command: commands.ShareGroupDescribe, outcome: Outcome, _: int
) -> None:
    groups = [
        _described(shard.groups.get(group_id), group_id, shard.image)
        for group_id in command.request.group_ids
    ]
    outcome.reply(command.token, ShareGroupDescribeResponse(groups=groups))


def _described(group: Group | None, group_id: str, image: ClusterImage) -> DescribedShareGroup:
    if not isinstance(group, ShareGroup):
        return DescribedShareGroup(
            error_code=ErrorCode.GROUP_ID_NOT_FOUND,
            error_message=f"Group {group_id[:_SHOWN_CHARACTERS]} not found.",
            group_id=group_id,
            group_state=_DEAD,
            group_epoch=0,
            assignment_epoch=0,
            assignor_name="",
            members=[],
        )
    return DescribedShareGroup(
        error_code=ErrorCode.NONE,
        group_id=group_id,
        group_state=group.state_on_wire,
        group_epoch=group.epoch,
        assignment_epoch=group.assignment_epoch,
        assignor_name=_ASSIGNOR,
        members=[_described_member(member, image) for member in group.members.values()],
    )


def _described_member(member: ShareMember, image: ClusterImage) -> DescribedShareMember:
    def topic(topic_id: Any, partitions: list[int]) -> AssignedTopic:
        name = image.topic_names.get(topic_id) or ""
        return AssignedTopic(topic_id=topic_id, topic_name=name, partitions=partitions)

    assigned = [each for each in records.by_topic(member.assigned, topic) if each.topic_name]
    return DescribedShareMember(
        member_id=member.member_id,
        rack_id=member.rack_id,
        member_epoch=member.epoch,
        client_id=member.client_id,
        client_host=member.client_host,
        subscribed_topic_names=sorted(member.subscribed_topic_names),
        assignment=DescribedAssignment(topic_partitions=assigned),
    )


def _partitions_initialized(
    shard: GroupShard, command: commands.PartitionsInitialized, outcome: Outcome, now_ms: int
) -> None:
    group = shard.groups.get(command.group_id)
    if isinstance(group, ShareGroup):
        draft = Draft(group, shard.image, now_ms, outcome)
        before = group.initialized
        draft.end_initializing(command.partitions)
        if draft.group.initialized != before:
            draft.raise_epoch()
    outcome.reply(command.token, None)


def _state_partitions(
    shard: GroupShard, command: commands.StatePartitions, outcome: Outcome, _: int
) -> None:
    group = shard.groups.get(command.group_id)
    partitions = {}
    if isinstance(group, ShareGroup):
        partitions = {topic_id: topic.partitions for topic_id, topic in group.initialized.items()}
    outcome.reply(command.token, commands.Found(partitions))


def _empty_group(shard: GroupShard, group_id: str) -> ShareGroup | ErrorCode:
    group = shard.groups.get(group_id)
    if not isinstance(group, ShareGroup):
        return ErrorCode.GROUP_ID_NOT_FOUND
    return ErrorCode.NON_EMPTY_GROUP if group.members else group


def _begin_alter_offsets(
    shard: GroupShard, command: commands.BeginAlterOffsets, outcome: Outcome, now_ms: int
) -> None:
    group = _empty_group(shard, command.group_id)
    if command.group_id not in shard.groups and not shard.is_full:
        # Where a group shall begin can be said before its first member comes.
        group = ShareGroup(command.group_id)
    if isinstance(group, ErrorCode):
        outcome.reply(command.token, group)
        return
    draft = Draft(group, shard.image, now_ms, outcome)
    # A state epoch of its own fences what readers of before may still write.
    draft.raise_epoch()
    draft.begin_initializing(command.partitions)
    outcome.reply(command.token, commands.Begun(draft.group.epoch))


def _begin_delete_offsets(
    shard: GroupShard, command: commands.BeginDeleteOffsets, outcome: Outcome, now_ms: int
) -> None:
    group = _empty_group(shard, command.group_id)
    if isinstance(group, ErrorCode):
        outcome.reply(command.token, group)
        return
    topic_ids = command.topic_ids
    if topic_ids is None:
        topic_ids = [*group.initializing, *group.initialized, *group.deleting]
    found: dict[Any, frozenset[int]] = {}
    deleting = dict(group.deleting)
    for topic_id in topic_ids:
        topic = group.state_topic(topic_id)
        if topic is not None:
            found[topic_id] = topic.partitions
            deleting[topic_id] = topic.name
        elif topic_id in group.deleting:
            found[topic_id] = _all_partitions(shard.image, topic_id)
    if deleting != group.deleting:
        Draft(group, shard.image, now_ms, outcome).write_state_partitions(
            initializing=_without(group.initializing, found),
            initialized=_without(group.initialized, found),
            deleting=deleting,
        )
    outcome.reply(command.token, commands.Found(found))


def _all_partitions(image: ClusterImage, topic_id: Any) -> frozenset[int]:
    topic = image.topic_by_id(topic_id)
    return frozenset(range(len(topic.partitions))) if topic is not None else frozenset()


def _offsets_deleted(
    shard: GroupShard, command: commands.OffsetsDeleted, outcome: Outcome, now_ms: int
) -> None:
    group = shard.groups.get(command.group_id)
    if isinstance(group, ShareGroup):
        deleting = _without(group.deleting, command.topic_ids)
        if deleting != group.deleting:
            draft = Draft(group, shard.image, now_ms, outcome)
            draft.write_state_partitions(deleting=deleting)
    outcome.reply(command.token, None)


def _topics_deleted(
    shard: GroupShard, command: commands.ShareTopicsDeleted, outcome: Outcome, now_ms: int
) -> None:
    outcome.is_atomic = False
    gone = command.topic_ids
    for group in shard.groups.values():
        if isinstance(group, ShareGroup) and (
            gone & group.initializing.keys()
            or gone & group.initialized.keys()
            or gone & group.deleting.keys()
        ):
            Draft(group, shard.image, now_ms, outcome).write_state_partitions(
                initializing=_without(group.initializing, gone),
                initialized=_without(group.initialized, gone),
                deleting=_without(group.deleting, gone),
            )


def _without(mapping: Any, gone: Any) -> Any:
    return {key: value for key, value in mapping.items() if key not in gone}


DECIDE: dict[type[Any], Callable[[GroupShard, Any, Outcome, int], None]] = {
    commands.ShareGroupHeartbeat: heartbeats.heartbeat,
    commands.ShareGroupDescribe: _describe,
    commands.PartitionsInitialized: _partitions_initialized,
    commands.StatePartitions: _state_partitions,
    commands.BeginAlterOffsets: _begin_alter_offsets,
    commands.BeginDeleteOffsets: _begin_delete_offsets,
    commands.OffsetsDeleted: _offsets_deleted,
    commands.ShareTopicsDeleted: _topics_deleted,
}
