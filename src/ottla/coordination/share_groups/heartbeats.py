"""ShareGroupHeartbeat: a member joins, stays or leaves, and hears what to read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.coordination.groups.timers import session_timer
from ottla.coordination.outcome import Outcome
from ottla.coordination.share_groups import records
from ottla.coordination.share_groups.commands import HeartbeatReply, ShareGroupHeartbeat
from ottla.coordination.share_groups.draft import Draft
from ottla.coordination.share_groups.group import NOTHING, ShareGroup, ShareMember
from ottla.metadata.image import ResourceType
from ottla.wire.api.k76_share_group_heartbeat import (
    AssignedTopic,
    Assignment,
    ShareGroupHeartbeatRequest,
    ShareGroupHeartbeatResponse,
)
from ottla.wire.errors import ErrorCode, ProtocolError

if TYPE_CHECKING:
    from ottla.coordination.groups.shard import GroupShard

_JOIN_EPOCH = 0
_LEAVE_EPOCH = -1
_MAX_SUBSCRIBED_TOPICS = 10_000


def session_timeout_ms(shard: GroupShard, group_id: str) -> int:
    """How long a member of the group may be silent."""
    settings = shard.settings
    return _configured(
        shard,
        group_id,
        "share.session.timeout.ms",
        settings.share_session_timeout_ms,
        (settings.min_share_session_timeout_ms, settings.max_share_session_timeout_ms),
    )


def heartbeat_interval_ms(shard: GroupShard, group_id: str) -> int:
    """How often members of the group shall be heard of."""
    settings = shard.settings
    return _configured(
        shard,
        group_id,
        "share.heartbeat.interval.ms",
        settings.share_heartbeat_interval_ms,
        (settings.min_share_heartbeat_interval_ms, settings.max_share_heartbeat_interval_ms),
    )


def assignment_interval_ms(shard: GroupShard, group_id: str) -> int:
    """How much time passes at least between two assignments of the group."""
    settings = shard.settings
    # The one broker key of share groups that can be changed while the broker runs.
    text = shard.image.config(ResourceType.BROKER, "").get("group.share.assignment.interval.ms")
    return _configured(
        shard,
        group_id,
        "share.assignment.interval.ms",
        settings.share_assignment_interval_ms if text is None else int(text),
        (settings.min_share_assignment_interval_ms, settings.max_share_assignment_interval_ms),
    )


def _configured(
    shard: GroupShard, group_id: str, name: str, default: int, limits: tuple[int, int]
) -> int:
    """The group's own value, within the broker's limits, which may have become narrower since."""
    text = shard.image.config(ResourceType.GROUP, group_id).get(name)
    return default if text is None else max(limits[0], min(limits[1], int(text)))


def heartbeat(
    shard: GroupShard, command: ShareGroupHeartbeat, outcome: Outcome, now_ms: int
) -> None:
    """Decides a heartbeat."""
    request = command.request
    try:
        _check(request)
        group = _find_group(shard, request)
        if request.member_epoch == _LEAVE_EPOCH:
            reply = _leave(Draft(group, shard.image, now_ms, outcome), request)
        else:
            reply = _stay(shard, group, command, outcome, now_ms)
    except ProtocolError as error:
        reply = HeartbeatReply(_refusal(error), {}, 0)
    outcome.reply(command.token, reply)


def _refusal(error: ProtocolError) -> ShareGroupHeartbeatResponse:
    return ShareGroupHeartbeatResponse(
        error_code=error.code,
        error_message=error.message,
        member_epoch=0,
        heartbeat_interval_ms=0,
    )


def _check(request: ShareGroupHeartbeatRequest) -> None:
    if not request.group_id.strip():
        raise ProtocolError(ErrorCode.INVALID_REQUEST, "GroupId can't be empty.")
    if not request.member_id.strip():
        raise ProtocolError(ErrorCode.INVALID_REQUEST, "MemberId can't be empty.")
    if request.member_epoch < _LEAVE_EPOCH:
        raise ProtocolError(ErrorCode.INVALID_REQUEST, "MemberEpoch is invalid.")
    if request.rack_id is not None and not request.rack_id.strip():
        raise ProtocolError(ErrorCode.INVALID_REQUEST, "RackId can't be empty.")
    names = request.subscribed_topic_names
    if request.member_epoch == _JOIN_EPOCH and not names:
        raise ProtocolError(
            ErrorCode.INVALID_REQUEST, "SubscribedTopicNames must be set in first request."
        )
    if names is not None and len(names) > _MAX_SUBSCRIBED_TOPICS:
        raise ProtocolError(ErrorCode.INVALID_REQUEST, "too many subscribed topics")


def _find_group(shard: GroupShard, request: ShareGroupHeartbeatRequest) -> ShareGroup:
    group = shard.groups.get(request.group_id)
    if isinstance(group, ShareGroup):
        return group
    if group is None and request.member_epoch == _JOIN_EPOCH:
        if shard.is_full:
            raise ProtocolError(ErrorCode.POLICY_VIOLATION)
        return ShareGroup(request.group_id)
    raise ProtocolError(
        ErrorCode.GROUP_ID_NOT_FOUND, f"{request.group_id[:1000]} is not a share group."
    )


def _leave(draft: Draft, request: ShareGroupHeartbeatRequest) -> HeartbeatReply:
    _member_of(draft.group, request)
    draft.remove_member(request.member_id)
    response = ShareGroupHeartbeatResponse(
        error_code=ErrorCode.NONE,
        member_id=request.member_id,
        member_epoch=_LEAVE_EPOCH,
        heartbeat_interval_ms=0,
    )
    return HeartbeatReply(response, {}, 0)


def _member_of(group: ShareGroup, request: ShareGroupHeartbeatRequest) -> ShareMember:
    """The member, whose epoch must be the current one, or the one before."""
    member = group.members.get(request.member_id)
    if member is None:
        raise ProtocolError(
            ErrorCode.UNKNOWN_MEMBER_ID, f"Member {request.member_id[:1000]} is not a member."
        )
    epoch = request.member_epoch
    if epoch > 0 and epoch not in (member.epoch, member.previous_epoch):
        raise ProtocolError(
            ErrorCode.FENCED_MEMBER_EPOCH,
            f"The member has epoch {member.epoch}, not {epoch}; it must join again.",
        )
    return member


def _stay(
    shard: GroupShard,
    group: ShareGroup,
    command: ShareGroupHeartbeat,
    outcome: Outcome,
    now_ms: int,
) -> HeartbeatReply:
    request = command.request
    if request.member_id in group.members or request.member_epoch != _JOIN_EPOCH:
        known = _member_of(group, request)
    elif len(group.members) >= shard.settings.max_share_group_members:
        raise ProtocolError(ErrorCode.GROUP_MAX_SIZE_REACHED)
    else:
        known = ShareMember(request.member_id, None, "", "", frozenset())
    draft = Draft(group, shard.image, now_ms, outcome)
    _update_member(draft, known, command)
    to_initialize = draft.uninitialized()
    if to_initialize:
        draft.begin_initializing(to_initialize)
    if draft.group.epoch > draft.group.assignment_epoch and _is_assignment_due(shard, draft):
        draft.reassign()
    is_told = request.subscribed_topic_names is not None
    member = _follow_target(draft, request.member_id)
    timeout_ms = session_timeout_ms(shard, group.group_id)
    outcome.set_timer(session_timer(group.group_id, request.member_id), now_ms + timeout_ms)
    response = ShareGroupHeartbeatResponse(
        error_code=ErrorCode.NONE,
        member_id=request.member_id,
        member_epoch=member.epoch,
        heartbeat_interval_ms=_next_heartbeat_ms(shard, draft),
    )
    if is_told or member.assigned != known.assigned:
        topics = records.by_topic(member.assigned, AssignedTopic)
        response.assignment = Assignment(topic_partitions=topics)
    return HeartbeatReply(response, to_initialize, draft.group.epoch)


def _is_assignment_due(shard: GroupShard, draft: Draft) -> bool:
    """Whether the last assignment is old enough: members that come one after the other would else
    cost one each. One that had nothing to give, because no state was there yet, doesn't count."""
    group = draft.group
    since_ms = draft.now_ms - group.assignment_timestamp_ms
    is_recent = 0 <= since_ms < assignment_interval_ms(shard, group.group_id)
    return not is_recent or not any(group.target.values())


