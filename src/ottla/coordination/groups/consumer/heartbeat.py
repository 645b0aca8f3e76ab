"""ConsumerGroupHeartbeat: joining, subscribing and reconciling in one request (KIP-848)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ottla.coordination.groups.consumer import conversion, entering, subscription, target
from ottla.coordination.groups.consumer.draft import ConsumerDraft
from ottla.coordination.groups.consumer.fencing import remove_members
from ottla.coordination.groups.consumer.group import ConsumerGroup, is_settled
from ottla.coordination.groups.consumer.member import (
    JOIN_EPOCH,
    LEAVE_EPOCH,
    NO_PARTITIONS,
    STATIC_LEAVE_EPOCH,
    ConsumerMember,
    MemberState,
)
from ottla.coordination.groups.consumer.reconciliation import Owned, read_owned
from ottla.coordination.groups.timers import TimerKind, session_timer
from ottla.wire.api.k68_consumer_group_heartbeat import (
    AssignedTopic,
    Assignment,
    ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse,
)
from ottla.wire.errors import ErrorCode, ProtocolError

if TYPE_CHECKING:
    from ottla.coordination.groups.commands import ConsumerGroupHeartbeat
    from ottla.coordination.groups.settings import GroupSettings
    from ottla.coordination.groups.shard import GroupShard
    from ottla.coordination.outcome import Outcome

# Members make their ids themselves from this version on (KIP-1082).
_CLIENT_MEMBER_ID_VERSION = 1
_MAX_MEMBER_ID_LENGTH = 8_000
# Partitions that one member says it owns: more than any cluster has.
_MAX_OWNED = 2**17


def check(request: ConsumerGroupHeartbeatRequest, version: int, limits: GroupSettings) -> None:
    """Whether the request is sound by itself, whatever group it is for.

    Raises:
        ProtocolError: INVALID_REQUEST, UNSUPPORTED_ASSIGNOR or POLICY_VIOLATION.
    """
    epoch = request.member_epoch
    needs_member_id = version >= _CLIENT_MEMBER_ID_VERSION or epoch > 0 or epoch == LEAVE_EPOCH
    if needs_member_id and not request.member_id.strip():
        raise _invalid("MemberId can't be empty.")
    if not request.group_id.strip():
        raise _invalid("GroupId can't be empty.")
    for name, value in (("InstanceId", request.instance_id), ("RackId", request.rack_id)):
        if value is not None and not value.strip():
            raise _invalid(f"{name} can't be empty.")
    if epoch == JOIN_EPOCH:
        _check_join(request)
    elif epoch == STATIC_LEAVE_EPOCH and request.instance_id is None:
        raise _invalid("InstanceId can't be null.")
    elif epoch < STATIC_LEAVE_EPOCH:
        raise _invalid("MemberEpoch is invalid.")
    assignor = request.server_assignor
    if assignor is not None and assignor not in limits.consumer_assignors:
        supported = ", ".join(limits.consumer_assignors)
        raise ProtocolError(
            ErrorCode.UNSUPPORTED_ASSIGNOR,
            f"ServerAssignor {assignor[:100]} is not supported. Supported assignors: {supported}.",
        )
    if len(request.subscribed_topic_names or ()) > limits.max_subscribed_topics_per_member:
        raise ProtocolError(ErrorCode.POLICY_VIOLATION, "Too many SubscribedTopicNames.")
    if sum(len(topic.partitions) for topic in request.topic_partitions or ()) > _MAX_OWNED:
        raise ProtocolError(ErrorCode.POLICY_VIOLATION, "Too many TopicPartitions.")
    if len(request.member_id) + len(request.instance_id or "") > _MAX_MEMBER_ID_LENGTH:
        raise ProtocolError(ErrorCode.POLICY_VIOLATION, "MemberId and InstanceId are too long.")


def _check_join(request: ConsumerGroupHeartbeatRequest) -> None:
    if request.rebalance_timeout_ms == -1:
        raise _invalid("RebalanceTimeoutMs must be provided in first request.")
    if request.topic_partitions is None or request.topic_partitions:
        raise _invalid("TopicPartitions must be empty when (re-)joining.")
    if request.subscribed_topic_names is None and request.subscribed_topic_regex is None:
        raise _invalid(
            "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when "
            "(re-)joining."
        )


def _invalid(message: str) -> ProtocolError:
    return ProtocolError(ErrorCode.INVALID_REQUEST, message)


class Entered(NamedTuple):
    """A heartbeat of which all is recorded but what it leads to.

    before: the member as it was.
    after: with what the heartbeat says of its subscription.
    """

    request: ConsumerGroupHeartbeatRequest
    before: ConsumerMember
    after: ConsumerMember
    owned: Owned | None
    change: subscription.Change


def heartbeat(
    shard: GroupShard, command: ConsumerGroupHeartbeat, outcome: Outcome, now_ms: int
) -> ConsumerGroupHeartbeatResponse:
    """What a member hears. Everything else that follows is in ``outcome``.

    Raises:
        ProtocolError: it can't be a member, or has to join anew; ``outcome`` is void then.
    """
    request = command.request
    if changes_nothing(shard, command):
        return quiet(shard, command, outcome, now_ms)
    check(request, command.version, shard.settings)
    if request.member_epoch in (LEAVE_EPOCH, STATIC_LEAVE_EPOCH):
        return _leave(ConsumerDraft(shard, _existing(shard, request), outcome, now_ms), request)
    is_join = request.member_epoch == JOIN_EPOCH
    draft = conversion.open_group(shard, request.group_id, outcome, now_ms, may_create=is_join)
    entered = enter(draft, command)
    target.update_if_due(draft)
    return answer(draft, entered)


def enter(draft: ConsumerDraft, command: ConsumerGroupHeartbeat) -> Entered:
    """Records who the member is and what it subscribes to.

    Raises:
        ProtocolError: it can't be a member, or has to join anew.
    """
    request = command.request
    member_id = request.member_id or command.unique_id
    entering.check_room(draft, request.member_id)
    owned = _owned(request)
    member = entering.find_or_add(draft, request, member_id, owned)
    updated = subscription.updated(member, request, command.context)
    change = subscription.record(draft, member, updated)
    return Entered(request, member, updated, owned, change)


def answer(draft: ConsumerDraft, entered: Entered) -> ConsumerGroupHeartbeatResponse:
    """Takes the member a step towards its target, and tells it.

    Raises:
        ProtocolError: it has to join anew.
    """
    shard, group = draft.shard, draft.group
    member = entered.after
    reconciled = subscription.reconcile(draft, member, entered.owned, entered.change)
    draft.restart_session(
        member.member_id, shard.consumer_times.of(shard, group.group_id).session_timeout_ms
    )
    response = ConsumerGroupHeartbeatResponse(
        error_code=ErrorCode.NONE,
        member_id=member.member_id,
        member_epoch=reconciled.epoch,
        heartbeat_interval_ms=_interval_ms(shard, group, reconciled, draft.now_ms),
    )
    if _wants_assignment(entered.request) or not _same(entered.before, reconciled):
        response.assignment = _assignment(reconciled)
    return response


def changes_nothing(shard: GroupShard, command: ConsumerGroupHeartbeat) -> bool:
    """Whether it is what nearly all heartbeats are: the member lives, and neither it nor the group
    has anything to do."""
    request = command.request
    group = shard.groups.get(request.group_id)
    if not isinstance(group, ConsumerGroup):
        return False
    member = group.members.get(request.member_id)
    return (
        member is not None
        and request.member_epoch == member.epoch == group.target_epoch == group.epoch
        and member.state is MemberState.STABLE
        and group.topics_seen is shard.image.topics
        and not group.regex_counts
        and member.instance_id is None
        and subscription.says_nothing_new(member, request, command.context)
    )


def quiet(
    shard: GroupShard, command: ConsumerGroupHeartbeat, outcome: Outcome, now_ms: int
) -> ConsumerGroupHeartbeatResponse:
    """Just another session timeout; what the whole way would come to as well."""
    group_id, member_id = command.request.group_id, command.request.member_id
    group = shard.groups[group_id]
    assert isinstance(group, ConsumerGroup)
    member = group.members[member_id]
    timeout_ms = shard.consumer_times.of(shard, group_id).session_timeout_ms
    outcome.set_timer(session_timer(group_id, member_id), now_ms + timeout_ms)
    return ConsumerGroupHeartbeatResponse(
        error_code=ErrorCode.NONE,
        member_id=member_id,
        member_epoch=member.epoch,
        heartbeat_interval_ms=_interval_ms(shard, group, member, now_ms),
    )


def _existing(shard: GroupShard, request: ConsumerGroupHeartbeatRequest) -> ConsumerGroup:
    group = shard.groups.get(request.group_id)
    if not isinstance(group, ConsumerGroup):
        raise ProtocolError(
            ErrorCode.GROUP_ID_NOT_FOUND, f"Consumer group {request.group_id[:1_000]} not found."
        )
    return group


def _owned(request: ConsumerGroupHeartbeatRequest) -> Owned | None:
    if request.topic_partitions is None:
        return None
    return read_owned((topic.topic_id, topic.partitions) for topic in request.topic_partitions)


def _wants_assignment(request: ConsumerGroupHeartbeatRequest) -> bool:
    """Whether the member needs to hear all, because it joins or tells all itself."""
    return request.member_epoch == JOIN_EPOCH or (
        request.rebalance_timeout_ms != -1
        and (
            request.subscribed_topic_names is not None or request.subscribed_topic_regex is not None
        )
        and request.topic_partitions is not None
    )


def _same(before: ConsumerMember, after: ConsumerMember) -> bool:
    """Whether the member is still assigned the same partitions, at whatever epochs."""
    if before.assigned is after.assigned:
        return True
    return {topic_id: indexes.keys() for topic_id, indexes in before.assigned.items()} == {
        topic_id: indexes.keys() for topic_id, indexes in after.assigned.items()
    }


def _assignment(member: ConsumerMember) -> Assignment:
    return Assignment(
        topic_partitions=[
            AssignedTopic(topic_id=topic_id, partitions=sorted(indexes))
            for topic_id, indexes in member.assigned.items()
        ]
    )


def _interval_ms(
    shard: GroupShard, group: ConsumerGroup, member: ConsumerMember, now_ms: int
) -> int:
    """When the member shall come back: sooner than usual while the group is being reassigned.

    Members wait for each other's heartbeats then, two or three times over.
    """
    regular_ms = shard.consumer_times.of(shard, group.group_id).heartbeat_interval_ms
    since_ms = now_ms - group.assignment_timestamp_ms
    knows_topics = not member.regex or member.regex in group.resolved
    if knows_topics and is_settled(group, member) and not 0 <= since_ms < regular_ms:
        return regular_ms
    return min(regular_ms, shard.settings.consumer_busy_heartbeat_interval_ms)


def _leave(
    draft: ConsumerDraft, request: ConsumerGroupHeartbeatRequest
) -> ConsumerGroupHeartbeatResponse:
    group = draft.group
    if request.instance_id is None:
        member = group.members.get(request.member_id)
        if member is None:
            raise entering.unknown(request.member_id, group.group_id)
    else:
        member = entering.static_member(group, request.instance_id, request.member_id)
    if request.member_epoch == STATIC_LEAVE_EPOCH:
        # It keeps its place and its partitions until its session ends (KIP-345).
        paused = member._replace(epoch=STATIC_LEAVE_EPOCH, revoking=NO_PARTITIONS)
        if paused.state is MemberState.UNREVOKED_PARTITIONS:
            paused = paused._replace(state=MemberState.STABLE)
        draft.put_assignment(paused)
        draft.cancel_timer(TimerKind.REVOCATION, member.member_id)
    else:
        remove_members(draft, [member])
    return ConsumerGroupHeartbeatResponse(
        error_code=ErrorCode.NONE,
        member_id=request.member_id,
        member_epoch=request.member_epoch,
        heartbeat_interval_ms=0,
    )
