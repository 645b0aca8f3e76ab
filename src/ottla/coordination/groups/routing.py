"""Which shard a group belongs to."""

from __future__ import annotations

from ottla.wire.api.k09_offset_fetch import OffsetFetchRequest, OffsetFetchResponse

# OffsetFetch asks for several groups from this version on (KIP-709).
_SEVERAL_GROUPS_VERSION = 8


def partition_for(group_id: str, partition_count: int) -> int:
    """The partition of ``__consumer_offsets`` that holds the group: Java's hash of its id.

    Java hashes UTF-16 code units; its absolute value of the least int is taken as 0.
    """
    code_units = group_id.encode("utf-16-be", "surrogatepass")
    hashed = 0
    for position in range(0, len(code_units), 2):
        code_unit = code_units[position] << 8 | code_units[position + 1]
        hashed = (31 * hashed + code_unit) & 0xFFFFFFFF
    if hashed & 0x80000000:
        hashed = (0x1_0000_0000 - hashed) & 0x7FFFFFFF
    return hashed % partition_count


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
