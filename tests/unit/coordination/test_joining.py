"""JoinGroup: who is let in, who isn't, and which joins call for a rebalance."""

from __future__ import annotations

from typing import Any

import pytest

from ottla.coordination.groups import commands
from ottla.coordination.groups.settings import GroupSettings
from ottla.wire.api.k11_join_group import JoinGroupRequest, JoinProtocol
from ottla.wire.errors import ErrorCode

SETTINGS = GroupSettings()


def test_a_new_dynamic_member_gets_its_id_first_MEMBER_ID_REQUIRED(desk: Any) -> None:
    answer = desk.join(client_id="billing")
    assert answer.error_code == ErrorCode.MEMBER_ID_REQUIRED
    assert answer.member_id.startswith("billing-")
    assert desk.group().members == {}
    assert desk.log == []


@pytest.mark.parametrize("version", [0, 1, 2, 3])
def test_before_version_4_a_member_joins_at_once(desk: Any, version: int) -> None:
    parked = desk.park_join(version=version)
    desk.end_join_phase()
    assert desk.answer(parked).error_code == ErrorCode.NONE
    assert desk.answer(parked).encode(version)


def test_version_0_takes_the_session_timeout_for_rebalances_too(desk: Any) -> None:
    desk.park_join(version=0, session_timeout_ms=20_000, rebalance_timeout_ms=-1)
    (member,) = desk.group().members.values()
    assert member.rebalance_timeout_ms == 20_000


def test_an_id_nobody_joins_with_is_forgotten_and_its_group_too(desk: Any) -> None:
    desk.join(session_timeout_ms=10_000)
    desk.wait(9_999)
    assert list(desk.group().pending_members)
    desk.wait(1)
    assert desk.shard.groups == {}
    assert desk.log == []


def test_empty_group_id_is_INVALID_GROUP_ID(desk: Any) -> None:
    assert desk.join(group_id="").error_code == ErrorCode.INVALID_GROUP_ID


@pytest.mark.parametrize("timeout_ms", [-1, 0, 5_999, 1_800_001])
def test_session_timeout_out_of_bounds_is_INVALID_SESSION_TIMEOUT(
    desk: Any, timeout_ms: int
) -> None:
    answer = desk.join(session_timeout_ms=timeout_ms)
    assert answer.error_code == ErrorCode.INVALID_SESSION_TIMEOUT


@pytest.mark.parametrize("timeout_ms", [6_000, 1_800_000])
def test_session_timeouts_on_the_bounds_are_accepted(desk: Any, timeout_ms: int) -> None:
    answer = desk.join(session_timeout_ms=timeout_ms)
    assert answer.error_code == ErrorCode.MEMBER_ID_REQUIRED


def test_an_invented_member_id_is_UNKNOWN_MEMBER_ID(desk: Any) -> None:
    assert desk.join("invented").error_code == ErrorCode.UNKNOWN_MEMBER_ID
    desk.stable_group()
    assert desk.join("invented").error_code == ErrorCode.UNKNOWN_MEMBER_ID


@pytest.mark.parametrize(
    "fields",
    [
        {"protocol_type": ""},
        {"protocols": {}},
    ],
    ids=["no type", "no protocols"],
)
def test_a_first_member_without_protocols_is_INCONSISTENT_GROUP_PROTOCOL(
    desk: Any, fields: dict[str, Any]
) -> None:
    assert desk.join(**fields).error_code == ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    assert desk.shard.groups == {}


@pytest.mark.parametrize(
    "fields",
    [
        {"protocol_type": "connect"},
        {"protocols": {"sticky": b""}},
        {"protocols": {}},
    ],
    ids=["other type", "nothing in common", "no protocols"],
)
def test_a_member_unlike_the_others_is_INCONSISTENT_GROUP_PROTOCOL(
    desk: Any, fields: dict[str, Any]
) -> None:
    (member_id,) = desk.stable_group()
    assert desk.join(**fields).error_code == ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    assert desk.join(member_id, **fields).error_code == ErrorCode.INCONSISTENT_GROUP_PROTOCOL


