"""Which brokers get the replicas of new partitions.

Leaders go round the brokers and replicas round the racks: each partition starts one rack and, in
each rack, one broker further than the one before, so that leaders, followers and the pairs of both
spread evenly. The start is drawn from entropy, or every first partition would share a broker.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ottla.metadata.image import BrokerRegistration
from ottla.wire.errors import ErrorCode, ProtocolError

if TYPE_CHECKING:
    from ottla.ports.entropy import Entropy


def place_replicas(
    brokers: Sequence[BrokerRegistration],
    partition_count: int,
    replication_factor: int,
    entropy: Entropy,
) -> list[tuple[int, ...]]:
    """The replicas of each new partition; the first of each is its preferred leader.

    A fenced broker may become a follower, but leads nothing.

    Raises:
        ProtocolError: INVALID_REPLICATION_FACTOR, if there are too few brokers.
    """
    _check_enough_brokers(brokers, replication_factor)
    racks = _racks(brokers, entropy)
    start = entropy.below(len(racks))
    return [
        _place_one(racks, start + partition, replication_factor)
        for partition in range(partition_count)
    ]


class _Rack:
    """The brokers of one rack, active ones and all, each list turned to a random start."""

    def __init__(self, members: Sequence[BrokerRegistration], entropy: Entropy) -> None:
        active = sorted(broker.broker_id for broker in members if not broker.is_fenced)
        fenced = sorted(broker.broker_id for broker in members if broker.is_fenced)
        self.active = _turned(active, entropy.below(len(active))) if active else []
        self.fenced = _turned(fenced, entropy.below(len(fenced))) if fenced else []

    def in_order(self, turn: int) -> list[int]:
        """Active brokers first, starting with another one each time."""
        return _turned(self.active, turn) + _turned(self.fenced, turn)


def _check_enough_brokers(brokers: Sequence[BrokerRegistration], replication_factor: int) -> None:
    problem = None
    if replication_factor <= 0:
        problem = (
            f"Invalid replication factor {replication_factor}: "
            "the replication factor must be positive."
        )
    elif all(broker.is_fenced for broker in brokers):
        problem = "All brokers are currently fenced."
    elif replication_factor > len(brokers):
        problem = (
            f"The target replication factor of {replication_factor} cannot be reached because "
            f"only {len(brokers)} broker(s) are registered."
        )
    if problem is not None:
        raise ProtocolError(
            ErrorCode.INVALID_REPLICATION_FACTOR,
            f"Unable to replicate the partition {replication_factor} time(s): {problem}",
        )


def _racks(brokers: Sequence[BrokerRegistration], entropy: Entropy) -> list[_Rack]:
    members: dict[str, list[BrokerRegistration]] = {}
    for broker in brokers:
        members.setdefault(broker.rack or "", []).append(broker)
    return [_Rack(members[name], entropy) for name in sorted(members)]


def _place_one(racks: Sequence[_Rack], turn: int, replication_factor: int) -> tuple[int, ...]:
    # A rack's own turn moves on once all racks have had theirs, and by one more each time round,
    # so that brokers of equal position in two racks are not always paired.
    ordered = [racks[(turn + step) % len(racks)] for step in range(len(racks))]
    candidates = [rack.in_order(turn // len(racks)) for rack in ordered]
    leader_rack = next(index for index, rack in enumerate(ordered) if rack.active)
    replicas = [candidates[leader_rack].pop(0)]
    index = leader_rack
    while len(replicas) < replication_factor:
        index = (index + 1) % len(racks)
        if candidates[index]:
            replicas.append(candidates[index].pop(0))
    return tuple(replicas)


def _turned(items: list[int], by: int) -> list[int]:
    if not items:
        return items
    start = by % len(items)
    return items[start:] + items[:start]
