"""As many partitions for each member as for every other, moving as few as possible.

With equal subscriptions (homogeneous) nobody has more than one partition more than anybody else.
With different ones (heterogeneous) no partition could go to a subscriber that has two fewer than
its owner.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from uuid import UUID

from ottla.coordination.groups.assignors.specification import (
    Assignment,
    AssignorMember,
    Specification,
)

_Partition = tuple[UUID, int]


def assign(specification: Specification) -> Assignment:
    """See the package."""
    if not specification.members:
        return {}
    if specification.is_homogeneous:
        owned = _assign_homogeneous(specification)
    else:
        owned = _Heterogeneous(specification).assign()
    assignment: Assignment = {}
    for member_id, partitions in owned.items():
        topics: dict[UUID, list[int]] = {}
        for topic_id, partition in sorted(partitions):
            topics.setdefault(topic_id, []).append(partition)
        assignment[member_id] = topics
    return assignment


def _assign_homogeneous(specification: Specification) -> dict[str, list[_Partition]]:
    counts = specification.partition_counts
    least, extra = divmod(sum(counts.values()), len(specification.members))
    taken: set[_Partition] = set()
    owned: dict[str, list[_Partition]] = {}
    for member in specification.members:
        # One more than the least as long as there are such shares: what it has, it may keep.
        limit = least + (extra > 0)
        kept = _keep(member, counts, taken, limit)
        extra -= len(kept) > least
        owned[member.member_id] = kept
        taken.update(kept)
    free = iter(_free(counts, taken))
    for partitions in owned.values():
        wanted = least - len(partitions)
        for _ in range(wanted):
            partitions.append(next(free))
    for partitions in owned.values():
        if extra and len(partitions) == least:
            partitions.append(next(free))
            extra -= 1
    return owned


def _keep(
    member: AssignorMember, counts: dict[UUID, int], taken: set[_Partition], limit: int
) -> list[_Partition]:
    """What the member has already, as far as it still exists and the limit goes."""
    kept: list[_Partition] = []
    for topic_id, partitions in member.target.items():
        count = counts.get(topic_id, 0) if topic_id in member.topics else 0
        for partition in partitions:
            if len(kept) == limit:
                return kept
            if partition < count and (topic_id, partition) not in taken:
                kept.append((topic_id, partition))
    return kept


def _free(counts: dict[UUID, int], taken: set[_Partition]) -> Iterable[_Partition]:
    """What nobody has, topics taking turns: so each member gets some of each."""
    for partition in range(max(counts.values(), default=0)):
        for topic_id, count in counts.items():
            if partition < count and (topic_id, partition) not in taken:
                yield topic_id, partition


class _Heterogeneous:
    """The assignment of members with different subscriptions while it is being made."""

    def __init__(self, specification: Specification) -> None:
        self._counts = specification.partition_counts
        self._members = specification.members
        self._owned: dict[str, set[_Partition]] = {}
        self._subscribers: dict[UUID, list[str]] = {topic_id: [] for topic_id in self._counts}
        for member in self._members:
            for topic_id in member.topics:
                if topic_id in self._subscribers:
                    self._subscribers[topic_id].append(member.member_id)

    def assign(self) -> dict[str, list[_Partition]]:
        taken: set[_Partition] = set()
        for member in self._members:
            kept = _keep(member, self._counts, taken, limit=sum(self._counts.values()))
            self._owned[member.member_id] = set(kept)
            taken.update(kept)
        # Topics with few subscribers first: their partitions have the least choice.
        for topic_id in sorted(self._counts, key=lambda each: len(self._subscribers[each])):
            self._give_out(
                topic_id,
                [
                    partition
                    for partition in range(self._counts[topic_id])
                    if (topic_id, partition) not in taken
                ],
            )
        # A move from a member with two more makes the sum of squares smaller, so this ends.
        is_balanced = False
        while not is_balanced:
            moves = [self._balance(topic_id) for topic_id in self._counts]
            is_balanced = not any(moves)
        return {member_id: list(partitions) for member_id, partitions in self._owned.items()}

    def _give_out(self, topic_id: UUID, partitions: list[int]) -> None:
        loads = [(len(self._owned[each]), each) for each in self._subscribers[topic_id]]
        heapq.heapify(loads)
        for partition in partitions:
            if not loads:
                return
            load, member_id = loads[0]
            self._owned[member_id].add((topic_id, partition))
            heapq.heapreplace(loads, (load + 1, member_id))

    def _balance(self, topic_id: UUID) -> bool:
        """Moves the topic's partitions from its fullest to its emptiest subscribers."""
        subscribers = self._subscribers[topic_id]
        if len(subscribers) < 2:
            return False
        owners: dict[str, list[_Partition]] = {
            member_id: sorted(each for each in self._owned[member_id] if each[0] == topic_id)
            for member_id in subscribers
        }
        loads = {member_id: len(self._owned[member_id]) for member_id in subscribers}
        has_moved = False
        while True:
            emptiest = min(subscribers, key=loads.__getitem__)
            fullest = max((each for each in subscribers if owners[each]), key=loads.__getitem__)
            if loads[fullest] - loads[emptiest] < 2:
                return has_moved
            partition = owners[fullest].pop()
            owners[emptiest].append(partition)
            self._owned[fullest].remove(partition)
            self._owned[emptiest].add(partition)
            loads[fullest] -= 1
            loads[emptiest] += 1
            has_moved = True
