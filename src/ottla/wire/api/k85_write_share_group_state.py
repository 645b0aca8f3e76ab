"""WriteShareGroupState (key 85): change the state kept for share partitions (KIP-932).

Version 1 counts deliveries that are done, for the lag (KIP-1226).
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
    Uuid,
    at,
    message,
    struct,
)


@struct
class StateBatch:
    """The delivery state of a range of offsets."""

    first_offset: Int64
    last_offset: Int64  # inclusive
    delivery_state: Int8  # 0: available, 2: acknowledged, 4: archived
    delivery_count: Int16


@struct
class PartitionToWrite:
    """One partition's new state."""

    partition: Int32
    state_epoch: Int32
    leader_epoch: Int32
    start_offset: Int64  # -1: unchanged
    delivery_complete_count: Int32 = at("1+", default=-1, ignorable=True)  # -1: unknown
    state_batches: Array[StateBatch]


@struct
class TopicToWrite:
    """One topic's partitions."""

    topic_id: Uuid
    partitions: Array[PartitionToWrite]


@message(key=85, versions="0-1", flexible=0)
class WriteShareGroupStateRequest(Message):
    """The group's partitions and their new state."""

    group_id: String
    topics: Array[TopicToWrite]


@struct
class WrittenPartition:
    """What became of one partition."""

    partition: Int32
    error_code: Int16
    error_message: String | None = at(default=None)


@struct
class WrittenTopic:
    """What became of one topic's partitions."""

    topic_id: Uuid
    partitions: Array[WrittenPartition]


@message(key=85, versions="0-1", flexible=0)
class WriteShareGroupStateResponse(Message):
    """What became of each partition."""

    results: Array[WrittenTopic]
