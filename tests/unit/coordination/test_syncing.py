"""SyncGroup: one assignment in, everybody's part out, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from ottla.coordination.groups.settings import GroupSettings
from ottla.wire.errors import ErrorCode
from ottla.wire.group_records import GroupMetadataValue, decode_key, decode_value


def joined_group(desk: Any, size: int = 2, **fields: Any) -> tuple[str, ...]:
    """A group in its sync phase: the leader's id first."""
    joins = [desk.join_known(**fields)[0] for _ in range(size)]
    desk.end_join_phase()
    return tuple(sorted(joins, key=lambda name: name != desk.group().leader_id))


def test_followers_wait_for_the_leader(desk: Any) -> None:
    leader_id, follower_id = joined_group(desk)
    waiting = desk.park_sync(follower_id, 1)
    assert desk.is_parked(waiting)
    answer = desk.sync(leader_id, 1, {leader_id: b"one", follower_id: b"two"})
    assert answer.assignment == b"one"
    assert desk.answer(waiting).assignment == b"two"
    assert (answer.protocol_type, answer.protocol_name) == ("consumer", "range")
    assert desk.state() == "Stable"


def test_a_follower_that_comes_after_the_leader_is_answered_at_once(desk: Any) -> None:
    leader_id, follower_id = joined_group(desk)
    desk.sync(leader_id, 1, {leader_id: b"one", follower_id: b"two"})
    assert desk.sync(follower_id, 1).assignment == b"two"


def test_a_member_the_leader_forgot_gets_an_empty_assignment(desk: Any) -> None:
    leader_id, follower_id = joined_group(desk)
    desk.sync(leader_id, 1, {leader_id: b"one", "stranger": b"?"})
    assert desk.sync(follower_id, 1).assignment == b""


def test_no_answer_leaves_before_the_assignment_is_durable(new_desk: Any) -> None:
    desk = new_desk(flushes_at_once=False)
    leader_id, follower_id = joined_group(desk)
    first = desk.park_sync(follower_id, 1)
    leader = desk.park_sync(leader_id, 1, {leader_id: b"one"})
    late = desk.park_sync(follower_id, 1)
    assert all(desk.is_parked(token) for token in (first, leader, late))
    desk.runtime.flush()
    assert desk.answer(late).assignment == b""


def test_the_generation_is_one_record_in_kafkas_format(desk: Any) -> None:
    leader_id, follower_id = joined_group(desk, client_id="c")
    desk.sync(leader_id, 1, {leader_id: b"one", follower_id: b"two"})
    (record,) = desk.log
    key = decode_key(record.key)
    assert record.key == b"\x00\x02\x00\x06orders"
    value = decode_value(key, record.value)
    assert record.value[:2] == b"\x00\x03"
    assert isinstance(value, GroupMetadataValue)
    assert (value.generation, value.protocol, value.leader) == (1, "range", leader_id)
    assert {member.member_id: bytes(member.assignment) for member in value.members} == {
        leader_id: b"one",
        follower_id: b"two",
    }
    assert {member.client_host for member in value.members} == {"/127.0.0.1"}


def test_no_such_group_is_UNKNOWN_MEMBER_ID(desk: Any) -> None:
    assert desk.sync("m", 1).error_code == ErrorCode.UNKNOWN_MEMBER_ID


def test_empty_group_id_is_INVALID_GROUP_ID(desk: Any) -> None:
    assert desk.sync("m", 1, group_id="").error_code == ErrorCode.INVALID_GROUP_ID


def test_a_stranger_is_UNKNOWN_MEMBER_ID(desk: Any) -> None:
    joined_group(desk)
    assert desk.sync("stranger", 1).error_code == ErrorCode.UNKNOWN_MEMBER_ID


@pytest.mark.parametrize("generation_id", [-1, 0, 2])
def test_another_generation_is_ILLEGAL_GENERATION(desk: Any, generation_id: int) -> None:
    leader_id, follower_id = joined_group(desk)
    assert desk.sync(follower_id, generation_id).error_code == ErrorCode.ILLEGAL_GENERATION
    desk.finish_sync([leader_id, follower_id])
    assert desk.sync(follower_id, generation_id).error_code == ErrorCode.ILLEGAL_GENERATION


def test_in_the_join_phase_it_is_REBALANCE_IN_PROGRESS(desk: Any) -> None:
    (leader_id,) = desk.stable_group()
    desk.join_known()
    assert desk.sync(leader_id, 1).error_code == ErrorCode.REBALANCE_IN_PROGRESS


@pytest.mark.parametrize(
    "claim", [{"protocol_type": "connect"}, {"protocol_name": "sticky"}], ids=["type", "name"]
)
def test_another_protocol_is_INCONSISTENT_GROUP_PROTOCOL(desk: Any, claim: dict[str, str]) -> None:
    leader_id, follower_id = joined_group(desk)
    refused = desk.sync(follower_id, 1, **claim)
    assert refused.error_code == ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    right = {"protocol_type": "consumer", "protocol_name": "range"}
    assert desk.sync(leader_id, 1, **right).error_code == ErrorCode.NONE


def test_a_follower_that_does_not_sync_is_expelled(desk: Any) -> None:
    fields = {"session_timeout_ms": 120_000, "rebalance_timeout_ms": 30_000}
    leader_id, follower_id = joined_group(desk, **fields)
    desk.sync(leader_id, 1, {leader_id: b"one"})
    desk.wait(29_999)
    assert desk.state() == "Stable"
    desk.wait(1)
    assert desk.state() == "PreparingRebalance"
    assert follower_id not in desk.group().members


