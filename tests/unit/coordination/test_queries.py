"""DescribeGroups, ListGroups and DeleteGroups."""

from __future__ import annotations

from typing import Any

import pytest

from ottla.wire.errors import ErrorCode


def test_a_stable_group_is_described_with_metadata(desk: Any) -> None:
    (member_id,) = desk.stable_group(protocols={"range": b"metadata"}, client_id="c")
    described = desk.describe()
    assert (described.error_code, described.group_state) == (ErrorCode.NONE, "Stable")
    assert (described.protocol_type, described.protocol_data) == ("consumer", "range")
    assert described.authorized_operations == -(2**31)
    (member,) = described.members
    assert (member.member_id, member.client_id) == (member_id, "c")
    assert member.client_host == "/127.0.0.1"
    assert (member.member_metadata, member.member_assignment) == (b"metadata", b"a0")


def test_a_group_in_rebalance_is_described_without_metadata(desk: Any) -> None:
    desk.stable_group(protocols={"range": b"metadata"})
    desk.join_known(protocols={"range": b"metadata"})
    described = desk.describe()
    assert (described.group_state, described.protocol_data) == ("PreparingRebalance", "")
    assert {member.member_metadata for member in described.members} == {b""}


def test_no_such_group_is_Dead_and_since_version_6_GROUP_ID_NOT_FOUND(desk: Any) -> None:
    described = desk.describe("nowhere", version=5)
    assert (described.error_code, described.error_message) == (ErrorCode.NONE, None)
    assert described.group_state == "Dead"
    described = desk.describe("nowhere", version=6)
    assert described.error_code == ErrorCode.GROUP_ID_NOT_FOUND
    assert "nowhere" in described.error_message
    assert described.group_state == "Dead"


def groups_in_all_states(desk: Any) -> None:
    desk.stable_group(group_id="stable")
    desk.stable_group(group_id="connect", protocol_type="connect")
    desk.commit(1, group_id="simple")
    desk.join_known(group_id="preparing")


def test_groups_are_listed_with_state_and_type(desk: Any) -> None:
    groups_in_all_states(desk)
    listed = {
        group.group_id: (group.protocol_type, group.group_state, group.group_type)
        for group in desk.list_groups()
    }
    assert listed == {
        "stable": ("consumer", "Stable", "classic"),
        "connect": ("connect", "Stable", "classic"),
        "simple": ("", "Empty", "classic"),
        "preparing": ("consumer", "PreparingRebalance", "classic"),
    }


@pytest.mark.parametrize(
    ("states", "types", "expected"),
    [
        (("Stable",), (), {"stable", "connect"}),
        ((" stable ", "EMPTY"), (), {"stable", "connect", "simple"}),
        (("Dead",), (), set()),
        (("nonsense",), (), set()),
        ((), ("Classic",), {"stable", "connect", "simple", "preparing"}),
        ((), ("consumer",), set()),
        (("Empty",), ("consumer", "classic"), {"simple"}),
    ],
)
def test_lists_are_filtered_by_state_and_type(
    desk: Any, states: tuple[str, ...], types: tuple[str, ...], expected: set[str]
) -> None:
    groups_in_all_states(desk)
    assert {group.group_id for group in desk.list_groups(states, types)} == expected


def test_deleting_a_group_takes_its_offsets_along(desk: Any) -> None:
    (member_id,) = desk.stable_group()
    desk.commit(1, member_id, 1)
    desk.commit(1, member_id, 1, topic="u")
    desk.leave(member_id)
    assert desk.delete_groups("orders") == {"orders": ErrorCode.NONE}
    assert desk.shard.groups == {}
    assert [record.value for record in desk.log[-3:]] == [None, None, None]
    assert desk.fetch() == -1
    desk.restart()
    assert desk.shard.groups == {}
    assert desk.fetch("u") == -1


def test_deleting_a_group_at_work_is_NON_EMPTY_GROUP(desk: Any) -> None:
    desk.stable_group()
    assert desk.delete_groups("orders") == {"orders": ErrorCode.NON_EMPTY_GROUP}
    assert desk.state() == "Stable"


def test_deleting_no_such_group_is_GROUP_ID_NOT_FOUND(desk: Any) -> None:
    desk.commit(1, group_id="a")
    assert desk.delete_groups("a", "b", "a") == {
        "a": ErrorCode.NONE,
        "b": ErrorCode.GROUP_ID_NOT_FOUND,
    }


def test_ids_handed_out_are_void_once_their_group_is_deleted(desk: Any) -> None:
    (member_id,) = desk.stable_group()
    desk.leave(member_id)
    pending_id = desk.join().member_id
    desk.delete_groups("orders")
    assert desk.join(pending_id).error_code == ErrorCode.UNKNOWN_MEMBER_ID


def test_a_deleted_group_can_be_founded_again(desk: Any) -> None:
    (member_id,) = desk.stable_group()
    desk.leave(member_id)
    desk.delete_groups("orders")
    desk.stable_group()
    assert desk.group().generation_id == 1
