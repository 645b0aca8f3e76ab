"""Records of committed offsets and of classic groups.

Versions of values: OffsetCommitValue 1 alone has an expiry time (KIP-211 leaves it to the broker),
3 adds the leader epoch (KIP-320), 4 is flexible (KIP-915) and may carry the topic's id.
GroupMetadataValue 1 adds the rebalance timeout, 2 the time of the last change (KIP-211), 3 static
members (KIP-345), and 4 is flexible (KIP-915).
"""

from __future__ import annotations

from ottla.wire.declare import (
    ZERO_UUID,
    Array,
    Bytes,
    Int32,
    Int64,
    String,
    Uuid,
    at,
    message,
    struct,
)
from ottla.wire.group_records.base import GroupRecordKey, GroupRecordValue


@message(key=None, versions="0")
class OffsetCommitKey(GroupRecordKey):
    """A group's position in a partition. Record type 0 is an old spelling of the same."""

    RECORD_TYPE = 1

    group: String
    topic: String
    partition: Int32


@message(key=None, versions="0-4", flexible=4)
class OffsetCommitValue(GroupRecordValue):
    """A committed offset."""

    offset: Int64  # of the next record to read
    leader_epoch: Int32 = at("3+", default=-1, ignorable=True)
    metadata: String
    commit_timestamp: Int64
    # -1: when the broker's retention for offsets says so.
    expire_timestamp: Int64 = at("1", default=-1, ignorable=True)
    topic_id: Uuid = at("4+", tag=0, default=ZERO_UUID, ignorable=True)

    def version_to_write(self) -> int:
        """Version 1 for a commit with a retention time of its own, as OffsetCommit 2-4 asks."""
        return 4 if self.expire_timestamp < 0 else 1


@message(key=None, versions="0")
class GroupMetadataKey(GroupRecordKey):
    """A classic group."""

    RECORD_TYPE = 2

    group: String


@struct
class GroupMember:
    """A member of a classic group, with what it brought and what it got."""

    member_id: String
    group_instance_id: String | None = at("3+", default=None, ignorable=True)
    client_id: String
    client_host: String
    rebalance_timeout: Int32 = at("1+", default=-1, ignorable=True)  # ms; -1: as the session's
    session_timeout: Int32  # ms
    subscription: Bytes  # for the protocol the group chose
    assignment: Bytes


@message(key=None, versions="0-4", flexible=4)
class GroupMetadataValue(GroupRecordValue):
    """A classic group's generation and its members."""

    protocol_type: String
    generation: Int32
    protocol: String | None
    leader: String | None
    current_state_timestamp: Int64 = at("2+", default=-1, ignorable=True)
    members: Array[GroupMember]

    def version_to_write(self) -> int:
        """The newest version that isn't flexible: every Kafka since 2.3 reads it."""
        return 3
