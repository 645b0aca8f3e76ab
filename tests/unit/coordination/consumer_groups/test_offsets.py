"""Commits and fetches of offsets by members of consumer groups."""

from __future__ import annotations

from typing import Any

import pytest

from ottla.coordination.groups import commands
from ottla.coordination.groups.group import Membership, PartitionName
from ottla.coordination.groups.settings import GroupSettings
from ottla.wire.api.k08_offset_commit import (
    OffsetCommitRequest,
    PartitionToCommit,
    TopicToCommit,
)
from ottla.wire.api.k09_offset_fetch import GroupToLookUp, OffsetFetchRequest
from ottla.wire.api.k42_delete_groups import DeleteGroupsRequest
from ottla.wire.api.k47_offset_delete import OffsetDeleteRequest, PartitionToForget, TopicToForget
from ottla.wire.errors import ErrorCode


def commit(
    desk: Any, member_id: str, epoch: int, partition: int = 0, version: int = 10
) -> ErrorCode:
    topic = TopicToCommit(
        name="t",
        topic_id=desk.topics.topic_id("t"),
        partitions=[
            PartitionToCommit(
                partition_index=partition, committed_offset=5, committed_metadata=None
            )
        ],
    )
    request = OffsetCommitRequest(
        group_id="orders",
        generation_id_or_member_epoch=epoch,
        member_id=member_id,
        topics=[topic],
    )
    answer = desk.submit(commands.OffsetCommit, request, version)
    return ErrorCode(answer.topics[0].partitions[0].error_code)


def fetch(desk: Any, member_id: str | None, epoch: int) -> ErrorCode:
    group = GroupToLookUp(group_id="orders", member_id=member_id, member_epoch=epoch, topics=None)
    request = OffsetFetchRequest(groups=[group], require_stable=False)
    answer = desk.submit(commands.OffsetFetch, request, 9)
    return ErrorCode(answer.groups[0].error_code)


@pytest.fixture
def member(desk: Any) -> Any:
    member = desk.member("m1")
    desk.beat(member)
    return member


@pytest.mark.parametrize(
    ("member_id", "epoch", "version", "code"),
    [
        ("m1", 1, 10, ErrorCode.NONE),
        ("m1", 1, 9, ErrorCode.NONE),
        ("m1", 1, 8, ErrorCode.UNSUPPORTED_VERSION),
        ("m1", 2, 10, ErrorCode.STALE_MEMBER_EPOCH),
        ("m1", -1, 10, ErrorCode.STALE_MEMBER_EPOCH),
        ("m9", 1, 10, ErrorCode.UNKNOWN_MEMBER_ID),
        ("", -1, 10, ErrorCode.UNKNOWN_MEMBER_ID),
    ],
)
def test_who_may_commit(
    desk: Any, member: Any, member_id: str, epoch: int, version: int, code: ErrorCode
) -> None:
    assert commit(desk, member_id, epoch, version=version) is code


def test_a_commit_at_the_epoch_of_the_assignment_is_good_later_too(desk: Any, member: Any) -> None:
    second = desk.member("m2")
    desk.beat(second)
    desk.settle(member, second)
    assert member.epoch == 2
    (kept, *_), (lost, *_) = sorted(member.owned), sorted(second.owned)
    assert commit(desk, "m1", 1, kept[1]) is ErrorCode.NONE
    assert commit(desk, "m1", 1, lost[1]) is ErrorCode.STALE_MEMBER_EPOCH
    assert commit(desk, "m2", 1, lost[1]) is ErrorCode.STALE_MEMBER_EPOCH, "it got it at 2"


def test_who_may_fetch(desk: Any, member: Any) -> None:
    assert fetch(desk, None, -1) is ErrorCode.NONE
    assert fetch(desk, "m1", 1) is ErrorCode.NONE
    assert fetch(desk, "m1", 0) is ErrorCode.STALE_MEMBER_EPOCH
    assert fetch(desk, "m9", 1) is ErrorCode.UNKNOWN_MEMBER_ID


def test_an_empty_group_takes_commits_from_outside(desk: Any, member: Any) -> None:
    desk.ask(member.leave())
    assert commit(desk, "", -1) is ErrorCode.NONE


def test_producers_may_be_silent_about_the_member_in_transactions(desk: Any, member: Any) -> None:
    group = desk.group()
    old = Membership("", -1, version=0, is_transactional=True)
    assert group.check_commit(old, ()) is ErrorCode.NONE
    known = Membership("m1", 1, version=3, is_transactional=True)
    assert group.check_commit(known, ()) is ErrorCode.NONE
    stale = Membership("m1", 0, version=3, is_transactional=True)
    name = PartitionName("t", desk.topics.topic_id("t"), 0)
    assert group.check_commit(stale, [name]) is ErrorCode.STALE_MEMBER_EPOCH


def test_offsets_of_topics_consumed_are_not_deleted(desk: Any, member: Any) -> None:
    commit(desk, "m1", 1)
    topic = TopicToForget(name="t", partitions=[PartitionToForget(partition_index=0)])
    request = OffsetDeleteRequest(group_id="orders", topics=[topic])
    answer = desk.submit(commands.OffsetDelete, request, 0)
    code = answer.topics[0].partitions[0].error_code
    assert code == ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC


def test_offsets_expire_when_nobody_consumes_the_topic_any_more(new_desk: Any) -> None:
    settings = GroupSettings(
        offsets_retention_ms=60_000, offsets_retention_check_interval_ms=10_000
    )
    desk = new_desk(settings, t=1, u=1)
    member = desk.member("m1")
    desk.beat(member)
    commit(desk, "m1", 1)
    for _ in range(5):
        desk.wait(20_000)
        desk.beat(member)
    assert desk.shard.offsets.get("orders", "t", 0) is not None
    member.subscribe(["u"])
    desk.beat(member)
    desk.wait(20_000)
    assert desk.shard.offsets.get("orders", "t", 0) is None
    assert "orders" in desk.shard.groups


def test_an_empty_group_goes_with_its_last_offset(desk: Any, member: Any) -> None:
    commit(desk, "m1", 1)
    desk.ask(member.leave())
    desk.wait(6 * 24 * 3_600_000)
    assert "orders" in desk.shard.groups
    desk.wait(2 * 24 * 3_600_000)
    assert desk.shard.groups == {}
    desk.check_replay()


def test_deleting_a_group(desk: Any, member: Any) -> None:
    commit(desk, "m1", 1)
    request = DeleteGroupsRequest(groups_names=["orders"])
    answer = desk.submit(commands.DeleteGroups, request, 2)
    assert answer.results[0].error_code == ErrorCode.NON_EMPTY_GROUP
    desk.ask(member.leave())
    answer = desk.submit(commands.DeleteGroups, request, 2)
    assert answer.results[0].error_code == ErrorCode.NONE
    assert desk.shard.groups == {}
    assert desk.shard.offsets.group_ids() == []
