"""How one member gets from what it owns to what it shall own (KIP-848).

                        ┌────────── partitions to give up ──────────┐
                        ▼                                           │
    STABLE ──► UNREVOKED_PARTITIONS ──► STABLE or UNRELEASED_PARTITIONS ──► STABLE
          its heartbeat no longer names them         others have given theirs up

A partition is given to a member only when nobody else holds it any more, so no two members own it
at the same time. While a member has partitions to give up it stays at its epoch; once it has
confirmed, it goes to the epoch of the newest target and gets at once what is free of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple
from uuid import UUID

from ottla.coordination.groups.consumer.group_log import Target
from ottla.coordination.groups.consumer.member import (
    NO_INDEXES,
    NO_PARTITIONS,
    ConsumerMember,
    MemberState,
    Partitions,
)
from ottla.wire.errors import ErrorCode, ProtocolError

#: What a heartbeat says the member owns, by topic; ``None``: unchanged since the last one.
Owned = dict[UUID, frozenset[int]]


class Goal(NamedTuple):
    """What the member is to come to.

    subscribed: ids of the topics it subscribes to; a target older than that is cut down to them.
    is_held_by_other: whether another member still holds (topic id, partition).
    """

    epoch: int
    target: Target
    subscribed: frozenset[UUID]
    is_held_by_other: Callable[[UUID, int], bool]


def reconcile(
    member: ConsumerMember, goal: Goal, owned: Owned | None, *, has_subscription_changed: bool
) -> ConsumerMember:
    """The member after its heartbeat.

    Raises:
        ProtocolError: FENCED_MEMBER_EPOCH, if a newer version has left it in an unknown state and
            it still owns something.
    """
    if member.state is MemberState.STABLE and member.epoch == goal.epoch:
        return _cut_down(member, goal, owned) if has_subscription_changed else member
    if member.state is MemberState.UNREVOKED_PARTITIONS:
        if _owns_any(owned, member.revoking):
            return _cut_down(member, goal, owned) if has_subscription_changed else member
        # The epoch grows by one at most while there is more to revoke, never past the target.
        return _next(member, goal, owned, min(member.epoch + 1, goal.epoch))
    if member.state is MemberState.UNKNOWN:
        if owned is None or owned:
            raise ProtocolError(
                ErrorCode.FENCED_MEMBER_EPOCH,
                "The state of the member is not known here. It must give up all its partitions "
                "and join again.",
            )
        return _next(member, goal, owned, goal.epoch)
    return _next(member, goal, owned, member.epoch)


def _next(
    member: ConsumerMember, goal: Goal, owned: Owned | None, epoch_while_revoking: int
) -> ConsumerMember:
    if _has_all(member, goal):
        return member.at_epoch(
            goal.epoch,
            state=MemberState.STABLE,
            assigned=member.assigned,
            revoking=NO_PARTITIONS,
        )
    assigned: dict[UUID, dict[int, int]] = {}
    revoking: dict[UUID, dict[int, int]] = {}
    added: list[tuple[UUID, int]] = []
    waits = False
    for topic_id in dict.fromkeys((*goal.target, *member.assigned)):
        wanted = goal.target.get(topic_id, ()) if topic_id in goal.subscribed else ()
        has = member.assigned.get(topic_id, {})
        kept = {partition: has[partition] for partition in wanted if partition in has}
        if kept:
            assigned[topic_id] = kept
        if len(kept) < len(has):
            revoking[topic_id] = {
                partition: epoch for partition, epoch in has.items() if partition not in kept
            }
        for partition in wanted:
            if partition not in has:
                if goal.is_held_by_other(topic_id, partition):
                    waits = True
                else:
                    added.append((topic_id, partition))
    if revoking and _owns_any(owned, revoking):
        return member.at_epoch(
            epoch_while_revoking,
            state=MemberState.UNREVOKED_PARTITIONS,
            assigned=assigned,
            revoking=revoking,
        )
    for topic_id, partition in added:
        assigned.setdefault(topic_id, {})[partition] = goal.epoch
    return member.at_epoch(
        goal.epoch,
        state=MemberState.UNRELEASED_PARTITIONS if waits else MemberState.STABLE,
        assigned=assigned,
        revoking=NO_PARTITIONS,
    )


def _has_all(member: ConsumerMember, goal: Goal) -> bool:
    """Whether the member has its target and nothing else: only the epoch is new."""
    target, assigned = goal.target, member.assigned
    return len(target) == len(assigned) and all(
        topic_id in goal.subscribed and assigned.get(topic_id, NO_INDEXES).keys() == set(partitions)
        for topic_id, partitions in target.items()
    )


def _cut_down(member: ConsumerMember, goal: Goal, owned: Owned | None) -> ConsumerMember:
    """Takes away at once what the member no longer subscribes to.

    A new target may take its time; until then the member must not be told to consume topics that
    it has just unsubscribed from.
    """
    gone = [topic_id for topic_id in member.assigned if topic_id not in goal.subscribed]
    if not gone:
        return member
    assigned = {
        topic_id: partitions
        for topic_id, partitions in member.assigned.items()
        if topic_id in goal.subscribed
    }
    revoking: dict[UUID, dict[int, int]] = {
        topic_id: dict(partitions) for topic_id, partitions in member.revoking.items()
    }
    for topic_id in gone:
        revoking.setdefault(topic_id, {}).update(member.assigned[topic_id])
    if _owns_any(owned, revoking):
        return member._replace(
            state=MemberState.UNREVOKED_PARTITIONS, assigned=assigned, revoking=revoking
        )
    return member._replace(assigned=assigned)


def _owns_any(owned: Owned | None, partitions: Partitions) -> bool:
    """Whether the member owns any of them still; if it didn't say, it may."""
    if owned is None:
        return bool(partitions)
    return any(
        partition in indexes
        for topic_id, indexes in partitions.items()
        for partition in owned.get(topic_id, ())
    )


def is_subset(owned: Owned | None, assigned: Partitions) -> bool:
    """Whether the member owns nothing but what is assigned to it."""
    if owned is None:
        return False
    return all(
        partition in assigned.get(topic_id, {})
        for topic_id, partitions in owned.items()
        for partition in partitions
    )


def read_owned(topics: Iterable[tuple[UUID, Iterable[int]]]) -> Owned:
    """What a request lists, by topic."""
    owned: Owned = {}
    for topic_id, partitions in topics:
        owned[topic_id] = owned.get(topic_id, frozenset()) | frozenset(partitions)
    return owned
