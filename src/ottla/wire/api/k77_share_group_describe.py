"""ShareGroupDescribe (key 77): state and members of share groups (KIP-932).

Version 0 was never stable.
"""

from __future__ import annotations

from ottla.wire.declare import Array, Bool, Int16, Int32, Message, String, Uuid, at, message, struct


@message(key=77, versions="1", flexible=0)
class ShareGroupDescribeRequest(Message):
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
class DescribedShareMember:
    """One member and what it reads."""

    member_id: String
    rack_id: String | None = at(default=None)
    member_epoch: Int32
    client_id: String
    client_host: String
    subscribed_topic_names: Array[String]
    assignment: DescribedAssignment


@struct
class DescribedShareGroup:
    """One group's state, epochs and members."""

    error_code: Int16
    error_message: String | None = at(default=None)
    group_id: String
    group_state: String
    group_epoch: Int32
    assignment_epoch: Int32
    assignor_name: String
    members: Array[DescribedShareMember]
    authorized_operations: Int32 = at(default=-(2**31))  # bit set; the least int32: not asked for


@message(key=77, versions="1", flexible=0)
class ShareGroupDescribeResponse(Message):
    """The groups described."""

    throttle_time_ms: Int32 = at(default=0)
    groups: Array[DescribedShareGroup]
