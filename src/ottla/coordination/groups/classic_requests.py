"""What a shard does for classic groups: their requests, timers and records."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ottla.coordination.groups import (
    commands,
    joining,
    liveness,
    queries,
    rebalance,
    responses,
    syncing,
)
from ottla.coordination.groups.classic import ClassicGroup
from ottla.coordination.groups.draft import Draft
from ottla.coordination.groups.group import Group
from ottla.coordination.groups.lazy import module_of
from ottla.coordination.groups.timers import TimerKey, TimerKind, session_timer
from ottla.coordination.outcome import Outcome
from ottla.wire.api.k12_heartbeat import HeartbeatResponse
from ottla.wire.api.k13_leave_group import LeaveGroupResponse
from ottla.wire.api.k15_describe_groups import DescribeGroupsResponse
from ottla.wire.errors import ErrorCode
from ottla.wire.group_records import (
    GroupMetadataKey,
    GroupMetadataValue,
    GroupRecordKey,
    GroupRecordValue,
)

if TYPE_CHECKING:
    from ottla.coordination.groups.shard import GroupShard


def replay(shard: GroupShard, key: GroupRecordKey, value: GroupRecordValue | None) -> None:
    """Takes in a generation, or the end of a group."""
    assert isinstance(key, GroupMetadataKey)
    group = shard.groups.get(key.group)
    if value is None:
        # The tombstone of a group that became one of another kind must not take that away.
        if isinstance(group, ClassicGroup):
            del shard.groups[key.group]
        return
    assert isinstance(value, GroupMetadataValue)
    if not isinstance(group, ClassicGroup):
        group = shard.groups[key.group] = ClassicGroup(key.group)
    group.replay(value)


def on_timer(shard: GroupShard, group: Group, key: TimerKey, outcome: Outcome, now_ms: int) -> None:
    """A session, a join phase or a sync phase of the group is over."""
    assert isinstance(group, ClassicGroup)
    draft = Draft(group, shard.settings, now_ms, outcome)
    if key.kind is TimerKind.SESSION:
        rebalance.on_session_timer(draft, key.member_id)
    elif key.kind is TimerKind.JOIN:
        rebalance.on_join_timer(draft)
    elif key.kind is TimerKind.SYNC:
        rebalance.on_sync_timer(draft)


def loaded(shard: GroupShard, group: Group, outcome: Outcome, now_ms: int) -> None:
    """Every member gets a fresh session; a group beyond the limit is called to rebalance."""
    assert isinstance(group, ClassicGroup)
    for member in group.members.values():
        key = session_timer(group.group_id, member.member_id)
        outcome.set_timer(key, now_ms + member.session_timeout_ms)
    if len(group.members) > shard.settings.max_group_members:
        rebalance.prepare(Draft(group, shard.settings, now_ms, outcome))


def _join_group(
    shard: GroupShard, command: commands.JoinGroup, outcome: Outcome, now_ms: int
) -> None:
    request = command.request
    group = shard.groups.get(request.group_id)
    error = joining.refusal(request, shard.settings)
    if error is ErrorCode.NONE and group is None:
        if request.member_id:
            error = ErrorCode.UNKNOWN_MEMBER_ID
        elif shard.is_full:
            error = ErrorCode.POLICY_VIOLATION
    if error is ErrorCode.NONE and group is not None and not isinstance(group, ClassicGroup):
        if _pass_on(shard, group, command, outcome, now_ms):
            return
        error = ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    if error is not ErrorCode.NONE:
        response = responses.join_error(error, command.version, request.member_id)
        outcome.reply(command.token, response)
        return
    if not isinstance(group, ClassicGroup):
        group = ClassicGroup(request.group_id)
    joining.join(Draft(group, shard.settings, now_ms, outcome), command)


def _pass_on(
    shard: GroupShard, group: Group, command: commands.Command, outcome: Outcome, now_ms: int
) -> bool:
    """Lets another kind of group answer, if it serves members of the classic protocol too."""
    decide = module_of(group.MODULE).DECIDE.get(type(command))
    if decide is None:
        return False
    decide(shard, command, outcome, now_ms)
    return True


def _sync_group(
    shard: GroupShard, command: commands.SyncGroup, outcome: Outcome, now_ms: int
) -> None:
    group = shard.groups.get(command.request.group_id)
    if not isinstance(group, ClassicGroup):
        if group is not None and _pass_on(shard, group, command, outcome, now_ms):
            return
        error = _missing(command.request.group_id)
        outcome.reply(command.token, responses.sync_error(error))
    else:
        syncing.sync(Draft(group, shard.settings, now_ms, outcome), command)


def _heartbeat(
    shard: GroupShard, command: commands.Heartbeat, outcome: Outcome, now_ms: int
) -> None:
    request = command.request
    group = shard.groups.get(request.group_id)
    if not isinstance(group, ClassicGroup):
        if group is not None and _pass_on(shard, group, command, outcome, now_ms):
            return
        error = _missing(request.group_id)
    else:
        error = liveness.heartbeat_answer(group, request)
        if error in (ErrorCode.NONE, ErrorCode.REBALANCE_IN_PROGRESS):
            timeout_ms = group.members[request.member_id].session_timeout_ms
            key = session_timer(group.group_id, request.member_id)
            outcome.set_timer(key, now_ms + timeout_ms)
    outcome.reply(command.token, HeartbeatResponse(error_code=error))


def _leave_group(
    shard: GroupShard, command: commands.LeaveGroup, outcome: Outcome, now_ms: int
) -> None:
    group = shard.groups.get(command.request.group_id)
    if not command.request.group_id:
        response = LeaveGroupResponse(error_code=ErrorCode.INVALID_GROUP_ID)
        outcome.reply(command.token, response)
    elif not isinstance(group, ClassicGroup):
        if group is None or not _pass_on(shard, group, command, outcome, now_ms):
            outcome.reply(command.token, liveness.unknown_group(command))
    else:
        liveness.leave(Draft(group, shard.settings, now_ms, outcome), command)


def _describe_groups(
    shard: GroupShard, command: commands.DescribeGroups, outcome: Outcome, _: int
) -> None:
    described = [
        queries.describe(shard.groups.get(group_id), group_id, command.version)
        for group_id in command.request.groups
    ]
    outcome.reply(command.token, DescribeGroupsResponse(groups=described))


def _missing(group_id: str) -> ErrorCode:
    """What a member hears of a group that isn't there."""
    return ErrorCode.UNKNOWN_MEMBER_ID if group_id else ErrorCode.INVALID_GROUP_ID


DECIDE: dict[type[Any], Callable[[GroupShard, Any, Outcome, int], None]] = {
    commands.JoinGroup: _join_group,
    commands.SyncGroup: _sync_group,
    commands.Heartbeat: _heartbeat,
    commands.LeaveGroup: _leave_group,
    commands.DescribeGroups: _describe_groups,
}
