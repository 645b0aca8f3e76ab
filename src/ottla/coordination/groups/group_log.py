"""What group coordinators write into ``__consumer_offsets``, in Kafka's format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from ottla.coordination.groups.committed import CommittedOffset
from ottla.coordination.outcome import CoordinatorRecord, SkippedRecord
from ottla.wire.declare import ZERO_UUID
from ottla.wire.errors import ProtocolError
from ottla.wire.group_records import (
    GroupMember,
    GroupMetadataKey,
    GroupMetadataValue,
    GroupRecordKey,
    GroupRecordValue,
    OffsetCommitKey,
    OffsetCommitValue,
    UnknownRecordType,
    decode_key,
    decode_value,
    encode_key,
    encode_value,
)

if TYPE_CHECKING:
    from ottla.coordination.groups.classic import ClassicGroup


class Change(NamedTuple):
    """A record read; a value of ``None`` means that what the key names is deleted."""

    key: GroupRecordKey
    value: GroupRecordValue | None


class WrittenRecord(CoordinatorRecord):
    """A record just made, which still knows what it says: to replay it nothing is decoded."""

    change: Change


def written(key: GroupRecordKey, value: GroupRecordValue | None) -> WrittenRecord:
    """The record of a change. Neither part may be changed afterwards."""
    record = WrittenRecord(encode_key(key), None if value is None else encode_value(value))
    record.change = Change(key, value)
    return record


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
    return written(OffsetCommitKey(group=group_id, topic=topic, partition=partition), value)


def offset_tombstone(group_id: str, topic: str, partition: int) -> CoordinatorRecord:
    """Deletes an offset."""
    key = OffsetCommitKey(group=group_id, topic=topic, partition=partition)
    return CoordinatorRecord(encode_key(key), None)


def read_record(record: CoordinatorRecord) -> Change | SkippedRecord:
    """What a record says.

    Newer Kafka writes records of other kinds of groups into the same topic, and anybody allowed to
    may produce into it: what can't be read is skipped, never fatal.
    """
    if isinstance(record, WrittenRecord):
        return record.change
    try:
        key = decode_key(record.key)
        value = None if record.value is None else decode_value(key, record.value)
    except UnknownRecordType as error:
        return SkippedRecord(f"record type {error.record_type} is not known")
    except ProtocolError as error:
        return SkippedRecord(f"unreadable: {error.message}")
    return Change(key, value)


def committed_offset(value: OffsetCommitValue) -> CommittedOffset:
    """A committed offset as the log has it."""
    return CommittedOffset(
        offset=value.offset,
        leader_epoch=value.leader_epoch,
        metadata=value.metadata,
        commit_timestamp_ms=value.commit_timestamp,
        expire_timestamp_ms=None if value.expire_timestamp < 0 else value.expire_timestamp,
        topic_id=value.topic_id if value.topic_id.int else None,
    )
