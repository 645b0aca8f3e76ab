"""ListPartitionReassignments (key 46): moves under way (KIP-455)."""

from __future__ import annotations

from ottla.wire.declare import Array, Int16, Int32, Message, String, at, message, struct


@struct
class TopicToInspect:
    """One topic's partitions to look at."""

    name: String
    partition_indexes: Array[Int32]


@message(key=46, versions="0", flexible=0)
class ListPartitionReassignmentsRequest(Message):
    """The partitions to look at."""

    timeout_ms: Int32 = at(default=60000)
    topics: Array[TopicToInspect] | None = at(default=None)  # null: all


@struct
class MovingPartition:
    """One partition's replicas, those to come and those to go."""

    partition_index: Int32
    replicas: Array[Int32]
    adding_replicas: Array[Int32]
    removing_replicas: Array[Int32]


@struct
class MovingTopic:
    """One topic's moves."""

    name: String
    partitions: Array[MovingPartition]


@message(key=46, versions="0", flexible=0)
class ListPartitionReassignmentsResponse(Message):
    """The moves found."""

    throttle_time_ms: Int32 = at(default=0)
    error_code: Int16
    error_message: String | None
    topics: Array[MovingTopic]
