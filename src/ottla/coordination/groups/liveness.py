"""Heartbeat and LeaveGroup: who is still there, and who isn't any more."""

from __future__ import annotations

from ottla.coordination.groups import rebalance
from ottla.coordination.groups.classic import PREPARING_REBALANCE, ClassicGroup
from ottla.coordination.groups.commands import LeaveGroup
from ottla.coordination.groups.draft import Draft
from ottla.coordination.groups.events import MemberRemoved
from ottla.coordination.groups.membership import NO_MEMBER_ID
from ottla.wire.api.k12_heartbeat import HeartbeatRequest
from ottla.wire.api.k13_leave_group import (
    DepartedMember,
    LeaveGroupRequest,
    LeaveGroupResponse,
    LeavingMember,
)
from ottla.wire.errors import ErrorCode

# Several members can be named from this version on (KIP-345).
_SEVERAL_MEMBERS_VERSION = 3


def heartbeat_answer(group: ClassicGroup, request: HeartbeatRequest) -> ErrorCode:
    """``NONE`` and ``REBALANCE_IN_PROGRESS`` prolong the session; other errors don't."""
    error = group.check_member(request.member_id, request.group_instance_id)
    if error is not ErrorCode.NONE:
        return error
    if request.generation_id != group.generation_id:
        return ErrorCode.ILLEGAL_GENERATION
    if group.state is PREPARING_REBALANCE:
        return ErrorCode.REBALANCE_IN_PROGRESS
    return ErrorCode.NONE


def leave(draft: Draft, command: LeaveGroup) -> None:
    """Takes out the members named and begins, or goes on with, a rebalance without them."""
    group = draft.group
    member_count = len(group.members)
    departed = [
        DepartedMember(
            member_id=who.member_id,
            group_instance_id=who.group_instance_id,
            error_code=_take_out(draft, who),
        )
        for who in leaving_members(command.request, command.version)
    ]
    if group.state is PREPARING_REBALANCE:
        rebalance.complete_join_if_everybody_came(draft)
    elif len(group.members) < member_count:
        rebalance.prepare(draft)
    draft.outcome.reply(command.token, leave_response(departed, command.version))


def unknown_group(command: LeaveGroup) -> LeaveGroupResponse:
    """The answer when nobody can leave because there is no such group."""
    departed = [
        DepartedMember(
            member_id=who.member_id,
            group_instance_id=who.group_instance_id,
            error_code=ErrorCode.UNKNOWN_MEMBER_ID,
        )
        for who in leaving_members(command.request, command.version)
    ]
    return leave_response(departed, command.version)


def leaving_members(request: LeaveGroupRequest, version: int) -> list[LeavingMember]:
    """The members that the request names."""
    if version >= _SEVERAL_MEMBERS_VERSION:
        return request.members
    return [LeavingMember(member_id=request.member_id)]


def _take_out(draft: Draft, who: LeavingMember) -> ErrorCode:
    group = draft.group
    if who.member_id in group.pending_members:
        draft.end_session(who.member_id)
        draft.emit(MemberRemoved(group.group_id, who.member_id))
        return ErrorCode.NONE
    if who.member_id == NO_MEMBER_ID:
        # An administrator removes a static member by its group.instance.id alone.
        member_id = group.static_members.get(who.group_instance_id or "", NO_MEMBER_ID)
        error = group.check_member(member_id, None)
    else:
        member_id = who.member_id
        error = group.check_member(member_id, who.group_instance_id)
    if error is not ErrorCode.NONE:
        return error
    rebalance.remove_member(draft, group.members[member_id])
    return ErrorCode.NONE


def leave_response(departed: list[DepartedMember], version: int) -> LeaveGroupResponse:
    """The answer in the form that the version has."""
    if version >= _SEVERAL_MEMBERS_VERSION:
        return LeaveGroupResponse(error_code=ErrorCode.NONE, members=departed)
    return LeaveGroupResponse(error_code=departed[0].error_code)
