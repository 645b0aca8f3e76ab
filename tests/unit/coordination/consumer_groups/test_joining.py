"""Joining a consumer group, one member and several."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from ottla.coordination.groups.settings import GroupSettings
from ottla.wire.api.k68_consumer_group_heartbeat import ConsumerGroupHeartbeatRequest, OwnedTopic
from ottla.wire.errors import ErrorCode


def test_the_first_member_is_assigned_everything_at_once(desk: Any) -> None:
    member = desk.member("m1")
    desk.beat(member)
    assert member.epoch == 1
    assert member.owned == {desk.partition(index) for index in range(6)}
    assert desk.group().state == "Stable"


def test_the_second_member_gets_half_when_the_first_has_given_it_up(desk: Any) -> None:
    first, second = desk.member("m1"), desk.member("m2")
    desk.beat(first, second)
    assert second.owned == set()
    assert desk.group().state == "Assigning"
    desk.wait(1_000)
    desk.beat(second)
    assert desk.group().members["m2"].state.name == "UNRELEASED_PARTITIONS"
    assert second.owned == set(), "the first still owns all"
    desk.beat(first)
    assert first.is_revoking
    assert desk.group().members["m1"].state.name == "UNREVOKED_PARTITIONS"
    desk.beat(second)
    assert second.owned == set()
    first.finish_revoking()
    desk.beat(first, second)
    assert len(first.owned) == len(second.owned) == 3
    assert not first.owned & second.owned
    assert desk.group().state == "Stable"


def test_fifty_members_joining_at_once_cost_two_assignments(desk: Any) -> None:
    members = [desk.member(f"m{index}") for index in range(50)]
    desk.topics.grow("t", 100)
    desk.beat(*members)
    epoch = desk.group().epoch
    assert epoch == 50
    assert desk.group().target_epoch == 1, "the assignments of the other 49 are one"
    desk.settle(*members)
    assert desk.group().epoch == epoch
    assert [len(member.owned) for member in members] == [2] * 50


def test_a_busy_group_calls_its_members_back_soon(desk: Any) -> None:
    first, second = desk.member("m1"), desk.member("m2")
    desk.beat(first, second)
    assert second.heartbeat_interval_ms == 500
    desk.settle(first, second)
    desk.wait(5_000)
    desk.beat(first, second)
    assert first.heartbeat_interval_ms == second.heartbeat_interval_ms == 5_000


def test_the_server_makes_the_id_of_a_member_of_version_0(desk: Any) -> None:
    member = desk.member("")
    desk.beat(member, version=0)
    assert member.member_id
    assert desk.beat(member, version=0) is ErrorCode.NONE
    assert list(desk.group().members) == [member.member_id]


def test_a_group_of_nobody_is_not_found(desk: Any) -> None:
    member = desk.member("m1")
    member.epoch = 3
    assert desk.beat(member) is ErrorCode.GROUP_ID_NOT_FOUND


def test_a_full_group_refuses_new_members_and_serves_its_own(new_desk: Any) -> None:
    desk = new_desk(GroupSettings(consumer_max_group_members=1))
    first, second = desk.member("m1"), desk.member("m2")
    assert desk.beat(first) is ErrorCode.NONE
    assert desk.beat(second) is ErrorCode.GROUP_MAX_SIZE_REACHED
    assert desk.beat(first) is ErrorCode.NONE


def test_an_answer_tells_the_assignment_only_when_it_changed(desk: Any) -> None:
    member = desk.member("m1")
    assert desk.ask(member.request()).assignment is not None
    member.epoch = 1
    quiet = ConsumerGroupHeartbeatRequest(group_id="orders", member_id="m1", member_epoch=1)
    assert desk.ask(quiet).assignment is None
    full = ConsumerGroupHeartbeatRequest(
        group_id="orders",
        member_id="m1",
        member_epoch=1,
        rebalance_timeout_ms=1,
        subscribed_topic_names=["t"],
        topic_partitions=[],
    )
    assert desk.ask(full).assignment is not None


def join(**fields: Any) -> ConsumerGroupHeartbeatRequest:
    values: dict[str, Any] = {
        "group_id": "orders",
        "member_id": "m1",
        "member_epoch": 0,
        "rebalance_timeout_ms": 1_000,
        "subscribed_topic_names": ["t"],
        "topic_partitions": [],
    }
    return ConsumerGroupHeartbeatRequest(**values | fields)


@pytest.mark.parametrize(
    ("request_", "version", "code"),
    [
        (join(group_id=""), 1, ErrorCode.INVALID_REQUEST),
        (join(group_id=" "), 1, ErrorCode.INVALID_REQUEST),
        (join(member_id=""), 1, ErrorCode.INVALID_REQUEST),
        (join(member_id="", member_epoch=1), 0, ErrorCode.INVALID_REQUEST),
        (join(member_id="", member_epoch=-1), 0, ErrorCode.INVALID_REQUEST),
        (join(instance_id=""), 1, ErrorCode.INVALID_REQUEST),
        (join(rack_id=""), 1, ErrorCode.INVALID_REQUEST),
        (join(rebalance_timeout_ms=-1), 1, ErrorCode.INVALID_REQUEST),
        (join(topic_partitions=None), 1, ErrorCode.INVALID_REQUEST),
        (
            join(topic_partitions=[OwnedTopic(topic_id=UUID(int=1), partitions=[])]),
            1,
            ErrorCode.INVALID_REQUEST,
        ),
        (join(subscribed_topic_names=None), 1, ErrorCode.INVALID_REQUEST),
        (join(member_epoch=-2), 1, ErrorCode.INVALID_REQUEST),
        (join(member_epoch=-3), 1, ErrorCode.INVALID_REQUEST),
        (join(server_assignor="best"), 1, ErrorCode.UNSUPPORTED_ASSIGNOR),
        (join(subscribed_topic_regex="("), 1, ErrorCode.INVALID_REGULAR_EXPRESSION),
        (join(subscribed_topic_regex=r"(a)\1"), 1, ErrorCode.INVALID_REGULAR_EXPRESSION),
        (join(subscribed_topic_regex="a" * 2_000), 1, ErrorCode.INVALID_REGULAR_EXPRESSION),
    ],
)
def test_unsound_requests_are_refused_and_change_nothing(
    desk: Any, request_: ConsumerGroupHeartbeatRequest, version: int, code: ErrorCode
) -> None:
    answer = desk.ask(request_, version)
    assert answer.error_code == code
    assert answer.error_message
    assert desk.runtime.log == []
    assert desk.shard.groups == {}
