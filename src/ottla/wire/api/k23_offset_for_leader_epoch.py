"""OffsetForLeaderEpoch (key 23): where leader epochs end in the leader's log (KIP-101, KIP-320)."""

from __future__ import annotations

from ottla.wire.declare import Array, Int16, Int32, Int64, Message, String, at, message, struct


@struct
class PartitionToCheck:
    """The epoch to look up in one partition."""

    partition: Int32
    current_leader_epoch: Int32 = at(default=-1)  # -1: don't fence
    leader_epoch: Int32


@struct
class TopicToCheck:
    """One topic's partitions to look up."""

    topic: String
    partitions: Array[PartitionToCheck]


@message(key=23, versions="2-4", flexible=4)
class OffsetForLeaderEpochRequest(Message):
    """The epochs to look up."""

    # -2: a debugging consumer, -1: a consumer.
    replica_id: Int32 = at("3+", default=-2, ignorable=True)
    topics: Array[TopicToCheck]


@struct
class CheckedPartition:
    """The largest epoch up to the asked one, and its end offset."""

    error_code: Int16
    partition: Int32
    leader_epoch: Int32 = at(default=-1)
    end_offset: Int64 = at(default=-1)


@struct
class CheckedTopic:
    """One topic's epoch ends."""

    topic: String
    partitions: Array[CheckedPartition]


@message(key=23, versions="2-4", flexible=4)
class OffsetForLeaderEpochResponse(Message):
    """The ends found."""

    throttle_time_ms: Int32 = at(default=0)
    topics: Array[CheckedTopic]
