"""Static members (KIP-345): a place in the group that outlives the process that held it."""

from __future__ import annotations

from typing import Any

import pytest

from ottla.wire.consumer_protocol import ConsumerProtocolSubscription, encode_subscription
from ottla.wire.errors import ErrorCode


def subscription(*topics: str, **fields: Any) -> bytes:
    return encode_subscription(ConsumerProtocolSubscription(topics=list(topics), **fields))


def static_pair(desk: Any, **fields: Any) -> tuple[str, str]:
    """A Stable group of the instances "a" (the leader) and "b"."""
    first = desk.park_join(instance_id="a", **fields)
    second = desk.park_join(instance_id="b", **fields)
    desk.end_join_phase()
    a_id, b_id = desk.answer(first).member_id, desk.answer(second).member_id
    desk.park_sync(b_id, 1, instance_id="b")
    desk.sync(a_id, 1, {a_id: b"for a", b_id: b"for b"}, instance_id="a")
    assert desk.state() == "Stable"
    return a_id, b_id


def test_a_static_member_joins_without_getting_its_id_first(desk: Any) -> None:
    parked = desk.park_join(instance_id="a")
    desk.wait(3_000)
    answer = desk.answer(parked)
    assert answer.error_code == ErrorCode.NONE
    assert answer.member_id.startswith("a-")
    assert answer.members[0].group_instance_id == "a"


def test_a_follower_that_restarts_takes_its_place_without_a_rebalance(desk: Any) -> None:
    a_id, b_id = static_pair(desk)
    answer = desk.join(instance_id="b")
    assert (answer.error_code, answer.generation_id) == (ErrorCode.NONE, 1)
    assert (answer.leader, answer.members, answer.skip_assignment) == (a_id, [], False)
    assert answer.member_id != b_id
    assert desk.state() == "Stable"
    assert desk.sync(answer.member_id, 1, instance_id="b").assignment == b"for b"
    assert desk.heartbeat(a_id, 1) == ErrorCode.NONE
    assert len(desk.log) == 2, "the new member id is on record"


def test_a_leader_that_restarts_is_told_to_skip_the_assignment(desk: Any) -> None:
    static_pair(desk)
    answer = desk.join(instance_id="a")
    assert answer.skip_assignment
    assert answer.leader == answer.member_id
    assert len(answer.members) == 2, "it goes on to watch the topics of all (KIP-814)"
    assert desk.sync(answer.member_id, 1, instance_id="a").assignment == b"for a"


def test_an_older_leader_that_restarts_is_told_the_fenced_id_leads(desk: Any) -> None:
    a_id, _ = static_pair(desk)
    answer = desk.join(instance_id="a", version=8)
    assert (answer.leader, answer.members, answer.skip_assignment) == (a_id, [], False)


@pytest.mark.parametrize("request_kind", ["join", "sync", "heartbeat", "commit", "leave"])
def test_the_instance_replaced_is_FENCED_INSTANCE_ID(desk: Any, request_kind: str) -> None:
    _, b_id = static_pair(desk)
    desk.join(instance_id="b")
    if request_kind == "join":
        error = desk.join(b_id, instance_id="b").error_code
    elif request_kind == "sync":
        error = desk.sync(b_id, 1, instance_id="b").error_code
    elif request_kind == "heartbeat":
        error = desk.heartbeat(b_id, 1, instance_id="b")
    elif request_kind == "commit":
        error = desk.commit(1, b_id, 1, instance_id="b")
    else:
        error = desk.leave((b_id, "b")).members[0].error_code
    assert error == ErrorCode.FENCED_INSTANCE_ID


def test_an_instance_nobody_knows_is_UNKNOWN_MEMBER_ID(desk: Any) -> None:
    a_id, _ = static_pair(desk)
    assert desk.heartbeat(a_id, 1, instance_id="z") == ErrorCode.UNKNOWN_MEMBER_ID
    assert desk.join(a_id, instance_id="z").error_code == ErrorCode.UNKNOWN_MEMBER_ID


def test_a_parked_join_of_the_instance_replaced_is_FENCED_INSTANCE_ID(desk: Any) -> None:
    first = desk.park_join(instance_id="a")
    second = desk.park_join(instance_id="a")
    assert desk.answer(first).error_code == ErrorCode.FENCED_INSTANCE_ID
    desk.wait(3_000)
    assert desk.answer(second).generation_id == 1
    assert len(desk.group().members) == 1


def test_a_replacement_in_the_sync_phase_rebalances_and_fences(desk: Any) -> None:
    first = desk.park_join(instance_id="a")
    second = desk.park_join(instance_id="b")
    desk.end_join_phase()
    b_id = desk.answer(second).member_id
    waiting = desk.park_sync(b_id, 1, instance_id="b")
    replacement = desk.park_join(instance_id="b")
    assert desk.answer(waiting).error_code == ErrorCode.FENCED_INSTANCE_ID
    assert desk.state() == "PreparingRebalance"
    rejoined = desk.join(desk.answer(first).member_id, instance_id="a")
    assert rejoined.generation_id == desk.answer(replacement).generation_id == 2
    assert b_id not in {member.member_id for member in rejoined.members}


