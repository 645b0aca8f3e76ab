"""Heartbeat (key 12): keep a classic group's member alive.

Version 3 knows static members (KIP-345).
"""

from __future__ import annotations

from ottla.wire.declare import Int16, Int32, Message, String, at, message


@message(key=12, versions="0-4", flexible=4)
class HeartbeatRequest(Message):
    """A member's sign of life."""

    group_id: String
    generation_id: Int32
    member_id: String
    group_instance_id: String | None = at("3+", default=None)


@message(key=12, versions="0-4", flexible=4)
class HeartbeatResponse(Message):
    """Whether the member may go on; REBALANCE_IN_PROGRESS asks it to rejoin."""

    throttle_time_ms: Int32 = at("1+", default=0, ignorable=True)
    error_code: Int16