def test_any_protocol_type_forms_a_group(desk: Any) -> None:
    fields = {"protocol_type": "connect", "protocols": {"sessioned": b"worker url"}}
    member_id, parked = desk.join_known(**fields)
    desk.wait(3_000)
    joined = desk.answer(parked)
    assert (joined.protocol_type, joined.protocol_name) == ("connect", "sessioned")
    assert joined.members[0].metadata == b"worker url"
    assert desk.sync(member_id, 1, {member_id: b"tasks"}).assignment == b"tasks"


def test_the_initial_delay_is_prolonged_while_members_come(desk: Any) -> None:
    _, first = desk.join_known(rebalance_timeout_ms=8_000)
    desk.wait(2_000)
    _, second = desk.join_known(rebalance_timeout_ms=8_000)
    desk.wait(1_000)
    assert desk.is_parked(first), "prolonged to 6 s because somebody came"
    desk.wait(2_000)
    _, third = desk.join_known(rebalance_timeout_ms=8_000)
    desk.wait(1_000)
    assert desk.is_parked(first), "prolonged by what is left of the 8 s"
    desk.wait(1_999)
    assert desk.is_parked(first)
    desk.wait(1)
    assert {desk.answer(token).generation_id for token in (first, second, third)} == {1}


def test_a_rebalance_timeout_below_the_delay_prolongs_nothing(desk: Any) -> None:
    _, first = desk.join_known(rebalance_timeout_ms=1_000)
    _, second = desk.join_known(rebalance_timeout_ms=1_000)
    desk.wait(3_000)
    assert desk.answer(first).generation_id == desk.answer(second).generation_id == 1


def test_only_the_leader_hears_who_the_members_are(desk: Any) -> None:
    joins = dict(desk.join_known(protocols={"range": bytes([i])}) for i in range(3))
    desk.end_join_phase()
    answers = [desk.answer(token) for token in joins.values()]
    leader = answers[0].leader
    for answer in answers:
        if answer.member_id == leader:
            heard = {member.member_id: member.metadata for member in answer.members}
            assert heard == {name: bytes([i]) for i, name in enumerate(joins)}
        else:
            assert answer.members == []


@pytest.mark.parametrize(
    ("preferences", "chosen"),
    [
        ([["range", "sticky"], ["sticky", "range"], ["sticky", "range"]], "sticky"),
        ([["range", "sticky"], ["sticky", "range"], ["range"]], "range"),
        ([["a", "b", "c"], ["c", "b"], ["b"]], "b"),
        ([["cooperative-sticky", "range"], ["range"]], "range"),
    ],
)
def test_the_protocol_most_prefer_among_those_all_support_is_chosen(
    desk: Any, preferences: list[list[str]], chosen: str
) -> None:
    parked = [desk.join_known(protocols=dict.fromkeys(names, b""))[1] for names in preferences]
    desk.end_join_phase()
    assert {desk.answer(token).protocol_name for token in parked} == {chosen}


def test_a_member_more_means_a_rebalance(desk: Any) -> None:
    (leader_id,) = desk.stable_group()
    _, newcomer = desk.join_known()
    assert desk.state() == "PreparingRebalance"
    assert desk.heartbeat(leader_id, 1) == ErrorCode.REBALANCE_IN_PROGRESS
    rejoined = desk.join(leader_id)
    assert rejoined.generation_id == 2
    assert desk.answer(newcomer).generation_id == 2
    assert len(rejoined.members) == 2


def test_those_who_do_not_rejoin_in_time_are_expelled(desk: Any) -> None:
    leader_id, *_ = desk.stable_group(2, rebalance_timeout_ms=30_000, session_timeout_ms=60_000)
    rejoining = desk.park_join(leader_id, rebalance_timeout_ms=30_000, session_timeout_ms=60_000)
    desk.wait(29_999)
    assert desk.is_parked(rejoining)
    desk.wait(1)
    assert desk.answer(rejoining).generation_id == 2
    assert list(desk.group().members) == [leader_id]


