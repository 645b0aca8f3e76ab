"""How a rebalance goes: calling the members, ending the join phase, ending the sync phase."""

from __future__ import annotations

from ottla.coordination.groups import responses
from ottla.coordination.groups.classic import (
    COMPLETING_REBALANCE,
    EMPTY,
    PREPARING_REBALANCE,
    STABLE,
)
from ottla.coordination.groups.draft import Draft
from ottla.coordination.groups.events import (
    GenerationStarted,
    InitialRebalanceExtended,
    MemberRemoved,
    RebalancePrepared,
)
from ottla.coordination.groups.group_log import group_record
from ottla.coordination.groups.membership import Member
from ottla.coordination.groups.timers import join_timer, sync_timer
from ottla.wire.errors import ErrorCode


def prepare_or_complete(draft: Draft) -> None:
    """After the membership changed: calls for a rebalance, or ends the join phase if it can."""
    if draft.group.can_rebalance:
        prepare(draft)
    else:
        complete_join_if_everybody_came(draft)


def prepare(draft: Draft, sync_error: ErrorCode = ErrorCode.REBALANCE_IN_PROGRESS) -> None:
    """Starts the join phase. Parked SyncGroups are answered with ``sync_error``."""
    group = draft.group
    outcome = draft.outcome
    if group.state is COMPLETING_REBALANCE:
        answer_parked_syncs(draft, sync_error)
    outcome.cancel_timer(sync_timer(group.group_id))
    if not group.members:
        _become_empty(draft)
        return

    is_initial = group.state is EMPTY
    delay_ms = draft.settings.initial_rebalance_delay_ms
    timeout_ms = group.rebalance_timeout_ms
    remaining_delay_ms = max(timeout_ms - delay_ms, 0) if is_initial else 0
    draft.emit(RebalancePrepared(group.group_id, draft.now_ms, remaining_delay_ms))
    if is_initial:
        # More members are likely to follow soon; each of them would cost a rebalance (KIP-134).
        outcome.set_timer(join_timer(group.group_id), draft.now_ms + delay_ms)
    elif group.all_members_joined:
        complete_join(draft)
    else:
        outcome.set_timer(join_timer(group.group_id), draft.now_ms + timeout_ms)


def complete_join_if_everybody_came(draft: Draft) -> None:
    """Ends the join phase early, except the initial one, which always takes its delay."""
    group = draft.group
    if (
        group.state is PREPARING_REBALANCE
        and group.previous_state is not EMPTY
        and group.all_members_joined
    ):
        complete_join(draft)


def on_join_timer(draft: Draft) -> None:
    """Ends the join phase, or prolongs the initial delay while members keep coming."""
    group = draft.group
    if group.state is not PREPARING_REBALANCE:
        return
    is_initial = group.previous_state is EMPTY
    if is_initial and group.has_new_members and group.remaining_delay_ms > 0:
        delay_ms = min(draft.settings.initial_rebalance_delay_ms, group.remaining_delay_ms)
        remaining_delay_ms = group.remaining_delay_ms - delay_ms
        draft.emit(InitialRebalanceExtended(group.group_id, remaining_delay_ms))
        draft.outcome.set_timer(join_timer(group.group_id), draft.now_ms + delay_ms)
    else:
        complete_join(draft)


def complete_join(draft: Draft) -> None:
    """Begins the next generation with those who rejoined.

    Dynamic members that didn't are expelled; static ones keep their place until their session
    ends (KIP-345).
    """
    group = draft.group
    group_id = group.group_id
    draft.outcome.cancel_timer(join_timer(group_id))
    laggards = [
        member.member_id
        for member in group.members.values()
        if member.parked_join is None and not member.is_static
    ]
    for member_id in laggards:
        draft.end_session(member_id)
        draft.emit(MemberRemoved(group_id, member_id))
    if not group.members:
        _become_empty(draft)
        return
    leader_id = group.elect_leader()
    if leader_id is None:
        # Only static members are left and none came: wait on, until their sessions end.
        timeout_ms = group.rebalance_timeout_ms
        draft.outcome.set_timer(join_timer(group_id), draft.now_ms + timeout_ms)
        return
    _start_generation(draft, leader_id)


def _start_generation(draft: Draft, leader_id: str) -> None:
    group = draft.group
    waiting = [member for member in group.members.values() if member.parked_join is not None]
    draft.emit(
        GenerationStarted(
            group.group_id,
            draft.now_ms,
            group.next_generation_id,
            group.select_protocol(),
            leader_id,
        )
    )
    for member in waiting:
        assert member.parked_join is not None
        is_leader = member.member_id == leader_id
        draft.outcome.reply(
            member.parked_join.token,
            responses.joined(
                group,
                member.member_id,
                member.parked_join.version,
                members=responses.members_for_leader(group) if is_leader else [],
            ),
        )
    for member in group.members.values():
        draft.restart_session(member)
    deadline_ms = draft.now_ms + group.rebalance_timeout_ms
    draft.outcome.set_timer(sync_timer(group.group_id), deadline_ms)


def _become_empty(draft: Draft) -> None:
    group = draft.group
    draft.outcome.cancel_timer(join_timer(group.group_id))
    draft.outcome.records.append(
        group_record(
            group,
            now_ms=draft.now_ms,
            generation_id=group.next_generation_id,
            protocol_name=None,
            assignments={},
        )
    )


def on_sync_timer(draft: Draft) -> None:
    """Expels the members that haven't asked for their assignment.

    Heartbeats alone would let them hold partitions that they never learn of.
    """
    group = draft.group
    if group.state not in (COMPLETING_REBALANCE, STABLE) or not group.pending_syncs:
        return
    for member_id in list(group.pending_syncs):
        draft.end_session(member_id)
        draft.emit(MemberRemoved(group.group_id, member_id))
    prepare(draft)


def on_session_timer(draft: Draft, member_id: str) -> None:
    """Expels a member that hasn't been heard of, or forgets an id that nobody joined with."""
    group = draft.group
    member = group.members.get(member_id)
    if member is None:
        if member_id in group.pending_members:
            draft.emit(MemberRemoved(group.group_id, member_id))
            complete_join_if_everybody_came(draft)
    elif not member.is_excused_from_heartbeats:
        remove_member(draft, member)
        if group.state in (STABLE, COMPLETING_REBALANCE):
            prepare(draft)
        else:
            complete_join_if_everybody_came(draft)


def remove_member(draft: Draft, member: Member) -> None:
    """Takes a member out; a client that still waits is told to join anew."""
    if member.parked_join is not None:
        draft.outcome.reply(
            member.parked_join.token,
            responses.join_error(ErrorCode.UNKNOWN_MEMBER_ID, member.parked_join.version),
        )
    if member.parked_sync is not None:
        draft.outcome.reply(
            member.parked_sync.token, responses.sync_error(ErrorCode.UNKNOWN_MEMBER_ID)
        )
    draft.end_session(member.member_id)
    draft.emit(MemberRemoved(draft.group.group_id, member.member_id))


def answer_parked_syncs(draft: Draft, error: ErrorCode) -> None:
    """Answers every parked SyncGroup with ``error``; the caller's next event clears them."""
    for member in draft.group.members.values():
        if member.parked_sync is not None:
            draft.outcome.reply(member.parked_sync.token, responses.sync_error(error))
            draft.restart_session(member)
