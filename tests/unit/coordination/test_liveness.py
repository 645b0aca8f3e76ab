"""Heartbeat, session expiry and LeaveGroup."""

from __future__ import annotations

from typing import Any

import pytest

from ottla.coordination.groups.timers import join_timer, session_timer, sync_timer
from ottla.wire.errors import ErrorCode


def test_heartbeat_to_no_such_group_is_UNKNOWN_MEMBER_ID(desk: Any) -> None:
    assert desk.heartbeat("m", 1) == ErrorCode.UNKNOWN_MEMBER_ID


def test_heartbeat_without_group_id_is_INVALID_GROUP_ID(desk: Any) -> None:
    assert desk.heartbeat("m", 1, group_id="") == ErrorCode.INVALID_GROUP_ID


def test_heartbeat_of_a_stranger_is_UNKNOWN_MEMBER_ID(desk: Any) -> None:
    desk.stable_group()
    assert desk.heartbeat("stranger", 1) == ErrorCode.UNKNOWN_MEMBER_ID


@pytest.mark.parametrize("generation_id", [-1, 0, 2])
def test_heartbeat_of_another_generation_is_ILLEGAL_GENERATION(
    desk: Any, generation_id: int
) -> None:
    (member_id,) = desk.stable_group()
    assert desk.heartbeat(member_id, generation_id) == ErrorCode.ILLEGAL_GENERATION


def test_heartbeat_in_the_join_phase_is_REBALANCE_IN_PROGRESS(desk: Any) -> None:
    (member_id,) = desk.stable_group()
    desk.join_known()
    assert desk.heartbeat(member_id, 1) == ErrorCode.REBALANCE_IN_PROGRESS


def test_heartbeat_in_the_sync_phase_is_as_any_other(desk: Any) -> None:
    member_id, _ = desk.join_known()
    desk.end_join_phase()
    assert desk.heartbeat(member_id, 1) == ErrorCode.NONE


def test_heartbeat_to_an_empty_group_is_UNKNOWN_MEMBER_ID(desk: Any) -> None:
    (member_id,) = desk.stable_group()
    desk.leave(member_id)
    assert desk.heartbeat(member_id, 1) == ErrorCode.UNKNOWN_MEMBER_ID


@pytest.mark.parametrize("sign_of_life", ["heartbeat", "commit"])
def test_signs_of_life_prolong_the_session(desk: Any, sign_of_life: str) -> None:
    (member_id,) = desk.stable_group(session_timeout_ms=10_000)
    for _ in range(5):
        desk.wait(9_999)
        if sign_of_life == "heartbeat":
            desk.heartbeat(member_id, 1)
        else:
            desk.commit(1, member_id, 1)
    assert member_id in desk.group().members
    desk.wait(10_000)
    assert desk.state() == "Empty"


def test_signs_of_another_generation_do_not_prolong_the_session(desk: Any) -> None:
    (member_id,) = desk.stable_group(session_timeout_ms=10_000)
    desk.wait(9_999)
    desk.heartbeat(member_id, 7)
    desk.commit(1, member_id, 7)
    desk.wait(1)
    assert desk.state() == "Empty"


def test_a_dead_member_calls_for_a_rebalance_of_the_others(desk: Any) -> None:
    leader_id, follower_id = desk.stable_group(2, session_timeout_ms=10_000)
    desk.wait(9_000)
    desk.heartbeat(follower_id, 1)
    desk.wait(1_000)
    assert list(desk.group().members) == [follower_id]
    assert desk.heartbeat(follower_id, 1) == ErrorCode.REBALANCE_IN_PROGRESS
    assert desk.join(follower_id).leader == follower_id
    assert leader_id not in desk.group().members


def test_a_member_that_died_is_not_waited_for(desk: Any) -> None:
    leader_id, _ = desk.stable_group(2, session_timeout_ms=10_000)
    desk.wait(5_000)
    parked = desk.park_join(leader_id, session_timeout_ms=10_000)
    desk.wait(4_999)
    assert desk.is_parked(parked)
    desk.wait(1)
    assert desk.answer(parked).generation_id == 2


