"""ConsumerGroupHeartbeat (key 68): membership of a consumer group in one call (KIP-848).

Joining, subscribing, reconciling and leaving. What is null has not changed since the last
heartbeat. Version 1 subscribes by regular expression and wants member ids made by the client
(KIP-1082).
"""

from __future__ import annotations

from ottla.wire.declare import Array, Int16, Int32, Message, String, Uuid, at, message, struct


@struct
class OwnedTopic:
    """One topic's partitions the member owns."""

    topic_id: Uuid
    partitions: Array[Int32]


@message(key=68, versions="0-1", flexible=0)
class ConsumerGroupHeartbeatRequest(Message):
    """A member, what it wants and what it owns."""

    group_id: String
    member_id: String
    member_epoch: Int32  # 0: join, -1: leave, -2: a static member pauses
    instance_id: String | None = at(default=None)
    rack_id: String | None = at(default=None)
    rebalance_timeout_ms: Int32 = at(default=-1)
    subscribed_topic_names: Array[String] | None = at(default=None)
    subscribed_topic_regex: String | None = at("1+", default=None)
    server_assignor: String | None = at(default=None)
    topic_partitions: Array[OwnedTopic] | None = at(default=None)


@struct
class AssignedTopic:
    """One topic's partitions assigned to the member."""

    topic_id: Uuid
    partitions: Array[Int32]


@struct
class Assignment:
    """The partitions the member shall own."""

    topic_partitions: Array[AssignedTopic]


@message(key=68, versions="0-1", flexible=0)
class ConsumerGroupHeartbeatResponse(Message):
    """The member's epoch and, when it changed, its assignment."""

    throttle_time_ms: Int32 = at(default=0)
    error_code: Int16
    error_message: String | None = at(default=None)
    member_id: String | None = at(default=None)
    member_epoch: Int32
    heartbeat_interval_ms: Int32
    assignment: Assignment | None = at(default=None)
