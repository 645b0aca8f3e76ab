"""InitializeShareGroupState (key 83): begin to keep state for share partitions (KIP-932)."""

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
class PartitionToInitialize:
    """Where one partition starts."""

    partition: Int32
    state_epoch: Int32
    start_offset: Int64  # -1: not known yet


@struct
class TopicToInitialize:
    """One topic's partitions."""

    topic_id: Uuid
    partitions: Array[PartitionToInitialize]


@message(key=83, versions="0", flexible=0)
class InitializeShareGroupStateRequest(Message):
    """The group's partitions and where they start."""

    group_id: String
    topics: Array[TopicToInitialize]


@struct
class InitializedPartition:
    """What became of one partition."""

    partition: Int32
    error_code: Int16
    error_message: String | None = at(default=None)


@struct
class InitializedTopic:
    """What became of one topic's partitions."""

    topic_id: Uuid
    partitions: Array[InitializedPartition]


@message(key=83, versions="0", flexible=0)
class InitializeShareGroupStateResponse(Message):
    """What became of each partition."""

    results: Array[InitializedTopic]
