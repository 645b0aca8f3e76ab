"""Who may act as a member: new ones, known ones, static ones that come back (KIP-345)."""

from __future__ import annotations

from ottla.coordination.groups.consumer import group_log
from ottla.coordination.groups.consumer.draft import ConsumerDraft
from ottla.coordination.groups.consumer.group import ConsumerGroup
from ottla.coordination.groups.consumer.member import (
    JOIN_EPOCH,
    STATIC_LEAVE_EPOCH,
    ConsumerMember,
)
from ottla.coordination.groups.consumer.reconciliation import Owned, is_subset
from ottla.wire.api.k68_consumer_group_heartbeat import ConsumerGroupHeartbeatRequest
from ottla.wire.errors import ErrorCode, ProtocolError

# Of an id in an error message: a longest one would be too long a string.
_SHOWN_CHARACTERS = 200


def check_room(draft: ConsumerDraft, member_id: str) -> None:
    """Whether the group has room for the member.

    Raises:
        ProtocolError: GROUP_MAX_SIZE_REACHED.
    """
    limit = draft.shard.settings.consumer_max_group_members
    if len(draft.group.members) >= limit and member_id not in draft.group.members:
        raise ProtocolError(
            ErrorCode.GROUP_MAX_SIZE_REACHED,
            f"The consumer group has reached its maximum capacity of {limit} members.",
        )


def find_or_add(
    draft: ConsumerDraft,
    request: ConsumerGroupHeartbeatRequest,
    member_id: str,
    owned: Owned | None,
) -> ConsumerMember:
    """The member that sent the heartbeat, as it was before.

    Raises:
        ProtocolError: UNKNOWN_MEMBER_ID, FENCED_MEMBER_EPOCH, FENCED_INSTANCE_ID or
            UNRELEASED_INSTANCE_ID.
    """
    group = draft.group
    epoch = request.member_epoch
    instance_id = request.instance_id
    if instance_id is not None:
        holder = group.static_member(instance_id)
        if epoch == JOIN_EPOCH and (holder is None or holder.member_id != member_id):
            if holder is None:
                return group.members.get(member_id) or ConsumerMember(member_id)
            if holder.classic is None and holder.epoch != STATIC_LEAVE_EPOCH:
                raise ProtocolError(
                    ErrorCode.UNRELEASED_INSTANCE_ID,
                    f"Static member {_shown(member_id)} with instance id {_shown(instance_id)} "
                    "cannot join the group because the instance id is owned by "
                    f"{_shown(holder.member_id)} member.",
                )
            return replace(draft, holder, member_id)
        member: ConsumerMember | None = static_member(group, instance_id, member_id)
    else:
        member = group.members.get(member_id)
    if member is None:
        if epoch != JOIN_EPOCH:
            raise unknown(member_id, group.group_id)
        return ConsumerMember(member_id)
    _check_epoch(member, epoch, owned)
    return member


def static_member(group: ConsumerGroup, instance_id: str, member_id: str) -> ConsumerMember:
    """The member with that group.instance.id.

    Raises:
        ProtocolError: UNKNOWN_MEMBER_ID, or FENCED_INSTANCE_ID if it isn't ``member_id``.
    """
    member = group.static_member(instance_id)
    if member is None:
        raise ProtocolError(
            ErrorCode.UNKNOWN_MEMBER_ID, f"Instance id {_shown(instance_id)} is unknown."
        )
    if member.member_id != member_id:
        raise ProtocolError(
            ErrorCode.FENCED_INSTANCE_ID,
            f"Static member {_shown(member_id)} with instance id {_shown(instance_id)} was "
            f"fenced by member {_shown(member.member_id)}.",
        )
    return member


def replace(draft: ConsumerDraft, old: ConsumerMember, member_id: str) -> ConsumerMember:
    """Puts a static member that came back into its old place, partitions included."""
    group_id = draft.group.group_id
    target = draft.group.target(old.member_id)
    draft.cancel_timers(old.member_id)
    draft.remove(old.member_id)
    new = old._replace(member_id=member_id, epoch=0, previous_epoch=0)
    draft.put_subscription(new)
    draft.emit(group_log.target_key(group_id, member_id), group_log.target_value(target))
    draft.put_assignment(new)
    return new


def unknown(member_id: str, group_id: str) -> ProtocolError:
    """A member id that isn't of the group."""
    return ProtocolError(
        ErrorCode.UNKNOWN_MEMBER_ID,
        f"Member {_shown(member_id)} is not a member of group {_shown(group_id)}.",
    )


def _check_epoch(member: ConsumerMember, epoch: int, owned: Owned | None) -> None:
    """Fences a member that doesn't know its epoch.

    The one before is still good if the member owns no more than what is assigned to it: it missed
    the answer that told it the new one.
    """
    if epoch in (JOIN_EPOCH, member.epoch):
        # Who joins anew owns nothing: whatever it missed, it may begin where it stands.
        return
    if member.previous_epoch == epoch < member.epoch and is_subset(owned, member.assigned):
        return
    which = "greater" if epoch > member.epoch else "smaller"
    raise ProtocolError(
        ErrorCode.FENCED_MEMBER_EPOCH,
        f"The consumer group member has a {which} member epoch ({epoch}) than the one known by "
        f"the group coordinator ({member.epoch}). The member must abandon all its partitions and "
        "rejoin.",
    )


def _shown(text: str) -> str:
    return text[:_SHOWN_CHARACTERS]
