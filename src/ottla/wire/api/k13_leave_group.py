"""LeaveGroup (key 13): take members out of a classic group.

Version 3 removes several, static ones too (KIP-345); 5 gives a reason (KIP-800).
"""

from __future__ import annotations

from ottla.wire.declare import Array, Int16, Int32, Message, String, at, message, struct


@struct
class LeavingMember:
    """A member, by member id or group instance id."""

    member_id: String
    group_instance_id: String | None = at(default=None)
    reason: String | None = at("5+", default=None, ignorable=True)


@message(key=13, versions="0-5", flexible=4)
class LeaveGroupRequest(Message):
    """The members that leave."""

    group_id: String
    member_id: String = at("0-2", default="")
    members: Array[LeavingMember] = at("3+", default=list)


@struct
class DepartedMember:
    """What became of one member."""

    member_id: String
    group_instance_id: String | None
    error_code: Int16


@message(key=13, versions="0-5", flexible=4)
class LeaveGroupResponse(Message):
    """Which members left."""

    throttle_time_ms: Int32 = at("1+", default=0, ignorable=True)
    error_code: Int16
    members: Array[DepartedMember] = at("3+", default=list)
