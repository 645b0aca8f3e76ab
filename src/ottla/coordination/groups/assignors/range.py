"""Consecutive partitions of each topic to each member, the same ones of topics equally large.

Members are taken in the order of their group.instance.id, or member id without one: that is what
lets members join the records of several topics by partition.
"""

from __future__ import annotations

from uuid import UUID

from ottla.coordination.groups.assignors.specification import (
    Assignment,
    AssignorMember,
    Specification,
)


def assign(specification: Specification) -> Assignment:
    """See the package."""
    assigned: dict[str, dict[UUID, list[int]]] = {
        member.member_id: {} for member in specification.members
    }
    members = sorted(specification.members, key=_order)
    shares: dict[tuple[int, int], list[range]] = {}
    for topic_id, partition_count in specification.partition_counts.items():
        subscribers = _subscribers(specification, members, topic_id)
        if not subscribers:
            continue
        size = (partition_count, len(subscribers))
        if size not in shares:
            shares[size] = _ranges(*size)
        for member, share in zip(subscribers, shares[size], strict=True):
            if share:
                assigned[member.member_id][topic_id] = list(share)
    return {**assigned}


def _order(member: AssignorMember) -> tuple[bool, str]:
    """Static members first, so that their shares stay when dynamic ones come and go."""
    return member.instance_id is None, member.instance_id or member.member_id


def _subscribers(
    specification: Specification, members: list[AssignorMember], topic_id: UUID
) -> list[AssignorMember]:
    if specification.is_homogeneous:
        return members
    return [member for member in members if topic_id in member.topics]


def _ranges(partition_count: int, member_count: int) -> list[range]:
    """The partitions in order, the first members getting one more where it doesn't come out."""
    least, extra = divmod(partition_count, member_count)
    ranges = []
    start = 0
    for index in range(member_count):
        end = start + least + (index < extra)
        ranges.append(range(start, end))
        start = end
    return ranges
