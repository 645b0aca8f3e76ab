"""One partition of ``__consumer_offsets`` at work: the groups it holds and their offsets.

How the runtime drives a shard, one command at a time and nothing in between:

    outcome = shard.decide(command, now_ms)       # or shard.on_timer(key, now_ms)
    append outcome.records; shard.replay(each)
    shard.apply(each of outcome.events)
    set or cancel outcome.timers
    release outcome.replies once the high watermark has passed the log's end as it is now

To load it: a new `GroupShard`, `replay` of every record in the log, then `loaded(now_ms)`, whose
outcome is performed like any other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ottla.coordination.groups import (
    commands,
    joining,
    liveness,
    offsets,
    queries,
    rebalance,
    responses,
    syncing,
)
from ottla.coordination.groups.classic import EMPTY, ClassicGroup
from ottla.coordination.groups.committed import OffsetStore
from ottla.coordination.groups.draft import Draft
from ottla.coordination.groups.events import Event, MemberRemoved
from ottla.coordination.groups.group_log import (
    OffsetChange,
    group_tombstone,
    offset_tombstone,
    read_record,
)
from ottla.coordination.groups.settings import GroupSettings
from ottla.coordination.groups.timers import OFFSET_EXPIRY_TIMER, TimerKey, TimerKind, session_timer
from ottla.coordination.outcome import (
    CoordinatorRecord,
    Outcome,
    Reply,
    SkippedRecord,
    TransactionalProducer,
)
from ottla.wire.api.k12_heartbeat import HeartbeatResponse
from ottla.wire.api.k13_leave_group import LeaveGroupResponse
from ottla.wire.api.k15_describe_groups import DescribeGroupsResponse
from ottla.wire.api.k16_list_groups import ListGroupsResponse
from ottla.wire.api.k42_delete_groups import DeletedGroup, DeleteGroupsResponse
from ottla.wire.errors import ErrorCode


class GroupShard:
    """The group coordinator for one partition. `replay` and `apply` alone change it."""

    def __init__(self, settings: GroupSettings | None = None) -> None:
        self.settings = GroupSettings() if settings is None else settings
        self.groups: dict[str, ClassicGroup] = {}
        self.offsets = OffsetStore()
        self._transactions: dict[int, list[CoordinatorRecord]] = {}

    # State

    def replay(
        self, record: CoordinatorRecord, producer: TransactionalProducer | None = None
    ) -> SkippedRecord | None:
        """Takes in one record of the log; says so if it was skipped."""
        if producer is not None:
            self._transactions.setdefault(producer.producer_id, []).append(record)
            return None
        change = read_record(record)
        if isinstance(change, SkippedRecord):
            return change
        if isinstance(change, OffsetChange):
            if change.committed is None:
                self.offsets.remove(change.group_id, change.topic, change.partition)
            else:
                # Offsets of nobody's group make a simple group.
                self._group(change.group_id)
                self.offsets.put(change.group_id, change.topic, change.partition, change.committed)
        elif change.metadata is None:
            self.groups.pop(change.group_id, None)
        else:
            self._group(change.group_id).replay(change.metadata)
        return None

    def end_transaction(self, producer_id: int, producer_epoch: int, is_committed: bool) -> None:
        """Lets the offsets of a committed transaction take effect, drops those of an aborted."""
        records = self._transactions.pop(producer_id, [])
        if is_committed:
            for record in records:
                self.replay(record)

    def apply(self, event: Event) -> None:
        """Makes a change that a restart forgets."""
        group = self._group(event.group_id)
        group.apply(event)
        if isinstance(event, MemberRemoved) and self._never_was(group):
            del self.groups[group.group_id]

    def _group(self, group_id: str) -> ClassicGroup:
        group = self.groups.get(group_id)
        if group is None:
            group = self.groups[group_id] = ClassicGroup(group_id)
        return group

    def _never_was(self, group: ClassicGroup) -> bool:
        """Whether the group only stood in memory, for ids nobody came back with."""
        return (
            group.is_simple
            and group.generation_id == 0
            and not self.offsets.of_group(group.group_id)
        )

    # Decisions

    def decide(self, command: commands.Command, now_ms: int) -> Outcome:
        """What the command leads to; nothing is changed yet."""
        outcome = Outcome()
        _DECIDE[type(command)](self, command, outcome, now_ms)
        return outcome

    def on_timer(self, key: TimerKey, now_ms: int) -> Outcome:
        """What the timer's expiry leads to. A timer that outlived its cause leads to nothing."""
        outcome = Outcome()
        if key.kind is TimerKind.OFFSET_EXPIRY:
            self._expire_offsets(outcome, now_ms)
            return outcome
        group = self.groups.get(key.group_id)
        if group is None:
            return outcome
        draft = Draft(group, self.settings, now_ms, outcome)
        if key.kind is TimerKind.SESSION:
            rebalance.on_session_timer(draft, key.member_id)
        elif key.kind is TimerKind.JOIN:
            rebalance.on_join_timer(draft)
        else:
            rebalance.on_sync_timer(draft)
        return outcome

    def loaded(self, now_ms: int) -> Outcome:
        """After the replay of the log: every member gets a fresh session.

        Groups larger than the limit, which may have been lowered, are called to rebalance.
        """
        outcome = Outcome()
        for group in self.groups.values():
            for member in group.members.values():
                key = session_timer(group.group_id, member.member_id)
                outcome.set_timer(key, now_ms + member.session_timeout_ms)
            if len(group.members) > self.settings.max_group_members:
                rebalance.prepare(Draft(group, self.settings, now_ms, outcome))
        self._schedule_expiry(outcome, now_ms)
        return outcome

    def abandon(self, error: ErrorCode) -> list[Reply]:
        """What all parked JoinGroups and SyncGroups get when the shard is about to be thrown away.

        The runtime releases these at once: there is no record that could make them true.
        """
        replies = []
        for group in self.groups.values():
            for member in group.members.values():
                join, sync = member.parked_join, member.parked_sync
                if join is not None:
                    response = responses.join_error(error, join.version, member.member_id)
                    replies.append(Reply(join.token, response))
                if sync is not None:
                    replies.append(Reply(sync.token, responses.sync_error(error)))
        return replies

    def _join_group(self, command: commands.JoinGroup, outcome: Outcome, now_ms: int) -> None:
        request = command.request
        group = self.groups.get(request.group_id)
        error = joining.refusal(request, self.settings)
        if error is ErrorCode.NONE and group is None:
            if request.member_id:
                error = ErrorCode.UNKNOWN_MEMBER_ID
            elif self._is_full:
                error = ErrorCode.POLICY_VIOLATION
        if error is not ErrorCode.NONE:
            response = responses.join_error(error, command.version, request.member_id)
            outcome.reply(command.token, response)
            return
        if group is None:
            group = ClassicGroup(request.group_id)
        joining.join(Draft(group, self.settings, now_ms, outcome), command)

    @property
    def _is_full(self) -> bool:
        return len(self.groups) >= self.settings.max_groups_per_shard

    def _sync_group(self, command: commands.SyncGroup, outcome: Outcome, now_ms: int) -> None:
        group = self.groups.get(command.request.group_id)
        if group is None:
            error = _missing(command.request.group_id)
            outcome.reply(command.token, responses.sync_error(error))
        else:
            syncing.sync(Draft(group, self.settings, now_ms, outcome), command)

    def _heartbeat(self, command: commands.Heartbeat, outcome: Outcome, now_ms: int) -> None:
        request = command.request
        group = self.groups.get(request.group_id)
        if group is None:
            error = _missing(request.group_id)
        else:
            error = liveness.heartbeat_answer(group, request)
            if error in (ErrorCode.NONE, ErrorCode.REBALANCE_IN_PROGRESS):
                _prolong_session(group, request.member_id, outcome, now_ms)
        outcome.reply(command.token, HeartbeatResponse(error_code=error))

    def _leave_group(self, command: commands.LeaveGroup, outcome: Outcome, now_ms: int) -> None:
        group = self.groups.get(command.request.group_id)
        if not command.request.group_id:
            response = LeaveGroupResponse(error_code=ErrorCode.INVALID_GROUP_ID)
            outcome.reply(command.token, response)
        elif group is None:
            outcome.reply(command.token, liveness.unknown_group(command))
        else:
            liveness.leave(Draft(group, self.settings, now_ms, outcome), command)

    def _offset_commit(self, command: commands.OffsetCommit, outcome: Outcome, now_ms: int) -> None:
        request = command.request
        group = self.groups.get(request.group_id)
        error = offsets.check_commit(group, request, command.version)
        if error is ErrorCode.NONE and group is None and self._is_full:
            error = ErrorCode.POLICY_VIOLATION
        if error is not ErrorCode.NONE:
            outcome.reply(command.token, offsets.commit_error(request, error))
            return
        if group is not None and group.state is not EMPTY:
            _prolong_session(group, request.member_id, outcome, now_ms)
        offsets.commit(outcome, command, self.settings, now_ms)

    def _offset_fetch(self, command: commands.OffsetFetch, outcome: Outcome, _: int) -> None:
        response = queries.fetch_offsets(self.offsets, command.request, command.version)
        outcome.reply(command.token, response)

    def _offset_delete(self, command: commands.OffsetDelete, outcome: Outcome, _: int) -> None:
        group = self.groups.get(command.request.group_id)
        offsets.delete(outcome, command, group, self.offsets)

    def _describe_groups(self, command: commands.DescribeGroups, outcome: Outcome, _: int) -> None:
        described = [
            queries.describe(self.groups.get(group_id), group_id, command.version)
            for group_id in command.request.groups
        ]
        outcome.reply(command.token, DescribeGroupsResponse(groups=described))

    def _list_groups(self, command: commands.ListGroups, outcome: Outcome, _: int) -> None:
        listed = queries.list_groups(self.groups.values(), command.request)
        response = ListGroupsResponse(error_code=ErrorCode.NONE, groups=listed)
        outcome.reply(command.token, response)

    def _delete_groups(self, command: commands.DeleteGroups, outcome: Outcome, _: int) -> None:
        results = []
        for group_id in dict.fromkeys(command.request.groups_names):
            error = ErrorCode.NONE
            group = self.groups.get(group_id)
            if group is None:
                error = ErrorCode.GROUP_ID_NOT_FOUND
            elif group.state is not EMPTY:
                error = ErrorCode.NON_EMPTY_GROUP
            else:
                self._delete_group(group, outcome)
            results.append(DeletedGroup(group_id=group_id, error_code=error))
        outcome.is_atomic = False
        outcome.reply(command.token, DeleteGroupsResponse(results=results))

    def _delete_group(self, group: ClassicGroup, outcome: Outcome) -> None:
        for topic, partition, _ in self.offsets.positions(group.group_id):
            outcome.records.append(offset_tombstone(group.group_id, topic, partition))
        outcome.records.append(group_tombstone(group.group_id))
        for member_id in group.pending_members:
            outcome.cancel_timer(session_timer(group.group_id, member_id))

    def _topics_deleted(self, command: commands.TopicsDeleted, outcome: Outcome, _: int) -> None:
        outcome.is_atomic = False
        for group_id in self.offsets.group_ids():
            committed = self.offsets.of_group(group_id)
            for topic in command.topics & committed.keys():
                outcome.records.extend(
                    offset_tombstone(group_id, topic, partition) for partition in committed[topic]
                )

    def _expire_offsets(self, outcome: Outcome, now_ms: int) -> None:
        """Lets go of offsets past their retention, and of empty groups without any."""
        outcome.is_atomic = False
        for group in self.groups.values():
            tombstones = offsets.expired(group, self.offsets, self.settings, now_ms)
            outcome.records.extend(tombstones)
            offset_count = sum(1 for _ in self.offsets.positions(group.group_id))
            if (
                group.state is EMPTY
                and not group.pending_members
                and len(tombstones) == offset_count
            ):
                outcome.records.append(group_tombstone(group.group_id))
        self._schedule_expiry(outcome, now_ms)

    def _schedule_expiry(self, outcome: Outcome, now_ms: int) -> None:
        interval_ms = self.settings.offsets_retention_check_interval_ms
        outcome.set_timer(OFFSET_EXPIRY_TIMER, now_ms + interval_ms)


def _missing(group_id: str) -> ErrorCode:
    """What a member hears of a group that isn't there."""
    return ErrorCode.UNKNOWN_MEMBER_ID if group_id else ErrorCode.INVALID_GROUP_ID


def _prolong_session(group: ClassicGroup, member_id: str, outcome: Outcome, now_ms: int) -> None:
    timeout_ms = group.members[member_id].session_timeout_ms
    outcome.set_timer(session_timer(group.group_id, member_id), now_ms + timeout_ms)


_DECIDE: dict[type[Any], Callable[[GroupShard, Any, Outcome, int], None]] = {
    commands.JoinGroup: GroupShard._join_group,
    commands.SyncGroup: GroupShard._sync_group,
    commands.Heartbeat: GroupShard._heartbeat,
    commands.LeaveGroup: GroupShard._leave_group,
    commands.OffsetCommit: GroupShard._offset_commit,
    commands.OffsetFetch: GroupShard._offset_fetch,
    commands.OffsetDelete: GroupShard._offset_delete,
    commands.DescribeGroups: GroupShard._describe_groups,
    commands.ListGroups: GroupShard._list_groups,
    commands.DeleteGroups: GroupShard._delete_groups,
    commands.TopicsDeleted: GroupShard._topics_deleted,
}
