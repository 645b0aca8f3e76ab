"""Heartbeats of one group that arrive at the same moment."""

from __future__ import annotations

from typing import Any

from ottla.coordination.groups.settings import GroupSettings
from ottla.coordination.outcome import Outcome
from ottla.wire.errors import ErrorCode
from ottla.wire.group_records import decode_key
from ottla.wire.group_records.consumer import ConsumerGroupMetadataKey


def epochs_in(outcome: Outcome) -> int:
    """How often an outcome raises the group epoch."""
    keys = [decode_key(record.key) for record in outcome.records]
    return sum(isinstance(key, ConsumerGroupMetadataKey) for key in keys)


def test_members_that_join_together_share_an_epoch_and_an_assignment(desk: Any) -> None:
    members = [desk.member(f"m{index}") for index in range(3)]
    (outcome,) = desk.beat_together(*members)
    assert epochs_in(outcome) == 1
    assert [member.epoch for member in members] == [1, 1, 1]
    assert [len(member.owned) for member in members] == [2, 2, 2]
    assert set().union(*(member.owned for member in members)) == {
        desk.partition(index) for index in range(6)
    }
    assert desk.group().state == "Stable"


def test_those_that_come_later_take_from_those_that_were_there(desk: Any) -> None:
    first, *others = [desk.member(f"m{index}") for index in range(3)]
    desk.beat(first)
    desk.wait(1_000)
    desk.beat_together(first, *others)
    assert desk.group().epoch == desk.group().target_epoch == 2
    assert first.is_revoking
    assert [member.owned for member in others] == [set(), set()]
    first.finish_revoking()
    desk.beat_together(first, *others)
    assert [len(member.owned) for member in (first, *others)] == [2, 2, 2]


def test_one_that_is_refused_spoils_nothing_for_the_others(desk: Any) -> None:
    zombie, first, second = (desk.member(name) for name in ("zombie", "m1", "m2"))
    zombie.epoch = 7
    desk.beat_together(first, zombie, second)
    assert zombie.last_error is ErrorCode.UNKNOWN_MEMBER_ID
    assert first.last_error is second.last_error is ErrorCode.NONE
    assert set(desk.group().members) == {"m1", "m2"}


def test_the_last_place_goes_to_the_first_to_come(new_desk: Any) -> None:
    desk = new_desk(GroupSettings(consumer_max_group_members=2))
    members = [desk.member(f"m{index}") for index in range(3)]
    desk.beat_together(*members)
    assert set(desk.group().members) == {"m0", "m1"}
    assert members[2].last_error is ErrorCode.GROUP_MAX_SIZE_REACHED


def test_a_member_heard_twice_is_answered_twice_in_turn(desk: Any) -> None:
    member, twin, other = desk.member("m1"), desk.member("m1"), desk.member("m2")
    outcomes = desk.beat_together(member, other, twin)
    assert len(outcomes) == 2
    assert member.last_error is twin.last_error is ErrorCode.NONE
    assert set(desk.group().members) == {"m1", "m2"}


def test_who_leaves_is_decided_before_those_that_come_after(desk: Any) -> None:
    first, second, third = (desk.member(f"m{index}") for index in range(3))
    desk.beat_together(first, second)
    desk.wait(1_000)
    leaving, joining = first.leave(), third.request()
    first.request = lambda: leaving
    third.request = lambda: joining
    desk.beat_together(first, second, third)
    assert set(desk.group().members) == {"m1", "m2"}
    desk.settle(second, third)


def test_members_too_many_for_one_batch_are_let_in_one_by_one(new_desk: Any) -> None:
    desk = new_desk(GroupSettings(max_batch_bytes=600))
    members = [desk.member(f"m{index}") for index in range(6)]
    outcomes = desk.beat_together(*members)
    assert len(outcomes) == 6
    assert set(desk.group().members) == {member.member_id for member in members}
    desk.settle(*members)


def test_deciding_together_changes_nothing(desk: Any) -> None:
    gathered = desk.heartbeats(*(desk.member(f"m{index}") for index in range(3)))
    (decided,) = desk.shard.decide_together(gathered, desk.runtime.now_ms)
    assert decided[0] == gathered
    assert decided[1].records
    assert not desk.shard.groups


def test_groups_do_not_wait_for_each_other(desk: Any) -> None:
    mine, others = desk.member("m1"), desk.member("m2")
    others.group_id = "shipments"
    outcomes = desk.beat_together(mine, others)
    assert len(outcomes) == 2
    assert len(mine.owned) == len(others.owned) == 6
