"""ConsumerGroupDescribe (key 69): state and members of consumer groups (KIP-848).

Version 1 tells a member's type (KIP-1099).
"""

from __future__ import annotations

from ottla.wire.declare import (
    Array,
    Bool,
    Int8,
    Int16,
    Int32,
    Message,
    String,
    Uuid,
    at,
    message,
    struct,
)


@message(key=69, versions="0-1", flexible=0)
class ConsumerGroupDescribeRequest(Message):
    """The groups to describe."""

    group_ids: Array[String]
    include_authorized_operations: Bool


@struct
class AssignedTopic:
    """One topic's partitions."""

    topic_id: Uuid
    topic_name: String
    partitions: Array[Int32]


@struct
class DescribedAssignment:
    """A set of partitions by topic."""

    topic_partitions: Array[AssignedTopic]


@struct
class DescribedConsumer:
    """One member, what it owns and what it shall own."""

    member_id: String
    instance_id: String | None = at(default=None)
    rack_id: String | None = at(default=None)
    member_epoch: Int32
    client_id: String
    client_host: String
    subscribed_topic_names: Array[String]
    subscribed_topic_regex: String | None = at(default=None)
    assignment: DescribedAssignment
    target_assignment: DescribedAssignment
    member_type: Int8 = at("1+", default=-1, ignorable=True)  # -1: unknown, 0: classic, 1: consumer


@struct
class DescribedConsumerGroup:
    """One group's state, epochs and members."""

    error_code: Int16
    error_message: String | None = at(default=None)
    group_id: String
    group_state: String
    group_epoch: Int32
    assignment_epoch: Int32
    assignor_name: String
    members: Array[DescribedConsumer]
    authorized_operations: Int32 = at(default=-(2**31))  # bit set; the least int32: not asked for


@message(key=69, versions="0-1", flexible=0)
class ConsumerGroupDescribeResponse(Message):
    """The groups described."""

    throttle_time_ms: Int32 = at(default=0)
    groups: Array[DescribedConsumerGroup]
