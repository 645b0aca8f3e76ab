"""DeleteRecords (key 21): move the start of partitions' logs forward (KIP-107)."""

from __future__ import annotations

from ottla.wire.declare import Array, Int16, Int32, Int64, Message, String, at, message, struct


@struct
class PartitionToTrim:
    """The first offset to keep."""

    partition_index: Int32
    offset: Int64  # -1: the high watermark


@struct
class TopicToTrim:
    """One topic's partitions to shorten."""

    name: String
    partitions: Array[PartitionToTrim]


@message(key=21, versions="0-2", flexible=2)
class DeleteRecordsRequest(Message):
    """The partitions to shorten."""

    topics: Array[TopicToTrim]
    timeout_ms: Int32


@struct
class TrimmedPartition:
    """One partition's new start."""

    partition_index: Int32
    low_watermark: Int64
    error_code: Int16


@struct
class TrimmedTopic:
    """One topic's new starts."""

    name: String
    partitions: Array[TrimmedPartition]


@message(key=21, versions="0-2", flexible=2)
class DeleteRecordsResponse(Message):
    """Where the logs start now."""

    throttle_time_ms: Int32 = at(default=0)
    topics: Array[TrimmedTopic]
