"""CreatePartitions (key 37): give topics more partitions (KIP-195).

Version 3 may be throttled (KIP-599).
"""

from __future__ import annotations

from ottla.wire.declare import Array, Bool, Int16, Int32, Message, String, at, message, struct


@struct
class NewPartitionAssignment:
    """The brokers to hold one new partition."""

    broker_ids: Array[Int32]


@struct
class TopicToGrow:
    """A topic and the partitions it shall have."""

    name: String
    count: Int32  # the new total
    assignments: Array[NewPartitionAssignment] | None  # null: the broker chooses


@message(key=37, versions="0-3", flexible=2)
class CreatePartitionsRequest(Message):
    """The topics to grow, or only to check."""

    topics: Array[TopicToGrow]
    timeout_ms: Int32
    validate_only: Bool


@struct
class GrownTopic:
    """What became of one topic."""

    name: String
    error_code: Int16
    error_message: String | None = at(default=None)


@message(key=37, versions="0-3", flexible=2)
class CreatePartitionsResponse(Message):
    """What became of each topic."""

    throttle_time_ms: Int32 = at(default=0)
    results: Array[GrownTopic]
