"""Share groups: described, moved to other offsets, made to forget topics (KIP-932)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from ottla.client.admin.share_groups import (
    ShareGroupDescription,
    ShareMemberDescription,
    SharePartitionOffset,
)
from ottla.client.core.admin.call import Call, Operation, Outcomes, ask_all, ask_one
from ottla.client.core.admin.checks import flag
from ottla.client.core.admin.offsets import by_topic
from ottla.client.core.admin.outcomes import error_of, operations, outcome, raise_for
from ottla.client.core.admin.routes import Coordinators
from ottla.client.errors import KafkaError
from ottla.client.values import Node, TopicPartition
from ottla.wire.api.k77_share_group_describe import (
    DescribedShareGroup,
    DescribedShareMember,
    ShareGroupDescribeRequest,
    ShareGroupDescribeResponse,
)
from ottla.wire.api.k90_describe_share_group_offsets import (
    DescribeShareGroupOffsetsRequest,
    DescribeShareGroupOffsetsResponse,
    FoundPartition,
    FoundShareGroup,
    ShareGroupToLookUp,
    TopicToLookUp,
)
from ottla.wire.api.k91_alter_share_group_offsets import (
    AlterShareGroupOffsetsRequest,
    AlterShareGroupOffsetsResponse,
    PartitionToReset,
    TopicToReset,
)
from ottla.wire.api.k92_delete_share_group_offsets import (
    DeleteShareGroupOffsetsRequest,
    DeleteShareGroupOffsetsResponse,
    TopicToForget,
)

ShareOffsets = dict[TopicPartition, SharePartitionOffset]


def describe_share_groups(
    group_ids: Collection[str], *, include_authorized_operations: bool
) -> Operation[Outcomes[str, ShareGroupDescription]]:
    """Describe share groups."""
    flag(include_authorized_operations, "include_authorized_operations")
    route = Coordinators()

    def request(keys: Sequence[str]) -> ShareGroupDescribeRequest:
        return ShareGroupDescribeRequest(
            group_ids=list(keys), include_authorized_operations=include_authorized_operations
        )

    def read(
        answer: ShareGroupDescribeResponse, _: Sequence[str]
    ) -> Iterable[tuple[str, ShareGroupDescription | KafkaError]]:
        for group in answer.groups:
            error = error_of(group.error_code, group.error_message)
            yield group.group_id, error or _description(group, route.node(group.group_id))

    return ask_all(Call(group_ids, route, request, ShareGroupDescribeResponse, read))


def _description(group: DescribedShareGroup, coordinator: Node) -> ShareGroupDescription:
    return ShareGroupDescription(
        group.group_id,
        group.group_state,
        [_member(member) for member in group.members],
        group.assignor_name,
        group.group_epoch,
        group.assignment_epoch,
        coordinator,
        operations(group.authorized_operations),
    )


def _member(member: DescribedShareMember) -> ShareMemberDescription:
    return ShareMemberDescription(
        member.member_id,
        member.client_id,
        member.client_host,
        member.rack_id,
        member.member_epoch,
        list(member.subscribed_topic_names),
        [
            TopicPartition(topic.topic_name, number)
            for topic in member.assignment.topic_partitions
            for number in topic.partitions
        ],
    )


def list_share_group_offsets(
    wanted: Mapping[str, Collection[TopicPartition] | None],
) -> Operation[Outcomes[str, ShareOffsets]]:
    """Where share groups are, in some partitions or all that they have begun with (None)."""

    def request(keys: Sequence[str]) -> DescribeShareGroupOffsetsRequest:
        return DescribeShareGroupOffsetsRequest(groups=[_to_look_up(k, wanted[k]) for k in keys])

    def read(
        answer: DescribeShareGroupOffsetsResponse, _: Sequence[str]
    ) -> Iterable[tuple[str, ShareOffsets | KafkaError]]:
        for group in answer.groups:
            error = error_of(group.error_code, group.error_message)
            yield group.group_id, error or _offsets(group)

    return ask_all(Call(wanted, Coordinators(), request, DescribeShareGroupOffsetsResponse, read))


def _to_look_up(group_id: str, partitions: Collection[TopicPartition] | None) -> ShareGroupToLookUp:
    topics = None
    if partitions is not None:
        numbers = by_topic(partitions, lambda partition: partition.partition)
        topics = [TopicToLookUp(topic_name=t, partitions=n) for t, n in numbers.items()]
    return ShareGroupToLookUp(group_id=group_id, topics=topics)


def _offsets(group: FoundShareGroup) -> ShareOffsets:
    return {
        TopicPartition(topic.topic_name, found.partition_index): _offset(found)
        for topic in group.topics
        for found in topic.partitions
    }


def _offset(found: FoundPartition) -> SharePartitionOffset:
    return SharePartitionOffset(
        None if found.start_offset < 0 else found.start_offset,
        None if found.leader_epoch < 0 else found.leader_epoch,
        None if found.lag < 0 else found.lag,
        error_of(found.error_code, found.error_message),
    )


def alter_share_group_offsets(
    group_id: str, offsets: Mapping[TopicPartition, int]
) -> Operation[Outcomes[TopicPartition, None]]:
    """Move a share group that has no members to other offsets."""

    def to_reset(partition: TopicPartition) -> PartitionToReset:
        return PartitionToReset(
            partition_index=partition.partition, start_offset=offsets[partition]
        )

    def request(_: Sequence[str]) -> AlterShareGroupOffsetsRequest:
        topics = by_topic(offsets, to_reset)
        return AlterShareGroupOffsetsRequest(
            group_id=group_id,
            topics=[TopicToReset(topic_name=t, partitions=p) for t, p in topics.items()],
        )

    def read(
        answer: AlterShareGroupOffsetsResponse, keys: Sequence[str]
    ) -> Iterable[tuple[str, Outcomes[TopicPartition, None] | KafkaError]]:
        raise_for(answer.error_code, answer.error_message)
        reset: Outcomes[TopicPartition, None] = {
            TopicPartition(topic.topic_name, found.partition_index): outcome(
                found.error_code, found.error_message, None
            )
            for topic in answer.responses
            for found in topic.partitions
        }
        yield keys[0], {partition: reset.get(partition) for partition in offsets}

    return ask_one(Call([group_id], Coordinators(), request, AlterShareGroupOffsetsResponse, read))


def delete_share_group_offsets(
    group_id: str, topics: Collection[str]
) -> Operation[Outcomes[str, None]]:
    """Make a share group that has no members forget topics."""

    def request(_: Sequence[str]) -> DeleteShareGroupOffsetsRequest:
        return DeleteShareGroupOffsetsRequest(
            group_id=group_id, topics=[TopicToForget(topic_name=topic) for topic in topics]
        )

    def read(
        answer: DeleteShareGroupOffsetsResponse, keys: Sequence[str]
    ) -> Iterable[tuple[str, Outcomes[str, None] | KafkaError]]:
        raise_for(answer.error_code, answer.error_message)
        forgotten: Outcomes[str, None] = {
            found.topic_name: outcome(found.error_code, found.error_message, None)
            for found in answer.responses
        }
        yield keys[0], {topic: forgotten.get(topic) for topic in topics}

    return ask_one(Call([group_id], Coordinators(), request, DeleteShareGroupOffsetsResponse, read))
