"""TxnOffsetCommit (key 28): store a group's offsets when a transaction commits (KIP-98).

Version 2 adds the leader epoch (KIP-320), 3 fences by group member (KIP-447), 4 may answer
TRANSACTION_ABORTABLE, and 5 adds the group to the transaction by itself (KIP-890).
"""

from __future__ import annotations

from ottla.wire.declare import Array, Int16, Int32, Int64, Message, String, at, message, struct


@struct
class PartitionToCommit:
    """The offset for one partition."""

    partition_index: Int32
    committed_offset: Int64  # of the next record to read
    committed_leader_epoch: Int32 = at("2+", default=-1, ignorable=True)
    committed_metadata: String | None


@struct
class TopicToCommit:
    """One topic's offsets."""

    name: String
    partitions: Array[PartitionToCommit]


@message(key=28, versions="0-5", flexible=3)
class TxnOffsetCommitRequest(Message):
    """Offsets to store with the transaction."""

    transactional_id: String
    group_id: String
    producer_id: Int64
    producer_epoch: Int16
    generation_id: Int32 = at("3+", default=-1)  # -1: not a member
    member_id: String = at("3+", default="")
    group_instance_id: String | None = at("3+", default=None)
    topics: Array[TopicToCommit]


@struct
class CommittedPartition:
    """What became of one partition's offset."""

    partition_index: Int32
    error_code: Int16


@struct
class CommittedTopic:
    """What became of one topic's offsets."""

    name: String
    partitions: Array[CommittedPartition]


@message(key=28, versions="0-5", flexible=3)
class TxnOffsetCommitResponse(Message):
    """Which offsets are pending now."""

    throttle_time_ms: Int32 = at(default=0)
    topics: Array[CommittedTopic]