def test_a_leader_that_is_expelled_is_succeeded(desk: Any) -> None:
    leader_id, follower_id = desk.stable_group(2, session_timeout_ms=120_000)
    changed = {"protocols": {"range": b"other topics"}, "session_timeout_ms": 120_000}
    rejoining = desk.park_join(follower_id, **changed)
    desk.wait(60_000)
    answer = desk.answer(rejoining)
    assert answer.leader == follower_id
    assert [member.member_id for member in answer.members] == [follower_id]
    assert leader_id not in desk.group().members


def test_a_leader_that_rejoins_forces_a_rebalance(desk: Any) -> None:
    (leader_id,) = desk.stable_group()
    assert desk.join(leader_id).generation_id == 2


def test_a_follower_that_rejoins_unchanged_gets_the_current_generation(desk: Any) -> None:
    leader_id, follower_id = desk.stable_group(2)
    answer = desk.join(follower_id)
    assert (answer.error_code, answer.generation_id) == (ErrorCode.NONE, 1)
    assert (answer.leader, answer.members) == (leader_id, [])
    assert desk.state() == "Stable"
    assert desk.sync(follower_id, 1).assignment


def test_a_follower_that_rejoins_changed_forces_a_rebalance(desk: Any) -> None:
    leader_id, follower_id = desk.stable_group(2)
    parked = desk.park_join(follower_id, protocols={"range": b"changed"})
    assert desk.state() == "PreparingRebalance"
    answer = desk.join(leader_id)
    assert answer.generation_id == desk.answer(parked).generation_id == 2
    assert {member.metadata for member in answer.members} >= {b"changed"}


def test_rejoining_unchanged_in_the_sync_phase_repeats_the_answer(desk: Any) -> None:
    joins = dict(desk.join_known() for _ in range(2))
    desk.end_join_phase()
    for member_id, token in joins.items():
        repeated = desk.join(member_id)
        assert repeated == desk.answer(token)
    assert desk.state() == "CompletingRebalance"


def test_rejoining_changed_in_the_sync_phase_starts_over(desk: Any) -> None:
    (first, _), (second, _) = [desk.join_known() for _ in range(2)]
    desk.end_join_phase()
    leader_id = desk.group().leader_id
    follower_id = second if leader_id == first else first
    waiting = desk.park_sync(follower_id, 1)
    parked = desk.park_join(leader_id, protocols={"range": b"changed"})
    assert desk.answer(waiting).error_code == ErrorCode.REBALANCE_IN_PROGRESS
    assert desk.is_parked(parked)
    assert desk.join(follower_id).generation_id == 2


def test_a_repeated_join_answers_the_one_it_replaces(desk: Any) -> None:
    member_id, first = desk.join_known()
    second = desk.park_join(member_id)
    assert desk.answer(first).error_code == ErrorCode.REBALANCE_IN_PROGRESS
    desk.wait(3_000)
    assert desk.answer(second).error_code == ErrorCode.NONE
    assert desk.group().parked_joins == 0


def test_a_member_leaves_while_its_join_is_parked(desk: Any) -> None:
    stays_id, stays = desk.join_known()
    leaves_id, leaves = desk.join_known()
    assert desk.leave(leaves_id).members[0].error_code == ErrorCode.NONE
    assert desk.answer(leaves).error_code == ErrorCode.UNKNOWN_MEMBER_ID
    desk.end_join_phase()
    assert [member.member_id for member in desk.answer(stays).members] == [stays_id]


def test_everybody_leaves_during_the_initial_delay(desk: Any) -> None:
    member_id, parked = desk.join_known()
    desk.leave(member_id)
    assert desk.answer(parked).error_code == ErrorCode.UNKNOWN_MEMBER_ID
    desk.wait(3_000)
    assert desk.state() == "Empty"
    assert desk.group().generation_id == 1
    assert len(desk.log) == 1


