"""What a shard does for consumer groups: their requests, timers and records."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ottla.coordination.groups import commands, joining, responses
from ottla.coordination.groups.classic import ClassicGroup
from ottla.coordination.groups.consumer import (
    classic_members,
    describing,
    subscription,
    together,
)
from ottla.coordination.groups.consumer.draft import ConsumerDraft
from ottla.coordination.groups.consumer.fencing import remove_members
from ottla.coordination.groups.consumer.group import ConsumerGroup
from ottla.coordination.groups.consumer.heartbeat import changes_nothing, heartbeat, quiet
from ottla.coordination.groups.consumer.member import MemberState
from ottla.coordination.groups.draft import Draft
from ottla.coordination.groups.group import Group
from ottla.coordination.groups.timers import TimerKey, TimerKind
from ottla.coordination.outcome import Outcome
from ottla.wire.api.k12_heartbeat import HeartbeatResponse
from ottla.wire.api.k68_consumer_group_heartbeat import ConsumerGroupHeartbeatResponse
from ottla.wire.api.k69_consumer_group_describe import ConsumerGroupDescribeResponse
from ottla.wire.errors import ProtocolError
from ottla.wire.group_records import GroupRecordKey, GroupRecordValue
from ottla.wire.group_records.consumer import ConsumerGroupMetadataKey

if TYPE_CHECKING:
    from ottla.coordination.groups.shard import GroupShard


def replay(shard: GroupShard, key: GroupRecordKey, value: GroupRecordValue | None) -> None:
    """Takes in one record of a consumer group."""
    group_id: str = key.group_id  # type: ignore[attr-defined]
    group = shard.groups.get(group_id)
    if value is None and not isinstance(group, ConsumerGroup):
        # Tombstones of a group that is gone or has become one of another kind.
        return
    if value is None and isinstance(key, ConsumerGroupMetadataKey):
        del shard.groups[group_id]
        if shard.offsets.of_group(group_id):
            # Offsets of nobody's group make a simple group.
            shard.groups[group_id] = ClassicGroup(group_id)
        return
    if not isinstance(group, ConsumerGroup):
        group = shard.groups[group_id] = ConsumerGroup(group_id)
    group.replay(key, value)


def on_timer(shard: GroupShard, group: Group, key: TimerKey, outcome: Outcome, now_ms: int) -> None:
    """A session is over, or a member hasn't done what it was told to in time."""
    assert isinstance(group, ConsumerGroup)
    draft = ConsumerDraft(shard, group, outcome, now_ms)
    if key.kind is TimerKind.PATTERNS:
        subscription.on_patterns_timer(draft)
        return
    member = group.members.get(key.member_id)
    if member is None:
        return
    has_revoked = member.state is not MemberState.UNREVOKED_PARTITIONS
    if key.kind is TimerKind.REVOCATION and has_revoked:
        return
    remove_members(draft, [member])


def loaded(shard: GroupShard, group: Group, outcome: Outcome, now_ms: int) -> None:
    """Every member gets a fresh session, and those that revoke partitions their time for it."""
    assert isinstance(group, ConsumerGroup)
    draft = ConsumerDraft(shard, group, outcome, now_ms)
    timeout_ms = shard.consumer_times.of(shard, group.group_id).session_timeout_ms
    for member in group.members.values():
        classic = member.classic
        draft.restart_session(
            member.member_id, timeout_ms if classic is None else classic.session_timeout_ms
        )
        if member.state is MemberState.UNREVOKED_PARTITIONS and classic is None:
            draft.set_timer(TimerKind.REVOCATION, member.member_id, member.rebalance_timeout_ms)


def _heartbeat(
    shard: GroupShard, command: commands.ConsumerGroupHeartbeat, outcome: Outcome, now_ms: int
) -> None:
    try:
        response = heartbeat(shard, command, outcome, now_ms)
    except ProtocolError as error:
        outcome.clear()
        response = ConsumerGroupHeartbeatResponse(
            error_code=error.code,
            error_message=error.message,
            member_id=None,
            member_epoch=0,
            heartbeat_interval_ms=0,
        )
    outcome.reply(command.token, response)


