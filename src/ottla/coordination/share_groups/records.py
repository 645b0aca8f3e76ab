"""What a group coordinator writes of share groups, in Kafka's format, and how it reads it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar
from uuid import UUID

from ottla.coordination.outcome import CoordinatorRecord
from ottla.coordination.share_groups.assignor import TopicPartitionId
from ottla.coordination.share_groups.group import ShareGroup, ShareMember, StateTopic
from ottla.wire.group_records import GroupRecordKey, GroupRecordValue, encode_key, encode_value
from ottla.wire.group_records.share import (
    ShareCurrentTopic,
    ShareDeletingTopic,
    ShareGroupCurrentMemberAssignmentKey,
    ShareGroupCurrentMemberAssignmentValue,
    ShareGroupMemberMetadataKey,
    ShareGroupMemberMetadataValue,
    ShareGroupMetadataKey,
    ShareGroupMetadataValue,
    ShareGroupStatePartitionMetadataKey,
    ShareGroupStatePartitionMetadataValue,
    ShareGroupTargetAssignmentMemberKey,
    ShareGroupTargetAssignmentMemberValue,
    ShareGroupTargetAssignmentMetadataKey,
    ShareGroupTargetAssignmentMetadataValue,
    ShareStateTopic,
    ShareTargetTopic,
)

_STABLE = 0

T = TypeVar("T")


def member_record(group_id: str, member: ShareMember) -> CoordinatorRecord:
    """A member and what it subscribes to."""
    return _record(
        ShareGroupMemberMetadataKey(group_id=group_id, member_id=member.member_id),
        ShareGroupMemberMetadataValue(
            rack_id=member.rack_id,
            client_id=member.client_id,
            client_host=member.client_host,
            subscribed_topic_names=sorted(member.subscribed_topic_names),
        ),
    )


def epoch_record(group_id: str, epoch: int, metadata_hash: int) -> CoordinatorRecord:
    """The group's epoch."""
    return _record(
        ShareGroupMetadataKey(group_id=group_id),
        ShareGroupMetadataValue(epoch=epoch, metadata_hash=metadata_hash),
    )


def target_record(
    group_id: str, member_id: str, parts: Iterable[TopicPartitionId]
) -> CoordinatorRecord:
    """What a member shall read."""
    return _record(
        ShareGroupTargetAssignmentMemberKey(group_id=group_id, member_id=member_id),
        ShareGroupTargetAssignmentMemberValue(topic_partitions=by_topic(parts, ShareTargetTopic)),
    )


def target_epoch_record(group_id: str, epoch: int, now_ms: int) -> CoordinatorRecord:
    """The epoch that the target assignment was made for."""
    return _record(
        ShareGroupTargetAssignmentMetadataKey(group_id=group_id),
        ShareGroupTargetAssignmentMetadataValue(
            assignment_epoch=epoch, assignment_timestamp=now_ms
        ),
    )


def current_record(group_id: str, member: ShareMember) -> CoordinatorRecord:
    """What a member was told to read."""
    return _record(
        ShareGroupCurrentMemberAssignmentKey(group_id=group_id, member_id=member.member_id),
        ShareGroupCurrentMemberAssignmentValue(
            member_epoch=member.epoch,
            previous_member_epoch=member.previous_epoch,
            state=_STABLE,
            assigned_partitions=by_topic(member.assigned, ShareCurrentTopic),
        ),
    )


def state_partitions_record(
    group_id: str,
    initializing: Mapping[UUID, StateTopic],
    initialized: Mapping[UUID, StateTopic],
    deleting: Mapping[UUID, str],
) -> CoordinatorRecord:
    """The partitions with state."""
    return _record(
        ShareGroupStatePartitionMetadataKey(group_id=group_id),
        ShareGroupStatePartitionMetadataValue(
            initializing_topics=_state_topics(initializing),
            initialized_topics=_state_topics(initialized),
            deleting_topics=[
                ShareDeletingTopic(topic_id=topic_id, topic_name=name)
                for topic_id, name in deleting.items()
            ],
        ),
    )


def member_tombstones(group_id: str, member_id: str) -> list[CoordinatorRecord]:
    """What removes a member."""
    keys = (
        ShareGroupCurrentMemberAssignmentKey,
        ShareGroupTargetAssignmentMemberKey,
        ShareGroupMemberMetadataKey,
    )
    return [
        CoordinatorRecord(encode_key(key(group_id=group_id, member_id=member_id)), None)
        for key in keys
    ]


def group_tombstones(group: ShareGroup) -> list[CoordinatorRecord]:
    """What removes a group that has no members."""
    keys = (
        ShareGroupStatePartitionMetadataKey,
        ShareGroupTargetAssignmentMetadataKey,
        ShareGroupMetadataKey,
    )
    return [CoordinatorRecord(encode_key(key(group_id=group.group_id)), None) for key in keys]


