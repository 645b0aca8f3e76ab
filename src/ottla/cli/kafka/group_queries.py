"""Questions about groups that several tools ask, and what is done to groups."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ottla.cli.kafka.cluster import Cluster, KeyType, in_order
from ottla.cli.kafka.errors import KafkaFailure, check
from ottla.cli.kafka.partition_offsets import Partition
from ottla.cli.kafka.topic_queries import metadata
from ottla.wire.errors import ErrorCode

CLASSIC, CONSUMER, SHARE, STREAMS = "Classic", "Consumer", "Share", "Streams"
_TYPES = {name.lower(): name for name in (CLASSIC, CONSUMER, SHARE, STREAMS)}


class GroupListing(NamedTuple):
    """A group as brokers list it; ``state`` and ``type`` are empty where they don't tell."""

    group_id: str
    protocol_type: str
    state: str
    type: str

    @property
    def is_consumer_group(self) -> bool:
        """Whether its members consume in the classic or the consumer protocol."""
        if self.type in ("", CLASSIC):
            return self.protocol_type in ("", "consumer")
        return self.type == CONSUMER


class MemberView(NamedTuple):
    """A member; epochs and target are None in groups that have none."""

    member_id: str
    instance_id: str | None
    client_id: str
    host: str
    assigned: Sequence[Partition]
    epoch: int | None = None
    target: Sequence[Partition] | None = None
    is_upgraded: bool | None = None


class GroupView(NamedTuple):
    """A group; its epochs are None where it has none."""

    group_id: str
    type: str
    state: str
    assignor: str
    coordinator: tuple[int, str, int]
    members: Sequence[MemberView]
    epoch: int | None = None
    target_epoch: int | None = None


async def list_groups(
    cluster: Cluster, states: Collection[str] = (), types: Collection[str] = ()
) -> list[GroupListing]:
    """The groups of all brokers."""
    from ottla.wire.api.k16_list_groups import ListGroupsRequest

    request = ListGroupsRequest(states_filter=list(states), types_filter=list(types))
    at_least = 5 if types else 4 if states else 0
    brokers = (await metadata(cluster, only_brokers=True)).brokers
    answers = await in_order(
        _ask_until_loaded(cluster, broker.node_id, request, at_least) for broker in brokers
    )
    return [
        GroupListing(
            each.group_id,
            each.protocol_type,
            each.group_state,
            _TYPES.get(each.group_type.lower(), ""),
        )
        for answer in answers
        for each in answer.groups
    ]


async def _ask_until_loaded(cluster: Cluster, broker_id: int, request: Any, at_least: int) -> Any:
    deadline = cluster.engine.now_ms() + cluster.timeout_ms
    while True:
        answer = await cluster.ask(request, broker_id, at_least=at_least)
        loading = answer.error_code in (
            ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
            ErrorCode.COORDINATOR_NOT_AVAILABLE,
        )
        if not loading or cluster.engine.now_ms() > deadline:
            check(answer.error_code)
            return answer
        await cluster.pause()


async def coordinator_of(
    cluster: Cluster, key: str, key_type: KeyType = KeyType.GROUP
) -> tuple[int, str, int]:
    """The id, host and port of the coordinator of a group or a transactional id."""
    from ottla.wire.api.k10_find_coordinator import FindCoordinatorRequest

    deadline = cluster.engine.now_ms() + cluster.timeout_ms
    while True:
        request = FindCoordinatorRequest(key=key, key_type=key_type)
        found = await cluster.ask(request, at_most=3)
        if found.error_code != ErrorCode.COORDINATOR_NOT_AVAILABLE:
            check(found.error_code, found.error_message)
            return found.node_id, found.host, found.port
        if cluster.engine.now_ms() > deadline:
            raise KafkaFailure(found.error_code)
        # It comes into being with the first question for it.
        await cluster.pause()


async def describe_group(cluster: Cluster, group_id: str) -> GroupView:
    """A consumer group of either protocol.

    Raises:
        KafkaFailure: there is no such group.
    """
    from ottla.wire.api.k69_consumer_group_describe import ConsumerGroupDescribeRequest

    coordinator = await coordinator_of(cluster, group_id)
    request = ConsumerGroupDescribeRequest(
        group_ids=[group_id], include_authorized_operations=False
    )
    try:
        answer = await cluster.ask_coordinator(
            group_id, request, lambda answered: answered.groups[0].error_code
        )
    except KafkaFailure as failure:
        if failure.code != ErrorCode.UNSUPPORTED_VERSION:
            raise
        return await describe_classic_group(cluster, group_id, coordinator)
    group = answer.groups[0]
    if group.error_code in (ErrorCode.GROUP_ID_NOT_FOUND, ErrorCode.UNSUPPORTED_VERSION):
        return await describe_classic_group(cluster, group_id, coordinator)
    check(group.error_code, group.error_message)
    members = [
        MemberView(
            each.member_id,
            each.instance_id,
            each.client_id,
            each.client_host,
            _partitions(each.assignment),
            each.member_epoch,
            _partitions(each.target_assignment),
            None if each.member_type < 0 else each.member_type == 1,
        )
        for each in group.members
    ]
    return GroupView(
        group_id,
        CONSUMER,
        group.group_state,
        group.assignor_name,
        coordinator,
        members,
        group.group_epoch,
        group.assignment_epoch,
    )


