"""ConsumerGroupDescribe: a consumer group as administrators see it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING
from uuid import UUID

from ottla.coordination.groups.consumer.group import ConsumerGroup
from ottla.coordination.groups.consumer.member import ConsumerMember
from ottla.metadata.image import ClusterImage
from ottla.wire.api.k69_consumer_group_describe import (
    AssignedTopic,
    DescribedAssignment,
    DescribedConsumer,
    DescribedConsumerGroup,
)
from ottla.wire.errors import ErrorCode

if TYPE_CHECKING:
    from ottla.coordination.groups.shard import GroupShard

_CLASSIC_MEMBER = 0
_CONSUMER_MEMBER = 1


def describe(shard: GroupShard, group_id: str) -> DescribedConsumerGroup:
    """One group."""
    group = shard.groups.get(group_id)
    if not isinstance(group, ConsumerGroup):
        return DescribedConsumerGroup(
            error_code=ErrorCode.GROUP_ID_NOT_FOUND,
            error_message=f"Consumer group {group_id[:1_000]} not found.",
            group_id=group_id,
            group_state="",
            group_epoch=0,
            assignment_epoch=0,
            assignor_name="",
            members=[],
        )
    return DescribedConsumerGroup(
        error_code=ErrorCode.NONE,
        group_id=group_id,
        group_state=group.state,
        group_epoch=group.epoch,
        assignment_epoch=group.target_epoch,
        assignor_name=group.preferred_assignor() or shard.settings.consumer_assignors[0],
        members=[_member(group, member, shard.image) for member in group.members.values()],
    )


def _member(group: ConsumerGroup, member: ConsumerMember, image: ClusterImage) -> DescribedConsumer:
    return DescribedConsumer(
        member_id=member.member_id,
        instance_id=member.instance_id,
        rack_id=member.rack_id,
        member_epoch=member.epoch,
        client_id=member.client_id,
        client_host=member.client_host,
        subscribed_topic_names=sorted(member.topics),
        subscribed_topic_regex=member.regex,
        assignment=_assignment(member.assigned, image),
        target_assignment=_assignment(group.target(member.member_id), image),
        member_type=_CONSUMER_MEMBER if member.classic is None else _CLASSIC_MEMBER,
    )


def _assignment(
    partitions: Mapping[UUID, Iterable[int]], image: ClusterImage
) -> DescribedAssignment:
    """Topics that are gone are left out: they have no name any more."""
    return DescribedAssignment(
        topic_partitions=[
            AssignedTopic(
                topic_id=topic_id,
                topic_name=image.topic_names[topic_id],
                partitions=sorted(indexes),
            )
            for topic_id, indexes in partitions.items()
            if topic_id in image.topic_names
        ]
    )
