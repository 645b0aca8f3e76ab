"""When offsets and empty groups are let go (KIP-211), and what goes with deleted topics."""

from __future__ import annotations

from typing import Any

import pytest

from ottla.coordination.groups.commands import TopicsDeleted
from ottla.coordination.groups.settings import GroupSettings
from ottla.wire.group_records import OffsetCommitValue, decode_key, decode_value

RETENTION_MS = 3_600_000
CHECK_MS = 60_000
SESSION_MS = 1_800_000


@pytest.fixture
def desk(new_desk: Any) -> Any:
    return new_desk(
        GroupSettings(
            offsets_retention_ms=RETENTION_MS, offsets_retention_check_interval_ms=CHECK_MS
        )
    )


def keep_alive(desk: Any, member_id: str, duration_ms: int) -> None:
    for _ in range(duration_ms // CHECK_MS):
        desk.heartbeat(member_id, 1)
        desk.wait(CHECK_MS)


def test_offsets_of_an_empty_group_expire_with_it(desk: Any) -> None:
    (member_id,) = desk.stable_group(session_timeout_ms=SESSION_MS)
    desk.commit(1, member_id, 1)
    desk.wait(600_000)
    desk.leave(member_id)
    desk.wait(RETENTION_MS - 1)
    assert desk.fetch() == 1
    desk.wait(CHECK_MS + 1)
    assert desk.shard.groups == {}
    assert desk.fetch() == -1
    desk.restart()
    assert desk.shard.groups == {}


def test_offsets_outlive_the_retention_while_their_topic_is_consumed(desk: Any) -> None:
    (member_id,) = desk.stable_group(session_timeout_ms=SESSION_MS)
    desk.commit(1, member_id, 1)
    desk.commit(1, member_id, 1, topic="no longer consumed")
    keep_alive(desk, member_id, 2 * RETENTION_MS)
    assert desk.fetch() == 1
    assert desk.fetch("no longer consumed") == -1


@pytest.mark.parametrize("protocol_type", ["connect", "sr"])
def test_offsets_of_other_groups_at_work_do_not_expire(desk: Any, protocol_type: str) -> None:
    (member_id,) = desk.stable_group(session_timeout_ms=SESSION_MS, protocol_type=protocol_type)
    desk.commit(1, member_id, 1)
    keep_alive(desk, member_id, 2 * RETENTION_MS)
    assert desk.fetch() == 1


def test_each_offset_of_a_simple_group_has_its_own_time(desk: Any) -> None:
    desk.commit(1)
    desk.wait(RETENTION_MS // 2)
    desk.commit(2, partition=1)
    desk.wait(RETENTION_MS // 2 + CHECK_MS)
    assert (desk.fetch(), desk.fetch(partition=1)) == (-1, 2)
    desk.wait(RETENTION_MS // 2 + CHECK_MS)
    assert desk.shard.groups == {}


def test_an_offset_committed_into_a_long_empty_group_has_its_full_time(desk: Any) -> None:
    (member_id,) = desk.stable_group(session_timeout_ms=SESSION_MS)
    desk.commit(1, member_id, 1)
    desk.leave(member_id)
    desk.wait(RETENTION_MS - CHECK_MS)
    desk.commit(2, partition=1)
    desk.wait(3 * CHECK_MS)
    assert (desk.fetch(), desk.fetch(partition=1)) == (-1, 2)


def test_a_retention_of_the_commits_own_is_kept_and_obeyed(desk: Any) -> None:
    desk.commit(1, version=4, retention_time_ms=2 * RETENTION_MS)
    (record,) = desk.log
    assert record.value[:2] == b"\x00\x01"
    value = decode_value(decode_key(record.key), record.value)
    assert isinstance(value, OffsetCommitValue)
    assert value.expire_timestamp == 2 * RETENTION_MS
    desk.wait(2 * RETENTION_MS - 1)
    assert desk.fetch() == 1
    desk.wait(CHECK_MS)
    assert desk.fetch() == -1


def test_an_empty_group_without_offsets_goes_with_the_next_check(desk: Any) -> None:
    (member_id,) = desk.stable_group(session_timeout_ms=SESSION_MS)
    desk.leave(member_id)
    desk.wait(CHECK_MS)
    assert desk.shard.groups == {}
    assert desk.log[-1].value is None


def test_a_group_somebody_is_about_to_join_stays(desk: Any) -> None:
    (member_id,) = desk.stable_group(session_timeout_ms=SESSION_MS)
    desk.leave(member_id)
    pending_id = desk.join(session_timeout_ms=SESSION_MS).member_id
    desk.wait(CHECK_MS)
    assert pending_id in desk.group().pending_members


def test_the_checks_go_on_after_a_restart(desk: Any) -> None:
    desk.commit(1)
    desk.restart()
    desk.wait(RETENTION_MS + CHECK_MS)
    assert desk.shard.groups == {}


def test_offsets_go_with_their_topic(desk: Any) -> None:
    for group_id in ("a", "b"):
        for topic in ("t", "u", "v"):
            desk.commit(1, group_id=group_id, topic=topic)
            desk.commit(1, group_id=group_id, topic=topic, partition=1)
    outcome = desk.runtime.submit(TopicsDeleted(frozenset({"t", "v", "w"})))
    assert not outcome.is_atomic
    assert len(outcome.records) == 8
    for group_id in ("a", "b"):
        left = [(topic, index) for topic, index, _ in desk.shard.offsets.positions(group_id)]
        assert left == [("u", 0), ("u", 1)]
