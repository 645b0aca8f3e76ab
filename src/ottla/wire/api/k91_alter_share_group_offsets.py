"""AlterShareGroupOffsets (key 91): move an empty share group to other offsets (KIP-932)."""

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
class PartitionToReset:
    """One partition's new start offset."""

    partition_index: Int32
    start_offset: Int64


@struct
class TopicToReset:
    """One topic's new start offsets."""

    topic_name: String
    partitions: Array[PartitionToReset]


@message(key=91, versions="0", flexible=0)
class AlterShareGroupOffsetsRequest(Message):
    """The group and its new start offsets."""

    group_id: String
    topics: Array[TopicToReset]


@struct
class ResetPartition:
    """What became of one partition's offset."""

    partition_index: Int32
    error_code: Int16
    error_message: String | None = at(default=None)


@struct
class ResetTopic:
    """What became of one topic's offsets."""

    topic_name: String
    topic_id: Uuid
    partitions: Array[ResetPartition]


@message(key=91, versions="0", flexible=0)
class AlterShareGroupOffsetsResponse(Message):
    """What became of each partition."""

    throttle_time_ms: Int32 = at(default=0)
    error_code: Int16
    error_message: String | None = at(default=None)
    responses: Array[ResetTopic]
