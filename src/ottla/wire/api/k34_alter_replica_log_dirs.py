"""AlterReplicaLogDirs (key 34): move replicas between a broker's log directories (KIP-113)."""

from __future__ import annotations

from ottla.wire.declare import Array, Int16, Int32, Message, String, at, message, struct


@struct
class TopicToMove:
    """One topic's partitions to move."""

    name: String
    partitions: Array[Int32]


@struct
class LogDirToFill:
    """A directory, by absolute path, and what to move there."""

    path: String
    topics: Array[TopicToMove]


@message(key=34, versions="1-2", flexible=2)
class AlterReplicaLogDirsRequest(Message):
    """Where to move which replicas."""

    dirs: Array[LogDirToFill]


@struct
class MovedPartition:
    """What became of one partition's move."""

    partition_index: Int32
    error_code: Int16


@struct
class MovedTopic:
    """What became of one topic's moves."""

    topic_name: String
    partitions: Array[MovedPartition]


@message(key=34, versions="1-2", flexible=2)
class AlterReplicaLogDirsResponse(Message):
    """Which moves have begun."""

    throttle_time_ms: Int32 = at(default=0)
    results: Array[MovedTopic]
