"""Changes of a group that a restart forgets, as Kafka forgets them.

They come out of `GroupShard.decide` and go into `GroupShard.apply`. What must outlive a restart is
a record instead: see `group_log`.
"""

from __future__ import annotations

from typing import NamedTuple

from ottla.coordination.groups.membership import Member, Parked


class MemberIdIssued(NamedTuple):
    """A dynamic member was told its member id and is expected to join with it (KIP-394)."""

    group_id: str
    member_id: str


class MemberJoined(NamedTuple):
    """A member, new or known, is in the group with what its JoinGroup said."""

    group_id: str
    member: Member
    protocol_type: str


class MemberRemoved(NamedTuple):
    """A member or pending member left or was expelled. Without effect if it is gone already."""

    group_id: str
    member_id: str


class StaticMemberReplaced(NamedTuple):
    """The member with the old id was fenced by ``member``, of the same group.instance.id."""

    group_id: str
    old_member_id: str
    member: Member


class RebalancePrepared(NamedTuple):
    """The members were called to rejoin; ``remaining_delay_ms`` is for initial rebalances."""

    group_id: str
    now_ms: int
    remaining_delay_ms: int


class InitialRebalanceExtended(NamedTuple):
    """More members came during the initial delay, so it was prolonged."""

    group_id: str
    remaining_delay_ms: int


class GenerationStarted(NamedTuple):
    """The join phase is over; all parked JoinGroups are answered."""

    group_id: str
    now_ms: int
    generation_id: int
    protocol_name: str
    leader_id: str


class SyncParked(NamedTuple):
    """A member waits for the leader's assignment."""

    group_id: str
    member_id: str
    parked: Parked


class MemberSynced(NamedTuple):
    """A member has sent its SyncGroup of this generation."""

    group_id: str
    member_id: str


class SyncsAnswered(NamedTuple):
    """All parked SyncGroups are answered."""

    group_id: str


Event = (
    MemberIdIssued
    | MemberJoined
    | MemberRemoved
    | StaticMemberReplaced
    | RebalancePrepared
    | InitialRebalanceExtended
    | GenerationStarted
    | SyncParked
    | MemberSynced
    | SyncsAnswered
)
