"""What ShareFetch and ShareAcknowledge have in common: they acknowledge records."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol
from uuid import UUID

from ottla.broker.errors import EXPECTED_ERRORS, error_code_of
from ottla.broker.shares.partitions import SharePartitions
from ottla.broker.shares.sessions import MemberKey, PartitionId
from ottla.coordination.share_partitions.acknowledging import check
from ottla.coordination.share_partitions.commands import Acknowledgement
from ottla.coordination.share_state.commands import SharePartitionKey
from ottla.wire.errors import ErrorCode, ProtocolError


class _Batch(Protocol):
    first_offset: int
    last_offset: int
    acknowledge_types: Sequence[int]


class _Partition(Protocol):
    partition_index: int
    acknowledgement_batches: Any


class _Topic(Protocol):
    topic_id: UUID
    partitions: Any


class Outcome:
    """What became of one partition's acknowledgements."""

    __slots__ = ("code", "message")

    def __init__(self, code: ErrorCode = ErrorCode.NONE, message: str | None = None) -> None:
        self.code = code
        self.message = message


def of_request(topics: Iterable[_Topic]) -> dict[PartitionId, list[Acknowledgement]]:
    """The acknowledgements of a request, by partition; those without any are left out."""
    found: dict[PartitionId, list[Acknowledgement]] = {}
    for topic in topics:
        for partition in topic.partitions:
            batches: Sequence[_Batch] = partition.acknowledgement_batches
            if batches:
                found.setdefault((topic.topic_id, partition.partition_index), []).extend(
                    Acknowledgement(
                        batch.first_offset, batch.last_offset, tuple(batch.acknowledge_types)
                    )
                    for batch in batches
                )
    return found


async def acknowledge_all(
    partitions: SharePartitions,
    member: MemberKey,
    acknowledgements: Mapping[PartitionId, Sequence[Acknowledgement]],
    *,
    allows_renewal: bool,
) -> dict[PartitionId, Outcome]:
    """Carry out acknowledgements; returns when those that are taken are durable."""

    async def acknowledge(partition: PartitionId) -> Outcome:
        try:
            check(acknowledgements[partition], allows_renewal=allows_renewal)
            # Only who holds the share partition in memory has given out its records.
            live = partitions.known(SharePartitionKey(member.group_id, *partition))
            if live is None:
                partitions.find_partition(*partition)
                raise ProtocolError(ErrorCode.INVALID_RECORD_STATE, "no records are in delivery")
            await live.acknowledge(member.member_id, acknowledgements[partition])
        except EXPECTED_ERRORS as error:
            return Outcome(error_code_of(error), str(error))
        return Outcome()

    outcomes = await asyncio.gather(*(acknowledge(each) for each in acknowledgements))
    return dict(zip(acknowledgements, outcomes, strict=True))


async def release_all(
    partitions: SharePartitions, member: MemberKey, ids: Iterable[PartitionId]
) -> dict[PartitionId, Outcome]:
    """Give back what a member holds, because its session ends."""

    async def release(partition: PartitionId) -> Outcome:
        live = partitions.known(SharePartitionKey(member.group_id, *partition))
        if live is None:
            return Outcome()
        try:
            await live.release(member.member_id)
        except EXPECTED_ERRORS as error:
            return Outcome(error_code_of(error), str(error))
        return Outcome()

    ids = list(ids)
    return dict(zip(ids, await asyncio.gather(*(release(each) for each in ids)), strict=True))
