"""Describing groups of any kind: every shard is asked for its own, the answers in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from ottla.broker.authorized_operations import GROUP_OPERATIONS
from ottla.coordination.groups.routing import split_by_partition

if TYPE_CHECKING:
    from ottla.broker.group_coordinator import GroupCoordinator

_PIECE = 1_000

# Makes the command that asks a shard for some of the groups.
MakeDescribe = Callable[[list[str], "asyncio.Future[Any]"], object]


async def in_pieces(group_ids: Sequence[str]) -> AsyncIterator[list[str]]:
    """Some of the groups at a time, so that the event loop turns in between."""
    for start in range(0, len(group_ids), _PIECE):
        if start:
            await asyncio.sleep(0)
        yield list(group_ids[start : start + _PIECE])


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
    described: dict[str, Any] = {}
    async for some in in_pieces(list(dict.fromkeys(group_ids))):
        shares = split_by_partition(some, groups.partition_count)
        responses = await groups.submit_to_each(
            {index: partial(make, share) for index, share in shares.items()}
        )
        for response in responses:
            described.update((group.group_id, group) for group in response.groups)
    if include_authorized_operations:
        for group in described.values():
            if not group.error_code:
                group.authorized_operations = GROUP_OPERATIONS
    return described
