"""What the leader of a classic group does: ask for topics, run the assignor, watch the topics."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ottla.client.core.cluster import ClusterView
from ottla.client.core.membership.assignors import ASSIGNORS
from ottla.client.core.membership.assignors.subscriptions import by_topic, read_member
from ottla.client.core.membership.assignors.values import Member, PartitionRacks
from ottla.wire.api.k03_metadata import MetadataRequest, MetadataResponse, TopicToDescribe
from ottla.wire.api.k11_join_group import JoinedMember
from ottla.wire.api.k14_sync_group import MemberAssignment
from ottla.wire.consumer_protocol import (
    ConsumerProtocolAssignment,
    ConsumerProtocolSubscription,
    decode_subscription,
    encode_assignment,
)
from ottla.wire.errors import Malformed, Truncated


class Leading:
    """One generation of the group, seen by its leader.

    Args:
        assignor: the name of the assignor that the members agreed on.
        members: as JoinGroup told of them.
    """

    def __init__(self, assignor: str, members: Iterable[JoinedMember]) -> None:
        self._assignor = assignor
        self.members = [_read(member, assignor) for member in members]
        self.topics = frozenset(topic for member in self.members for topic in member.topics)
        # How many partitions topics had when they were assigned, and when last looked at.
        self._assigned_counts: dict[str, int] = {}
        self._seen_counts: dict[str, int] = {}

    def question(self) -> MetadataRequest | None:
        """What has to be known before partitions can be assigned, None if nothing."""
        if not self.topics:
            return None
        topics = [TopicToDescribe(name=name) for name in sorted(self.topics)]
        return MetadataRequest(topics=topics, allow_auto_topic_creation=False)

    def assign(self, metadata: MetadataResponse | None) -> list[MemberAssignment]:
        """The assignments of all members, for SyncGroup."""
        topics = {} if metadata is None else _topics(metadata)
        self._assigned_counts = {
            name: len(partitions) for name, partitions in topics.items() if name in self.topics
        }
        known = {name: topics[name] for name in self._assigned_counts}
        assignment = ASSIGNORS[self._assignor](self.members, known)
        return [
            MemberAssignment(
                member_id=member_id,
                assignment=encode_assignment(
                    ConsumerProtocolAssignment(assigned_partitions=by_topic(partitions))
                ),
            )
            for member_id, partitions in assignment.items()
        ]

    def has_changed(self, cluster: ClusterView) -> bool:
        """Whether topics differ from what was assigned, so that the group has to rebalance.

        The view may be older than the answer that the assignment was made of: fewer partitions are
        news only if the view had more before.
        """
        changed = False
        for name in self.topics:
            topic = cluster.topics.get(name)
            if topic is None:
                continue
            count = len(topic.partitions)
            assigned = self._assigned_counts.get(name, 0)
            seen = self._seen_counts.get(name, count)
            changed |= count > assigned or (count != assigned and count != seen)
            self._seen_counts[name] = count
        return changed


def _read(joined: JoinedMember, assignor: str) -> Member:
    """A member as the assignor sees it; one whose words make no sense wants nothing."""
    try:
        subscription = decode_subscription(joined.metadata)
    except (Truncated, Malformed):
        subscription = ConsumerProtocolSubscription(topics=[])
    return read_member(joined.member_id, joined.group_instance_id, subscription, assignor)


def _topics(metadata: MetadataResponse) -> dict[str, PartitionRacks]:
    """The topics that have partitions, with the racks of the replicas."""
    racks = {broker.node_id: broker.rack for broker in metadata.brokers if broker.rack}
    topics: dict[str, PartitionRacks] = {}
    for topic in metadata.topics:
        numbers = {partition.partition_index for partition in topic.partitions}
        # Assignors count from 0 on: a gap is no partition that anybody could read.
        if topic.name is None or not numbers or numbers != set(range(len(numbers))):
            continue
        replicas: list[Sequence[int]] = [()] * len(numbers)
        for partition in topic.partitions:
            replicas[partition.partition_index] = partition.replica_nodes
        topics[topic.name] = [
            frozenset(racks[broker] for broker in brokers if broker in racks)
            for brokers in replicas
        ]
    return topics
