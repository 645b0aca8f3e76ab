"""Which shard a group belongs to."""

from __future__ import annotations

from ottla.coordination.routing import partition_for
from ottla.wire.api.k09_offset_fetch import OffsetFetchRequest, OffsetFetchResponse

# OffsetFetch asks for several groups from this version on (KIP-709).
_SEVERAL_GROUPS_VERSION = 8


def split_by_partition(group_ids: list[str], partition_count: int) -> dict[int, list[str]]:
    """The groups of each shard, for DescribeGroups and DeleteGroups."""
    shares: dict[int, list[str]] = {}
    for group_id in group_ids:
        shares.setdefault(partition_for(group_id, partition_count), []).append(group_id)
    return shares


def split_offset_fetch(
    request: OffsetFetchRequest, version: int, partition_count: int
) -> dict[int, OffsetFetchRequest]:
    """The request as each shard concerned should get it."""
    if version < _SEVERAL_GROUPS_VERSION:
        return {partition_for(request.group_id, partition_count): request}
    shares: dict[int, OffsetFetchRequest] = {}
    for group in request.groups:
        partition = partition_for(group.group_id, partition_count)
        if partition not in shares:
            shares[partition] = OffsetFetchRequest(groups=[], require_stable=request.require_stable)
        shares[partition].groups.append(group)
    return shares


def join_offset_fetch(responses: list[OffsetFetchResponse]) -> OffsetFetchResponse:
    """One response of what the shards answered to the parts of `split_offset_fetch`."""
    if len(responses) == 1:
        return responses[0]
    return OffsetFetchResponse(groups=[group for part in responses for group in part.groups])
