"""The requests of the classic group protocol, as they have to be said in each version."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ottla.client.core.membership.assignors.subscriptions import by_topic, user_data
from ottla.client.core.membership.assignors.values import Partition
from ottla.client.core.membership.membership import GroupMetadata
from ottla.client.core.membership.settings import MembershipSettings
from ottla.wire.api.k11_join_group import JoinGroupRequest, JoinProtocol
from ottla.wire.api.k12_heartbeat import HeartbeatRequest
from ottla.wire.api.k13_leave_group import LeaveGroupRequest, LeavingMember
from ottla.wire.api.k14_sync_group import MemberAssignment, SyncGroupRequest
from ottla.wire.consumer_protocol import (
    PROTOCOL_TYPE,
    ConsumerProtocolSubscription,
    encode_subscription,
)

# The first versions that know of static members (KIP-345). Older brokers take all for dynamic.
_STATIC_JOIN = 5
_STATIC_HEARTBEAT = 3
_STATIC_SYNC = 3
# From this version on LeaveGroup names several members.
_LEAVE_OF_SEVERAL = 3


def join_request(
    settings: MembershipSettings,
    member_id: str,
    topics: Iterable[str],
    *,
    owned: Iterable[Partition],
    assigned_before: Iterable[Partition],
    assigned_generation: int,
    reason: str,
) -> Callable[[int], JoinGroupRequest]:
    """What makes a JoinGroup request.

    Args:
        settings: of the member.
        member_id: empty for a member that has none yet.
        topics: what it wants.
        owned: what it keeps while it rejoins; nothing, in the eager protocol.
        assigned_before: what it was last assigned.
        assigned_generation: in which generation that was.
        reason: why it joins (KIP-800).
    """
    wanted = sorted(topics)
    kept, before = by_topic(owned), list(assigned_before)
    protocols = [
        JoinProtocol(
            name=assignor,
            metadata=encode_subscription(
                ConsumerProtocolSubscription(
                    topics=wanted,
                    user_data=user_data(assignor, before, assigned_generation),
                    owned_partitions=kept,
                    generation_id=assigned_generation,
                    rack_id=settings.rack,
                )
            ),
        )
        for assignor in settings.assignors
    ]
    return lambda version: JoinGroupRequest(
        group_id=settings.group_id,
        session_timeout_ms=settings.session_timeout_ms,
        rebalance_timeout_ms=settings.max_poll_interval_ms,
        member_id=member_id,
        group_instance_id=settings.group_instance_id if version >= _STATIC_JOIN else None,
        protocol_type=PROTOCOL_TYPE,
        protocols=protocols,
        reason=reason,
    )


def sync_request(
    who: GroupMetadata, assignor: str, assignments: list[MemberAssignment]
) -> Callable[[int], SyncGroupRequest]:
    """What makes a SyncGroup request; only the leader has assignments."""
    return lambda version: SyncGroupRequest(
        group_id=who.group_id,
        generation_id=who.generation_id,
        member_id=who.member_id,
        group_instance_id=who.group_instance_id if version >= _STATIC_SYNC else None,
        protocol_type=PROTOCOL_TYPE,
        protocol_name=assignor,
        assignments=assignments,
    )


def heartbeat_request(who: GroupMetadata) -> Callable[[int], HeartbeatRequest]:
    """What makes a Heartbeat request."""
    return lambda version: HeartbeatRequest(
        group_id=who.group_id,
        generation_id=who.generation_id,
        member_id=who.member_id,
        group_instance_id=who.group_instance_id if version >= _STATIC_HEARTBEAT else None,
    )


def leave_request(who: GroupMetadata, reason: str) -> Callable[[int], LeaveGroupRequest]:
    """What makes a LeaveGroup request."""

    def leave(version: int) -> LeaveGroupRequest:
        if version < _LEAVE_OF_SEVERAL:
            return LeaveGroupRequest(group_id=who.group_id, member_id=who.member_id)
        member = LeavingMember(
            member_id=who.member_id, group_instance_id=who.group_instance_id, reason=reason
        )
        return LeaveGroupRequest(group_id=who.group_id, members=[member])

    return leave
