"""JoinGroup: who may come in, and what their coming sets off."""

from __future__ import annotations

from ottla.coordination.groups import rebalance, responses
from ottla.coordination.groups.classic import (
    COMPLETING_REBALANCE,
    EMPTY,
    PREPARING_REBALANCE,
    STABLE,
    ClassicGroup,
)
from ottla.coordination.groups.commands import JoinGroup
from ottla.coordination.groups.draft import Draft
from ottla.coordination.groups.events import (
    MemberIdIssued,
    MemberJoined,
    MemberRemoved,
    StaticMemberReplaced,
)
from ottla.coordination.groups.group_log import group_record
from ottla.coordination.groups.membership import NO_MEMBER_ID, Member, Parked
from ottla.coordination.groups.settings import GroupSettings
from ottla.coordination.groups.subscription import topics_of
from ottla.coordination.groups.timers import session_timer
from ottla.wire.api.k11_join_group import JoinGroupRequest
from ottla.wire.errors import ErrorCode

# Dynamic members get a member id before they are let in from this version on (KIP-394).
MEMBER_ID_REQUIRED_VERSION = 4
# A static leader that comes back to a Stable group is told to skip its assignment (KIP-814).
_SKIP_ASSIGNMENT_VERSION = 9
# Of a client id or group.instance.id in a member id, which must stay below 32 KiB in UTF-8.
_MAX_PREFIX_LENGTH = 8_000


def refusal(request: JoinGroupRequest, settings: GroupSettings) -> ErrorCode:
    """What is wrong with the request by itself, whatever group it is for."""
    if not request.group_id:
        return ErrorCode.INVALID_GROUP_ID
    shortest, longest = settings.min_session_timeout_ms, settings.max_session_timeout_ms
    if not shortest <= request.session_timeout_ms <= longest:
        return ErrorCode.INVALID_SESSION_TIMEOUT
    if len(request.protocols) > settings.max_protocols_per_member:
        return ErrorCode.POLICY_VIOLATION
    if sum(len(protocol.metadata) for protocol in request.protocols) > settings.max_batch_bytes:
        return ErrorCode.POLICY_VIOLATION
    return ErrorCode.NONE


