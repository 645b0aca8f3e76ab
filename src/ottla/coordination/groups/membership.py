"""One member of a classic group, as an immutable value."""

from __future__ import annotations

from typing import NamedTuple

NO_MEMBER_ID = ""
EMPTY_ASSIGNMENT = b""


class Parked(NamedTuple):
    """A JoinGroup or SyncGroup whose answer has to wait for the other members."""

    token: object
    version: int


class Member(NamedTuple):
    """A member; ``protocols`` are (name, metadata) in the member's order of preference."""

    member_id: str
    group_instance_id: str | None
    client_id: str
    client_host: str
    rebalance_timeout_ms: int
    session_timeout_ms: int
    protocols: tuple[tuple[str, bytes], ...]
    assignment: bytes = EMPTY_ASSIGNMENT
    # A new member doesn't know its member id before its JoinGroup is answered, so its session can
    # expire while the JoinGroup is parked: see `GroupSettings.new_member_join_timeout_ms`.
    is_new: bool = False
    parked_join: Parked | None = None
    parked_sync: Parked | None = None

    @property
    def is_static(self) -> bool:
        """Whether the member has a group.instance.id (KIP-345)."""
        return self.group_instance_id is not None

    @property
    def is_excused_from_heartbeats(self) -> bool:
        """Whether a parked request stands for the member's life while it can't heartbeat."""
        if self.is_new:
            return False
        return self.parked_join is not None or self.parked_sync is not None

    def metadata(self, protocol_name: str) -> bytes:
        """The member's metadata for a protocol it supports."""
        for name, metadata in self.protocols:
            if name == protocol_name:
                return metadata
        raise KeyError(protocol_name)
