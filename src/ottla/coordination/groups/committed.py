"""The offsets that groups have committed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple
from uuid import UUID


class CommittedOffset(NamedTuple):
    """A group's position in one partition; ``topic_id`` is ``None`` where the log has none."""

    offset: int
    leader_epoch: int
    metadata: str
    commit_timestamp_ms: int
    expire_timestamp_ms: int | None
    topic_id: UUID | None


class OffsetStore:
    """The offsets of all groups of a shard: group → topic → partition."""

    __slots__ = ("_groups",)

    def __init__(self) -> None:
        self._groups: dict[str, dict[str, dict[int, CommittedOffset]]] = {}

    def put(self, group_id: str, topic: str, partition: int, committed: CommittedOffset) -> None:
        """Stores an offset (only `GroupShard.replay` does)."""
        self._groups.setdefault(group_id, {}).setdefault(topic, {})[partition] = committed

    def remove(self, group_id: str, topic: str, partition: int) -> None:
        """Forgets an offset, if it is there (only `GroupShard.replay` does)."""
        topics = self._groups.get(group_id, {})
        partitions = topics.get(topic, {})
        if partitions.pop(partition, None) is None:
            return
        if not partitions:
            del topics[topic]
        if not topics:
            del self._groups[group_id]

    def get(self, group_id: str, topic: str, partition: int) -> CommittedOffset | None:
        """The offset committed for a partition."""
        return self._groups.get(group_id, {}).get(topic, {}).get(partition)

    def of_group(self, group_id: str) -> dict[str, dict[int, CommittedOffset]]:
        """All offsets of a group: topic → partition. Not to be changed."""
        return self._groups.get(group_id, {})

    def positions(self, group_id: str) -> Iterator[tuple[str, int, CommittedOffset]]:
        """All offsets of a group, flat."""
        for topic, partitions in self.of_group(group_id).items():
            for partition, committed in partitions.items():
                yield topic, partition, committed

    def group_ids(self) -> list[str]:
        """The groups that have offsets."""
        return list(self._groups)
