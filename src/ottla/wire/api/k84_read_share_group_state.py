"""ReadShareGroupState (key 84): the state kept for share partitions (KIP-932)."""

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
class PartitionToRead:
    """One partition, and the reader's leader epoch."""

    partition: Int32
    leader_epoch: Int32


@struct
class TopicToRead:
    """One topic's partitions."""

    topic_id: Uuid
    partitions: Array[PartitionToRead]


@message(key=84, versions="0", flexible=0)
class ReadShareGroupStateRequest(Message):
    """The group's partitions to read."""

    group_id: String
    topics: Array[TopicToRead]


@struct
class StateBatch:
    """The delivery state of a range of offsets."""

    first_offset: Int64
    last_offset: Int64  # inclusive
    delivery_state: Int8  # 0: available, 2: acknowledged, 4: archived
    delivery_count: Int16


@struct
class ReadPartition:
    """One partition's state."""

    partition: Int32
    error_code: Int16
    error_message: String | None = at(default=None)
    state_epoch: Int32
    start_offset: Int64  # -1: not known yet
    state_batches: Array[StateBatch]


@struct
class ReadTopic:
    """One topic's state."""

    topic_id: Uuid
    partitions: Array[ReadPartition]


@message(key=84, versions="0", flexible=0)
class ReadShareGroupStateResponse(Message):
    """The state found."""

    results: Array[ReadTopic]