def test_a_new_member_gives_up_after_five_minutes(new_desk: Any) -> None:
    desk = new_desk(GroupSettings(initial_rebalance_delay_ms=3_000))
    desk.stable_group(session_timeout_ms=600_000, rebalance_timeout_ms=900_000)
    fields = {"session_timeout_ms": 10_000, "rebalance_timeout_ms": 900_000}
    _, newcomer = desk.join_known(**fields)
    desk.wait(299_999)
    assert desk.is_parked(newcomer), "its session timeout doesn't count before it is answered"
    desk.wait(1)
    assert desk.answer(newcomer).error_code == ErrorCode.UNKNOWN_MEMBER_ID


def test_a_full_group_is_GROUP_MAX_SIZE_REACHED(new_desk: Any) -> None:
    desk = new_desk(GroupSettings(max_group_members=2))
    members = desk.stable_group(2)
    assert desk.join().error_code == ErrorCode.GROUP_MAX_SIZE_REACHED
    assert desk.state() == "Stable"
    assert all(desk.heartbeat(member_id, 1) == ErrorCode.NONE for member_id in members)


def test_pending_members_find_the_group_full_GROUP_MAX_SIZE_REACHED(new_desk: Any) -> None:
    desk = new_desk(GroupSettings(max_group_members=2))
    pending = [desk.join().member_id for _ in range(3)]
    first, second = (desk.park_join(member_id) for member_id in pending[:2])
    third = desk.join(pending[2])
    assert third.error_code == ErrorCode.GROUP_MAX_SIZE_REACHED
    assert desk.is_parked(first)
    assert desk.is_parked(second)


def test_a_group_over_a_lowered_limit_shrinks_when_loaded(new_desk: Any) -> None:
    desk = new_desk(GroupSettings(max_group_members=3))
    members = desk.stable_group(3)
    smaller = new_desk(GroupSettings(max_group_members=2))
    smaller.runtime.entries.extend(desk.runtime.entries)
    smaller.runtime.crash(len(desk.log))
    assert smaller.state() == "PreparingRebalance"
    first, second = (smaller.park_join(member_id) for member_id in members[:2])
    refused = smaller.join(members[2])
    assert refused.error_code == ErrorCode.GROUP_MAX_SIZE_REACHED
    assert smaller.answer(first).generation_id == smaller.answer(second).generation_id == 2


@pytest.mark.parametrize(
    ("settings", "prepare"),
    [
        (SETTINGS._replace(max_pending_members_per_group=2), {}),
        (SETTINGS._replace(max_protocols_per_member=1), {"protocols": {"a": b"", "b": b""}}),
        (SETTINGS._replace(max_batch_bytes=99), {"protocols": {"a": bytes(60), "b": bytes(60)}}),
        (SETTINGS._replace(max_groups_per_shard=1), {"group_id": "other"}),
    ],
    ids=["pending members", "protocols", "metadata", "groups"],
)
def test_limits_kafka_does_not_have_are_POLICY_VIOLATION(
    new_desk: Any, settings: GroupSettings, prepare: dict[str, Any]
) -> None:
    desk = new_desk(settings)
    desk.join()
    desk.join()
    assert desk.join(**prepare).error_code == ErrorCode.POLICY_VIOLATION


def test_equal_protocol_names_count_once(desk: Any) -> None:
    protocols = [JoinProtocol(name="range", metadata=bytes([i])) for i in range(2)]
    request = JoinGroupRequest(
        group_id="orders",
        session_timeout_ms=10_000,
        member_id="",
        protocol_type="consumer",
        protocols=protocols,
    )
    context = commands.ClientContext("c", "/h")
    desk.runtime.submit(commands.JoinGroup("token", request, 3, context, "uuid"))
    desk.wait(10_000)
    assert desk.answer("token").members[0].metadata == b"\0"
    assert desk.group().supporters == {"range": 1}
