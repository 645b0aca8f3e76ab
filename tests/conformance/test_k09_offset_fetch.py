"""OffsetCommit, OffsetFetch, OffsetDelete, FindCoordinator (keys 8, 9, 47, 10), every version."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from ottla.testing.protocol import Connection
from ottla.wire.api.k08_offset_commit import (
    OffsetCommitRequest,
    PartitionToCommit,
    TopicToCommit,
)
from ottla.wire.api.k09_offset_fetch import (
    GroupToLookUp,
    GroupTopicToLookUp,
    OffsetFetchRequest,
    TopicToLookUp,
)
from ottla.wire.api.k10_find_coordinator import FindCoordinatorRequest
from ottla.wire.apis import APIS
from ottla.wire.errors import ErrorCode

NewTopic = Callable[..., str]
Unique = Callable[[str], str]


def commit(
    connection: Connection, group: str, topic: dict[str, Any], version: int, **fields: Any
) -> int:
    partition = PartitionToCommit(
        partition_index=fields.pop("partition_index", 0),
        committed_offset=fields.pop("offset", 7),
        committed_metadata=fields.pop("metadata", "noted"),
    )
    request = OffsetCommitRequest(
        group_id=group, topics=[TopicToCommit(**topic, partitions=[partition])], **fields
    )
    [answered] = connection.ask(request, version).topics
    return int(answered.partitions[0].error_code)


def committed(
    connection: Connection, group: str, topic: dict[str, Any], version: int
) -> tuple[int, int, str | None]:
    if version >= 8:
        wanted = GroupTopicToLookUp(**topic, partition_indexes=[0])
        request = OffsetFetchRequest(groups=[GroupToLookUp(group_id=group, topics=[wanted])])
        [found] = connection.ask(request, version).groups
        [found_topic] = found.topics
    else:
        request = OffsetFetchRequest(
            group_id=group, topics=[TopicToLookUp(**topic, partition_indexes=[0])]
        )
        found = connection.ask(request, version)
        [found_topic] = found.topics
    if version >= 2:
        assert found.error_code == ErrorCode.NONE
    [partition] = found_topic.partitions
    return partition.error_code, partition.committed_offset, partition.metadata


@pytest.mark.parametrize("version", APIS[9].versions)
def test_every_version_commits_and_fetches(
    version: int,
    connection: Connection,
    group: str,
    new_topic: NewTopic,
    topic_id: Callable[[str], uuid.UUID],
) -> None:
    name = new_topic()
    known = {"topic_id": topic_id(name)} if version >= 10 else {"name": name}
    assert committed(connection, group, known, version) == (ErrorCode.NONE, -1, "")
    commit_version = max(version, APIS[8].min_version)
    assert commit(connection, group, known, commit_version) == ErrorCode.NONE
    assert committed(connection, group, known, version) == (ErrorCode.NONE, 7, "noted")


@pytest.mark.parametrize("version", range(2, 8))
def test_all_topics_of_a_group(
    version: int, connection: Connection, group: str, new_topic: NewTopic
) -> None:
    name = new_topic()
    commit(connection, group, {"name": name}, 9, offset=3)
    found = connection.ask(OffsetFetchRequest(group_id=group, topics=None), version)
    offsets = {topic.name: topic.partitions[0].committed_offset for topic in found.topics}
    assert offsets[name] == 3


def test_several_groups_at_once(
    connection: Connection, group: str, new_topic: NewTopic, unique: Unique
) -> None:
    name = new_topic()
    commit(connection, group, {"name": name}, 9)
    stranger = unique("stranger")
    request = OffsetFetchRequest(
        groups=[
            GroupToLookUp(group_id=group, topics=None),
            GroupToLookUp(group_id=stranger, topics=None),
        ]
    )
    found = {each.group_id: each for each in connection.ask(request, 9).groups}
    assert name in {topic.name for topic in found[group].topics}
    assert (found[stranger].error_code, found[stranger].topics) == (ErrorCode.NONE, [])


def test_bad_commits_are_refused(
    connection: Connection, group: str, new_topic: NewTopic, unique: Unique
) -> None:
    topic = {"name": new_topic()}
    assert commit(connection, group, topic, 9) == ErrorCode.NONE
    too_much = commit(connection, group, topic, 9, metadata="x" * 5000)
    assert too_much == ErrorCode.OFFSET_METADATA_TOO_LARGE
    nowhere = commit(connection, group, {"name": unique("nowhere")}, 9)
    assert nowhere == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    stranger = commit(connection, group, {"topic_id": uuid.uuid4()}, 10)
    assert stranger == ErrorCode.UNKNOWN_TOPIC_ID
    as_member = {"generation_id_or_member_epoch": 3, "member_id": "nobody"}
    assert commit(connection, group, topic, 9, **as_member) == ErrorCode.UNKNOWN_MEMBER_ID


@pytest.mark.parametrize("version", APIS[10].versions)
def test_every_version_finds_the_coordinator(
    version: int, connection: Connection, group: str, target: Any
) -> None:
    if version >= 4:
        request = FindCoordinatorRequest(coordinator_keys=[group, "another"])
        found = connection.ask(request, version).coordinators
        assert {each.key for each in found} == {group, "another"}
    else:
        found = [connection.ask(FindCoordinatorRequest(key=group), version)]
    for each in found:
        assert (each.error_code, each.port) == (ErrorCode.NONE, target.port)
