"""RemoveRaftVoter (key 81): remove a controller from the voters (KIP-853)."""

from __future__ import annotations

from ottla.wire.declare import Int16, Int32, Message, String, Uuid, at, message


@message(key=81, versions="0", flexible=0)
class RemoveRaftVoterRequest(Message):
    """The voter to remove."""

    cluster_id: String | None
    voter_id: Int32
    voter_directory_id: Uuid


@message(key=81, versions="0", flexible=0)
class RemoveRaftVoterResponse(Message):
    """Whether the voter was removed."""

    throttle_time_ms: Int32 = at(default=0)
    error_code: Int16
    error_message: String | None = at(default="")
