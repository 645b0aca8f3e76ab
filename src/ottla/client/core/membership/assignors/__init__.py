"""Assignors of the classic group protocol: the group's leader runs one of them.

All are functions of the same shape, ``assign(members, topics) -> Assignment``, and give the same
members the same partitions whatever order they are given in.
"""

from __future__ import annotations

from ottla.client.core.membership.assignors.range import assign_ranges
from ottla.client.core.membership.assignors.roundrobin import assign_round_robin
from ottla.client.core.membership.assignors.sticky import (
    assign_cooperative_sticky,
    assign_sticky,
)
from ottla.client.core.membership.assignors.values import Assignor

# By the names that members use in JoinGroup.
ASSIGNORS: dict[str, Assignor] = {
    "range": assign_ranges,
    "roundrobin": assign_round_robin,
    "sticky": assign_sticky,
    "cooperative-sticky": assign_cooperative_sticky,
}