def _next_heartbeat_ms(shard: GroupShard, draft: Draft) -> int:
    """When the member shall come back: sooner than usual while its group waits for an assignment,
    which is made with somebody's heartbeat."""
    regular_ms = heartbeat_interval_ms(shard, draft.group.group_id)
    if draft.group.epoch == draft.group.assignment_epoch:
        return regular_ms
    return min(regular_ms, shard.settings.consumer_busy_heartbeat_interval_ms)


def _update_member(draft: Draft, known: ShareMember, command: ShareGroupHeartbeat) -> None:
    """Notes what changed about the member; another subscription raises the group's epoch."""
    request, group = command.request, draft.group
    names = request.subscribed_topic_names
    described = known._replace(
        rack_id=known.rack_id if request.rack_id is None else request.rack_id,
        client_id=command.context.client_id,
        client_host=command.context.client_host,
        subscribed_topic_names=known.subscribed_topic_names if names is None else frozenset(names),
    )
    is_new = known.member_id not in group.members
    if is_new or described != known:
        draft.write(records.member_record(group.group_id, described))
    subscription_changed = described.subscribed_topic_names != known.subscribed_topic_names
    if is_new or subscription_changed or draft.metadata_hash() != group.metadata_hash:
        draft.raise_epoch()


def _follow_target(draft: Draft, member_id: str) -> ShareMember:
    """Tells the member what to read: at once, because nobody has to give anything up."""
    group = draft.group
    member = group.members[member_id]
    target = group.target.get(member_id, NOTHING)
    if member.epoch == group.assignment_epoch and member.assigned == target:
        return member
    told = member._replace(
        epoch=group.assignment_epoch, previous_epoch=member.epoch, assigned=target
    )
    draft.write(records.current_record(group.group_id, told))
    return told
