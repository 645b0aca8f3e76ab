"""SyncGroup: the leader's assignment in, every member's own part out."""

from __future__ import annotations

from ottla.coordination.groups import rebalance, responses
from ottla.coordination.groups.classic import (
    COMPLETING_REBALANCE,
    PREPARING_REBALANCE,
    ClassicGroup,
)
from ottla.coordination.groups.commands import SyncGroup
from ottla.coordination.groups.draft import Draft
from ottla.coordination.groups.events import MemberSynced, SyncParked, SyncsAnswered
from ottla.coordination.groups.group_log import group_record
from ottla.coordination.groups.membership import EMPTY_ASSIGNMENT, Parked
from ottla.coordination.groups.timers import sync_timer
from ottla.coordination.outcome import size_bytes
from ottla.wire.api.k14_sync_group import SyncGroupRequest
from ottla.wire.errors import ErrorCode


def refusal(group: ClassicGroup, request: SyncGroupRequest) -> ErrorCode:
    """Why this member can't have an assignment now; ``NONE`` if it can."""
    if not group.members:
        return ErrorCode.UNKNOWN_MEMBER_ID
    error = group.check_member(request.member_id, request.group_instance_id)
    if error is not ErrorCode.NONE:
        return error
    if request.generation_id != group.generation_id:
        return ErrorCode.ILLEGAL_GENERATION
    if _differs(request.protocol_type, group.protocol_type) or _differs(
        request.protocol_name, group.protocol_name
    ):
        return ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    if group.state is PREPARING_REBALANCE:
        return ErrorCode.REBALANCE_IN_PROGRESS
    return ErrorCode.NONE


def _differs(asked: str | None, actual: str | None) -> bool:
    return asked is not None and actual is not None and asked != actual


def sync(draft: Draft, command: SyncGroup) -> None:
    """Answers with the member's assignment, at once or when the leader has brought it."""
    group = draft.group
    request = command.request
    error = refusal(group, request)
    if error is not ErrorCode.NONE:
        draft.outcome.reply(command.token, responses.sync_error(error))
        return
    member = group.members[request.member_id]
    if group.state is not COMPLETING_REBALANCE:
        draft.emit(MemberSynced(group.group_id, member.member_id))
        draft.outcome.reply(command.token, responses.synced(group, member.assignment))
    else:
        if member.parked_sync is not None:
            draft.outcome.reply(
                member.parked_sync.token,
                responses.sync_error(ErrorCode.REBALANCE_IN_PROGRESS),
            )
        parked = Parked(command.token, command.version)
        draft.emit(SyncParked(group.group_id, member.member_id, parked))
        if group.leader_id == member.member_id:
            _complete_sync(draft, request)
    if not group.pending_syncs:
        draft.outcome.cancel_timer(sync_timer(group.group_id))


def _complete_sync(draft: Draft, request: SyncGroupRequest) -> None:
    """Persists the generation with its assignment and answers all who wait for it.

    The answers leave once the record is durable: a member must not act on an assignment that a
    restart would forget.
    """
    group = draft.group
    brought = {item.member_id: bytes(item.assignment) for item in request.assignments}
    assignments = {
        member_id: brought.get(member_id, EMPTY_ASSIGNMENT) for member_id in group.members
    }
    record = group_record(
        group,
        now_ms=draft.now_ms,
        generation_id=group.generation_id,
        protocol_name=group.protocol_name,
        assignments=assignments,
    )
    if size_bytes([record]) > draft.settings.max_batch_bytes:
        # As Kafka answers a group whose metadata doesn't fit into the offsets topic.
        rebalance.prepare(draft, ErrorCode.UNKNOWN_SERVER_ERROR)
        return
    draft.outcome.records.append(record)
    for member in group.members.values():
        if member.parked_sync is not None:
            response = responses.synced(group, assignments[member.member_id])
            draft.outcome.reply(member.parked_sync.token, response)
            draft.restart_session(member)
    draft.emit(SyncsAnswered(group.group_id))