def by_topic(parts: Iterable[TopicPartitionId], make: Callable[..., T]) -> list[T]:
    """Partitions as messages and records have them."""
    topics: dict[UUID, list[int]] = {}
    for part in sorted(parts):
        topics.setdefault(part.topic_id, []).append(part.partition)
    return [
        make(topic_id=topic_id, partitions=partitions) for topic_id, partitions in topics.items()
    ]


def replay_into(group: ShareGroup, key: Any, value: Any) -> None:
    """Takes in a record of the group; without a value, its end."""
    _REPLAY[type(key)](group, key, value)


def _member(
    group: ShareGroup,
    key: ShareGroupMemberMetadataKey,
    value: ShareGroupMemberMetadataValue | None,
) -> None:
    if value is None:
        group.members.pop(key.member_id, None)
        return
    known = group.members.get(key.member_id)
    described = ShareMember(
        key.member_id,
        value.rack_id,
        value.client_id,
        value.client_host,
        frozenset(value.subscribed_topic_names),
    )
    if known is not None:
        described = described._replace(
            epoch=known.epoch, previous_epoch=known.previous_epoch, assigned=known.assigned
        )
    group.members[key.member_id] = described


def _epoch(
    group: ShareGroup, key: ShareGroupMetadataKey, value: ShareGroupMetadataValue | None
) -> None:
    if value is not None:
        group.epoch, group.metadata_hash = value.epoch, value.metadata_hash


def _target_epoch(
    group: ShareGroup,
    key: ShareGroupTargetAssignmentMetadataKey,
    value: ShareGroupTargetAssignmentMetadataValue | None,
) -> None:
    group.assignment_epoch = 0 if value is None else value.assignment_epoch
    group.assignment_timestamp_ms = 0 if value is None else value.assignment_timestamp


def _target(
    group: ShareGroup,
    key: ShareGroupTargetAssignmentMemberKey,
    value: ShareGroupTargetAssignmentMemberValue | None,
) -> None:
    if value is None:
        group.target.pop(key.member_id, None)
    else:
        group.target[key.member_id] = _parts(value.topic_partitions)


def _current(
    group: ShareGroup,
    key: ShareGroupCurrentMemberAssignmentKey,
    value: ShareGroupCurrentMemberAssignmentValue | None,
) -> None:
    member = group.members.get(key.member_id)
    if member is not None and value is not None:
        group.members[key.member_id] = member._replace(
            epoch=value.member_epoch,
            previous_epoch=value.previous_member_epoch,
            assigned=_parts(value.assigned_partitions),
        )


def _state_partitions(
    group: ShareGroup,
    key: ShareGroupStatePartitionMetadataKey,
    value: ShareGroupStatePartitionMetadataValue | None,
) -> None:
    if value is None:
        group.initializing, group.initialized, group.deleting = {}, {}, {}
        return
    group.initializing = _read_state_topics(value.initializing_topics)
    group.initialized = _read_state_topics(value.initialized_topics)
    group.deleting = {topic.topic_id: topic.topic_name for topic in value.deleting_topics}


_REPLAY: dict[type[GroupRecordKey], Callable[[ShareGroup, Any, Any], None]] = {
    ShareGroupMemberMetadataKey: _member,
    ShareGroupMetadataKey: _epoch,
    ShareGroupTargetAssignmentMetadataKey: _target_epoch,
    ShareGroupTargetAssignmentMemberKey: _target,
    ShareGroupCurrentMemberAssignmentKey: _current,
    ShareGroupStatePartitionMetadataKey: _state_partitions,
}


def _record(key: GroupRecordKey, value: GroupRecordValue) -> CoordinatorRecord:
    return CoordinatorRecord(encode_key(key), encode_value(value))


def _state_topics(topics: Mapping[UUID, StateTopic]) -> list[ShareStateTopic]:
    return [
        ShareStateTopic(
            topic_id=topic_id, topic_name=topic.name, partitions=sorted(topic.partitions)
        )
        for topic_id, topic in topics.items()
    ]


def _read_state_topics(topics: Iterable[ShareStateTopic]) -> dict[UUID, StateTopic]:
    return {
        topic.topic_id: StateTopic(topic.topic_name, frozenset(topic.partitions))
        for topic in topics
    }


def _parts(topics: Iterable[ShareTargetTopic | ShareCurrentTopic]) -> frozenset[TopicPartitionId]:
    return frozenset(
        TopicPartitionId(topic.topic_id, partition)
        for topic in topics
        for partition in topic.partitions
    )