def join(draft: Draft, command: JoinGroup) -> None:
    """Lets a member into the group, or says why not."""
    group = draft.group
    request = command.request
    names = [protocol.name for protocol in request.protocols]
    if not _has_room(group, request.member_id, draft.settings):
        if request.member_id in group.members or request.member_id in group.pending_members:
            draft.end_session(request.member_id)
            draft.emit(MemberRemoved(group.group_id, request.member_id))
            rebalance.complete_join_if_everybody_came(draft)
        _refuse(draft, command, ErrorCode.GROUP_MAX_SIZE_REACHED, NO_MEMBER_ID)
    elif not group.supports_protocols(request.protocol_type, names):
        _refuse(draft, command, ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
    elif request.member_id == NO_MEMBER_ID:
        _join_anew(draft, command)
    elif request.member_id in group.pending_members and request.group_instance_id is None:
        _add(draft, command, request.member_id)
    else:
        _rejoin(draft, command)


def _has_room(group: ClassicGroup, member_id: str, settings: GroupSettings) -> bool:
    if group.state is EMPTY:
        return True
    member = group.members.get(member_id)
    if group.state is PREPARING_REBALANCE:
        # Those who have rejoined count, not all members: when the limit was lowered, the last
        # ones to rejoin find no room.
        if member is not None and member.parked_join is not None:
            return True
        return group.parked_joins < settings.max_group_members
    return member is not None or len(group.members) < settings.max_group_members


def _refuse(
    draft: Draft, command: JoinGroup, error: ErrorCode, member_id: str | None = None
) -> None:
    if member_id is None:
        member_id = command.request.member_id
    draft.outcome.reply(command.token, responses.join_error(error, command.version, member_id))


def _join_anew(draft: Draft, command: JoinGroup) -> None:
    group = draft.group
    instance_id = command.request.group_instance_id
    prefix = command.context.client_id if instance_id is None else instance_id
    member_id = f"{prefix[:_MAX_PREFIX_LENGTH]}-{command.unique_id}"
    if instance_id is not None:
        old_member_id = group.static_members.get(instance_id)
        if old_member_id is None:
            _add(draft, command, member_id)
        else:
            _replace_static(draft, command, group.members[old_member_id], member_id)
    elif command.version < MEMBER_ID_REQUIRED_VERSION:
        _add(draft, command, member_id)
    elif len(group.pending_members) >= draft.settings.max_pending_members_per_group:
        _refuse(draft, command, ErrorCode.POLICY_VIOLATION)
    else:
        _issue_member_id(draft, command, member_id)


def _issue_member_id(draft: Draft, command: JoinGroup, member_id: str) -> None:
    """Makes sure that the client knows its id before it becomes a member (KIP-394).

    Else every retry of a JoinGroup whose answer got lost would leave a dead member behind.
    """
    draft.emit(MemberIdIssued(draft.group.group_id, member_id))
    draft.outcome.set_timer(
        session_timer(draft.group.group_id, member_id),
        draft.now_ms + command.request.session_timeout_ms,
    )
    _refuse(draft, command, ErrorCode.MEMBER_ID_REQUIRED, member_id)


def _add(draft: Draft, command: JoinGroup, member_id: str) -> None:
    member = Member(
        member_id=member_id,
        group_instance_id=command.request.group_instance_id,
        client_id=command.context.client_id,
        client_host=command.context.client_host,
        rebalance_timeout_ms=0,
        session_timeout_ms=0,
        protocols=(),
        is_new=True,
    )
    _put_parked(draft, command, member)
    draft.restart_session(member, draft.settings.new_member_join_timeout_ms)
    rebalance.prepare_or_complete(draft)


def _rejoin(draft: Draft, command: JoinGroup) -> None:
    group = draft.group
    request = command.request
    error = group.check_member(request.member_id, request.group_instance_id)
    if error is not ErrorCode.NONE:
        _refuse(draft, command, error)
        return
    member = group.members[request.member_id]
    is_leader = group.leader_id == member.member_id
    is_unchanged = member.protocols == protocols_of(request)
    if group.state is COMPLETING_REBALANCE and is_unchanged:
        # It didn't get the answer to its JoinGroup, most likely: say the same again.
        members = responses.members_for_leader(group) if is_leader else []
    elif group.state is STABLE and is_unchanged and not is_leader:
        # The leader may rejoin for reasons beyond its metadata (its topics got more partitions),
        # but nothing is new with this follower: it goes on to ask for its assignment again.
        members = []
    else:
        _supersede(draft, member)
        _put_parked(draft, command, member)
        rebalance.prepare_or_complete(draft)
        return
    response = responses.joined(group, member.member_id, command.version, members=members)
    draft.outcome.reply(command.token, response)


def _supersede(draft: Draft, member: Member) -> None:
    """Answers the JoinGroup that the same member parked before, on a lost connection likely."""
    if member.parked_join is not None:
        draft.outcome.reply(
            member.parked_join.token,
            responses.join_error(
                ErrorCode.REBALANCE_IN_PROGRESS, member.parked_join.version, member.member_id
            ),
        )


def _put_parked(draft: Draft, command: JoinGroup, member: Member) -> None:
    """Puts the member in with what the request says; its answer comes with the generation."""
    updated = _updated(member, command.request)
    parked = Parked(command.token, command.version)
    draft.emit(
        MemberJoined(
            draft.group.group_id,
            updated._replace(parked_join=parked),
            command.request.protocol_type,
        )
    )


def _updated(member: Member, request: JoinGroupRequest) -> Member:
    rebalance_timeout_ms = request.rebalance_timeout_ms
    if rebalance_timeout_ms < 0:
        rebalance_timeout_ms = request.session_timeout_ms
    return member._replace(
        rebalance_timeout_ms=rebalance_timeout_ms,
        session_timeout_ms=request.session_timeout_ms,
        protocols=protocols_of(request),
    )


def protocols_of(request: JoinGroupRequest) -> tuple[tuple[str, bytes], ...]:
    """The member's protocols with its metadata, in its order of preference."""
    # The first of equal names counts: Kafka's collection is keyed by name.
    by_name: dict[str, bytes] = {}
    for protocol in request.protocols:
        by_name.setdefault(protocol.name, bytes(protocol.metadata))
    return tuple(by_name.items())


def _replace_static(draft: Draft, command: JoinGroup, old: Member, new_member_id: str) -> None:
    """A static member came back without its member id: it takes its old place (KIP-345)."""
    group = draft.group
    old_leader_id = group.leader_id
    _fence(draft, old)
    new = _updated(old, command.request)._replace(
        member_id=new_member_id, is_new=False, parked_join=None, parked_sync=None
    )
    draft.emit(StaticMemberReplaced(group.group_id, old.member_id, new))
    draft.restart_session(new)
    if (
        group.state is STABLE
        and _same_subscription(group, old, new)
        and group.select_protocol() == group.protocol_name
    ):
        _persist_replacement(draft, command, new, old_leader_id)
    else:
        # In the sync phase too: the leader may be assigning to the old member id already.
        _put_parked(draft, command, new)
        rebalance.prepare_or_complete(draft)


def _fence(draft: Draft, old: Member) -> None:
    """Tells the instance that held the place, if it waits for an answer."""
    fenced = ErrorCode.FENCED_INSTANCE_ID
    if old.parked_join is not None:
        response = responses.join_error(fenced, old.parked_join.version, old.member_id)
        draft.outcome.reply(old.parked_join.token, response)
    if old.parked_sync is not None:
        draft.outcome.reply(old.parked_sync.token, responses.sync_error(fenced))
    draft.end_session(old.member_id)


def _same_subscription(group: ClassicGroup, old: Member, new: Member) -> bool:
    """Whether the assignment still fits.

    Only the topics of a consumer are compared: the rest of its metadata (partitions owned, rack)
    is bound to differ after a restart.
    """
    if not group.uses_consumer_protocol or group.protocol_name is None:
        return True
    old_metadata = dict(old.protocols).get(group.protocol_name)
    new_metadata = dict(new.protocols).get(group.protocol_name)
    if old_metadata is None or new_metadata is None:
        return False
    return old_metadata == new_metadata or topics_of(old_metadata) == topics_of(new_metadata)


def _persist_replacement(
    draft: Draft, command: JoinGroup, new: Member, old_leader_id: str | None
) -> None:
    """Hands the generation on to the new member id without a rebalance."""
    group = draft.group
    draft.outcome.records.append(
        group_record(
            group,
            now_ms=draft.now_ms,
            generation_id=group.generation_id,
            protocol_name=group.protocol_name,
            assignments={member.member_id: member.assignment for member in group.members.values()},
        )
    )
    is_leader = group.leader_id == new.member_id
    if command.version >= _SKIP_ASSIGNMENT_VERSION:
        response = responses.joined(
            group,
            new.member_id,
            command.version,
            members=responses.members_for_leader(group) if is_leader else [],
            skip_assignment=is_leader,
        )
    else:
        # An older client that found itself the leader would assign anew and wait for a SyncGroup
        # nobody else sends; naming the fenced id as leader makes it follow.
        response = responses.joined(
            group, new.member_id, command.version, members=[], leader_id=old_leader_id
        )
    draft.outcome.reply(command.token, response)
