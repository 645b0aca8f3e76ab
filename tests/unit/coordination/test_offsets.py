"""OffsetCommit, OffsetFetch and OffsetDelete."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from ottla.coordination.groups import commands
from ottla.coordination.groups.settings import GroupSettings
from ottla.wire.api.k08_offset_commit import OffsetCommitRequest, PartitionToCommit, TopicToCommit
from ottla.wire.api.k09_offset_fetch import (
    GroupToLookUp,
    GroupTopicToLookUp,
    OffsetFetchRequest,
)
from ottla.wire.errors import ErrorCode
from ottla.wire.group_records import OffsetCommitValue, decode_key, decode_value


def test_what_a_member_commits_it_can_fetch(desk: Any) -> None:
    (member_id,) = desk.stable_group()
    assert desk.commit(42, member_id, 1) == ErrorCode.NONE
    assert desk.fetch() == 42
    assert desk.fetch(partition=1) == -1
    assert desk.fetch(topic="u") == -1
    assert desk.fetch(group_id="other") == -1


def test_a_commit_is_a_record_in_kafkas_format(desk: Any) -> None:
    desk.wait(1_000)
    topic_id = uuid.UUID(int=7)
    desk.commit(42, leader_epoch=3, metadata="mark", version=10, topic_id=topic_id)
    (record,) = desk.log
    assert record.key == b"\x00\x01\x00\x06orders\x00\x01t\x00\x00\x00\x00"
    assert record.value[:2] == b"\x00\x04"
    assert decode_value(decode_key(record.key), record.value) == OffsetCommitValue(
        offset=42, leader_epoch=3, metadata="mark", commit_timestamp=1_000, topic_id=topic_id
    )


def test_no_answer_leaves_before_the_commit_is_durable(new_desk: Any) -> None:
    desk = new_desk(flushes_at_once=False)
    partition = PartitionToCommit(partition_index=0, committed_offset=42, committed_metadata=None)
    topics = [TopicToCommit(name="t", partitions=[partition])]
    request = OffsetCommitRequest(group_id="orders", topics=topics)
    commit = desk.park(commands.OffsetCommit, request, 9)
    # A fetch must not show either what a crash could still take back.
    asked = OffsetFetchRequest(group_id="orders", topics=None)
    fetch = desk.park(commands.OffsetFetch, asked, 7)
    assert desk.is_parked(commit)
    assert desk.is_parked(fetch)
    desk.runtime.flush()
    assert desk.answer(commit).topics[0].partitions[0].error_code == ErrorCode.NONE
    assert desk.answer(fetch).topics[0].partitions[0].committed_offset == 42


def test_a_consumer_without_a_group_commits_into_a_simple_one(desk: Any) -> None:
    assert desk.commit(1) == ErrorCode.NONE
    assert desk.state() == "Empty"
    assert desk.group().is_simple
    desk.restart()
    assert desk.fetch() == 1
    assert desk.group().is_simple


def test_the_empty_group_id_is_good_for_offsets(desk: Any) -> None:
    assert desk.commit(5, group_id="") == ErrorCode.NONE
    assert desk.fetch(group_id="") == 5


def test_commit_from_outside_a_group_at_work_is_UNKNOWN_MEMBER_ID(desk: Any) -> None:
    desk.stable_group()
    assert desk.commit(1) == ErrorCode.UNKNOWN_MEMBER_ID


def test_commit_from_outside_an_empty_group_is_accepted(desk: Any) -> None:
    (member_id,) = desk.stable_group()
    desk.leave(member_id)
    assert desk.commit(1) == ErrorCode.NONE


def test_commit_of_a_stranger_is_UNKNOWN_MEMBER_ID(desk: Any) -> None:
    desk.stable_group()
    assert desk.commit(1, "stranger", 1) == ErrorCode.UNKNOWN_MEMBER_ID


@pytest.mark.parametrize("generation_id", [0, 2])
def test_commit_of_another_generation_is_ILLEGAL_GENERATION(desk: Any, generation_id: int) -> None:
    (member_id,) = desk.stable_group()
    assert desk.commit(1, member_id, generation_id) == ErrorCode.ILLEGAL_GENERATION
    assert desk.fetch() == -1


def test_commit_in_the_sync_phase_is_REBALANCE_IN_PROGRESS(desk: Any) -> None:
    member_id, _ = desk.join_known()
    desk.end_join_phase()
    assert desk.commit(1, member_id, 1) == ErrorCode.REBALANCE_IN_PROGRESS


def test_commit_in_the_join_phase_is_accepted(desk: Any) -> None:
    (member_id,) = desk.stable_group()
    desk.join_known()
    assert desk.commit(1, member_id, 1) == ErrorCode.NONE


@pytest.mark.parametrize(
    ("version", "error"),
    [(2, ErrorCode.ILLEGAL_GENERATION), (9, ErrorCode.GROUP_ID_NOT_FOUND)],
)
def test_member_commit_to_no_such_group_is_ILLEGAL_GENERATION_or_GROUP_ID_NOT_FOUND(
    desk: Any, version: int, error: ErrorCode
) -> None:
    assert desk.commit(1, "m", 1, version=version) == error


def test_metadata_too_long_is_OFFSET_METADATA_TOO_LARGE(desk: Any) -> None:
    assert desk.commit(1, metadata="x" * 4_096) == ErrorCode.NONE
    assert desk.commit(2, metadata="x" * 4_097) == ErrorCode.OFFSET_METADATA_TOO_LARGE
    assert desk.fetch() == 1


def test_one_bad_partition_does_not_spoil_the_others(desk: Any) -> None:
    partitions = [
        PartitionToCommit(partition_index=i, committed_offset=i, committed_metadata="x" * size)
        for i, size in enumerate([0, 5_000, 1])
    ]
    topics = [TopicToCommit(name="t", partitions=partitions)]
    answer = desk.commit_all(OffsetCommitRequest(group_id="orders", topics=topics))
    assert [partition.error_code for partition in answer.topics[0].partitions] == [
        ErrorCode.NONE,
        ErrorCode.OFFSET_METADATA_TOO_LARGE,
        ErrorCode.NONE,
    ]
    assert [desk.fetch(partition=i) for i in range(3)] == [0, -1, 2]


def test_a_commit_too_large_for_the_log_is_INVALID_COMMIT_OFFSET_SIZE(new_desk: Any) -> None:
    desk = new_desk(GroupSettings(max_batch_bytes=1_000))
    assert desk.commit(1, metadata="x" * 2_000) == ErrorCode.INVALID_COMMIT_OFFSET_SIZE
    assert desk.log == []


def test_a_simple_group_too_many_is_POLICY_VIOLATION(new_desk: Any) -> None:
    desk = new_desk(GroupSettings(max_groups_per_shard=1))
    assert desk.commit(1, group_id="a") == ErrorCode.NONE
    assert desk.commit(1, group_id="b") == ErrorCode.POLICY_VIOLATION
    assert desk.commit(2, group_id="a") == ErrorCode.NONE


def test_leader_epoch_and_metadata_come_back(desk: Any) -> None:
    desk.commit(42, leader_epoch=3, metadata="mark")
    (group,) = desk.fetch_groups({"orders": {"t": [0]}}).groups
    (partition,) = group.topics[0].partitions
    assert (partition.committed_offset, partition.committed_leader_epoch) == (42, 3)
    assert partition.metadata == "mark"


def test_several_groups_are_fetched_at_once(desk: Any) -> None:
    desk.commit(1, group_id="a")
    desk.commit(2, group_id="b", topic="u", partition=3)
    answer = desk.fetch_groups({"a": {"t": [0, 1]}, "b": None, "c": None, "d": {"t": [0]}})
    found = {
        group.group_id: [
            (topic.name, partition.partition_index, partition.committed_offset)
            for topic in group.topics
            for partition in topic.partitions
        ]
        for group in answer.groups
    }
    assert found == {
        "a": [("t", 0, 1), ("t", 1, -1)],
        "b": [("u", 3, 2)],
        "c": [],
        "d": [("t", 0, -1)],
    }


def test_all_offsets_are_fetched_in_older_versions_too(desk: Any) -> None:
    desk.commit(1)
    desk.commit(2, topic="u")
    request = OffsetFetchRequest(group_id="orders", topics=None)
    answer = desk.ask(commands.OffsetFetch, request, 2)
    assert [topic.name for topic in answer.topics] == ["t", "u"]
    assert answer.encode(2)


def test_an_offset_of_an_earlier_topic_of_that_name_is_not_shown(desk: Any) -> None:
    from ottla.coordination.groups import commands
    from ottla.wire.api.k09_offset_fetch import (
        OffsetFetchRequest,
    )

    old, new = uuid.UUID(int=1), uuid.UUID(int=2)
    desk.commit(9, version=10, topic_id=old)

    def fetch(topic_id: uuid.UUID) -> int:
        topic = GroupTopicToLookUp(name="t", topic_id=topic_id, partition_indexes=[0])
        group = GroupToLookUp(group_id="orders", topics=[topic])
        answer = desk.ask(commands.OffsetFetch, OffsetFetchRequest(groups=[group]), 10)
        (found,) = answer.groups[0].topics
        assert found.topic_id == topic_id
        offset: int = found.partitions[0].committed_offset
        return offset

    assert fetch(old) == 9
    assert fetch(new) == -1


def test_commit_answers_by_topic_id(desk: Any) -> None:
    topic = TopicToCommit(
        name="t",
        topic_id=uuid.UUID(int=5),
        partitions=[
            PartitionToCommit(partition_index=0, committed_offset=1, committed_metadata=None)
        ],
    )
    answer = desk.commit_all(OffsetCommitRequest(group_id="orders", topics=[topic]), 10)
    assert answer.topics[0].topic_id == topic.topic_id
    assert answer.encode(10)


def test_deleting_an_offset_forgets_it(desk: Any) -> None:
    desk.commit(1)
    desk.commit(2, partition=1)
    assert desk.delete_offset().error_code == ErrorCode.NONE
    assert (desk.fetch(), desk.fetch(partition=1)) == (-1, 2)
    desk.restart()
    assert (desk.fetch(), desk.fetch(partition=1)) == (-1, 2)


def test_deleting_what_is_not_there_writes_nothing(desk: Any) -> None:
    desk.commit(1)
    answer = desk.delete_offset(partition=9)
    assert answer.topics[0].partitions[0].error_code == ErrorCode.NONE
    assert len(desk.log) == 1


def test_deleting_offsets_of_a_topic_consumed_is_GROUP_SUBSCRIBED_TO_TOPIC(desk: Any) -> None:
    (member_id,) = desk.stable_group()
    desk.commit(1, member_id, 1)
    desk.commit(1, member_id, 1, topic="u")
    refused = desk.delete_offset("t")
    assert refused.topics[0].partitions[0].error_code == ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC
    assert desk.delete_offset("u").topics[0].partitions[0].error_code == ErrorCode.NONE
    assert (desk.fetch("t"), desk.fetch("u")) == (1, -1)


def test_after_a_restart_subscriptions_are_still_known_GROUP_SUBSCRIBED_TO_TOPIC(
    desk: Any,
) -> None:
    desk.stable_group()
    desk.restart()
    refused = desk.delete_offset("t")
    assert refused.topics[0].partitions[0].error_code == ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC


@pytest.mark.parametrize("metadata", [b"", b"\x00", b"\xff\xff", b"\x00\x00\x7f\xff\xff\xff"])
def test_with_unreadable_subscriptions_every_topic_is_GROUP_SUBSCRIBED_TO_TOPIC(
    desk: Any, metadata: bytes
) -> None:
    desk.stable_group(protocols={"range": metadata})
    refused = desk.delete_offset("t")
    assert refused.topics[0].partitions[0].error_code == ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC


def test_deleting_offsets_of_other_groups_at_work_is_NON_EMPTY_GROUP(desk: Any) -> None:
    desk.stable_group(protocol_type="connect")
    assert desk.delete_offset().error_code == ErrorCode.NON_EMPTY_GROUP


def test_deleting_offsets_of_no_such_group_is_GROUP_ID_NOT_FOUND(desk: Any) -> None:
    assert desk.delete_offset().error_code == ErrorCode.GROUP_ID_NOT_FOUND


def test_deleting_offsets_without_group_id_is_INVALID_GROUP_ID(desk: Any) -> None:
    assert desk.delete_offset(group_id="").error_code == ErrorCode.INVALID_GROUP_ID
