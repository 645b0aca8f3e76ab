"""The ``simple`` assignor of share groups: every partition has a reader, every member reads.

Members may share partitions, so nothing is exclusive. With fewer members than partitions, each
partition has one reader and the members' loads differ by one at most; with more members, each
reads one partition and the crowds differ by one at most. Members keep what they have as far as
that goes. Where members subscribe to different topics, the rules hold as well as they can.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple
from uuid import UUID


class TopicPartitionId(NamedTuple):
    """A partition, by its topic's id."""

    topic_id: UUID
    partition: int


#: What each member reads.
Assignment = dict[str, set[TopicPartitionId]]


def assign(
    subscriptions: Mapping[str, Iterable[UUID]],
    partitions: Mapping[UUID, Iterable[int]],
    current: Mapping[str, Iterable[TopicPartitionId]],
) -> Assignment:
    """What each member shall read.

    Args:
        subscriptions: topics by member.
        partitions: those that can be assigned, by topic.
        current: what members read now.
    """
    wanted = {member: frozenset(topics) for member, topics in sorted(subscriptions.items())}
    assignable = [
        TopicPartitionId(topic_id, partition)
        for topic_id in sorted(partitions)
        if any(topic_id in topics for topics in wanted.values())
        for partition in sorted(partitions[topic_id])
    ]
    return _Assignment(wanted, assignable).made(current)


class _Assignment:
    """An assignment in the making."""

    def __init__(
        self, wanted: Mapping[str, frozenset[UUID]], assignable: list[TopicPartitionId]
    ) -> None:
        self._wanted = {
            member: topics
            for member, topics in wanted.items()
            if any(each.topic_id in topics for each in assignable)
        }
        self._assignable = assignable
        self._parts: Assignment = {member: set() for member in wanted}
        self._readers: dict[TopicPartitionId, int] = dict.fromkeys(assignable, 0)

    def made(self, current: Mapping[str, Iterable[TopicPartitionId]]) -> Assignment:
        if not self._wanted:
            return self._parts
        self._keep(current)
        for each in self._assignable:
            if not self._readers[each]:
                readers = (m for m, topics in self._wanted.items() if each.topic_id in topics)
                self._add(min(readers, key=lambda member: len(self._parts[member])), each)
        for member, topics in self._wanted.items():
            if not self._parts[member]:
                own = (each for each in self._assignable if each.topic_id in topics)
                self._add(member, min(own, key=self._readers.__getitem__))
        return self._parts

    def _keep(self, current: Mapping[str, Iterable[TopicPartitionId]]) -> None:
        """What members read already, up to an equal share of partitions and of readers."""
        member_count, partition_count = len(self._wanted), len(self._assignable)
        extra_partitions = partition_count % member_count
        extra_readers = member_count % partition_count
        for member, topics in self._wanted.items():
            for each in sorted(current.get(member, ())):
                if each.topic_id not in topics or each not in self._readers:
                    continue
                load, crowd = len(self._parts[member]), self._readers[each]
                # Who is beyond the even share takes one of the extras, while there are any.
                is_extra_load = load >= max(1, partition_count // member_count)
                is_extra_crowd = crowd >= max(1, member_count // partition_count)
                if is_extra_load and (member_count > partition_count or extra_partitions <= 0):
                    break
                if is_extra_crowd and (partition_count > member_count or extra_readers <= 0):
                    continue
                if (
                    load > partition_count // member_count
                    or crowd > member_count // partition_count
                ):
                    continue
                extra_partitions -= is_extra_load
                extra_readers -= is_extra_crowd
                self._add(member, each)

    def _add(self, member: str, each: TopicPartitionId) -> None:
        self._parts[member].add(each)
        self._readers[each] += 1
