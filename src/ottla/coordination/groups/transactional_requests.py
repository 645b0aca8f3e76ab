"""TxnOffsetCommit: offsets that take effect with the producer's transaction (KIP-98, KIP-447)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ottla.coordination.groups import commands
from ottla.coordination.groups.committed import CommittedOffset
from ottla.coordination.groups.group import Membership, PartitionName
from ottla.coordination.groups.group_log import offset_record
from ottla.coordination.outcome import (
    CoordinatorRecord,
    Outcome,
    TransactionalProducer,
    size_bytes,
)
from ottla.wire.api.k28_txn_offset_commit import (
    CommittedPartition,
    CommittedTopic,
    PartitionToCommit,
    TxnOffsetCommitRequest,
    TxnOffsetCommitResponse,
)
from ottla.wire.declare import ZERO_UUID
from ottla.wire.errors import ErrorCode

if TYPE_CHECKING:
    from ottla.coordination.groups.shard import GroupShard


def _txn_offset_commit(
    shard: GroupShard, command: commands.TxnOffsetCommit, outcome: Outcome, now_ms: int
) -> None:
    request = command.request
    error = _check(shard, request, command.version)
    if error is ErrorCode.NONE:
        records, response = _records(shard, request, now_ms)
        if size_bytes(records) > shard.settings.max_batch_bytes:
            error = ErrorCode.INVALID_COMMIT_OFFSET_SIZE
    if error is not ErrorCode.NONE:
        outcome.reply(command.token, refused(request, error))
        return
    outcome.records.extend(records)
    if records:
        outcome.producer = TransactionalProducer(
            request.producer_id, request.producer_epoch, command.guard
        )
    outcome.reply(command.token, response)


def _check(shard: GroupShard, request: TxnOffsetCommitRequest, version: int) -> ErrorCode:
    """Whether the sender may commit for the group now: a zombie may not (KIP-447)."""
    group = shard.groups.get(request.group_id)
    if group is None:
        if request.generation_id >= 0:
            return ErrorCode.ILLEGAL_GENERATION
        return ErrorCode.POLICY_VIOLATION if shard.is_full else ErrorCode.NONE
    error = group.check_commit(
        Membership(
            request.member_id,
            request.generation_id,
            request.group_instance_id,
            version=version,
            is_transactional=True,
        ),
        (
            PartitionName(topic.name, ZERO_UUID, partition.partition_index)
            for topic in request.topics
            for partition in topic.partitions
        ),
    )
    # Producers know generations only.
    return ErrorCode.ILLEGAL_GENERATION if error is ErrorCode.STALE_MEMBER_EPOCH else error


def _records(
    shard: GroupShard, request: TxnOffsetCommitRequest, now_ms: int
) -> tuple[list[CoordinatorRecord], TxnOffsetCommitResponse]:
    """The offsets to write; each with metadata too large is refused on its own."""
    records = []
    topics = []
    for topic in request.topics:
        partitions = []
        for partition in topic.partitions:
            error = ErrorCode.NONE
            if len(partition.committed_metadata or "") > shard.settings.offset_metadata_max_bytes:
                error = ErrorCode.OFFSET_METADATA_TOO_LARGE
            else:
                committed = _committed(partition, now_ms)
                index = partition.partition_index
                records.append(offset_record(request.group_id, topic.name, index, committed))
            partitions.append(
                CommittedPartition(partition_index=partition.partition_index, error_code=error)
            )
        topics.append(CommittedTopic(name=topic.name, partitions=partitions))
    return records, TxnOffsetCommitResponse(topics=topics)


def _committed(partition: PartitionToCommit, now_ms: int) -> CommittedOffset:
    return CommittedOffset(
        offset=partition.committed_offset,
        leader_epoch=partition.committed_leader_epoch,
        metadata=partition.committed_metadata or "",
        commit_timestamp_ms=now_ms,
        expire_timestamp_ms=None,
        topic_id=None,
    )


def refused(request: TxnOffsetCommitRequest, error: ErrorCode) -> TxnOffsetCommitResponse:
    """A commit refused as a whole: every partition says so."""
    return TxnOffsetCommitResponse(
        topics=[
            CommittedTopic(
                name=topic.name,
                partitions=[
                    CommittedPartition(partition_index=partition.partition_index, error_code=error)
                    for partition in topic.partitions
                ],
            )
            for topic in request.topics
        ]
    )


DECIDE: dict[type[Any], Callable[[GroupShard, Any, Outcome, int], None]] = {
    commands.TxnOffsetCommit: _txn_offset_commit,
}
