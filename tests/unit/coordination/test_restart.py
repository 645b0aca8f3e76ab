"""What a restart keeps, what it forgets, and what it makes of records it doesn't know."""

from __future__ import annotations

from typing import Any

import pytest

from ottla.coordination.groups.classic import ClassicGroup
from ottla.coordination.groups.shard import GroupShard
from ottla.coordination.outcome import CoordinatorRecord, SkippedRecord
from ottla.wire.errors import ErrorCode
from ottla.wire.group_records import (
    GroupMember,
    GroupMetadataKey,
    GroupMetadataValue,
    OffsetCommitKey,
    OffsetCommitValue,
    encode_key,
    encode_value,
)


def test_a_stable_group_goes_on_where_it_was(desk: Any) -> None:
    leader_id, follower_id = desk.stable_group(2, session_timeout_ms=10_000)
    before = {
        name: (member.client_id, member.session_timeout_ms, member.assignment)
        for name, member in desk.group().members.items()
    }
    desk.wait(9_999)
    desk.restart()
    group = desk.group()
    assert desk.state() == "Stable"
    assert (group.generation_id, group.leader_id, group.protocol_name) == (1, leader_id, "range")
    after = {
        name: (member.client_id, member.session_timeout_ms, member.assignment)
        for name, member in group.members.items()
    }
    assert after == before
    desk.wait(9_999)
    assert desk.heartbeat(leader_id, 1) == ErrorCode.NONE, "sessions begin anew"
    desk.wait(1)
    assert follower_id not in desk.group().members


def test_members_that_go_on_need_not_rejoin(desk: Any) -> None:
    leader_id, follower_id = desk.stable_group(2)
    desk.restart()
    assert desk.commit(1, follower_id, 1) == ErrorCode.NONE
    assert desk.join(follower_id).generation_id == 1
    assert desk.sync(leader_id, 1).assignment
    assert desk.state() == "Stable"


def test_a_generation_without_assignment_is_forgotten(desk: Any) -> None:
    (member_id,) = desk.stable_group()
    assert desk.join(member_id).generation_id == 2
    desk.restart()
    assert (desk.state(), desk.group().generation_id) == ("Stable", 1)
    assert desk.heartbeat(member_id, 2) == ErrorCode.ILLEGAL_GENERATION


def test_pending_members_are_forgotten(desk: Any) -> None:
    pending_id = desk.join().member_id
    desk.restart()
    assert desk.shard.groups == {}
    assert desk.join(pending_id).error_code == ErrorCode.UNKNOWN_MEMBER_ID


def test_an_empty_group_keeps_its_generation(desk: Any) -> None:
    (member_id,) = desk.stable_group()
    desk.leave(member_id)
    desk.restart()
    assert desk.state() == "Empty"
    _, parked = desk.join_known()
    desk.end_join_phase()
    assert desk.answer(parked).generation_id == 3


def test_parked_requests_of_a_shard_thrown_away_are_answered(desk: Any) -> None:
    leader_id, follower_id = desk.stable_group(2)
    desk.park_join(leader_id)
    desk.join_known(group_id="other", version=9)
    (first, second) = desk.shard.abandon(ErrorCode.NOT_COORDINATOR)
    assert first.response.error_code == second.response.error_code == ErrorCode.NOT_COORDINATOR
    assert first.response.member_id == leader_id
    desk.join(follower_id)
    desk.park_sync(follower_id, 2)
    (sync, _) = desk.shard.abandon(ErrorCode.NOT_COORDINATOR)
    assert sync.response.error_code == ErrorCode.NOT_COORDINATOR


