"""One member's way to its target, state by state: `reconciliation.reconcile` as a table."""

from __future__ import annotations

from typing import Any, NamedTuple
from uuid import UUID

import pytest

from ottla.coordination.groups.consumer.member import ConsumerMember, MemberState
from ottla.coordination.groups.consumer.reconciliation import Goal, Owned, is_subset, reconcile
from ottla.wire.errors import ErrorCode, ProtocolError

T, U = UUID(int=1), UUID(int=2)
STABLE = MemberState.STABLE
UNREVOKED = MemberState.UNREVOKED_PARTITIONS
UNRELEASED = MemberState.UNRELEASED_PARTITIONS


def member(
    state: MemberState, epoch: int, assigned: dict[UUID, Any], revoking: dict[UUID, Any]
) -> ConsumerMember:
    """Partitions are given as lists; all were assigned at epoch 1."""
    return ConsumerMember(
        "m",
        epoch=epoch,
        previous_epoch=epoch - 1,
        state=state,
        assigned={topic: dict.fromkeys(found, 1) for topic, found in assigned.items()},
        revoking={topic: dict.fromkeys(found, 1) for topic, found in revoking.items()},
    )


class Case(NamedTuple):
    """A member before its heartbeat, what it is to come to, and where it is afterwards."""

    before: ConsumerMember
    target_epoch: int
    target: dict[UUID, tuple[int, ...]]
    owned: Owned | None
    held_by_others: set[int]
    state: MemberState
    epoch: int
    assigned: dict[UUID, set[int]]
    revoking: dict[UUID, set[int]]


CASES = {
    "nothing to do": Case(
        member(STABLE, 2, {T: [0, 1]}, {}), 2, {T: (0, 1)}, None, set(),
        STABLE, 2, {T: {0, 1}}, {},
    ),
    "a new epoch with the same target": Case(
        member(STABLE, 2, {T: [0, 1]}, {}), 3, {T: (0, 1)}, None, set(),
        STABLE, 3, {T: {0, 1}}, {},
    ),
    "free partitions come at once": Case(
        member(STABLE, 2, {T: [0]}, {}), 3, {T: (0, 1)}, None, set(),
        STABLE, 3, {T: {0, 1}}, {},
    ),
    "partitions of others are waited for": Case(
        member(STABLE, 2, {T: [0]}, {}), 3, {T: (0, 1, 2)}, None, {1},
        UNRELEASED, 3, {T: {0, 2}}, {},
    ),
    "what is to be revoked holds the epoch back": Case(
        member(STABLE, 2, {T: [0, 1]}, {}), 3, {T: (0, 2)}, None, set(),
        UNREVOKED, 2, {T: {0}}, {T: {1}},
    ),
    "what it says it no longer owns needs no revocation": Case(
        member(STABLE, 2, {T: [0, 1]}, {}), 3, {T: (0, 2)}, {T: frozenset({0})}, set(),
        STABLE, 3, {T: {0, 2}}, {},
    ),
    "silence is no confirmation": Case(
        member(UNREVOKED, 2, {T: [0]}, {T: [1]}), 3, {T: (0,)}, None, set(),
        UNREVOKED, 2, {T: {0}}, {T: {1}},
    ),
    "part of it is no confirmation": Case(
        member(UNREVOKED, 2, {T: [0]}, {T: [1, 2]}), 3, {T: (0,)}, {T: frozenset({0, 2})}, set(),
        UNREVOKED, 2, {T: {0}}, {T: {1, 2}},
    ),
    "confirmed: on to the target": Case(
        member(UNREVOKED, 2, {T: [0]}, {T: [1]}), 3, {T: (0, 2)}, {T: frozenset({0})}, set(),
        STABLE, 3, {T: {0, 2}}, {},
    ),
    "confirmed, but by now there is more to revoke": Case(
        member(UNREVOKED, 2, {T: [0, 3]}, {T: [1]}), 9, {T: (0,)}, {T: frozenset({0, 3})}, set(),
        UNREVOKED, 3, {T: {0}}, {T: {3}},
    ),
    "others have released": Case(
        member(UNRELEASED, 3, {T: [0]}, {}), 3, {T: (0, 1)}, None, set(),
        STABLE, 3, {T: {0, 1}}, {},
    ),
    "others have not released": Case(
        member(UNRELEASED, 3, {T: [0]}, {}), 3, {T: (0, 1)}, None, {1},
        UNRELEASED, 3, {T: {0}}, {},
    ),
    "while it waits the target changes": Case(
        member(UNRELEASED, 3, {T: [0]}, {}), 4, {U: (5,)}, None, set(),
        UNREVOKED, 3, {}, {T: {0}},
    ),
}  # fmt: skip


