"""JoinGroup, SyncGroup, Heartbeat and LeaveGroup of members of a consumer group.

Members that still use the classic protocol are led through the same reconciliation: a JoinGroup is
their heartbeat that tells what they own, the member epoch is their generation, and an answer of
REBALANCE_IN_PROGRESS calls them for the next step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.coordination.groups.consumer import conversion, entering, subscription, target
from ottla.coordination.groups.consumer.draft import ConsumerDraft
from ottla.coordination.groups.consumer.fencing import remove_members
from ottla.coordination.groups.consumer.group import ConsumerGroup
from ottla.coordination.groups.consumer.member import (
    ClassicProtocols,
    ConsumerMember,
    MemberState,
)
from ottla.coordination.groups.consumer.reconciliation import Owned
from ottla.coordination.groups.joining import MEMBER_ID_REQUIRED_VERSION, protocols_of
from ottla.coordination.groups.liveness import leave_response, leaving_members
from ottla.coordination.groups.subscription import CONSUMER_PROTOCOL_TYPE
from ottla.coordination.groups.timers import TimerKind
from ottla.wire.api.k11_join_group import JoinGroupRequest, JoinGroupResponse
from ottla.wire.api.k12_heartbeat import HeartbeatResponse
from ottla.wire.api.k13_leave_group import DepartedMember, LeavingMember
from ottla.wire.api.k14_sync_group import SyncGroupResponse
from ottla.wire.consumer_protocol import ConsumerProtocolSubscription, decode_subscription
from ottla.wire.errors import ErrorCode, ProtocolError

if TYPE_CHECKING:
    from ottla.coordination.groups import commands
    from ottla.metadata.image import ClusterImage
    from ottla.wire.api.k13_leave_group import LeaveGroupResponse


def join(draft: ConsumerDraft, command: commands.JoinGroup) -> JoinGroupResponse:
    """Lets a member in, or takes it a step further.

    Raises:
        ProtocolError: it can't join; MEMBER_ID_REQUIRED comes as a response instead.
    """
    request = command.request
    is_unknown = not request.member_id
    member_id = request.member_id or f"{command.context.client_id[:200]}-{command.unique_id}"
    entering.check_room(draft, request.member_id)
    name, told = _check_protocols(draft.group, request)
    is_static = request.group_instance_id is not None
    if is_unknown and not is_static and command.version >= MEMBER_ID_REQUIRED_VERSION:
        return JoinGroupResponse(
            error_code=ErrorCode.MEMBER_ID_REQUIRED,
            protocol_name="",
            leader="",
            member_id=member_id,
            members=[],
        )
    replaced = _replaced(draft, request, member_id)
    member = _find_or_add(draft, request, member_id, replaced)
    new = _updated(member, command, told)
    change = subscription.record(draft, member, new)
    must_downgrade = replaced is not None and conversion.can_downgrade(draft, ())
    if must_downgrade:
        has_changed = change is not subscription.Change.NOTHING
        classic = conversion.downgrade(draft, (), must_rebalance=has_changed)
        epoch = classic.generation_id
    else:
        target.update_if_due(draft)
        owned = _owned(told, draft.shard.image)
        epoch = subscription.reconcile(draft, new, owned, change).epoch
        draft.has_come(member_id)
        draft.restart_session(member_id, request.session_timeout_ms)
        draft.set_timer(TimerKind.MEMBER_SYNC, member_id, new.rebalance_timeout_ms)
    return JoinGroupResponse(
        error_code=ErrorCode.NONE,
        generation_id=epoch,
        protocol_type=CONSUMER_PROTOCOL_TYPE,
        protocol_name=name,
        leader="",  # nobody: the coordinator assigns
        member_id=member_id,
        members=[],
    )


def _check_protocols(
    group: ConsumerGroup, request: JoinGroupRequest
) -> tuple[str, ConsumerProtocolSubscription]:
    """The member's first protocol with its subscription.

    Raises:
        ProtocolError: INCONSISTENT_GROUP_PROTOCOL.
    """
    names = [protocol.name for protocol in request.protocols]
    is_supported = request.protocol_type == CONSUMER_PROTOCOL_TYPE and any(
        group.classic_supporters.get(name, 0) == group.classic_count for name in names
    )
    refusal = ProtocolError(
        ErrorCode.INCONSISTENT_GROUP_PROTOCOL, "The member's protocols are not supported."
    )
    if not is_supported:
        raise refusal
    try:
        return names[0], decode_subscription(request.protocols[0].metadata)
    except ProtocolError as error:
        raise refusal from error


def _replaced(
    draft: ConsumerDraft, request: JoinGroupRequest, member_id: str
) -> ConsumerMember | None:
    """The static member whose place the sender takes, coming without a member id."""
    holder = draft.group.static_member(request.group_instance_id)
    if holder is None or request.member_id or holder.member_id == member_id:
        return None
    return holder


def _find_or_add(
    draft: ConsumerDraft,
    request: JoinGroupRequest,
    member_id: str,
    replaced: ConsumerMember | None,
) -> ConsumerMember:
    group = draft.group
    if replaced is not None:
        return entering.replace(draft, replaced, member_id)
    instance_id = request.group_instance_id
    if instance_id is not None and request.member_id:
        return entering.static_member(group, instance_id, member_id)
    return group.members.get(member_id) or ConsumerMember(member_id)


def _updated(
    member: ConsumerMember, command: commands.JoinGroup, told: ConsumerProtocolSubscription
) -> ConsumerMember:
    request = command.request
    timeout_ms = request.rebalance_timeout_ms
    if timeout_ms < 0:
        timeout_ms = request.session_timeout_ms
    return member._replace(
        instance_id=request.group_instance_id or member.instance_id,
        rack_id=told.rack_id or member.rack_id,
        rebalance_timeout_ms=timeout_ms,
        topics=frozenset(told.topics),
        regex="",
        client_id=command.context.client_id,
        client_host=command.context.client_host,
        classic=ClassicProtocols(request.session_timeout_ms, protocols_of(request)),
    )


def _owned(told: ConsumerProtocolSubscription, image: ClusterImage) -> Owned:
    owned: Owned = {}
    for each in told.owned_partitions:
        topic = image.topics.get(each.topic)
        if topic is not None:
            owned[topic.topic_id] = frozenset(each.partitions)
    return owned


def sync(draft: ConsumerDraft, command: commands.SyncGroup) -> SyncGroupResponse:
    """Answers with what the member owns now.

    Raises:
        ProtocolError: it isn't such a member, or has to join again.
    """
    request = command.request
    group = draft.group
    member = _classic_member(group, request.member_id, request.group_instance_id)
    protocols = member.classic
    assert protocols is not None
    _check_generation(member, request.generation_id)
    name = protocols.protocols[0][0]
    if request.protocol_type not in (None, CONSUMER_PROTOCOL_TYPE) or (
        request.protocol_name not in (None, name)
    ):
        raise ProtocolError(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
    if group.epoch > member.epoch and member.state is not MemberState.UNREVOKED_PARTITIONS:
        draft.call(member)
        raise ProtocolError(ErrorCode.REBALANCE_IN_PROGRESS)
    draft.cancel_timer(TimerKind.MEMBER_SYNC, member.member_id)
    draft.restart_session(member.member_id, protocols.session_timeout_ms)
    return SyncGroupResponse(
        error_code=ErrorCode.NONE,
        protocol_type=request.protocol_type,
        protocol_name=request.protocol_name,
        assignment=conversion.assignment_for(
            member.assigned, protocols.protocols[0][1], draft.shard.image
        ),
    )


def heartbeat(draft: ConsumerDraft, command: commands.Heartbeat) -> HeartbeatResponse:
    """Keeps the session, and calls the member to join again when there is a step to take.

    Raises:
        ProtocolError: it isn't such a member.
    """
    request = command.request
    group = draft.group
    member = _classic_member(group, request.member_id, request.group_instance_id)
    assert member.classic is not None
    _check_generation(member, request.generation_id)
    draft.restart_session(member.member_id, member.classic.session_timeout_ms)
    is_called = (
        member.epoch < group.epoch
        or member.state is MemberState.UNREVOKED_PARTITIONS
        or (
            member.state is MemberState.UNRELEASED_PARTITIONS and not group.waits_for_others(member)
        )
    )
    if not is_called:
        return HeartbeatResponse(error_code=ErrorCode.NONE)
    draft.call(member)
    return HeartbeatResponse(error_code=ErrorCode.REBALANCE_IN_PROGRESS)


def leave(draft: ConsumerDraft, command: commands.LeaveGroup) -> LeaveGroupResponse:
    """Takes out the members named, whichever protocol they use: administrators may name any."""
    departed = []
    members: dict[str, ConsumerMember] = {}
    for who in leaving_members(command.request, command.version):
        error = ErrorCode.NONE
        try:
            member = _leaving(draft.group, who)
            members[member.member_id] = member
        except ProtocolError as refusal:
            error = refusal.code
        departed.append(
            DepartedMember(
                member_id=who.member_id,
                group_instance_id=who.group_instance_id,
                error_code=error,
            )
        )
    remove_members(draft, members.values())
    return leave_response(departed, command.version)


def _leaving(group: ConsumerGroup, who: LeavingMember) -> ConsumerMember:
    if who.group_instance_id is not None:
        holder = group.static_members.get(who.group_instance_id, "")
        return entering.static_member(group, who.group_instance_id, who.member_id or holder)
    member = group.members.get(who.member_id)
    if member is None:
        raise entering.unknown(who.member_id, group.group_id)
    return member


def _classic_member(
    group: ConsumerGroup, member_id: str, instance_id: str | None
) -> ConsumerMember:
    if instance_id is not None:
        member: ConsumerMember | None = entering.static_member(group, instance_id, member_id)
    else:
        member = group.members.get(member_id)
    if member is None or member.classic is None:
        raise entering.unknown(member_id, group.group_id)
    return member


def _check_generation(member: ConsumerMember, generation_id: int) -> None:
    if member.epoch != generation_id:
        raise ProtocolError(ErrorCode.ILLEGAL_GENERATION)
