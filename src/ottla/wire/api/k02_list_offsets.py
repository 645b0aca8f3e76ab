"""ListOffsets (key 2): the first offset at or after a timestamp.

Timestamps below zero are names of places in the log: -1 its end, -2 its start, -3 the record with
the largest timestamp (version 7, KIP-734), -4 the start of the local log (8, KIP-405), -5 the end
of the tiered log (9, KIP-1005), -6 the first offset not yet tiered (11, KIP-1023).
"""

from __future__ import annotations

from ottla.wire.declare import (
    Array,
    Int8,
    Int16,
    Int32,
    Int64,
    Message,
    String,
    at,
    message,
    struct,
)


@struct
class PartitionToList:
    """The timestamp to look up in one partition."""

    partition_index: Int32
    current_leader_epoch: Int32 = at("4+", default=-1, ignorable=True)  # -1: don't fence
    timestamp: Int64


@struct
class TopicToList:
    """One topic's partitions to look up."""

    name: String
    partitions: Array[PartitionToList]


@message(key=2, versions="1-11", flexible=6)
class ListOffsetsRequest(Message):
    """Which offsets to look up."""

    replica_id: Int32  # -1: a consumer
    isolation_level: Int8 = at("2+", default=0)  # 1: the end is the last stable offset
    topics: Array[TopicToList]
    # For look-ups in tiered storage (KIP-1075).
    timeout_ms: Int32 = at("10+", default=0, ignorable=True)


@struct
class ListedPartition:
    """The offset found in one partition; -1 when there is none."""

    partition_index: Int32
    error_code: Int16
    timestamp: Int64 = at(default=-1)
    offset: Int64 = at(default=-1)
    leader_epoch: Int32 = at("4+", default=-1)


@struct
class ListedTopic:
    """One topic's offsets."""

    name: String
    partitions: Array[ListedPartition]


@message(key=2, versions="1-11", flexible=6)
class ListOffsetsResponse(Message):
    """The offsets found."""

    throttle_time_ms: Int32 = at("2+", default=0, ignorable=True)
    topics: Array[ListedTopic]
