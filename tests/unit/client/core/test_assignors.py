"""Assignors: every partition once, as even as possible, and what can stay where it is does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ottla.client.core.membership.assignors import ASSIGNORS
from ottla.client.core.membership.assignors.values import Assignment, Member, Partition, Topics

FEW = settings(max_examples=40, deadline=None)
NAMES = list(ASSIGNORS)
STICKY = ["sticky", "cooperative-sticky"]
RACKS = ("a", "b", "c")


def plain(**counts: int) -> Topics:
    """Topics without racks."""
    return {topic: [frozenset()] * count for topic, count in counts.items()}


def member(member_id: str, *topics: str, **details: object) -> Member:
    return Member(member_id, frozenset(topics), **details)  # type: ignore[arg-type]


def numbers(assignment: Assignment, member_id: str, topic: str) -> list[int]:
    return [number for name, number in assignment[member_id] if name == topic]


def wanted(members: list[Member], topics: Topics) -> set[Partition]:
    return {
        (topic, number)
        for topic, racks in topics.items()
        if any(topic in m.topics for m in members)
        for number in range(len(racks))
    }


@st.composite
def topics_of(draw: st.DrawFn) -> Topics:
    racks = st.frozensets(st.sampled_from(RACKS), max_size=3)
    return draw(
        st.dictionaries(st.sampled_from(["t0", "t1", "t2", "t3"]), st.lists(racks, max_size=9))
    )


@st.composite
def groups(draw: st.DrawFn, *, is_alike: bool = False) -> tuple[list[Member], Topics]:
    topics = draw(topics_of())
    names = st.frozensets(st.sampled_from(["t0", "t1", "t2", "t3", "gone"]))
    common = draw(names)
    members = []
    for number in range(draw(st.integers(1, 6))):
        owned = draw(
            st.lists(st.tuples(st.sampled_from(["t0", "t1", "gone"]), st.integers(0, 9)),
                     max_size=6)
        )  # fmt: skip
        members.append(
            Member(
                f"m{number}",
                common if is_alike else draw(names),
                instance_id=draw(st.sampled_from([None, f"i{9 - number}"])),
                rack=draw(st.sampled_from([None, "", *RACKS])),
                owned=tuple(owned),
                generation=draw(st.integers(-1, 3)),
            )
        )
    return members, topics


@pytest.mark.parametrize("name", ["range", "roundrobin", "sticky"])
@FEW
@given(groups())
def test_every_partition_goes_to_one_member_that_wants_it(
    name: str, group: tuple[list[Member], Topics]
) -> None:
    members, topics = group
    assignment = ASSIGNORS[name](members, topics)
    given_out = [partition for partitions in assignment.values() for partition in partitions]
    assert sorted(given_out) == sorted(wanted(members, topics))
    for m in members:
        assert {topic for topic, _ in assignment[m.member_id]} <= m.topics


@pytest.mark.parametrize("name", NAMES)
@FEW
@given(groups(), st.randoms())
def test_the_order_of_the_members_does_not_matter(
    name: str, group: tuple[list[Member], Topics], chance: Callable[..., object]
) -> None:
    members, topics = group
    shuffled = list(members)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    backwards = dict(reversed(list(topics.items())))
    assert ASSIGNORS[name](shuffled, backwards) == ASSIGNORS[name](members, topics)


@pytest.mark.parametrize("name", ["roundrobin", "sticky"])
@FEW
@given(groups(is_alike=True))
def test_members_that_want_the_same_get_the_same_number(
    name: str, group: tuple[list[Member], Topics]
) -> None:
    members, topics = group
    sizes = [len(partitions) for partitions in ASSIGNORS[name](members, topics).values()]
    assert max(sizes) - min(sizes) <= 1


@FEW
@given(groups())
def test_a_range_of_every_topic_is_even_by_itself(group: tuple[list[Member], Topics]) -> None:
    members, topics = group
    assignment = ASSIGNORS["range"](members, topics)
    for topic in topics:
        sizes = [len(numbers(assignment, m.member_id, topic)) for m in members if topic in m.topics]
        assert not sizes or max(sizes) - min(sizes) <= 1


@FEW
@given(groups())
def test_nothing_sticky_could_move_to_a_member_with_two_fewer(
    group: tuple[list[Member], Topics],
) -> None:
    members, topics = group
    assignment = ASSIGNORS["sticky"](members, topics)
    sizes = {member_id: len(partitions) for member_id, partitions in assignment.items()}
    for giver, partitions in assignment.items():
        for topic, _ in partitions:
            for taker in members:
                if topic in taker.topics:
                    assert sizes[taker.member_id] + 1 >= sizes[giver]


@FEW
@given(groups())
def test_an_unchanged_group_keeps_everything(group: tuple[list[Member], Topics]) -> None:
    members, topics = group
    first = ASSIGNORS["sticky"](members, topics)
    settled = [m._replace(owned=tuple(first[m.member_id]), generation=7) for m in members]
    for name in STICKY:
        assert ASSIGNORS[name](settled, topics) == first


@FEW
@given(groups(is_alike=True), st.integers(0, 5))
def test_when_a_member_leaves_the_others_keep_all_they_had(
    group: tuple[list[Member], Topics], leaver: int
) -> None:
    members, topics = group
    topics = {topic: [frozenset()] * len(racks) for topic, racks in topics.items()}
    first = ASSIGNORS["sticky"](members, topics)
    settled = [m._replace(owned=tuple(first[m.member_id]), generation=7) for m in members]
    rest = [m for number, m in enumerate(settled) if number != leaver]
    second = ASSIGNORS["sticky"](rest, topics)
    for m in rest:
        assert set(first[m.member_id]) <= set(second[m.member_id])


@FEW
@given(groups(is_alike=True))
def test_when_a_member_joins_only_its_share_moves(group: tuple[list[Member], Topics]) -> None:
    members, topics = group
    topics = {topic: [frozenset()] * len(racks) for topic, racks in topics.items()}
    first = ASSIGNORS["sticky"](members, topics)
    settled = [m._replace(owned=tuple(first[m.member_id]), generation=7) for m in members]
    newcomer = Member("new", members[0].topics)
    second = ASSIGNORS["sticky"]([*settled, newcomer], topics)
    for m in members:
        assert set(second[m.member_id]) <= set(first[m.member_id])


@FEW
@given(groups())
def test_cooperative_gives_nothing_that_another_still_owns(
    group: tuple[list[Member], Topics],
) -> None:
    members, topics = group
    assignment = ASSIGNORS["cooperative-sticky"](members, topics)
    for m in members:
        elsewhere = {p for other in members if other is not m for p in other.owned}
        assert not elsewhere & set(assignment[m.member_id])


@FEW
@given(groups())
def test_cooperative_arrives_where_sticky_does(group: tuple[list[Member], Topics]) -> None:
    members, topics = group
    target = ASSIGNORS["sticky"](members, topics)
    for generation in (10, 11):
        step = ASSIGNORS["cooperative-sticky"](members, topics)
        members = [m._replace(owned=tuple(step[m.member_id]), generation=generation)
                   for m in members]  # fmt: skip
    final = ASSIGNORS["cooperative-sticky"](members, topics)
    assert sum(map(len, final.values())) == sum(map(len, target.values()))


def test_range_gives_the_odd_partitions_to_the_first_members() -> None:
    members = [member(name, "t", "u") for name in ("b", "a", "c")]
    assignment = ASSIGNORS["range"](members, plain(t=7, u=2))
    assert [numbers(assignment, m, "t") for m in "abc"] == [[0, 1, 2], [3, 4], [5, 6]]
    assert [numbers(assignment, m, "u") for m in "abc"] == [[0], [1], []]


def test_static_members_come_first_by_their_instance() -> None:
    members = [member("a", "t"), member("z", "t", instance_id="1")]
    assignment = ASSIGNORS["range"](members, plain(t=3))
    assert numbers(assignment, "z", "t") == [0, 1]


def test_range_follows_racks_and_keeps_joined_topics_together() -> None:
    racks = [frozenset("a"), frozenset("b"), frozenset("a"), frozenset("b")]
    members = [member("m", "t", "u", rack="b"), member("n", "t", "u", rack="a")]
    assignment = ASSIGNORS["range"](members, {"t": racks, "u": racks})
    assert numbers(assignment, "m", "t") == numbers(assignment, "m", "u") == [1, 3]
    assert numbers(assignment, "n", "t") == numbers(assignment, "n", "u") == [0, 2]


def test_a_member_that_has_its_odd_partition_takes_no_second_one() -> None:
    members = [member(name, "t", rack="a") for name in "xyz"]
    assignment = ASSIGNORS["range"](members, {"t": [frozenset(), frozenset("a")]})
    assert assignment == {"x": [("t", 1)], "y": [("t", 0)], "z": []}


def test_racks_do_not_matter_when_every_rack_has_every_partition() -> None:
    racks = [frozenset("ab")] * 4
    members = [member("m", "t", rack="b"), member("n", "t", rack="a")]
    assert numbers(ASSIGNORS["range"](members, {"t": racks}), "m", "t") == [0, 1]


def test_round_robin_passes_over_members_that_do_not_want_a_topic() -> None:
    members = [member("a", "t"), member("b", "t", "u"), member("c", "u")]
    assignment = ASSIGNORS["roundrobin"](members, plain(t=3, u=3))
    assert assignment == {
        "a": [("t", 0), ("t", 2)],
        "b": [("t", 1), ("u", 0), ("u", 2)],
        "c": [("u", 1)],
    }


def test_the_claim_of_the_later_generation_counts() -> None:
    owned = (("t", 0), ("t", 1))
    members = [
        member("a", "t", owned=owned, generation=4),
        member("b", "t", owned=owned, generation=5),
    ]
    assignment = ASSIGNORS["sticky"](members, plain(t=4))
    assert numbers(assignment, "b", "t") == [0, 1]


def test_two_claims_of_one_generation_are_both_void() -> None:
    members = [
        member("a", "t", owned=(("t", 0), ("t", 3)), generation=5),
        member("b", "t", owned=(("t", 0), ("t", 2)), generation=5),
    ]
    assignment = ASSIGNORS["cooperative-sticky"](members, plain(t=4))
    held = Counter(p for partitions in assignment.values() for p in partitions)
    assert ("t", 0) not in held
    assert ("t", 3) in assignment["a"]
    assert ("t", 2) in assignment["b"]


def test_sticky_prefers_members_in_the_rack_of_a_replica() -> None:
    racks = [frozenset("a"), frozenset("b")] * 3
    members = [member("m", "t", rack="b"), member("n", "t", rack="a")]
    assignment = ASSIGNORS["sticky"](members, {"t": racks})
    assert numbers(assignment, "m", "t") == [1, 3, 5]
    assert numbers(assignment, "n", "t") == [0, 2, 4]


def test_uneven_subscriptions_are_evened_out_with_few_moves() -> None:
    old = tuple(("t", number) for number in range(6))
    members = [
        member("a", "t", "u", owned=old, generation=1),
        member("b", "t"),
        member("c", "u"),
    ]
    assignment = ASSIGNORS["sticky"](members, plain(t=6, u=3))
    assert sorted(map(len, assignment.values())) == [3, 3, 3]
    assert set(assignment["a"]) <= set(old)


def test_a_full_member_reaches_an_empty_one_through_a_third() -> None:
    members = [
        member("a", "t", owned=(("t", 0), ("t", 1), ("t", 2)), generation=1),
        member("b", "t", "u", owned=(("u", 0), ("u", 1)), generation=1),
        member("c", "u", owned=(("u", 2),), generation=1),
    ]
    assignment = ASSIGNORS["sticky"](members, plain(t=3, u=3))
    assert sorted(map(len, assignment.values())) == [2, 2, 2]


@pytest.mark.parametrize("name", NAMES)
def test_nobody_and_nothing(name: str) -> None:
    assert ASSIGNORS[name]([], plain(t=3)) == {}
    assert ASSIGNORS[name]([member("a")], plain(t=3)) == {"a": []}
    assert ASSIGNORS[name]([member("a", "t")], {}) == {"a": []}
    assert ASSIGNORS[name]([member("a", "t")], plain(t=0)) == {"a": []}


@pytest.mark.parametrize("name", NAMES)
def test_a_large_group_is_assigned_in_one_go(name: str) -> None:
    topics = plain(**{f"t{number}": 100 for number in range(30)})
    members = [member(f"m{number:03}", *list(topics)[: 30 - number % 3]) for number in range(100)]
    assignment = ASSIGNORS[name](members, topics)
    assert sum(map(len, assignment.values())) == 3000
