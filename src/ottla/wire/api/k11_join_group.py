"""JoinGroup (key 11): enter a classic group's next generation.

Version 1 adds the rebalance timeout (KIP-62), 4 hands out a member id first (KIP-394), 5 knows
static members (KIP-345), 7 answers with the protocol type (KIP-559), 8 gives a reason (KIP-800),
and 9 spares a static leader the assignment (KIP-814).
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


@struct
class JoinProtocol:
    """A protocol the member can use, in order of its preference."""

    name: String
    metadata: Bytes


@message(key=11, versions="0-9", flexible=6)
class JoinGroupRequest(Message):
    """A member, its timeouts and the protocols it speaks."""

    group_id: String
    session_timeout_ms: Int32
    # -1: take the session timeout.
    rebalance_timeout_ms: Int32 = at("1+", default=-1, ignorable=True)
    member_id: String  # empty on the first attempt
    group_instance_id: String | None = at("5+", default=None)
    protocol_type: String
    protocols: Array[JoinProtocol]
    reason: String | None = at("8+", default=None, ignorable=True)


@struct
class JoinedMember:
    """A member of the generation, with its subscription."""

    member_id: String
    group_instance_id: String | None = at("5+", default=None, ignorable=True)
    metadata: Bytes


@message(key=11, versions="0-9", flexible=6)
class JoinGroupResponse(Message):
    """The generation, and for its leader the members to assign partitions to."""

    throttle_time_ms: Int32 = at("2+", default=0, ignorable=True)
    error_code: Int16
    generation_id: Int32 = at(default=-1)
    protocol_type: String | None = at("7+", default=None, ignorable=True)
    protocol_name: String | None = at(nullable="7+")
    leader: String
    skip_assignment: Bool = at("9+", default=False)  # the leader keeps the assignment as it stands
    member_id: String
    members: Array[JoinedMember]  # empty for followers
