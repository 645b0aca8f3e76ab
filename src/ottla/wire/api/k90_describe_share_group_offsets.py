"""DescribeShareGroupOffsets (key 90): where share groups start in partitions (KIP-932).

Version 1 adds the lag (KIP-1226).
"""

from __future__ import annotations

from ottla.wire.declare import (
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
class TopicToLookUp:
    """One topic's partitions to look up."""

    topic_name: String
    partitions: Array[Int32]


@struct
class ShareGroupToLookUp:
    """One group's partitions to look up."""

    group_id: String
    topics: Array[TopicToLookUp] | None  # null: all


@message(key=90, versions="0-1", flexible=0)
class DescribeShareGroupOffsetsRequest(Message):
    """The groups and partitions to look up."""

    groups: Array[ShareGroupToLookUp]


@struct
class FoundPartition:
    """One partition's start offset and lag."""

    partition_index: Int32
    start_offset: Int64
    leader_epoch: Int32
    lag: Int64 = at("1+", default=-1, ignorable=True)  # -1: unknown
    error_code: Int16
    error_message: String | None = at(default=None)


@struct
class FoundTopic:
    """One topic's start offsets."""

    topic_name: String
    topic_id: Uuid
    partitions: Array[FoundPartition]


@struct
class FoundShareGroup:
    """One group's start offsets."""

    group_id: String
    topics: Array[FoundTopic]
    error_code: Int16
    error_message: String | None = at(default=None)


@message(key=90, versions="0-1", flexible=0)
class DescribeShareGroupOffsetsResponse(Message):
    """The offsets found."""

    throttle_time_ms: Int32 = at(default=0)
    groups: Array[FoundShareGroup]
