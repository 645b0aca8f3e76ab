"""As many partitions for each member as for every other, moving as few as possible.

With equal subscriptions (homogeneous) nobody has more than one partition more than anybody else.
With different ones (heterogeneous) no partition could go to a subscriber that has two fewer than
its owner.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from uuid import UUID

from ottla.coordination.groups.assignors.specification import (
    Assignment,
    Specification,
)

_Partition = tuple[UUID, int]

_NONE_FREE = bytearray()


def assign(specification: Specification) -> Assignment:
    """See the package."""
    if not specification.members:
        return {}
    if specification.is_homogeneous:
        return _assign_homogeneous(specification)
    assignment: Assignment = {}
    for member_id, partitions in _Heterogeneous(specification).assign().items():
        topics: dict[UUID, list[int]] = {}
        for topic_id, partition in sorted(partitions):
            topics.setdefault(topic_id, []).append(partition)
        assignment[member_id] = topics
    return assignment


def _assign_homogeneous(specification: Specification) -> Assignment:
    counts = specification.partition_counts
    least, extra = divmod(sum(counts.values()), len(specification.members))
    free = {topic_id: bytearray(b"\1" * count) for topic_id, count in counts.items()}
    assignment: Assignment = {}
    sizes = []
    for member in specification.members:
        # One more than the least as long as there are such shares: what it has, it may keep.
        share, size = _keep(member.target, least + (extra > 0), free)
        extra -= size > least
        assignment[member.member_id] = share
        sizes.append(size)
    short = [
        (member.member_id, least - size)
        for member, size in zip(specification.members, sizes, strict=True)
        if size < least
    ]
    equal = (
        member.member_id
        for member, size in zip(specification.members, sizes, strict=True)
        if size <= least
    )
    if short or extra:
        left = _left(free)
        more: dict[str, list[_Partition]] = {
            member_id: list(islice(left, missing)) for member_id, missing in short
        }
        for member_id in islice(equal, extra):
            more.setdefault(member_id, []).extend(islice(left, 1))
        for member_id, partitions in more.items():
            assignment[member_id] = _with(assignment[member_id], partitions)
    return assignment


def _keep(
    target: Mapping[UUID, Sequence[int]], limit: int, free: dict[UUID, bytearray]
) -> tuple[Mapping[UUID, Sequence[int]], int]:
    """What a member may keep of its target, and how many partitions that are.

    All that still exists, is ``free`` (topic id → for each partition whether it is) and doesn't
    exceed the limit; the very target, when that is all of it.
    """
    kept: dict[UUID, Sequence[int]] = {}
    is_all = True
    size = 0
    for topic_id, partitions in target.items():
        is_free = free.get(topic_id, _NONE_FREE)
        mine = []
        for partition in partitions:
            if size < limit and 0 <= partition < len(is_free) and is_free[partition]:
                is_free[partition] = 0
                mine.append(partition)
                size += 1
        is_all = is_all and len(mine) == len(partitions)
        if mine:
            kept[topic_id] = sorted(mine)
    return (target if is_all else kept), size


def _with(
    share: Mapping[UUID, Sequence[int]], partitions: Iterable[_Partition]
) -> Mapping[UUID, Sequence[int]]:
    """A share and more."""
    topics = {topic_id: list(held) for topic_id, held in share.items()}
    for topic_id, partition in partitions:
        topics.setdefault(topic_id, []).append(partition)
    for held in topics.values():
        held.sort()
    return topics


def _left(free: dict[UUID, bytearray]) -> Iterator[_Partition]:
    """What nobody has, topics taking turns: so each member gets some of each."""
    for partition in range(max(map(len, free.values()), default=0)):
        for topic_id, is_free in free.items():
            if partition < len(is_free) and is_free[partition]:
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
            kept = {
                (topic_id, partition)
                for topic_id, partitions in member.target.items()
                if topic_id in member.topics
                for partition in partitions
                if partition < self._counts.get(topic_id, 0)
            }
            self._owned[member.member_id] = kept - taken
            taken |= kept
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
