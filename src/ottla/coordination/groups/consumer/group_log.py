"""The records of consumer groups, made of values and read into values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from uuid import UUID

from ottla.coordination.groups.consumer.member import (
    ClassicProtocols,
    ConsumerMember,
    MemberState,
    Partitions,
)
from ottla.wire.group_records.consumer import (
    ClassicMemberMetadata,
    ClassicProtocol,
    ConsumerGroupCurrentMemberAssignmentKey,
    ConsumerGroupCurrentMemberAssignmentValue,
    ConsumerGroupMemberMetadataKey,
    ConsumerGroupMemberMetadataValue,
    ConsumerGroupMetadataKey,
    ConsumerGroupPartitionMetadataKey,
    ConsumerGroupRegularExpressionKey,
    ConsumerGroupTargetAssignmentMemberKey,
    ConsumerGroupTargetAssignmentMemberValue,
    ConsumerGroupTargetAssignmentMetadataKey,
    CurrentTopic,
    TargetTopic,
)

#: What the group shall give a member: topic id → partitions.
Target = Mapping[UUID, tuple[int, ...]]


def member_key(group_id: str, member_id: str) -> ConsumerGroupMemberMetadataKey:
    """The key of a member's subscription."""
    return ConsumerGroupMemberMetadataKey(group_id=group_id, member_id=member_id)


def member_value(member: ConsumerMember) -> ConsumerGroupMemberMetadataValue:
    """A member's subscription."""
    classic = member.classic
    return ConsumerGroupMemberMetadataValue(
        instance_id=member.instance_id,
        rack_id=member.rack_id,
        client_id=member.client_id,
        client_host=member.client_host,
        subscribed_topic_names=sorted(member.topics),
        subscribed_topic_regex=member.regex,
        rebalance_timeout_ms=member.rebalance_timeout_ms,
        server_assignor=member.server_assignor,
        classic_member_metadata=None
        if classic is None
        else ClassicMemberMetadata(
            session_timeout_ms=classic.session_timeout_ms,
            supported_protocols=[
                ClassicProtocol(name=name, metadata=metadata)
                for name, metadata in classic.protocols
            ],
        ),
    )


def with_subscription(
    member: ConsumerMember, value: ConsumerGroupMemberMetadataValue
) -> ConsumerMember:
    """The member with the subscription that the log has."""
    metadata = value.classic_member_metadata
    classic = None
    if metadata is not None:
        classic = ClassicProtocols(
            metadata.session_timeout_ms,
            tuple((each.name, bytes(each.metadata)) for each in metadata.supported_protocols),
        )
    return member._replace(
        instance_id=value.instance_id,
        rack_id=value.rack_id,
        client_id=value.client_id,
        client_host=value.client_host,
        rebalance_timeout_ms=value.rebalance_timeout_ms,
        topics=frozenset(value.subscribed_topic_names),
        regex=value.subscribed_topic_regex or "",
        server_assignor=value.server_assignor,
        classic=classic,
    )


def current_key(group_id: str, member_id: str) -> ConsumerGroupCurrentMemberAssignmentKey:
    """The key of what a member owns."""
    return ConsumerGroupCurrentMemberAssignmentKey(group_id=group_id, member_id=member_id)


def current_value(member: ConsumerMember) -> ConsumerGroupCurrentMemberAssignmentValue:
    """What a member owns and is giving up."""
    return ConsumerGroupCurrentMemberAssignmentValue(
        member_epoch=member.epoch,
        previous_member_epoch=member.previous_epoch,
        state=member.state,
        assigned_partitions=_topics(member.assigned),
        partitions_pending_revocation=_topics(member.revoking),
    )


def with_assignment(
    member: ConsumerMember, value: ConsumerGroupCurrentMemberAssignmentValue
) -> ConsumerMember:
    """The member with the assignment that the log has."""
    return member._replace(
        epoch=value.member_epoch,
        previous_epoch=value.previous_member_epoch,
        state=MemberState.of(value.state),
        assigned=_partitions(value.assigned_partitions, value.member_epoch),
        revoking=_partitions(value.partitions_pending_revocation, value.member_epoch),
    )


def _topics(partitions: Partitions) -> list[CurrentTopic]:
    return [
        CurrentTopic(
            topic_id=topic_id,
            partitions=list(indexes),
            assignment_epochs=list(indexes.values()),
        )
        for topic_id, indexes in partitions.items()
    ]


def _partitions(topics: Iterable[CurrentTopic], member_epoch: int) -> Partitions:
    """Kafka before 4.3 didn't write assignment epochs: the member's own stands in for them."""
    found: dict[UUID, dict[int, int]] = {}
    for topic in topics:
        epochs = topic.assignment_epochs or ()
        if len(epochs) != len(topic.partitions):
            epochs = [member_epoch] * len(topic.partitions)
        found[topic.topic_id] = dict(zip(topic.partitions, epochs, strict=True))
    return found


def target_key(group_id: str, member_id: str) -> ConsumerGroupTargetAssignmentMemberKey:
    """The key of what a member shall own."""
    return ConsumerGroupTargetAssignmentMemberKey(group_id=group_id, member_id=member_id)


def target_value(target: Target) -> ConsumerGroupTargetAssignmentMemberValue:
    """What a member shall own."""
    return ConsumerGroupTargetAssignmentMemberValue(
        topic_partitions=[
            TargetTopic(topic_id=topic_id, partitions=list(partitions))
            for topic_id, partitions in target.items()
            if partitions
        ]
    )


def read_target(value: ConsumerGroupTargetAssignmentMemberValue) -> Target:
    """What the log says a member shall own."""
    return {topic.topic_id: tuple(topic.partitions) for topic in value.topic_partitions}


def target_metadata_key(group_id: str) -> ConsumerGroupTargetAssignmentMetadataKey:
    """The key of the assignment as a whole."""
    return ConsumerGroupTargetAssignmentMetadataKey(group_id=group_id)


def group_key(group_id: str) -> ConsumerGroupMetadataKey:
    """The key of the group."""
    return ConsumerGroupMetadataKey(group_id=group_id)


def partition_metadata_key(group_id: str) -> ConsumerGroupPartitionMetadataKey:
    """The key under which Kafka 4.0 kept the group's topics."""
    return ConsumerGroupPartitionMetadataKey(group_id=group_id)


def regex_key(group_id: str, regex: str) -> ConsumerGroupRegularExpressionKey:
    """The key of what a regular expression matched."""
    return ConsumerGroupRegularExpressionKey(group_id=group_id, regular_expression=regex)