def _partitions(assignment: Any) -> list[Partition]:
    return [
        (topic.topic_name, index)
        for topic in assignment.topic_partitions
        for index in topic.partitions
    ]


async def describe_classic_group(
    cluster: Cluster, group_id: str, coordinator: tuple[int, str, int]
) -> GroupView:
    """A group of the classic protocol, whatever its members do there.

    Raises:
        KafkaFailure: there is no such group (brokers before Kafka 4 call it dead instead).
    """
    from ottla.wire.api.k15_describe_groups import DescribeGroupsRequest

    answer = await cluster.ask_coordinator(
        group_id,
        DescribeGroupsRequest(groups=[group_id]),
        lambda answered: answered.groups[0].error_code,
    )
    [group] = answer.groups
    check(group.error_code, group.error_message)
    consumes = group.protocol_type in ("", "consumer")
    members = [
        MemberView(
            each.member_id,
            each.group_instance_id,
            each.client_id,
            each.client_host,
            _assigned(each.member_assignment) if consumes else (),
        )
        for each in group.members
    ]
    return GroupView(
        group_id, CLASSIC, group.group_state, group.protocol_data, coordinator, members
    )


def _assigned(data: bytes) -> list[Partition]:
    from ottla.wire.consumer_protocol import decode_assignment

    if not data:
        return []
    assignment = decode_assignment(data)
    return [
        (each.topic, index) for each in assignment.assigned_partitions for index in each.partitions
    ]


class Committed(NamedTuple):
    """An offset that a group has committed."""

    offset: int
    leader_epoch: int
    metadata: str


async def committed_offsets(cluster: Cluster, group_id: str) -> dict[Partition, Committed]:
    """All offsets a group has committed."""
    from ottla.wire.api.k09_offset_fetch import GroupToLookUp, OffsetFetchRequest

    request = OffsetFetchRequest(groups=[GroupToLookUp(group_id=group_id, topics=None)])
    try:
        answer = await cluster.ask_coordinator(
            group_id,
            request,
            lambda answered: answered.groups[0].error_code,
            at_least=8,
            at_most=9,
        )
        [found] = answer.groups
    except KafkaFailure as failure:
        if failure.code != ErrorCode.UNSUPPORTED_VERSION:
            raise
        request = OffsetFetchRequest(group_id=group_id, topics=None)
        found = await cluster.ask_coordinator(
            group_id, request, lambda answered: answered.error_code, at_least=2, at_most=7
        )
    check(found.error_code)
    return {
        (topic.name, each.partition_index): Committed(
            each.committed_offset, each.committed_leader_epoch, each.metadata or ""
        )
        for topic in found.topics
        for each in topic.partitions
        if each.committed_offset >= 0
    }


async def commit_offsets(cluster: Cluster, group_id: str, offsets: Mapping[Partition, int]) -> None:
    """Commit offsets for a group without members.

    Raises:
        KafkaFailure: the first partition's that was refused.
    """
    from ottla.wire.api.k08_offset_commit import (
        OffsetCommitRequest,
        PartitionToCommit,
        TopicToCommit,
    )

    topics: dict[str, list[PartitionToCommit]] = defaultdict(list)
    for (topic, index), offset in offsets.items():
        topics[topic].append(
            PartitionToCommit(partition_index=index, committed_offset=offset, committed_metadata="")
        )
    request = OffsetCommitRequest(
        group_id=group_id,
        topics=[TopicToCommit(name=name, partitions=asked) for name, asked in topics.items()],
    )
    answer = await cluster.ask_coordinator(group_id, request, _first_error, at_most=9)
    check(_first_error(answer))


def _first_error(answer: Any) -> int:
    codes = (each.error_code for topic in answer.topics for each in topic.partitions)
    return next((code for code in codes if code), 0)


async def delete_offsets(
    cluster: Cluster, group_id: str, partitions: Iterable[Partition]
) -> dict[Partition, KafkaFailure | None]:
    """Forget committed offsets of partitions that no member is subscribed to.

    Raises:
        KafkaFailure: the group can't be changed at all.
    """
    from ottla.wire.api.k47_offset_delete import (
        OffsetDeleteRequest,
        PartitionToForget,
        TopicToForget,
    )

    topics: dict[str, list[PartitionToForget]] = defaultdict(list)
    for topic, index in partitions:
        topics[topic].append(PartitionToForget(partition_index=index))
    request = OffsetDeleteRequest(
        group_id=group_id,
        topics=[TopicToForget(name=name, partitions=asked) for name, asked in topics.items()],
    )
    answer = await cluster.ask_coordinator(group_id, request, lambda answered: answered.error_code)
    check(answer.error_code)
    return {
        (topic.name, each.partition_index): KafkaFailure(each.error_code)
        if each.error_code
        else None
        for topic in answer.topics
        for each in topic.partitions
    }


async def delete_group(cluster: Cluster, group_id: str) -> None:
    """Delete a group without members; raises ``KafkaFailure`` if that can't be."""
    from ottla.wire.api.k42_delete_groups import DeleteGroupsRequest

    answer = await cluster.ask_coordinator(
        group_id,
        DeleteGroupsRequest(groups_names=[group_id]),
        lambda answered: answered.results[0].error_code,
    )
    check(answer.results[0].error_code)
