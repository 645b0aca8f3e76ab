"""Server-side assignors: every partition once, balanced, moving little."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ottla.coordination.groups import assignors
from ottla.coordination.groups.assignors.specification import (
    Assignment,
    AssignorMember,
    Specification,
)


def topic(number: int) -> UUID:
    return UUID(int=number)


def specification(
    subscriptions: list[set[int]],
    counts: dict[int, int],
    last: Assignment | None = None,
) -> Specification:
    """Members m00, m01...; a member's subscription names topics by number."""
    members = []
    for index, subscribed in enumerate(subscriptions):
        member_id = f"m{index:02}"
        target = {each: tuple(found) for each, found in (last or {}).get(member_id, {}).items()}
        existing = frozenset(topic(each) for each in subscribed if each in counts)
        members.append(AssignorMember(member_id, None, existing, target))
    wanted = set().union(*subscriptions) if subscriptions else set()
    return Specification(
        members,
        {topic(each): count for each, count in sorted(counts.items()) if each in wanted},
        is_homogeneous=all(each == subscriptions[0] for each in subscriptions),
    )


def owners(assignment: Assignment) -> dict[tuple[UUID, int], str]:
    """Who owns what; fails if a partition is there twice."""
    found: dict[tuple[UUID, int], str] = {}
    for member_id, topics in assignment.items():
        for topic_id, partitions in topics.items():
            for partition in partitions:
                assert (topic_id, partition) not in found
                found[topic_id, partition] = member_id
    return found


def loads(assignment: Assignment) -> dict[str, int]:
    return {name: sum(map(len, topics.values())) for name, topics in assignment.items()}


def check_complete(spec: Specification, assignment: Assignment) -> None:
    """Every partition of every topic with subscribers goes to one of those subscribers."""
    assert set(assignment) == {member.member_id for member in spec.members}
    subscribed = {member.member_id: member.topics for member in spec.members}
    found = owners(assignment)
    for (topic_id, _), member_id in found.items():
        assert topic_id in subscribed[member_id]
    wanted = {
        (topic_id, partition)
        for topic_id, count in spec.partition_counts.items()
        if any(topic_id in each for each in subscribed.values())
        for partition in range(count)
    }
    assert set(found) == wanted


COUNTS = st.dictionaries(st.integers(1, 6), st.integers(1, 12), min_size=1)
SUBSCRIPTIONS = st.lists(st.sets(st.integers(1, 6)), min_size=1, max_size=8)


@pytest.mark.parametrize("name", assignors.BUILT_IN)
@given(subscriptions=SUBSCRIPTIONS, counts=COUNTS)
def test_every_partition_goes_to_exactly_one_subscriber(
    name: str, subscriptions: list[set[int]], counts: dict[int, int]
) -> None:
    spec = specification(subscriptions, counts)
    check_complete(spec, assignors.find(name)(spec))


@given(members=st.integers(1, 12), counts=COUNTS)
def test_equal_subscriptions_are_balanced_to_one_partition(
    members: int, counts: dict[int, int]
) -> None:
    assignment = assignors.find("uniform")(specification([set(counts)] * members, counts))
    sizes = loads(assignment).values()
    assert max(sizes) - min(sizes) <= 1


@given(subscriptions=SUBSCRIPTIONS, counts=COUNTS)
def test_no_single_move_improves_the_balance_of_different_subscriptions(
    subscriptions: list[set[int]], counts: dict[int, int]
) -> None:
    spec = specification(subscriptions, counts)
    assignment = assignors.find("uniform")(spec)
    load = loads(assignment)
    for (topic_id, _), owner in owners(assignment).items():
        for member in spec.members:
            if topic_id in member.topics:
                assert load[owner] <= load[member.member_id] + 1


@given(before=st.integers(1, 10), after=st.integers(1, 10), counts=COUNTS)
def test_who_stays_keeps_what_it_may_keep(before: int, after: int, counts: dict[int, int]) -> None:
    uniform = assignors.find("uniform")
    first = uniform(specification([set(counts)] * before, counts))
    second = uniform(specification([set(counts)] * after, counts, first))
    check_complete(specification([set(counts)] * after, counts), second)
    old, new = owners(first), owners(second)
    moved = sum(1 for each, owner in old.items() if new[each] != owner)
    total = sum(counts.values())
    # What must move at least: what those who left had, or what newcomers are entitled to.
    if after <= before:
        assert moved == sum(1 for owner in old.values() if owner not in second)
    else:
        sizes = loads(second)
        assert moved == sum(sizes[name] for name in second if name not in first)
    assert len(new) == total


@given(subscriptions=SUBSCRIPTIONS, counts=COUNTS)
def test_nothing_moves_when_nothing_changed(
    subscriptions: list[set[int]], counts: dict[int, int]
) -> None:
    uniform = assignors.find("uniform")
    first = uniform(specification(subscriptions, counts))
    assert owners(uniform(specification(subscriptions, counts, first))) == owners(first)


@given(members=st.integers(1, 8), count=st.integers(1, 20))
def test_range_gives_the_same_partitions_of_topics_equally_large(members: int, count: int) -> None:
    spec = specification([{1, 2}] * members, {1: count, 2: count})
    for topics in assignors.find("range")(spec).values():
        assert topics.get(topic(1)) == topics.get(topic(2))
        partitions = topics.get(topic(1), [])
        first = min(partitions, default=0)
        assert partitions == list(range(first, first + len(partitions)))


def test_range_takes_static_members_in_the_order_of_their_instances() -> None:
    members = [
        AssignorMember("zz", None, frozenset({topic(1)}), {}),
        AssignorMember("yy", "i1", frozenset({topic(1)}), {}),
        AssignorMember("xx", "i2", frozenset({topic(1)}), {}),
    ]
    assignment = assignors.find("range")(Specification(members, {topic(1): 4}, True))
    assert {name: topics[topic(1)] for name, topics in assignment.items()} == {
        "yy": [0, 1],
        "xx": [2],
        "zz": [3],
    }


def test_partitions_that_are_gone_and_topics_unsubscribed_from_are_not_kept() -> None:
    uniform = assignors.find("uniform")
    first = uniform(specification([{1, 2}] * 2, {1: 8, 2: 8}))
    spec = specification([{1}] * 2, {1: 2}, first)
    check_complete(spec, uniform(spec))


def test_an_assignor_that_is_not_there() -> None:
    with pytest.raises(KeyError):
        assignors.find("os")