def test_a_pending_member_is_waited_for_until_its_session_ends(desk: Any) -> None:
    (leader_id,) = desk.stable_group(session_timeout_ms=30_000)
    desk.join(session_timeout_ms=10_000)
    parked = desk.park_join(leader_id, session_timeout_ms=30_000)
    desk.wait(9_999)
    assert desk.is_parked(parked)
    desk.wait(1)
    assert desk.answer(parked).generation_id == 2


def test_the_last_to_leave_empties_the_group(desk: Any) -> None:
    (member_id,) = desk.stable_group()
    answer = desk.leave(member_id)
    assert answer.error_code == ErrorCode.NONE
    assert [member.member_id for member in answer.members] == [member_id]
    assert desk.state() == "Empty"
    group = desk.group()
    assert (group.generation_id, group.protocol_type, group.protocol_name) == (2, "consumer", None)
    assert group.leader_id is None


def test_several_leave_at_once(desk: Any) -> None:
    first, second, third = desk.stable_group(3)
    answer = desk.leave(first, "stranger", second)
    assert [member.error_code for member in answer.members] == [
        ErrorCode.NONE,
        ErrorCode.UNKNOWN_MEMBER_ID,
        ErrorCode.NONE,
    ]
    assert list(desk.group().members) == [third]
    assert desk.state() == "PreparingRebalance"


def test_a_stranger_that_leaves_disturbs_nobody(desk: Any) -> None:
    desk.stable_group()
    assert desk.leave("stranger").members[0].error_code == ErrorCode.UNKNOWN_MEMBER_ID
    assert desk.state() == "Stable"


def test_a_pending_member_that_leaves_disturbs_nobody(desk: Any) -> None:
    desk.stable_group()
    pending_id = desk.join().member_id
    assert desk.leave(pending_id).members[0].error_code == ErrorCode.NONE
    assert desk.state() == "Stable"
    assert not desk.group().pending_members


def test_a_pending_member_that_leaves_is_no_longer_waited_for(desk: Any) -> None:
    (leader_id,) = desk.stable_group()
    pending_id = desk.join().member_id
    parked = desk.park_join(leader_id)
    assert desk.is_parked(parked)
    desk.leave(pending_id)
    assert desk.answer(parked).generation_id == 2


def test_a_member_that_leaves_is_no_longer_waited_for(desk: Any) -> None:
    leader_id, follower_id = desk.stable_group(2)
    parked = desk.park_join(leader_id)
    desk.leave(follower_id)
    assert desk.answer(parked).generation_id == 2


@pytest.mark.parametrize("version", [0, 1, 2])
def test_before_version_3_one_member_leaves(desk: Any, version: int) -> None:
    (member_id,) = desk.stable_group()
    refused = desk.leave("stranger", version=version)
    assert (refused.error_code, refused.members) == (ErrorCode.UNKNOWN_MEMBER_ID, [])
    answer = desk.leave(member_id, version=version)
    assert (answer.error_code, answer.members) == (ErrorCode.NONE, [])
    assert answer.encode(version)


def test_leaving_no_such_group_is_UNKNOWN_MEMBER_ID(desk: Any) -> None:
    answer = desk.leave("m")
    assert answer.error_code == ErrorCode.NONE
    assert answer.members[0].error_code == ErrorCode.UNKNOWN_MEMBER_ID
    assert desk.leave("m", version=0).error_code == ErrorCode.UNKNOWN_MEMBER_ID


def test_leaving_without_group_id_is_INVALID_GROUP_ID(desk: Any) -> None:
    assert desk.leave("m", group_id="").error_code == ErrorCode.INVALID_GROUP_ID


def test_timers_that_outlive_their_cause_do_nothing(desk: Any) -> None:
    (member_id,) = desk.stable_group()
    for key in (
        join_timer("orders"),
        sync_timer("orders"),
        session_timer("orders", "gone"),
        session_timer("gone", member_id),
    ):
        outcome = desk.shard.on_timer(key, desk.runtime.now_ms)
        assert (outcome.records, outcome.events, outcome.replies) == ([], [], [])
