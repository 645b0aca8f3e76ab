"""Sticky: as even as can be, and then with as few partitions changing hands as can be (KIP-54).

``cooperative-sticky`` (KIP-429) hands out no partition that another member has yet to give up: its
next rebalance does.
"""

from __future__ import annotations

from collections.abc import Sequence

from ottla.client.core.membership.assignors.even import share_evenly
from ottla.client.core.membership.assignors.ownership import undisputed_owners
from ottla.client.core.membership.assignors.uneven import share_unevenly
from ottla.client.core.membership.assignors.values import (
    Assignment,
    Member,
    Partition,
    Topics,
    in_order,
    racks_matter,
)


def assign_sticky(members: Sequence[Member], topics: Topics) -> Assignment:
    """The assignment that members keep most of what they had in, among the most even ones."""
    ordered = in_order(members)
    owners = undisputed_owners(ordered, topics)
    is_by_rack = racks_matter(ordered, (racks for topic in topics.values() for racks in topic))
    wanted = [member.topics & topics.keys() for member in ordered]
    is_alike = all(topics_of == wanted[0] for topics_of in wanted)
    share = share_evenly if is_alike else share_unevenly
    assignment = share(ordered, topics, owners, is_by_rack=is_by_rack)
    for partitions in assignment.values():
        partitions.sort()
    return assignment


def assign_cooperative_sticky(members: Sequence[Member], topics: Topics) -> Assignment:
    """Like :func:`assign_sticky`, without the partitions that others have yet to give up."""
    assignment = assign_sticky(members, topics)
    claimants: dict[Partition, set[str]] = {}
    for member in members:
        for partition in member.owned:
            claimants.setdefault(partition, set()).add(member.member_id)
    return {
        member_id: [
            partition for partition in partitions if claimants.get(partition, set()) <= {member_id}
        ]
        for member_id, partitions in assignment.items()
    }
