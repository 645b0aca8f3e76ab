"""What is asked of share groups, and done to them (KIP-932)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ottla.cli.kafka.cluster import Cluster
from ottla.cli.kafka.errors import KafkaFailure, check
from ottla.cli.kafka.group_queries import SHARE, GroupView, MemberView, coordinator_of
from ottla.cli.kafka.partition_offsets import Partition
from ottla.wire.api.k77_share_group_describe import ShareGroupDescribeRequest
from ottla.wire.api.k90_describe_share_group_offsets import (
    DescribeShareGroupOffsetsRequest,
    ShareGroupToLookUp,
)
from ottla.wire.api.k91_alter_share_group_offsets import (
    AlterShareGroupOffsetsRequest,
    PartitionToReset,
    TopicToReset,
)
from ottla.wire.api.k92_delete_share_group_offsets import (
    DeleteShareGroupOffsetsRequest,
    TopicToForget,
)


class ShareOffset(NamedTuple):
    """Where a share group begins to read a partition; None where that isn't known."""

    start_offset: int | None
    leader_epoch: int | None
    lag: int | None


async def describe_share_group(cluster: Cluster, group_id: str) -> GroupView:
    """A share group and its members; raises ``KafkaFailure``."""
    coordinator = await coordinator_of(cluster, group_id)
    request = ShareGroupDescribeRequest(group_ids=[group_id], include_authorized_operations=False)
    answer = await cluster.ask_coordinator(
        group_id, request, lambda answered: answered.groups[0].error_code
    )
    [group] = answer.groups
    check(group.error_code, group.error_message)
    members = [
        MemberView(
            each.member_id,
            None,
            each.client_id,
            each.client_host,
            [
                (topic.topic_name, index)
                for topic in each.assignment.topic_partitions
                for index in topic.partitions
            ],
            each.member_epoch,
        )
        for each in group.members
    ]
    return GroupView(
        group_id,
        SHARE,
        group.group_state,
        group.assignor_name,
        coordinator,
        members,
        group.group_epoch,
        group.assignment_epoch,
    )


async def share_offsets(cluster: Cluster, group_id: str) -> dict[Partition, ShareOffset]:
    """Where a share group begins to read; raises ``KafkaFailure``."""
    request = DescribeShareGroupOffsetsRequest(
        groups=[ShareGroupToLookUp(group_id=group_id, topics=None)]
    )
    answer = await cluster.ask_coordinator(
        group_id, request, lambda answered: answered.groups[0].error_code
    )
    [group] = answer.groups
    check(group.error_code, group.error_message)

    def known(number: int) -> int | None:
        return number if number >= 0 else None

    return {
        (topic.topic_name, each.partition_index): ShareOffset(
            known(each.start_offset),
            known(each.leader_epoch),
            known(each.lag),
        )
        for topic in group.topics
        for each in topic.partitions
        if each.error_code == 0
    }


async def alter_share_offsets(
    cluster: Cluster, group_id: str, offsets: Mapping[Partition, int]
) -> None:
    """Let a share group without members begin elsewhere; raises ``KafkaFailure``."""
    topics: dict[str, list[PartitionToReset]] = defaultdict(list)
    for (topic, index), offset in offsets.items():
        topics[topic].append(PartitionToReset(partition_index=index, start_offset=offset))
    request = AlterShareGroupOffsetsRequest(
        group_id=group_id,
        topics=[TopicToReset(topic_name=name, partitions=each) for name, each in topics.items()],
    )
    answer = await cluster.ask_coordinator(group_id, request, lambda answered: answered.error_code)
    check(answer.error_code, answer.error_message)
    for topic in answer.responses:
        for each in topic.partitions:
            check(each.error_code, each.error_message)


async def delete_share_offsets(
    cluster: Cluster, group_id: str, topics: Sequence[str]
) -> dict[str, KafkaFailure | None]:
    """Forget where a share group was in topics; raises ``KafkaFailure`` for the group itself."""
    request = DeleteShareGroupOffsetsRequest(
        group_id=group_id, topics=[TopicToForget(topic_name=name) for name in topics]
    )
    answer = await cluster.ask_coordinator(group_id, request, lambda answered: answered.error_code)
    check(answer.error_code, answer.error_message)
    return {
        each.topic_name: KafkaFailure(each.error_code, each.error_message)
        if each.error_code
        else None
        for each in answer.responses
    }