def test_a_leader_that_does_not_sync_is_expelled(desk: Any) -> None:
    fields = {"session_timeout_ms": 120_000, "rebalance_timeout_ms": 30_000}
    leader_id, follower_id = joined_group(desk, **fields)
    waiting = desk.park_sync(follower_id, 1)
    desk.wait(30_000)
    assert desk.answer(waiting).error_code == ErrorCode.REBALANCE_IN_PROGRESS
    assert list(desk.group().members) == [follower_id]
    assert desk.join(follower_id, **fields).leader == follower_id
    assert leader_id not in desk.group().members


def test_a_group_whose_members_all_fail_to_sync_becomes_empty(desk: Any) -> None:
    joined_group(desk, session_timeout_ms=120_000, rebalance_timeout_ms=30_000)
    desk.wait(30_000)
    assert desk.state() == "Empty"
    assert desk.group().generation_id == 2


def test_a_member_that_joins_interrupts_the_sync_phase(desk: Any) -> None:
    leader_id, follower_id = joined_group(desk)
    waiting = desk.park_sync(follower_id, 1)
    desk.join_known()
    assert desk.answer(waiting).error_code == ErrorCode.REBALANCE_IN_PROGRESS
    assert desk.sync(leader_id, 1, {}).error_code == ErrorCode.REBALANCE_IN_PROGRESS


def test_a_leader_that_leaves_interrupts_the_sync_phase(desk: Any) -> None:
    leader_id, follower_id = joined_group(desk)
    waiting = desk.park_sync(follower_id, 1)
    desk.leave(leader_id)
    assert desk.answer(waiting).error_code == ErrorCode.REBALANCE_IN_PROGRESS
    assert desk.join(follower_id).leader == follower_id


def test_a_member_that_leaves_while_it_waits_is_answered_UNKNOWN_MEMBER_ID(desk: Any) -> None:
    _, follower_id = joined_group(desk)
    waiting = desk.park_sync(follower_id, 1)
    desk.leave(follower_id)
    assert desk.answer(waiting).error_code == ErrorCode.UNKNOWN_MEMBER_ID


def test_a_repeated_sync_answers_the_one_it_replaces(desk: Any) -> None:
    leader_id, follower_id = joined_group(desk)
    first = desk.park_sync(follower_id, 1)
    second = desk.park_sync(follower_id, 1)
    assert desk.answer(first).error_code == ErrorCode.REBALANCE_IN_PROGRESS
    desk.sync(leader_id, 1, {follower_id: b"two"})
    assert desk.answer(second).assignment == b"two"


def test_waiting_for_the_leader_keeps_a_member_alive(desk: Any) -> None:
    leader_id, follower_id = joined_group(desk, session_timeout_ms=10_000)
    waiting = desk.park_sync(follower_id, 1)
    for _ in range(4):
        desk.wait(9_000)
        desk.heartbeat(leader_id, 1)
    desk.sync(leader_id, 1, {})
    assert desk.answer(waiting).error_code == ErrorCode.NONE
    desk.wait(9_999)
    assert follower_id in desk.group().members
    desk.wait(1)
    assert follower_id not in desk.group().members


def test_an_assignment_too_large_for_the_log_is_UNKNOWN_SERVER_ERROR(new_desk: Any) -> None:
    desk = new_desk(GroupSettings(max_batch_bytes=10_000))
    leader_id, follower_id = joined_group(desk)
    waiting = desk.park_sync(follower_id, 1)
    answer = desk.sync(leader_id, 1, {leader_id: bytes(10_000)})
    assert answer.error_code == ErrorCode.UNKNOWN_SERVER_ERROR
    assert desk.answer(waiting).error_code == ErrorCode.UNKNOWN_SERVER_ERROR
    assert desk.state() == "PreparingRebalance"
    assert desk.log == []


def test_eager_members_rebalance_once_after_all_have_given_up_everything(desk: Any) -> None:
    (old_id,) = desk.stable_group()
    new_id, new = desk.join_known()
    assert desk.heartbeat(old_id, 1) == ErrorCode.REBALANCE_IN_PROGRESS
    assert desk.commit(7, old_id, 1) == ErrorCode.NONE, "the last commit before it revokes"
    assert desk.join(old_id).generation_id == desk.answer(new).generation_id == 2
    waiting = desk.park_sync(new_id, 2)
    assert desk.sync(old_id, 2, {old_id: b"0", new_id: b"1"}).assignment == b"0"
    assert desk.answer(waiting).assignment == b"1"
    assert desk.commit(8, old_id, 1) == ErrorCode.ILLEGAL_GENERATION


def test_cooperative_members_rebalance_twice_to_move_a_partition(desk: Any) -> None:
    """The assignor's two steps: the first generation revokes, the second hands over (KIP-429)."""

    def protocols(owned: bytes) -> dict[str, bytes]:
        return {"cooperative-sticky": owned}

    (old_id,) = desk.stable_group(protocols=protocols(b""))
    new_id, new = desk.join_known(protocols=protocols(b""))
    seen = desk.join(old_id, protocols=protocols(b"0,1"))
    assert {bytes(member.metadata) for member in seen.members} == {b"0,1", b""}
    desk.park_sync(new_id, 2)
    desk.sync(old_id, 2, {old_id: b"0", new_id: b""})
    assert desk.answer(new).generation_id == 2

    revoked = desk.park_join(old_id, protocols=protocols(b"0"))
    assert desk.heartbeat(new_id, 2) == ErrorCode.REBALANCE_IN_PROGRESS
    assert desk.commit(7, new_id, 2) == ErrorCode.NONE, "members go on working meanwhile"
    desk.park_join(new_id, protocols=protocols(b""))
    assert desk.answer(revoked).generation_id == 3
    handed_over = desk.park_sync(new_id, 3)
    desk.sync(old_id, 3, {old_id: b"0", new_id: b"1"})
    assert desk.answer(handed_over).assignment == b"1"