def plain(partitions: Any) -> dict[UUID, set[int]]:
    return {topic: set(found) for topic, found in partitions.items() if found}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_step(case: Case) -> None:
    goal = Goal(
        case.target_epoch,
        case.target,
        frozenset({T, U}),
        lambda _, partition: partition in case.held_by_others,
    )
    after = reconcile(case.before, goal, case.owned, has_subscription_changed=False)
    assert after.state is case.state
    assert after.epoch == case.epoch
    assert plain(after.assigned) == case.assigned
    assert plain(after.revoking) == case.revoking
    if after.epoch != case.before.epoch:
        assert after.previous_epoch == case.before.epoch


def goal(subscribed: set[UUID], target: dict[UUID, tuple[int, ...]], epoch: int = 2) -> Goal:
    return Goal(epoch, target, frozenset(subscribed), lambda _, __: False)


def test_partitions_keep_the_epoch_they_were_assigned_at() -> None:
    before = member(STABLE, 2, {T: [0]}, {})
    after = reconcile(before, goal({T}, {T: (0, 1)}, 7), None, has_subscription_changed=False)
    assert after.assigned == {T: {0: 1, 1: 7}}
    assert after.assignment_epoch(T, 0) == 1
    assert after.assignment_epoch(T, 2) is None


def test_topics_unsubscribed_from_are_revoked_before_there_is_a_new_target() -> None:
    before = member(STABLE, 2, {T: [0], U: [0]}, {})
    after = reconcile(before, goal({T}, {T: (0,), U: (0,)}), None, has_subscription_changed=True)
    assert (after.state, after.epoch) == (UNREVOKED, 2)
    assert (plain(after.assigned), plain(after.revoking)) == ({T: {0}}, {U: {0}})
    told = {T: frozenset({0})}
    after = reconcile(before, goal({T}, {T: (0,), U: (0,)}), told, has_subscription_changed=True)
    assert (after.state, plain(after.assigned)) == (STABLE, {T: {0}})


def test_a_target_older_than_the_subscription_is_cut_down_to_it() -> None:
    before = member(STABLE, 1, {}, {})
    after = reconcile(before, goal({T}, {T: (0,), U: (0,)}), None, has_subscription_changed=False)
    assert plain(after.assigned) == {T: {0}}


def test_a_state_of_a_newer_version_makes_the_member_join_anew() -> None:
    before = member(MemberState.UNKNOWN, 2, {T: [0]}, {})
    for owned in (None, {T: frozenset({0})}):
        with pytest.raises(ProtocolError) as refused:
            reconcile(before, goal({T}, {T: (0,)}), owned, has_subscription_changed=False)
        assert refused.value.code is ErrorCode.FENCED_MEMBER_EPOCH
    after = reconcile(before, goal({T}, {T: (0,)}), {}, has_subscription_changed=False)
    assert after.state is STABLE


def test_subsets() -> None:
    assigned = {T: {0: 1, 1: 1}}
    assert is_subset({}, assigned)
    assert is_subset({T: frozenset({1})}, assigned)
    assert not is_subset(None, assigned)
    assert not is_subset({T: frozenset({2})}, assigned)
    assert not is_subset({U: frozenset({0})}, assigned)
