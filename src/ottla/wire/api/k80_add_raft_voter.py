"""AddRaftVoter (key 80): add a controller to the voters (KIP-853).

Version 1 can answer before the new set is committed (KIP-1186).
"""

from __future__ import annotations

from ottla.wire.declare import (
    Array,
    Bool,
    Int16,
    Int32,
    Message,
    String,
    Uint16,
    Uuid,
    at,
    message,
    struct,
)


@struct
class VoterListener:
    """One address of the voter."""

    name: String
    host: String
    port: Uint16


@message(key=80, versions="0-1", flexible=0)
class AddRaftVoterRequest(Message):
    """The voter and its addresses."""

    cluster_id: String | None
    timeout_ms: Int32
    voter_id: Int32
    voter_directory_id: Uuid
    listeners: Array[VoterListener]
    ack_when_committed: Bool = at("1+", default=True)


@message(key=80, versions="0-1", flexible=0)
class AddRaftVoterResponse(Message):
    """Whether the voter was added."""

    throttle_time_ms: Int32 = at(default=0)
    error_code: Int16
    error_message: String | None = at(default="")