GROUP_KEY = encode_key(GroupMetadataKey(group="g"))
OFFSET_KEY = encode_key(OffsetCommitKey(group="g", topic="t", partition=0))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b"\x00\x03\x00\x01g", b"\x00\x00\x00\x00\x00\x01"),
        (b"\x00\x0f\x01\x02", b"\x00\x00"),
        (b"\x7f\xff", b""),
        (b"\xff\xff", b""),
        (b"", b""),
        (b"\x00", None),
        (b"\x00\x02", None),
        (b"\x00\x02\x00\x09g", None),
        (GROUP_KEY, b""),
        (GROUP_KEY, b"\x00\x63rest"),
        (GROUP_KEY, b"\x00\x03\x00"),
        (OFFSET_KEY, b"\x00\x63"),
        (OFFSET_KEY, b"\x00\x03\x00\x00"),
        (GROUP_KEY + b"trailing", None),
    ],
)
def test_what_cannot_be_read_is_skipped_with_a_note(key: bytes, value: bytes | None) -> None:
    shard = GroupShard()
    note = shard.replay(CoordinatorRecord(key, value))
    assert isinstance(note, SkippedRecord)
    assert note.reason
    assert shard.groups == {}


def group_value(version: int) -> bytes:
    member = GroupMember(
        member_id="m",
        client_id="c",
        client_host="/h",
        session_timeout=9_000,
        rebalance_timeout=50_000 if version >= 1 else -1,
        subscription=b"s",
        assignment=b"a",
    )
    value = GroupMetadataValue(
        protocol_type="consumer",
        generation=7,
        protocol="range",
        leader="m",
        current_state_timestamp=123 if version >= 2 else -1,
        members=[member],
    )
    return encode_value(value, version)


@pytest.mark.parametrize("version", range(5))
def test_groups_are_read_in_every_version_kafka_wrote(version: int) -> None:
    shard = GroupShard()
    assert shard.replay(CoordinatorRecord(GROUP_KEY, group_value(version))) is None
    group = shard.groups["g"]
    assert isinstance(group, ClassicGroup)
    assert (group.state.value, group.generation_id, group.leader_id) == ("Stable", 7, "m")
    member = group.members["m"]
    assert member.rebalance_timeout_ms == (50_000 if version >= 1 else 9_000)
    assert group.state_timestamp_ms == (123 if version >= 2 else None)


@pytest.mark.parametrize("version", range(5))
@pytest.mark.parametrize("key_version", [0, 1])
def test_offsets_are_read_in_every_version_kafka_wrote(version: int, key_version: int) -> None:
    shard = GroupShard()
    value = OffsetCommitValue(offset=5, metadata="m", commit_timestamp=9)
    key = bytes([0, key_version]) + OFFSET_KEY[2:]
    assert shard.replay(CoordinatorRecord(key, encode_value(value, version))) is None
    committed = shard.offsets.get("g", "t", 0)
    assert committed is not None
    assert (committed.offset, committed.metadata, committed.leader_epoch) == (5, "m", -1)
    assert shard.replay(CoordinatorRecord(key, None)) is None
    assert shard.offsets.get("g", "t", 0) is None


def test_tombstones_of_what_is_not_there_do_nothing() -> None:
    shard = GroupShard()
    assert shard.replay(CoordinatorRecord(GROUP_KEY, None)) is None
    assert shard.replay(CoordinatorRecord(OFFSET_KEY, None)) is None
    assert shard.groups == {}


def test_generations_begin_anew_after_the_last_int32() -> None:
    group = ClassicGroup("g")
    group.generation_id = 2**31 - 2
    assert group.next_generation_id == 2**31 - 1
    group.generation_id = 2**31 - 1
    assert group.next_generation_id == 1


def test_a_later_generation_replaces_an_earlier_one() -> None:
    shard = GroupShard()
    shard.replay(CoordinatorRecord(GROUP_KEY, group_value(3)))
    value = GroupMetadataValue(
        protocol_type="consumer",
        generation=8,
        protocol="sticky",
        leader="n",
        current_state_timestamp=456,
        members=[
            GroupMember(
                member_id=name,
                group_instance_id=name.upper(),
                client_id="c",
                client_host="/h",
                session_timeout=6_000,
                subscription=b"new",
                assignment=b"",
            )
            for name in ("m", "n")
        ],
    )
    shard.replay(CoordinatorRecord(GROUP_KEY, encode_value(value)))
    group = shard.groups["g"]
    assert isinstance(group, ClassicGroup)
    assert group.static_members == {"M": "m", "N": "n"}
    assert group.members["m"].protocols == (("sticky", b"new"),)
    assert group.members["m"].session_timeout_ms == 6_000
    assert group.supporters == {"sticky": 2}
