"""DescribeGroups, ListGroups, DeleteGroups, OffsetDelete (keys 15, 16, 42, 47), every version."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ottla.testing.protocol import Connection
from ottla.wire.api.k08_offset_commit import (
    OffsetCommitRequest,
    PartitionToCommit,
    TopicToCommit,
)
from ottla.wire.api.k11_join_group import JoinGroupRequest, JoinProtocol
from ottla.wire.api.k14_sync_group import MemberAssignment, SyncGroupRequest
from ottla.wire.api.k15_describe_groups import DescribeGroupsRequest
from ottla.wire.api.k16_list_groups import ListGroupsRequest
from ottla.wire.api.k42_delete_groups import DeleteGroupsRequest
from ottla.wire.api.k47_offset_delete import (
    OffsetDeleteRequest,
    PartitionToForget,
    TopicToForget,
)
from ottla.wire.apis import APIS
from ottla.wire.errors import ErrorCode

Unique = Callable[[str], str]
UNKNOWN_OPERATIONS = -(2**31)


@pytest.fixture
def member_id(connection: Connection, group: str) -> str:
    """The only member of the group."""
    joining = JoinGroupRequest(
        group_id=group,
        member_id="",
        session_timeout_ms=20_000,
        rebalance_timeout_ms=20_000,
        protocol_type="test",
        protocols=[JoinProtocol(name="p", metadata=b"wish")],
    )
    joined = connection.ask(joining, 3)
    assert joined.error_code == ErrorCode.NONE
    assignment = MemberAssignment(member_id=joined.member_id, assignment=b"share")
    syncing = SyncGroupRequest(
        group_id=group,
        generation_id=joined.generation_id,
        member_id=joined.member_id,
        assignments=[assignment],
    )
    assert connection.ask(syncing, 3).error_code == ErrorCode.NONE
    return str(joined.member_id)


def commit(connection: Connection, group: str, topic: str) -> None:
    partition = PartitionToCommit(partition_index=0, committed_offset=1, committed_metadata=None)
    request = OffsetCommitRequest(
        group_id=group, topics=[TopicToCommit(name=topic, partitions=[partition])]
    )
    [answered] = connection.ask(request, 7).topics
    assert answered.partitions[0].error_code == ErrorCode.NONE


@pytest.mark.parametrize("version", APIS[15].versions)
def test_every_version_describes_a_group(
    version: int, connection: Connection, group: str, member_id: str, unique: Unique
) -> None:
    stranger = unique("stranger")
    response = connection.ask(DescribeGroupsRequest(groups=[group, stranger]), version)
    answered = {each.group_id: each for each in response.groups}
    described, unknown = answered[group], answered[stranger]
    assert (described.error_code, described.group_state) == (ErrorCode.NONE, "Stable")
    assert (described.protocol_type, described.protocol_data) == ("test", "p")
    [member] = described.members
    assert (member.member_id, member.client_id) == (member_id, "ottla-testing")
    assert member.client_host == "/127.0.0.1"
    assert (member.member_metadata, member.member_assignment) == (b"wish", b"share")
    assert unknown.group_state == "Dead"
    missing = ErrorCode.GROUP_ID_NOT_FOUND if version >= 6 else ErrorCode.NONE
    assert unknown.error_code == missing


def test_operations_are_told_of_groups_that_are_there(
    connection: Connection, group: str, member_id: str, unique: Unique
) -> None:
    stranger = unique("nobody")
    request = DescribeGroupsRequest(groups=[stranger, group], include_authorized_operations=True)
    described = {each.group_id: each for each in connection.ask(request, 6).groups}
    missing, found = described[stranger], described[group]
    assert missing.error_code == ErrorCode.GROUP_ID_NOT_FOUND
    assert missing.authorized_operations == UNKNOWN_OPERATIONS
    assert found.error_code == ErrorCode.NONE
    assert found.authorized_operations > 0


@pytest.mark.parametrize("version", APIS[16].versions)
def test_every_version_lists_groups(
    version: int, connection: Connection, group: str, member_id: str
) -> None:
    def listed(**filters: list[str]) -> dict[str, tuple[str, str, str]]:
        response = connection.ask(ListGroupsRequest(**filters), version)
        assert response.error_code == ErrorCode.NONE
        return {g.group_id: (g.protocol_type, g.group_state, g.group_type) for g in response.groups}

    state = "Stable" if version >= 4 else ""
    kind = "classic" if version >= 5 else ""
    assert listed()[group] == ("test", state, kind)
    if version >= 4:
        assert group in listed(states_filter=["stable"])
        assert group not in listed(states_filter=["Empty"])
    if version >= 5:
        assert group in listed(types_filter=["Classic"])
        assert group not in listed(types_filter=["consumer"])


@pytest.mark.parametrize("version", APIS[42].versions)
def test_every_version_deletes_groups(
    version: int,
    connection: Connection,
    group: str,
    member_id: str,
    new_topic: Callable[..., str],
    unique: Unique,
) -> None:
    empty, missing = unique("empty"), unique("missing")
    commit(connection, empty, new_topic())
    response = connection.ask(DeleteGroupsRequest(groups_names=[group, empty, missing]), version)
    assert {each.group_id: each.error_code for each in response.results} == {
        group: ErrorCode.NON_EMPTY_GROUP,
        empty: ErrorCode.NONE,
        missing: ErrorCode.GROUP_ID_NOT_FOUND,
    }


def test_offsets_are_deleted(
    connection: Connection, group: str, new_topic: Callable[..., str], unique: Unique
) -> None:
    name = new_topic()
    commit(connection, group, name)
    partitions = [PartitionToForget(partition_index=0), PartitionToForget(partition_index=9)]

    def forget(group_id: str) -> OffsetDeleteRequest:
        topic = TopicToForget(name=name, partitions=partitions)
        return OffsetDeleteRequest(group_id=group_id, topics=[topic])

    response = connection.ask(forget(group), 0)
    assert response.error_code == ErrorCode.NONE
    [topic] = response.topics
    assert {p.partition_index: p.error_code for p in topic.partitions} == {
        0: ErrorCode.NONE,
        9: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    }
    assert connection.ask(forget(unique("missing")), 0).error_code == ErrorCode.GROUP_ID_NOT_FOUND
