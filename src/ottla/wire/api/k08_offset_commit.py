"""OffsetCommit (key 8): store a group's offsets.

Version 5 leaves retention to the broker (KIP-211), 6 adds the leader epoch (KIP-320), 7 static
members (KIP-345), 9 serves consumer groups, and 10 speaks of topics by id (both KIP-848).
"""

from __future__ import annotations

from ottla.wire.declare import (
    ZERO_UUID,
    Array,
    Int16,
    Int32,
    Int64,
    Message,
    String,
    Uuid,
    at,
    message,
    struct,
)


@struct
class PartitionToCommit:
    """The offset to commit for one partition."""

    partition_index: Int32
    committed_offset: Int64  # of the next record to read
    committed_leader_epoch: Int32 = at("6+", default=-1, ignorable=True)
    committed_metadata: String | None


@struct
class TopicToCommit:
    """One topic's offsets to commit."""

    name: String = at("2-9", default="", ignorable=True)
    topic_id: Uuid = at("10+", default=ZERO_UUID, ignorable=True)
    partitions: Array[PartitionToCommit]


@message(key=8, versions="2-10", flexible=8)
class OffsetCommitRequest(Message):
    """Offsets a member, or an admin without a group generation, commits."""

    group_id: String
    generation_id_or_member_epoch: Int32 = at(default=-1)  # -1: from outside the group
    member_id: String = at(default="")
    group_instance_id: String | None = at("7+", default=None)
    retention_time_ms: Int64 = at("2-4", default=-1, ignorable=True)  # -1: the broker's setting
    topics: Array[TopicToCommit]


@struct
class CommittedPartition:
    """What became of one partition's commit."""

    partition_index: Int32
    error_code: Int16


@struct
class CommittedTopic:
    """What became of one topic's commits."""

    name: String = at("2-9", default="", ignorable=True)
    topic_id: Uuid = at("10+", default=ZERO_UUID, ignorable=True)
    partitions: Array[CommittedPartition]


@message(key=8, versions="2-10", flexible=8)
class OffsetCommitResponse(Message):
    """Which commits were stored."""

    throttle_time_ms: Int32 = at("3+", default=0, ignorable=True)
    topics: Array[CommittedTopic]
