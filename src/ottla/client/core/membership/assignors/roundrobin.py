"""Round robin: all partitions of all topics, dealt out to the members one by one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle

from ottla.client.core.membership.assignors.values import Assignment, Member, Topics, in_order


def assign_round_robin(members: Sequence[Member], topics: Topics) -> Assignment:
    """Deal partitions by topic and number; a member that does not want one is passed over."""
    assignment: Assignment = {member.member_id: [] for member in members}
    dealt_to = cycle(in_order(members))
    wanted = {topic for member in members for topic in member.topics}
    for topic in sorted(wanted & topics.keys()):
        for number in range(len(topics[topic])):
            member = next(member for member in dealt_to if topic in member.topics)
            assignment[member.member_id].append((topic, number))
    return assignment
