"""Sharing among members that all want the same topics: everyone gets the same number, or one more.

The numbers are known beforehand, so what a member keeps is decided without moving anything back and
forth.
"""

from __future__ import annotations

from collections import deque

from ottla.client.core.membership.assignors.values import Assignment, Member, Partition, Topics


def share_evenly(
    members: list[Member],
    topics: Topics,
    owners: dict[Partition, str],
    *,
    is_by_rack: bool,
) -> Assignment:
    """Give every member its share, of what it owned first, then of what is in its rack."""
    if not members:
        return {}
    wanted = sorted(members[0].topics & topics.keys())
    partitions = [(topic, number) for topic in wanted for number in range(len(topics[topic]))]
    racks = {member.member_id: member.rack for member in members}
    owned: dict[str, list[Partition]] = {member.member_id: [] for member in members}
    for partition in partitions:
        owner = owners.get(partition)
        if owner is None:
            continue
        rack = racks[owner]
        if not is_by_rack or not rack or rack in topics[partition[0]][partition[1]]:
            owned[owner].append(partition)
    quotas = _quotas(members, len(partitions), owned)
    assignment = {member_id: kept[: quotas[member_id]] for member_id, kept in owned.items()}
    taken = {partition for kept in assignment.values() for partition in kept}
    left = [partition for partition in partitions if partition not in taken]
    if is_by_rack:
        left = _give_by_rack(left, members, topics, quotas, assignment)
    left = _give_back(left, owners, quotas, assignment)
    _deal(left, members, quotas, assignment)
    return assignment


def _quotas(
    members: list[Member], partition_count: int, owned: dict[str, list[Partition]]
) -> dict[str, int]:
    """Everyone's share; the odd ones go to those who can keep one more for it."""
    share, extras = divmod(partition_count, len(members))
    # A stable sort: among equals the order of the members decides.
    by_use = sorted(members, key=lambda member: len(owned[member.member_id]) <= share)
    return {
        member.member_id: share + (1 if position < extras else 0)
        for position, member in enumerate(by_use)
    }


def _give_by_rack(
    left: list[Partition],
    members: list[Member],
    topics: Topics,
    quotas: dict[str, int],
    assignment: Assignment,
) -> list[Partition]:
    in_rack: dict[str, list[str]] = {}
    for member in members:
        if member.rack:
            in_rack.setdefault(member.rack, []).append(member.member_id)
    remaining = []
    # Those that few racks could take choose first.
    for partition in sorted(left, key=lambda p: len(topics[p[0]][p[1]])):
        candidates = [
            member_id
            for rack in sorted(topics[partition[0]][partition[1]])
            for member_id in in_rack.get(rack, ())
            if len(assignment[member_id]) < quotas[member_id]
        ]
        if candidates:
            emptiest = max(candidates, key=lambda m: quotas[m] - len(assignment[m]))
            assignment[emptiest].append(partition)
        else:
            remaining.append(partition)
    return sorted(remaining)


def _give_back(
    left: list[Partition],
    owners: dict[Partition, str],
    quotas: dict[str, int],
    assignment: Assignment,
) -> list[Partition]:
    """What no rack claimed stays where it was, if there is room."""
    remaining = []
    for partition in left:
        owner = owners.get(partition)
        if owner is not None and len(assignment[owner]) < quotas[owner]:
            assignment[owner].append(partition)
        else:
            remaining.append(partition)
    return remaining


def _deal(
    left: list[Partition],
    members: list[Member],
    quotas: dict[str, int],
    assignment: Assignment,
) -> None:
    unfilled = deque(member.member_id for member in members)
    for partition in left:
        while len(assignment[unfilled[0]]) >= quotas[unfilled[0]]:
            unfilled.popleft()
        assignment[unfilled[0]].append(partition)
        unfilled.rotate(-1)
