"""Answers to JoinGroup and SyncGroup, which are given from several places."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.coordination.groups.membership import EMPTY_ASSIGNMENT, NO_MEMBER_ID
from ottla.wire.api.k11_join_group import JoinedMember, JoinGroupResponse
from ottla.wire.api.k14_sync_group import SyncGroupResponse
from ottla.wire.errors import ErrorCode

if TYPE_CHECKING:
    from ottla.coordination.groups.classic import ClassicGroup

# From this version on the protocol name may be null (KIP-559).
_NULLABLE_PROTOCOL_NAME_VERSION = 7


def join_error(error: ErrorCode, version: int, member_id: str = NO_MEMBER_ID) -> JoinGroupResponse:
    """A JoinGroup refused."""
    return JoinGroupResponse(
        error_code=error,
        protocol_name=None if version >= _NULLABLE_PROTOCOL_NAME_VERSION else "",
        leader="",
        member_id=member_id,
        members=[],
    )


def joined(
    group: ClassicGroup,
    member_id: str,
    version: int,
    *,
    members: list[JoinedMember],
    leader_id: str | None = None,
    skip_assignment: bool = False,
) -> JoinGroupResponse:
    """A JoinGroup answered with the group's current generation."""
    name = group.protocol_name
    if name is None and version < _NULLABLE_PROTOCOL_NAME_VERSION:
        name = ""
    return JoinGroupResponse(
        error_code=ErrorCode.NONE,
        generation_id=group.generation_id,
        protocol_type=group.protocol_type,
        protocol_name=name,
        leader=leader_id or group.leader_id or "",
        skip_assignment=skip_assignment,
        member_id=member_id,
        members=members,
    )


def members_for_leader(group: ClassicGroup) -> list[JoinedMember]:
    """What the leader assigns by: every member's metadata for the protocol selected."""
    name = group.protocol_name or ""
    return [
        JoinedMember(
            member_id=member.member_id,
            group_instance_id=member.group_instance_id,
            metadata=member.metadata(name),
        )
        for member in group.members.values()
    ]


def sync_error(error: ErrorCode) -> SyncGroupResponse:
    """A SyncGroup refused."""
    return SyncGroupResponse(error_code=error, assignment=EMPTY_ASSIGNMENT)


def synced(group: ClassicGroup, assignment: bytes) -> SyncGroupResponse:
    """A SyncGroup answered with the member's assignment."""
    return SyncGroupResponse(
        error_code=ErrorCode.NONE,
        protocol_type=group.protocol_type,
        protocol_name=group.protocol_name,
        assignment=assignment,
    )
