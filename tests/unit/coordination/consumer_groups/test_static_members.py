"""Members with a group.instance.id (KIP-345): they pause, come back and keep their place."""

from __future__ import annotations

from typing import Any

from ottla.wire.errors import ErrorCode


def settled_pair(desk: Any) -> tuple[Any, Any]:
    first = desk.member("m1", instance_id="i1")
    second = desk.member("m2", instance_id="i2")
    desk.beat(first, second)
    desk.settle(first, second)
    return first, second


def test_a_static_member_that_comes_back_gets_the_same_partitions_and_nobody_rebalances(
    desk: Any,
) -> None:
    first, second = settled_pair(desk)
    epoch = desk.group().epoch
    answer = desk.ask(first.leave(-2))
    assert (answer.error_code, answer.member_epoch) == (ErrorCode.NONE, -2)
    assert desk.group().members["m1"].epoch == -2
    back = desk.member("m3", instance_id="i1")
    assert desk.beat(back) is ErrorCode.NONE
    assert back.owned == first.owned
    assert desk.group().epoch == epoch
    assert set(desk.group().members) == {"m2", "m3"}
    assert desk.group().state == "Stable"
    before = set(second.owned)
    desk.beat(second)
    assert second.owned == before


def test_another_instance_cannot_take_the_place_of_one_that_is_there(desk: Any) -> None:
    settled_pair(desk)
    thief = desk.member("m3", instance_id="i1")
    assert desk.beat(thief) is ErrorCode.UNRELEASED_INSTANCE_ID
    assert set(desk.group().members) == {"m1", "m2"}


def test_the_instance_that_was_replaced_is_fenced(desk: Any) -> None:
    first, _ = settled_pair(desk)
    desk.ask(first.leave(-2))
    back = desk.member("m3", instance_id="i1")
    desk.beat(back)
    assert desk.beat(first) is ErrorCode.FENCED_INSTANCE_ID
    assert desk.ask(first.leave(-1)).error_code == ErrorCode.FENCED_INSTANCE_ID


def test_an_instance_that_does_not_come_back_is_expelled_with_its_session(desk: Any) -> None:
    first, second = settled_pair(desk)
    desk.ask(first.leave(-2))
    desk.wait(30_000)
    desk.beat(second)
    desk.wait(20_000)
    assert set(desk.group().members) == {"m2"}
    desk.settle(second)
    assert len(second.owned) == 6


def test_an_unknown_instance_must_join(desk: Any) -> None:
    settled_pair(desk)
    stranger = desk.member("m9", instance_id="i9")
    stranger.epoch = 2
    assert desk.beat(stranger) is ErrorCode.UNKNOWN_MEMBER_ID
    assert desk.ask(stranger.leave(-2)).error_code == ErrorCode.UNKNOWN_MEMBER_ID


def test_a_first_answer_that_got_lost_does_not_lock_the_instance_out(desk: Any) -> None:
    member = desk.member("m1", instance_id="i1")
    desk.ask(member.request())
    member.lose_answer()
    assert desk.beat(member) is ErrorCode.NONE


def test_a_paused_member_survives_a_restart(desk: Any) -> None:
    first, _ = settled_pair(desk)
    desk.ask(first.leave(-2))
    desk.restart()
    back = desk.member("m3", instance_id="i1")
    desk.beat(back)
    assert back.owned == first.owned


def test_leaving_for_good_frees_the_place(desk: Any) -> None:
    first, second = settled_pair(desk)
    desk.ask(first.leave(-1))
    desk.settle(second)
    assert len(second.owned) == 6
    assert desk.beat(desk.member("m3", instance_id="i1")) is ErrorCode.NONE
