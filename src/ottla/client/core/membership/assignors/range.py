"""Range: every topic is cut into one run of partitions per member.

Topics with the same members and the same number of partitions are cut alike, so that what belongs
together by key meets in one member. Where racks are known (KIP-881), partitions go first to members
in a rack of one of their replicas, as far as that keeps the shares equal and the cuts alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ottla.client.core.membership.assignors.values import (
    Assignment,
    Member,
    PartitionRacks,
    Topics,
    in_order,
    racks_matter,
)


class _TopicShares:
    """One topic while it is cut: what is left, and how much each member may still get."""

    def __init__(self, topic: str, racks: PartitionRacks, members: list[Member]) -> None:
        self.topic = topic
        self.members = members
        self.racks = racks
        self.left = list(range(len(racks)))
        self.is_by_rack = racks_matter(members, racks)
        self._counts = {member.member_id: 0 for member in members}
        self._share, self._extras = divmod(len(racks), len(members))

    def room(self, member: Member) -> int:
        """How many more partitions the member may get."""
        share = self._share + (1 if self._extras > 0 else 0)
        return max(0, share - self._counts[member.member_id])

    def matches(self, member: Member, number: int) -> bool:
        """Whether the partition has a replica in the member's rack, or the member has none."""
        return not member.rack or member.rack in self.racks[number]

    def give(self, member: Member, numbers: Iterable[int], assignment: Assignment) -> None:
        """Hand partitions to a member that has room for them."""
        given = list(numbers)
        if not given:
            return
        assignment[member.member_id] += [(self.topic, number) for number in given]
        self._counts[member.member_id] += len(given)
        if self._counts[member.member_id] > self._share:
            self._extras -= 1
        taken = set(given)
        self.left = [number for number in self.left if number not in taken]


def assign_ranges(members: Sequence[Member], topics: Topics) -> Assignment:
    """Cut every topic into runs, the first members getting one more where it does not divide."""
    ordered = in_order(members)
    shares = [
        _TopicShares(topic, racks, subscribers)
        for topic, racks in sorted(topics.items())
        if racks and (subscribers := [member for member in ordered if topic in member.topics])
    ]
    assignment: Assignment = {member.member_id: [] for member in members}
    is_by_rack = any(topic.is_by_rack for topic in shares)
    if is_by_rack:
        _assign_by_rack(shares, assignment)
    for topic in shares:
        _cut(topic, lambda member, number: True, assignment)
    if is_by_rack:
        for partitions in assignment.values():
            partitions.sort()
    return assignment


def _cut(
    topic: _TopicShares, may_have: Callable[[Member, int], bool], assignment: Assignment
) -> None:
    for member in topic.members:
        numbers = [number for number in topic.left if may_have(member, number)]
        topic.give(member, numbers[: topic.room(member)], assignment)


def _assign_by_rack(shares: list[_TopicShares], assignment: Assignment) -> None:
    alike: dict[tuple[frozenset[str], int], list[_TopicShares]] = {}
    for topic in shares:
        key = frozenset(member.member_id for member in topic.members), len(topic.racks)
        alike.setdefault(key, []).append(topic)
    for group in alike.values():
        if len(group) > 1:
            _cut_alike(group, assignment)
        elif group[0].is_by_rack:
            _cut(group[0], group[0].matches, assignment)


def _cut_alike(group: list[_TopicShares], assignment: Assignment) -> None:
    """Give a partition's number of all topics to the first member whose rack suits all of them."""
    for number in range(len(group[0].racks)):
        member = next(
            (
                member
                for member in group[0].members
                if all(t.matches(member, number) and t.room(member) > 0 for t in group)
            ),
            None,
        )
        if member is not None:
            for topic in group:
                topic.give(member, [number], assignment)
