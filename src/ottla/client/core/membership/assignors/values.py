"""What assignors work on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

# A topic's name and the number of a partition.
Partition = tuple[str, int]
# For every partition of a topic the racks of its replicas, as far as they are known.
PartitionRacks = Sequence[frozenset[str]]
Topics = Mapping[str, PartitionRacks]
Assignment = dict[str, list[Partition]]

NO_GENERATION = -1


class Member(NamedTuple):
    """A member of the group, as its subscription describes it.

    ``owned`` are the partitions it had at the end of ``generation`` and may still have.
    """

    member_id: str
    topics: frozenset[str]
    instance_id: str | None = None
    rack: str | None = None
    owned: tuple[Partition, ...] = ()
    generation: int = NO_GENERATION


Assignor = Callable[[Sequence[Member], Topics], Assignment]


def in_order(members: Iterable[Member]) -> list[Member]:
    """Members in the order in which they get partitions.

    Static members come first, by instance id, so that a restart does not change their place.
    """
    return sorted(members, key=lambda m: (m.instance_id is None, m.instance_id or m.member_id))


def racks_matter(members: Iterable[Member], partitions: Iterable[frozenset[str]]) -> bool:
    """Whether placing partitions by rack can gain anything (KIP-881).

    It can't if no member is in a rack that has replicas, or if all partitions have replicas in all
    racks.
    """
    member_racks = {member.rack for member in members if member.rack}
    if not member_racks:
        return False
    per_partition = set(partitions)
    racks = frozenset().union(*per_partition)
    return not racks.isdisjoint(member_racks) and per_partition != {racks}
