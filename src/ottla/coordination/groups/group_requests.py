"""What a shard does for groups of every kind: listing and deleting them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ottla.coordination.groups import commands
from ottla.coordination.groups.group import Group
from ottla.coordination.groups.group_log import offset_tombstone
from ottla.coordination.groups.timers import session_timer
from ottla.coordination.outcome import Outcome
from ottla.wire.api.k16_list_groups import ListedGroup, ListGroupsResponse
from ottla.wire.api.k42_delete_groups import DeletedGroup, DeleteGroupsResponse
from ottla.wire.errors import ErrorCode

if TYPE_CHECKING:
    from ottla.coordination.groups.shard import GroupShard


def _list_groups(shard: GroupShard, command: commands.ListGroups, outcome: Outcome, _: int) -> None:
    """The groups in one of the states and of one of the types asked for; no filter means all."""
    request = command.request
    states = {state.strip().lower() for state in request.states_filter}
    types = {group_type.strip().lower() for group_type in request.types_filter}
    listed = [
        ListedGroup(
            group_id=group.group_id,
            protocol_type=group.protocol_name_on_wire,
            group_state=group.state_on_wire,
            group_type=group.TYPE.value,
        )
        for group in shard.groups.values()
        if (not states or group.state_on_wire.lower() in states)
        and (not types or group.TYPE.value in types)
    ]
    outcome.reply(command.token, ListGroupsResponse(error_code=ErrorCode.NONE, groups=listed))


def _delete_groups(
    shard: GroupShard, command: commands.DeleteGroups, outcome: Outcome, _: int
) -> None:
    results = []
    for group_id in dict.fromkeys(command.request.groups_names):
        error = ErrorCode.NONE
        group = shard.groups.get(group_id)
        if group is None:
            error = ErrorCode.GROUP_ID_NOT_FOUND
        elif group.has_members:
            error = ErrorCode.NON_EMPTY_GROUP
        else:
            _delete_group(shard, group, outcome)
        results.append(DeletedGroup(group_id=group_id, error_code=error))
    outcome.is_atomic = False
    outcome.reply(command.token, DeleteGroupsResponse(results=results))


def _delete_group(shard: GroupShard, group: Group, outcome: Outcome) -> None:
    for topic, partition, _ in shard.offsets.positions(group.group_id):
        outcome.records.append(offset_tombstone(group.group_id, topic, partition))
    for topic, partition in shard.pending_offsets.of_group(group.group_id):
        if shard.offsets.get(group.group_id, topic, partition) is None:
            outcome.records.append(offset_tombstone(group.group_id, topic, partition))
    outcome.records.extend(group.tombstones())
    for member_id in group.volatile_sessions():
        outcome.cancel_timer(session_timer(group.group_id, member_id))


DECIDE: dict[type[Any], Callable[[GroupShard, Any, Outcome, int], None]] = {
    commands.ListGroups: _list_groups,
    commands.DeleteGroups: _delete_groups,
}
