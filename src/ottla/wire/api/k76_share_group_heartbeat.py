"""ShareGroupHeartbeat (key 76): membership of a share group in one call (KIP-932).

What is null has not changed since the last heartbeat. Version 0 was never stable.
"""

from __future__ import annotations

from ottla.wire.declare import Array, Int16, Int32, Message, String, Uuid, at, message, struct


@message(key=76, versions="1", flexible=0)
class ShareGroupHeartbeatRequest(Message):
    """A member and what it subscribes to."""

    group_id: String
    member_id: String
    member_epoch: Int32  # 0: join, -1: leave
    rack_id: String | None = at(default=None)
    subscribed_topic_names: Array[String] | None = at(default=None)


@struct
class AssignedTopic:
    """One topic's partitions assigned to the member."""

    topic_id: Uuid
    partitions: Array[Int32]


@struct
class Assignment:
    """The partitions the member shall read."""

    topic_partitions: Array[AssignedTopic]


@message(key=76, versions="1", flexible=0)
class ShareGroupHeartbeatResponse(Message):
    """The member's epoch and, when it changed, its assignment."""

    throttle_time_ms: Int32 = at(default=0)
    error_code: Int16
    error_message: String | None = at(default=None)
    member_id: String | None = at(default=None)
    member_epoch: Int32
    heartbeat_interval_ms: Int32
    assignment: Assignment | None = at(default=None)
