"""Subscriptions by names and by regular expression, and topics that come, go and grow."""

from __future__ import annotations

from typing import Any

from ottla.coordination.groups.consumer import patterns
from ottla.wire.errors import ErrorCode


def names(desk: Any, member: Any) -> set[str]:
    return {desk.topics.image.topic_names[topic_id] for topic_id, _ in member.owned}


def test_more_partitions_are_assigned_with_the_next_heartbeat(desk: Any) -> None:
    member = desk.member("m1")
    desk.beat(member)
    desk.topics.grow("t", 8)
    desk.settle(member)
    assert len(member.owned) == 8
    assert member.epoch == 2


def test_a_topic_that_is_created_later_is_assigned(new_desk: Any) -> None:
    desk = new_desk(other=1)
    member = desk.member("m1", "t")
    desk.beat(member)
    assert member.owned == set()
    desk.topics.create("t", 3)
    desk.settle(member)
    assert len(member.owned) == 3


def test_a_deleted_topic_is_taken_away(new_desk: Any) -> None:
    desk = new_desk(t=2, u=2)
    member = desk.member("m1", "t", "u")
    desk.beat(member)
    desk.topics.delete("u")
    desk.settle(member)
    assert names(desk, member) == {"t"}


def test_topics_of_others_change_nothing(desk: Any) -> None:
    member = desk.member("m1")
    desk.beat(member)
    size = len(desk.runtime.log)
    desk.topics.create("unrelated", 9)
    desk.wait(6_000)
    desk.beat(member)
    assert len(desk.runtime.log) == size


def test_a_topic_unsubscribed_from_is_taken_away_before_the_next_assignment(
    new_desk: Any,
) -> None:
    desk = new_desk(t=2, u=2)
    member = desk.member("m1", "t", "u")
    desk.beat(member)
    member.subscribe(["t"])
    desk.beat(member)
    assert desk.group().state == "Assigning", "the last assignment is too recent"
    assert {topic for topic, _ in member.assigned} == {desk.topics.topic_id("t")}
    desk.settle(member)
    assert names(desk, member) == {"t"}


def test_a_pattern_is_matched_soon_after_the_answer(new_desk: Any) -> None:
    desk = new_desk(**{"orders-eu": 2, "orders-us": 2, "payments": 2})
    member = desk.member("m1", regex="orders-.*")
    desk.beat(member)
    assert member.owned == set()
    desk.settle(member)
    assert names(desk, member) == {"orders-eu", "orders-us"}


def test_a_pattern_matches_whole_names(new_desk: Any) -> None:
    desk = new_desk(**{"orders": 1, "orders-old": 1, "new-orders": 1})
    member = desk.member("m1", regex="orders")
    desk.beat(member)
    desk.settle(member)
    assert names(desk, member) == {"orders"}


def test_patterns_and_names_add_up(new_desk: Any) -> None:
    desk = new_desk(orders=1, payments=1, refunds=1)
    member = desk.member("m1", regex="order.*", topics=["refunds"])
    desk.beat(member)
    desk.settle(member)
    assert names(desk, member) == {"orders", "refunds"}


def test_a_new_topic_that_matches_is_assigned_and_a_deleted_one_taken_away(new_desk: Any) -> None:
    desk = new_desk(**{"orders-1": 1})
    member = desk.member("m1", regex="orders-.*")
    desk.beat(member)
    desk.settle(member)
    desk.topics.create("orders-2", 1)
    desk.wait(5_000)
    desk.beat(member)
    desk.settle(member)
    assert names(desk, member) == {"orders-1", "orders-2"}
    desk.topics.delete("orders-1")
    desk.wait(5_000)
    desk.beat(member)
    desk.settle(member)
    assert names(desk, member) == {"orders-2"}


def test_what_a_pattern_matched_is_forgotten_with_its_last_subscriber(new_desk: Any) -> None:
    desk = new_desk(t=1, u=1)
    first, second = desk.member("m1", regex="t"), desk.member("m2", regex="u")
    desk.beat(first, second)
    desk.settle(first, second)
    assert set(desk.group().resolved) == {"t", "u"}
    desk.ask(second.leave())
    assert set(desk.group().resolved) == {"t"}
    first.regex = ""
    first.subscribe(["u"])
    desk.beat(first)
    assert desk.group().resolved == {}
    desk.settle(first)
    assert names(desk, first) == {"u"}


def test_patterns_are_matched_again_after_a_restart(new_desk: Any) -> None:
    desk = new_desk(t1=1)
    member = desk.member("m1", regex="t.")
    desk.beat(member)
    desk.settle(member)
    desk.topics.create("t2", 1)
    desk.restart()
    desk.wait(5_000)
    desk.beat(member)
    desk.settle(member)
    assert names(desk, member) == {"t1", "t2"}


def test_an_invalid_pattern_leaves_the_member_as_it_was(desk: Any) -> None:
    member = desk.member("m1")
    desk.beat(member)
    member.regex = "*"
    member.lose_answer()
    assert desk.beat(member) is ErrorCode.INVALID_REGULAR_EXPRESSION
    member.regex = None
    assert desk.beat(member) is ErrorCode.NONE
    assert len(member.owned) == 6


def test_a_pattern_made_to_hang_does_not() -> None:
    # A backtracking engine needs 2**100 steps for this; a linear one is done at once.
    found = patterns.matching(["(a|a)*(a|a)*(a|a)*b"], ["a" * 100, "aab"])
    assert found == {"(a|a)*(a|a)*(a|a)*b": ["aab"]}


def test_members_that_subscribe_differently_share_only_what_both_want(new_desk: Any) -> None:
    desk = new_desk(t=4, u=4)
    first, second = desk.member("m1", "t"), desk.member("m2", "t", "u")
    desk.beat(first, second)
    desk.settle(first, second)
    assert names(desk, first) == {"t"}
    assert len(first.owned) == len(second.owned) == 4
