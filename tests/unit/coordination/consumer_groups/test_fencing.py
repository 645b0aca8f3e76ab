"""Epochs that fence, answers that got lost, sessions and rebalance timeouts."""

from __future__ import annotations

from typing import Any

from ottla.coordination.groups.timers import TimerKey, TimerKind, session_timer
from ottla.wire.errors import ErrorCode


def test_a_member_with_a_greater_epoch_is_fenced(desk: Any) -> None:
    member = desk.member("m1")
    desk.beat(member)
    member.epoch = 7
    assert desk.beat(member) is ErrorCode.FENCED_MEMBER_EPOCH


def test_the_epoch_before_is_good_as_long_as_the_member_owns_a_subset(desk: Any) -> None:
    first, second = desk.member("m1"), desk.member("m2")
    desk.beat(first, second)
    desk.settle(first, second)
    third = desk.member("m3")
    desk.beat(third)
    desk.wait(1_000)
    before = second.epoch
    answer = desk.ask(second.request())
    second.lose_answer()
    if answer.member_epoch == before:
        # It revokes first; what it owned and keeps is a subset.
        second.assigned = desk.assigned(second)
        second.finish_revoking()
        answer = desk.ask(second.request())
        second.lose_answer()
    assert answer.member_epoch > before
    assert desk.beat(second) is ErrorCode.NONE, "the answer was lost: the old epoch is told again"
    assert second.epoch == answer.member_epoch


def test_the_epoch_before_is_fenced_if_the_member_owns_more(desk: Any) -> None:
    first, second = desk.member("m1"), desk.member("m2")
    desk.beat(first, second)
    desk.settle(first, second)
    old = first.epoch
    assert desk.group().members["m1"].previous_epoch < old
    first.epoch = desk.group().members["m1"].previous_epoch
    first.owned |= second.owned
    first.lose_answer()
    assert desk.beat(first) is ErrorCode.FENCED_MEMBER_EPOCH


def test_the_epoch_before_without_a_word_about_partitions_is_fenced(desk: Any) -> None:
    first, second = desk.member("m1"), desk.member("m2")
    desk.beat(first, second)
    desk.settle(first, second)
    desk.beat(first)
    first.epoch = desk.group().members["m1"].previous_epoch
    assert first.request().topic_partitions is None
    assert desk.beat(first) is ErrorCode.FENCED_MEMBER_EPOCH


def test_a_lost_answer_to_the_first_heartbeat_is_made_good_by_the_second(desk: Any) -> None:
    member = desk.member("m1")
    desk.ask(member.request())
    member.lose_answer()
    assert desk.beat(member) is ErrorCode.NONE
    assert member.epoch == 1
    assert len(member.owned) == 6


def test_an_unknown_member_must_join(desk: Any) -> None:
    first, second = desk.member("m1"), desk.member("m2")
    desk.beat(first)
    second.epoch = 1
    assert desk.beat(second) is ErrorCode.UNKNOWN_MEMBER_ID


def test_a_silent_member_is_expelled_when_its_session_ends(desk: Any) -> None:
    first, second = desk.member("m1"), desk.member("m2")
    desk.beat(first, second)
    desk.settle(first, second)
    desk.wait(30_000)
    desk.beat(first)
    desk.wait(20_000)
    assert list(desk.group().members) == ["m1"]
    desk.settle(first)
    assert len(first.owned) == 6
    assert desk.beat(second) is ErrorCode.UNKNOWN_MEMBER_ID


def test_a_member_that_does_not_revoke_in_time_is_expelled(desk: Any) -> None:
    first, second = desk.member("m1", rebalance_timeout_ms=10_000), desk.member("m2")
    desk.beat(first, second)
    desk.wait(1_000)
    desk.beat(first)
    assert first.is_revoking
    key = TimerKey(TimerKind.REVOCATION, "orders", "m1")
    assert desk.runtime.deadline_ms(key) == desk.runtime.now_ms + 10_000
    for _ in range(3):
        desk.wait(3_000)
        desk.beat(first, second)
    assert "m1" in desk.group().members, "it has time until 10 s"
    desk.wait(1_000)
    assert list(desk.group().members) == ["m2"]
    desk.settle(second)
    assert len(second.owned) == 6


def test_a_member_that_has_revoked_is_left_in_peace(desk: Any) -> None:
    first, second = desk.member("m1", rebalance_timeout_ms=10_000), desk.member("m2")
    desk.beat(first, second)
    desk.settle(first, second)
    assert desk.runtime.deadline_ms(TimerKey(TimerKind.REVOCATION, "orders", "m1")) is None
    desk.wait(15_000)
    assert set(desk.group().members) == {"m1", "m2"}


def test_the_session_timeout_of_the_group_is_honoured_as_it_is_now(desk: Any) -> None:
    member = desk.member("m1")
    desk.beat(member)
    key = session_timer("orders", "m1")
    assert desk.runtime.deadline_ms(key) == desk.runtime.now_ms + 45_000
    desk.topics.configure_group(
        "orders",
        {"consumer.session.timeout.ms": "50000", "consumer.heartbeat.interval.ms": "7000"},
    )
    desk.wait(10_000)
    desk.beat(member)
    assert desk.runtime.deadline_ms(key) == desk.runtime.now_ms + 50_000
    assert member.heartbeat_interval_ms == 7_000


def test_leaving_frees_the_partitions_at_once(desk: Any) -> None:
    first, second = desk.member("m1"), desk.member("m2")
    desk.beat(first, second)
    desk.settle(first, second)
    epoch = desk.group().epoch
    answer = desk.ask(first.leave())
    assert (answer.error_code, answer.member_epoch) == (ErrorCode.NONE, -1)
    assert desk.group().epoch == epoch + 1
    desk.settle(second)
    assert len(second.owned) == 6
    assert desk.ask(first.leave()).error_code == ErrorCode.UNKNOWN_MEMBER_ID


def test_the_last_one_to_leave_leaves_an_empty_group(desk: Any) -> None:
    member = desk.member("m1")
    desk.beat(member)
    desk.ask(member.leave())
    assert desk.group().state == "Empty"
    assert desk.describe().members == []


def test_membership_survives_a_restart_and_sessions_begin_anew(desk: Any) -> None:
    first, second = desk.member("m1"), desk.member("m2")
    desk.beat(first, second)
    desk.settle(first, second)
    desk.wait(40_000)
    desk.restart()
    desk.wait(40_000)
    assert desk.beat(first, second) is ErrorCode.NONE
    assert len(first.owned) == 3
    desk.wait(46_000)
    assert desk.group().members == {}


def test_a_revocation_goes_on_after_a_restart(desk: Any) -> None:
    first, second = desk.member("m1", rebalance_timeout_ms=10_000), desk.member("m2")
    desk.beat(first, second)
    desk.wait(1_000)
    desk.beat(first)
    desk.restart()
    assert desk.runtime.deadline_ms(TimerKey(TimerKind.REVOCATION, "orders", "m1")) is not None
    desk.settle(first, second)
    assert len(first.owned) == len(second.owned) == 3


def test_a_member_that_was_fenced_joins_anew_at_once(desk: Any) -> None:
    first, second = desk.member("m1"), desk.member("m2")
    desk.beat(first, second)
    desk.settle(first, second)
    first.epoch = 9
    assert desk.beat(first) is ErrorCode.FENCED_MEMBER_EPOCH
    assert first.owned == set()
    assert desk.beat(first) is ErrorCode.NONE
    assert len(first.owned) == 3
    assert first.epoch == second.epoch
