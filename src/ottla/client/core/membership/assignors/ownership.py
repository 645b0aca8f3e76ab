"""Who owned what before: the claims of members, checked against each other."""

from __future__ import annotations

from collections.abc import Iterable

from ottla.client.core.membership.assignors.values import Member, Partition, Topics


def undisputed_owners(members: Iterable[Member], topics: Topics) -> dict[Partition, str]:
    """The one member that owned a partition last, for those that still exist and are wanted.

    Of several that claim a partition, the one of the latest generation is right. Two of the same
    generation are both wrong: one of them missed a rebalance (KIP-792).
    """
    claims: dict[Partition, tuple[int, str | None]] = {}
    for member in members:
        for partition in set(member.owned):
            topic, number = partition
            if topic not in topics or not 0 <= number < len(topics[topic]):
                continue
            generation, owner = claims.get(partition, (-2, None))
            if member.generation > generation:
                claims[partition] = member.generation, member.member_id
            elif member.generation == generation and owner != member.member_id:
                claims[partition] = generation, None
    wants = {member.member_id: member.topics for member in members}
    return {
        partition: owner
        for partition, (_, owner) in claims.items()
        if owner is not None and partition[0] in wants[owner]
    }