def test_other_topics_call_for_a_rebalance(desk: Any) -> None:
    static_pair(desk)
    changed = desk.park_join(instance_id="b", protocols={"range": subscription("t", "u")})
    assert desk.state() == "PreparingRebalance"
    assert desk.is_parked(changed)


def test_another_choice_of_protocol_calls_for_a_rebalance(desk: Any) -> None:
    both = {"range": subscription("t"), "sticky": subscription("t")}
    static_pair(desk, protocols=both)
    assert desk.group().protocol_name == "range"
    desk.park_join(instance_id="b", protocols={"sticky": subscription("t")})
    assert desk.state() == "PreparingRebalance"


def test_other_metadata_than_topics_does_not_call_for_a_rebalance(desk: Any) -> None:
    static_pair(desk)
    same_topics = subscription("t", user_data=b"sticky state", rack_id="r2")
    desk.join(instance_id="b", protocols={"range": same_topics})
    assert desk.state() == "Stable"


def test_static_members_keep_their_place_when_they_miss_a_rebalance(desk: Any) -> None:
    fields = {"session_timeout_ms": 120_000, "rebalance_timeout_ms": 20_000}
    a_id, b_id = static_pair(desk, **fields)
    rejoining = desk.park_join(a_id, instance_id="a", **fields)
    desk.wait(20_000)
    answer = desk.answer(rejoining)
    assert answer.generation_id == 2
    assert {member.member_id for member in answer.members} == {a_id, b_id}


def test_a_leader_that_misses_a_rebalance_hands_over_the_lead(desk: Any) -> None:
    fields = {"session_timeout_ms": 120_000, "rebalance_timeout_ms": 20_000}
    _, b_id = static_pair(desk, **fields)
    changed = {"range": subscription("t", "u")}
    rejoining = desk.park_join(b_id, instance_id="b", protocols=changed, **fields)
    desk.wait(20_000)
    assert desk.answer(rejoining).leader == b_id


def test_a_rebalance_nobody_comes_to_waits_until_sessions_end(desk: Any) -> None:
    fields = {"session_timeout_ms": 30_000, "rebalance_timeout_ms": 6_000}
    a_id, b_id = static_pair(desk, **fields)
    desk.leave((a_id, "a"))
    assert desk.state() == "PreparingRebalance"
    desk.wait(13_000)
    assert desk.state() == "PreparingRebalance"
    assert list(desk.group().members) == [b_id]
    desk.wait(30_000)
    assert desk.state() == "Empty"


def test_a_static_member_whose_session_ends_is_expelled(desk: Any) -> None:
    a_id, b_id = static_pair(desk, session_timeout_ms=10_000)
    desk.wait(9_000)
    desk.heartbeat(a_id, 1, instance_id="a")
    desk.wait(1_000)
    assert b_id not in desk.group().members
    assert desk.group().static_members == {"a": a_id}
    assert desk.state() == "PreparingRebalance"


def test_an_administrator_removes_an_instance_without_its_member_id(desk: Any) -> None:
    static_pair(desk)
    answer = desk.leave(("", "b"), ("", "z"), ("", None))
    assert [member.error_code for member in answer.members] == [
        ErrorCode.NONE,
        ErrorCode.UNKNOWN_MEMBER_ID,
        ErrorCode.UNKNOWN_MEMBER_ID,
    ]
    assert "b" not in desk.group().static_members
    assert desk.state() == "PreparingRebalance"


def test_instances_survive_a_restart_of_the_coordinator(desk: Any) -> None:
    a_id, b_id = static_pair(desk)
    desk.restart()
    assert desk.group().static_members == {"a": a_id, "b": b_id}
    answer = desk.join(instance_id="b")
    assert answer.generation_id == 1
    assert desk.state() == "Stable"
    desk.restart()
    assert desk.group().static_members == {"a": a_id, "b": answer.member_id}
    assert desk.heartbeat(b_id, 1, instance_id="b") == ErrorCode.FENCED_INSTANCE_ID
    assert desk.sync(answer.member_id, 1, instance_id="b").assignment == b"for b"


def test_a_replacement_owes_the_sync_its_predecessor_owed(desk: Any) -> None:
    fields = {"session_timeout_ms": 120_000, "rebalance_timeout_ms": 30_000}
    first = desk.park_join(instance_id="a", **fields)
    desk.park_join(instance_id="b", **fields)
    desk.end_join_phase()
    a_id = desk.answer(first).member_id
    desk.sync(a_id, 1, {}, instance_id="a")
    replaced = desk.join(instance_id="b", **fields)
    assert list(desk.group().pending_syncs) == [replaced.member_id]
    desk.wait(30_000)
    assert list(desk.group().members) == [a_id]
