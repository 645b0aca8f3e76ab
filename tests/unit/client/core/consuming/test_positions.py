"""Where to read: committed offsets, resets, truncated logs."""

from __future__ import annotations

import uuid

import pytest

from ottla.client.core.cluster import ClusterView
from ottla.client.core.consuming.partition import AssignedPartition, Stage, Start, Stored
from ottla.client.core.consuming.positions import Plan, Positions, ResetPolicy
from ottla.client.errors import KafkaError
from ottla.client.values import OFFSET_BEGINNING, OFFSET_INVALID
from ottla.wire.api.k02_list_offsets import ListedPartition, ListedTopic, ListOffsetsResponse
from ottla.wire.api.k23_offset_for_leader_epoch import (
    CheckedPartition,
    CheckedTopic,
    OffsetForLeaderEpochResponse,
)
from ottla.wire.errors import ErrorCode

from .conftest import assigned, metadata


def positions(policy: ResetPolicy = "earliest", *, is_read_committed: bool = True) -> Positions:
    return Positions(policy, is_read_committed=is_read_committed)


def listed(number: int, offset: int = 0, error_code: int = 0) -> ListOffsetsResponse:
    answer = ListedPartition(
        partition_index=number, error_code=error_code, offset=offset, leader_epoch=1
    )
    return ListOffsetsResponse(topics=[ListedTopic(name="t", partitions=[answer])])


def checked(number: int, end_offset: int, epoch: int = 2) -> OffsetForLeaderEpochResponse:
    answer = CheckedPartition(
        error_code=0, partition=number, leader_epoch=epoch, end_offset=end_offset
    )
    return OffsetForLeaderEpochResponse(topics=[CheckedTopic(topic="t", partitions=[answer])])


def is_empty(plan: Plan) -> bool:
    return plan == Plan(None, {}, {}, [])


def test_a_committed_offset_is_looked_up_once_and_read_from(cluster: ClusterView) -> None:
    core, partition = positions(), assigned(0, OFFSET_INVALID)
    plan = core.plan([partition], cluster, 0)
    assert plan.committed is not None
    assert plan.committed.current() == {("t", 0): partition}
    assert is_empty(core.plan([partition], cluster, 0))
    core.committed_found(partition, 42, 1)
    assert (partition.fetch_offset, partition.committed_offset) == (42, 42)
    # The offset was written under an older leader: the log may have been cut since.
    assert list(core.plan([partition], cluster, 0).validated) == [1]


@pytest.mark.parametrize(("policy", "timestamp"), [("earliest", -2), ("latest", -1)])
def test_without_a_committed_offset_the_policy_decides(
    cluster: ClusterView, policy: ResetPolicy, timestamp: int
) -> None:
    core, partition = positions(policy), assigned(2, OFFSET_INVALID)
    core.plan([partition], cluster, 0)
    core.committed_found(partition, OFFSET_INVALID, -1)
    ((leader, (asked, request)),) = core.plan([partition], cluster, 0).listed.items()
    assert leader == 2
    assert request.topics[0].partitions[0].timestamp == timestamp
    assert request.isolation_level == 1
    assert core.listed(asked, listed(2, 17), 0, 0.5) == []
    assert (partition.stage, partition.fetch_offset) == (Stage.FETCHED, 17)


def test_with_the_policy_error_the_application_hears_why(cluster: ClusterView) -> None:
    core, partition = positions("error"), assigned(0, OFFSET_INVALID)
    core.plan([partition], cluster, 0)
    core.committed_found(partition, OFFSET_INVALID, -1)
    (told,) = core.plan([partition], cluster, 0).errors
    assert told.error.code() == KafkaError._AUTO_OFFSET_RESET
    assert told.error.str() == "no previously committed offset available: Local: No offset stored"
    assert is_empty(core.plan([partition], cluster, 10_000))
    partition.begin_at(3)
    assert partition.stage is Stage.FETCHED


def test_a_seek_makes_answers_void(cluster: ClusterView) -> None:
    core, partition = positions(), assigned(0, OFFSET_BEGINNING)
    ((asked, _),) = core.plan([partition], cluster, 0).listed.values()
    partition.begin_at(7)
    core.listed(asked, listed(0, 99), 0, 0.5)
    assert partition.fetch_offset == 7


def test_a_leader_that_moved_is_asked_again_after_a_while(cluster: ClusterView) -> None:
    core, partition = positions(), assigned(0, OFFSET_BEGINNING)
    ((asked, _),) = core.plan([partition], cluster, 0).listed.values()
    answer = listed(0, error_code=ErrorCode.NOT_LEADER_OR_FOLLOWER)
    assert core.listed(asked, answer, 0, 0.5) == []
    assert core.needs_metadata
    assert is_empty(core.plan([partition], cluster, 99))
    assert core.next_deadline_ms([partition], 0) == 100
    assert core.plan([partition], cluster, 100).listed


