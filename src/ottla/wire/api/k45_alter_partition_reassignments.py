"""AlterPartitionReassignments (key 45): move partitions to other brokers (KIP-455).

Version 1 can forbid that the replication factor changes (KIP-860).
"""

from __future__ import annotations

from ottla.wire.declare import Array, Bool, Int16, Int32, Message, String, at, message, struct


@struct
class PartitionToReassign:
    """One partition and the brokers that shall hold it."""

    partition_index: Int32
    replicas: Array[Int32] | None = at(default=None)  # null: cancel the move under way


@struct
class TopicToReassign:
    """One topic's moves."""

    name: String
    partitions: Array[PartitionToReassign]


@message(key=45, versions="0-1", flexible=0)
class AlterPartitionReassignmentsRequest(Message):
    """The moves to begin or cancel."""

    timeout_ms: Int32 = at(default=60000)
    allow_replication_factor_change: Bool = at("1+", default=True)
    topics: Array[TopicToReassign]


@struct
class ReassignedPartition:
    """What became of one partition's move."""

    partition_index: Int32
    error_code: Int16
    error_message: String | None


@struct
class ReassignedTopic:
    """What became of one topic's moves."""

    name: String
    partitions: Array[ReassignedPartition]


@message(key=45, versions="0-1", flexible=0)
class AlterPartitionReassignmentsResponse(Message):
    """Which moves have begun."""

    throttle_time_ms: Int32 = at(default=0)
    allow_replication_factor_change: Bool = at("1+", default=True, ignorable=True)
    error_code: Int16
    error_message: String | None
    responses: Array[ReassignedTopic]
