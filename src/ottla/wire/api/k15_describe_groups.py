"""DescribeGroups (key 15): state and members of classic groups.

Version 3 adds authorized operations (KIP-430), 4 static members (KIP-345), and 6 answers
GROUP_ID_NOT_FOUND instead of describing a dead group (KIP-1043).
"""

from __future__ import annotations

from ottla.wire.declare import (
    Array,
    Bool,
    Bytes,
    Int16,
    Int32,
    Message,
    String,
    at,
    message,
    struct,
)


@message(key=15, versions="0-6", flexible=5)
class DescribeGroupsRequest(Message):
    """The groups to describe."""

    groups: Array[String]
    include_authorized_operations: Bool = at("3+", default=False)


@struct
class DescribedGroupMember:
    """One member, its subscription and assignment."""

    member_id: String
    group_instance_id: String | None = at("4+", default=None, ignorable=True)
    client_id: String
    client_host: String
    member_metadata: Bytes
    member_assignment: Bytes


@struct
class DescribedGroup:
    """One group's state, protocol and members."""

    error_code: Int16
    error_message: String | None = at("6+", default=None)
    group_id: String
    group_state: String
    protocol_type: String
    protocol_data: String  # the assignor's name
    members: Array[DescribedGroupMember]
    # Bit set; the least int32: not asked for.
    authorized_operations: Int32 = at("3+", default=-(2**31))


@message(key=15, versions="0-6", flexible=5)
class DescribeGroupsResponse(Message):
    """The groups described."""

    throttle_time_ms: Int32 = at("1+", default=0, ignorable=True)
    groups: Array[DescribedGroup]