def decide_at_once(
    shard: GroupShard, command: commands.ConsumerGroupHeartbeat, now_ms: int
) -> Outcome | None:
    """See `GroupShard`: most heartbeats only say that the member lives."""
    if not changes_nothing(shard, command):
        return None
    outcome = Outcome()
    outcome.reply(command.token, quiet(shard, command, outcome, now_ms))
    return outcome


def decide_together(
    shard: GroupShard, gathered: Sequence[commands.ConsumerGroupHeartbeat], now_ms: int
) -> Iterator[tuple[Sequence[commands.ConsumerGroupHeartbeat], Outcome]]:
    """See `GroupShard`."""
    for company in together.companies(gathered):
        outcome = together.decide(shard, company, now_ms)
        if outcome is not None:
            yield company, outcome
            continue
        for command in company:
            outcome = Outcome()
            _heartbeat(shard, command, outcome, now_ms)
            yield (command,), outcome


def _join_group(
    shard: GroupShard, command: commands.JoinGroup, outcome: Outcome, now_ms: int
) -> None:
    group = _consumer_group(shard, command.request.group_id)
    if not group.members:
        # Nobody is in it: it becomes one of the kind that the first to come wants.
        outcome.records.extend(group.tombstones())
        joining.join(Draft(ClassicGroup(group.group_id), shard.settings, now_ms, outcome), command)
        return
    try:
        response = classic_members.join(ConsumerDraft(shard, group, outcome, now_ms), command)
    except ProtocolError as error:
        outcome.clear()
        response = responses.join_error(error.code, command.version, command.request.member_id)
    outcome.reply(command.token, response)


def _sync_group(
    shard: GroupShard, command: commands.SyncGroup, outcome: Outcome, now_ms: int
) -> None:
    group = _consumer_group(shard, command.request.group_id)
    try:
        response = classic_members.sync(ConsumerDraft(shard, group, outcome, now_ms), command)
    except ProtocolError as error:
        response = responses.sync_error(error.code)
    outcome.reply(command.token, response)


def _classic_heartbeat(
    shard: GroupShard, command: commands.Heartbeat, outcome: Outcome, now_ms: int
) -> None:
    group = _consumer_group(shard, command.request.group_id)
    try:
        response = classic_members.heartbeat(ConsumerDraft(shard, group, outcome, now_ms), command)
    except ProtocolError as error:
        response = HeartbeatResponse(error_code=error.code)
    outcome.reply(command.token, response)


def _leave_group(
    shard: GroupShard, command: commands.LeaveGroup, outcome: Outcome, now_ms: int
) -> None:
    group = _consumer_group(shard, command.request.group_id)
    draft = ConsumerDraft(shard, group, outcome, now_ms)
    outcome.reply(command.token, classic_members.leave(draft, command))


def _consumer_group(shard: GroupShard, group_id: str) -> ConsumerGroup:
    group = shard.groups[group_id]
    assert isinstance(group, ConsumerGroup)
    return group


def _describe(
    shard: GroupShard, command: commands.ConsumerGroupDescribe, outcome: Outcome, _: int
) -> None:
    described = [describing.describe(shard, each) for each in command.request.group_ids]
    outcome.reply(command.token, ConsumerGroupDescribeResponse(groups=described))


DECIDE: dict[type[Any], Callable[[GroupShard, Any, Outcome, int], None]] = {
    commands.ConsumerGroupHeartbeat: _heartbeat,
    commands.ConsumerGroupDescribe: _describe,
    # Passed on by `classic_requests`:
    commands.JoinGroup: _join_group,
    commands.SyncGroup: _sync_group,
    commands.Heartbeat: _classic_heartbeat,
    commands.LeaveGroup: _leave_group,
}