def test_an_answer_that_leaves_a_partition_out_is_no_answer_for_it(cluster: ClusterView) -> None:
    core, partition = positions(), assigned(0, OFFSET_BEGINNING)
    ((asked, _),) = core.plan([partition], cluster, 0).listed.values()
    core.listed(asked, ListOffsetsResponse(topics=[]), 0, 0.5)
    assert core.plan([partition], cluster, 1000).listed


def test_what_a_retry_does_not_change_is_told_once(cluster: ClusterView) -> None:
    core, partition = positions(), assigned(0, OFFSET_BEGINNING)
    answer = listed(0, error_code=ErrorCode.TOPIC_AUTHORIZATION_FAILED)
    told = []
    for now_ms in (0, 10_000, 20_000):
        ((asked, _),) = core.plan([partition], cluster, now_ms).listed.values()
        told += core.listed(asked, answer, now_ms, 0.5)
    assert [each.error.code() for each in told] == [KafkaError.TOPIC_AUTHORIZATION_FAILED]


def reading(core: Positions, cluster: ClusterView, offset: int) -> AssignedPartition:
    """A partition that has fetched records of epoch 3 up to an offset; then epoch 4 begins."""
    partition = assigned(0)
    core.plan([partition], cluster, 0)
    partition.fetch_offset, partition.fetch_epoch = offset, 3
    cluster.update(metadata([2, 1, 2], epoch=4))
    return partition


def test_under_a_new_leader_the_position_is_validated(cluster: ClusterView) -> None:
    core = positions()
    partition = reading(core, cluster, 50)
    ((leader, (asked, request)),) = core.plan([partition], cluster, 0).validated.items()
    check = request.topics[0].partitions[0]
    assert (leader, check.leader_epoch, check.current_leader_epoch) == (2, 3, 4)
    assert core.checked(asked, checked(0, 60), 0, 0.5) == []
    assert (partition.stage, partition.fetch_offset) == (Stage.FETCHED, 50)
    assert is_empty(core.plan([partition], cluster, 0))


def test_a_truncated_log_is_read_on_from_where_both_agree(cluster: ClusterView) -> None:
    core = positions()
    partition = reading(core, cluster, 50)
    version = partition.version
    ((asked, _),) = core.plan([partition], cluster, 0).validated.values()
    assert core.checked(asked, checked(0, 30), 0, 0.5) == []
    assert (partition.stage, partition.fetch_offset) == (Stage.FETCHED, 30)
    assert partition.version != version  # what was fetched beyond is void


def test_a_truncated_log_is_an_error_with_the_policy_error(cluster: ClusterView) -> None:
    core = positions("error")
    partition = reading(core, cluster, 50)
    ((asked, _),) = core.plan([partition], cluster, 0).validated.values()
    core.checked(asked, checked(0, 30), 0, 0.5)
    (told,) = core.plan([partition], cluster, 0).errors
    assert told.error.code() == KafkaError._LOG_TRUNCATION


def test_a_leader_that_cannot_be_asked_is_trusted(cluster: ClusterView) -> None:
    core = positions()
    partition = reading(core, cluster, 50)
    ((asked, _),) = core.plan([partition], cluster, 0).validated.values()
    core.cannot_check(asked)
    assert partition.stage is Stage.FETCHED


def test_an_offset_of_the_leaders_own_epoch_needs_no_validation(cluster: ClusterView) -> None:
    core, partition = positions(), AssignedPartition(Start("t", 0, 5, leader_epoch=3))
    assert is_empty(core.plan([partition], cluster, 0))
    assert partition.stage is Stage.FETCHED


def test_without_a_leader_metadata_are_needed() -> None:
    core, partition = positions(), assigned(0, OFFSET_BEGINNING)
    assert is_empty(core.plan([partition], ClusterView(), 0))
    assert core.needs_metadata


def test_a_topic_made_anew_is_begun_anew(cluster: ClusterView) -> None:
    core, partition = positions(), assigned(0)
    core.plan([partition], cluster, 0)
    partition.fetch_offset, partition.committed = 50, Stored(40)
    cluster.update(metadata([2, 1, 2], epoch=0, topic_id=uuid.UUID(int=8)))
    ((leader, (_, request)),) = core.plan([partition], cluster, 0).listed.items()
    assert (leader, request.topics[0].partitions[0].timestamp) == (2, -2)
    assert core.has_voided
    assert partition.committed_offset == OFFSET_INVALID
