"""SyncGroup (key 14): hand a generation's assignment to its members.

Version 3 knows static members (KIP-345); 5 checks the protocol's type and name (KIP-559).
"""

from __future__ import annotations

from ottla.wire.declare import Array, Bytes, Int16, Int32, Message, String, at, message, struct


@struct
class MemberAssignment:
    """What the leader assigned to one member."""

    member_id: String
    assignment: Bytes


@message(key=14, versions="0-5", flexible=4)
class SyncGroupRequest(Message):
    """A member asking for its assignment; the leader brings everybody's."""

    group_id: String
    generation_id: Int32
    member_id: String
    group_instance_id: String | None = at("3+", default=None)
    protocol_type: String | None = at("5+", default=None, ignorable=True)
    protocol_name: String | None = at("5+", default=None, ignorable=True)
    assignments: Array[MemberAssignment]  # empty for followers


@message(key=14, versions="0-5", flexible=4)
class SyncGroupResponse(Message):
    """The member's own assignment."""

    throttle_time_ms: Int32 = at("1+", default=0, ignorable=True)
    error_code: Int16
    protocol_type: String | None = at("5+", default=None, ignorable=True)
    protocol_name: String | None = at("5+", default=None, ignorable=True)
    assignment: Bytes
