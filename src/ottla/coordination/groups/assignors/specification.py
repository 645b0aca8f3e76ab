"""What an assignor is told, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

#: Member id → topic id → partitions. The share of a member for whom nothing changes may be the very
#: object that its target was.
Assignment = dict[str, Mapping[UUID, Sequence[int]]]


class AssignorMember(NamedTuple):
    """A member.

    topics: ids of those topics it subscribes to that exist.
    target: what the last target assignment gave it, for assignors that move as little as they can.
    """

    member_id: str
    instance_id: str | None
    topics: frozenset[UUID]
    target: Mapping[UUID, tuple[int, ...]]


class Specification(NamedTuple):
    """A group to assign.

    partition_counts: how many partitions each subscribed topic has, in the order to assign in.
    is_homogeneous: whether all members subscribe to all these topics.
    """

    members: list[AssignorMember]
    partition_counts: dict[UUID, int]
    is_homogeneous: bool
