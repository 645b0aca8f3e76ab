"""OffsetDelete (key 47): delete a group's offsets for topics it no longer reads (KIP-496)."""

from __future__ import annotations

from ottla.wire.declare import Array, Int16, Int32, Message, String, at, message, struct


@struct
class PartitionToForget:
    """One partition to forget."""

    partition_index: Int32


@struct
class TopicToForget:
    """One topic's partitions to forget."""

    name: String
    partitions: Array[PartitionToForget]


@message(key=47, versions="0")
class OffsetDeleteRequest(Message):
    """The group and the partitions to forget."""

    group_id: String
    topics: Array[TopicToForget]


@struct
class ForgottenPartition:
    """What became of one partition's offset."""

    partition_index: Int32
    error_code: Int16


@struct
class ForgottenTopic:
    """What became of one topic's offsets."""

    name: String
    partitions: Array[ForgottenPartition]


@message(key=47, versions="0")
class OffsetDeleteResponse(Message):
    """What became of each offset."""

    error_code: Int16
    throttle_time_ms: Int32 = at(default=0)
    topics: Array[ForgottenTopic]
