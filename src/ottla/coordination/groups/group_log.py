"""What group coordinators write into ``__consumer_offsets``, in Kafka's format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ottla.coordination.groups.classic import ClassicGroup
from ottla.coordination.groups.committed import CommittedOffset
from ottla.coordination.outcome import CoordinatorRecord, SkippedRecord
from ottla.wire.declare import ZERO_UUID
from ottla.wire.errors import ProtocolError
from ottla.wire.group_records import (
    GroupMember,
    GroupMetadataKey,
    GroupMetadataValue,
    OffsetCommitKey,
    OffsetCommitValue,
    UnknownRecordType,
    decode_key,
    decode_value,
    encode_key,
    encode_value,
)


class GroupChange(NamedTuple):
    """A generation of a group; ``None``: the group is deleted."""

    group_id: str
    metadata: GroupMetadataValue | None


class OffsetChange(NamedTuple):
    """A committed offset; ``None``: it is deleted."""

    group_id: str
    topic: str
    partition: int
    committed: CommittedOffset | None


def group_record(
    group: ClassicGroup,
    *,
    now_ms: int,
    generation_id: int,
    protocol_name: str | None,
    assignments: Mapping[str, bytes],
) -> CoordinatorRecord:
    """The group with its members as they are now, each with its assignment."""
    members = [
        GroupMember(
            member_id=member.member_id,
            group_instance_id=member.group_instance_id,
            client_id=member.client_id,
            client_host=member.client_host,
            rebalance_timeout=member.rebalance_timeout_ms,
            session_timeout=member.session_timeout_ms,
            subscription=member.metadata(protocol_name or ""),
            assignment=assignments[member.member_id],
        )
        for member in group.members.values()
    ]
    value = GroupMetadataValue(
        protocol_type=group.protocol_type or "",
        generation=generation_id,
        protocol=protocol_name,
        leader=group.leader_id,
        current_state_timestamp=now_ms,
        members=members,
    )
    key = GroupMetadataKey(group=group.group_id)
    return CoordinatorRecord(encode_key(key), encode_value(value))


def group_tombstone(group_id: str) -> CoordinatorRecord:
    """Deletes a group."""
    return CoordinatorRecord(encode_key(GroupMetadataKey(group=group_id)), None)


def offset_record(
    group_id: str, topic: str, partition: int, committed: CommittedOffset
) -> CoordinatorRecord:
    """Commits an offset."""
    expire_timestamp_ms = committed.expire_timestamp_ms
    value = OffsetCommitValue(
        offset=committed.offset,
        leader_epoch=committed.leader_epoch,
        metadata=committed.metadata,
        commit_timestamp=committed.commit_timestamp_ms,
        expire_timestamp=-1 if expire_timestamp_ms is None else expire_timestamp_ms,
        topic_id=committed.topic_id or ZERO_UUID,
    )
    key = OffsetCommitKey(group=group_id, topic=topic, partition=partition)
    return CoordinatorRecord(encode_key(key), encode_value(value))


def offset_tombstone(group_id: str, topic: str, partition: int) -> CoordinatorRecord:
    """Deletes an offset."""
    key = OffsetCommitKey(group=group_id, topic=topic, partition=partition)
    return CoordinatorRecord(encode_key(key), None)


def read_record(record: CoordinatorRecord) -> GroupChange | OffsetChange | SkippedRecord:
    """What a record says.

    Newer Kafka writes records of other kinds of groups into the same topic (KIP-848, KIP-932),
    and anybody allowed to may produce into it: what can't be read is skipped, never fatal.
    """
    try:
        key = decode_key(record.key)
        if isinstance(key, OffsetCommitKey):
            return OffsetChange(key.group, key.topic, key.partition, _committed(key, record.value))
        if isinstance(key, GroupMetadataKey):
            metadata = None
            if record.value is not None:
                value = decode_value(key, record.value)
                assert isinstance(value, GroupMetadataValue)
                metadata = value
            return GroupChange(key.group, metadata)
    except UnknownRecordType as error:
        return SkippedRecord(f"record type {error.record_type} is not known")
    except ProtocolError as error:
        return SkippedRecord(f"unreadable: {error.message}")
    return SkippedRecord(f"{type(key).__name__} belongs to another kind of group")


def _committed(key: OffsetCommitKey, data: bytes | None) -> CommittedOffset | None:
    if data is None:
        return None
    value = decode_value(key, data)
    assert isinstance(value, OffsetCommitValue)
    return CommittedOffset(
        offset=value.offset,
        leader_epoch=value.leader_epoch,
        metadata=value.metadata,
        commit_timestamp_ms=value.commit_timestamp,
        expire_timestamp_ms=None if value.expire_timestamp < 0 else value.expire_timestamp,
        topic_id=value.topic_id if value.topic_id.int else None,
    )
