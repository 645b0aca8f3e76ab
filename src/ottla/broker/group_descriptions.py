"""Describing groups of any kind: every shard is asked for its own, the answers in order."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from ottla.broker.authorized_operations import GROUP_OPERATIONS
from ottla.coordination.groups.routing import split_by_partition

if TYPE_CHECKING:
    import asyncio

    from ottla.broker.group_coordinator import GroupCoordinator

# Makes the command that asks a shard for some of the groups.
MakeDescribe = Callable[[list[str], "asyncio.Future[Any]"], object]


async def describe(
    groups: GroupCoordinator,
    group_ids: list[str],
    make: MakeDescribe,
    *,
    include_authorized_operations: bool,
) -> dict[str, Any]:
    """Every group's description by its id, whose kind is that of the command.

    Raises:
        ProtocolError: no coordinator can be asked.
    """
    await groups.ensure_topic()
    shares = split_by_partition(group_ids, groups.partition_count)
    responses = await groups.submit_to_each(
        {index: partial(make, share) for index, share in shares.items()}
    )
    described = {group.group_id: group for response in responses for group in response.groups}
    if include_authorized_operations:
        for group in described.values():
            if not group.error_code:
                group.authorized_operations = GROUP_OPERATIONS
    return described
