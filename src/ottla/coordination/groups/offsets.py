"""OffsetCommit and OffsetDelete: who may commit, and when offsets are let go."""

from __future__ import annotations

from ottla.coordination.groups.commands import OffsetCommit, OffsetDelete
from ottla.coordination.groups.committed import CommittedOffset, OffsetStore
from ottla.coordination.groups.group import Group
from ottla.coordination.groups.group_log import offset_record, offset_tombstone
from ottla.coordination.groups.pending_offsets import PendingOffsets
from ottla.coordination.groups.settings import GroupSettings
from ottla.coordination.outcome import CoordinatorRecord, Outcome, size_bytes
from ottla.wire.api.k08_offset_commit import (
    CommittedPartition,
    CommittedTopic,
    OffsetCommitRequest,
    OffsetCommitResponse,
)
from ottla.wire.api.k47_offset_delete import (
    ForgottenPartition,
    ForgottenTopic,
    OffsetDeleteResponse,
)
from ottla.wire.errors import ErrorCode

# From this version on a missing group is called by its name (KIP-848).
_GROUP_ID_NOT_FOUND_VERSION = 9
_LAST_INSTANT_MS = 2**63 - 1


def check_commit_without_group(request: OffsetCommitRequest, version: int) -> ErrorCode:
    """Whether offsets may be committed for a group that isn't there."""
    if request.generation_id_or_member_epoch < 0:
        # A consumer without group management: a simple group comes into being.
        return ErrorCode.NONE
    if version >= _GROUP_ID_NOT_FOUND_VERSION:
        return ErrorCode.GROUP_ID_NOT_FOUND
    return ErrorCode.ILLEGAL_GENERATION


def commit_error(request: OffsetCommitRequest, error: ErrorCode) -> OffsetCommitResponse:
    """A commit refused as a whole: every partition says so."""
    return OffsetCommitResponse(
        topics=[
            CommittedTopic(
                name=topic.name,
                topic_id=topic.topic_id,
                partitions=[
                    CommittedPartition(partition_index=partition.partition_index, error_code=error)
                    for partition in topic.partitions
                ],
            )
            for topic in request.topics
        ]
    )


def commit(outcome: Outcome, command: OffsetCommit, settings: GroupSettings, now_ms: int) -> None:
    """Writes the offsets; each with metadata too large is refused on its own, and all of them when
    they don't fit into one batch, which is known before many more have been looked at."""
    request = command.request
    topics = []
    records: list[CoordinatorRecord] = []
    left_bytes = settings.max_batch_bytes - size_bytes(())
    # Before version 5 the client could choose the retention (KIP-211).
    retention_ms = request.retention_time_ms
    expire_timestamp_ms = None if retention_ms < 0 else min(now_ms + retention_ms, _LAST_INSTANT_MS)
    for topic in request.topics:
        partitions = []
        for partition in topic.partitions:
            metadata = partition.committed_metadata or ""
            error = ErrorCode.NONE
            if len(metadata) > settings.offset_metadata_max_bytes:
                error = ErrorCode.OFFSET_METADATA_TOO_LARGE
            else:
                committed = CommittedOffset(
                    offset=partition.committed_offset,
                    leader_epoch=partition.committed_leader_epoch,
                    metadata=metadata,
                    commit_timestamp_ms=now_ms,
                    expire_timestamp_ms=expire_timestamp_ms,
                    topic_id=topic.topic_id if topic.topic_id.int else None,
                )
                index = partition.partition_index
                record = offset_record(request.group_id, topic.name, index, committed)
                left_bytes -= size_bytes((record,)) - size_bytes(())
                if left_bytes < 0:
                    response = commit_error(request, ErrorCode.INVALID_COMMIT_OFFSET_SIZE)
                    outcome.reply(command.token, response)
                    return
                records.append(record)
            partitions.append(
                CommittedPartition(partition_index=partition.partition_index, error_code=error)
            )
        topics.append(
            CommittedTopic(name=topic.name, topic_id=topic.topic_id, partitions=partitions)
        )
    outcome.records.extend(records)
    outcome.reply(command.token, OffsetCommitResponse(topics=topics))


def delete(
    outcome: Outcome,
    command: OffsetDelete,
    group: Group | None,
    store: OffsetStore,
    pending: PendingOffsets,
) -> None:
    """Forgets the offsets named, except of topics that members of the group consume."""
    request = command.request
    error = _check_delete(group, request.group_id)
    if error is not ErrorCode.NONE or group is None:
        outcome.reply(command.token, OffsetDeleteResponse(error_code=error, topics=[]))
        return
    topics = []
    for topic in request.topics:
        is_subscribed = group.is_subscribed_to(topic.name)
        topic_error = ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC if is_subscribed else ErrorCode.NONE
        indexes = [partition.partition_index for partition in topic.partitions]
        if not is_subscribed:
            outcome.records.extend(
                offset_tombstone(group.group_id, topic.name, index)
                for index in dict.fromkeys(indexes)
                if store.get(group.group_id, topic.name, index) is not None
                or pending.has(group.group_id, topic.name, index)
            )
        topics.append(
            ForgottenTopic(
                name=topic.name,
                partitions=[
                    ForgottenPartition(partition_index=index, error_code=topic_error)
                    for index in indexes
                ],
            )
        )
    outcome.is_atomic = False
    outcome.reply(command.token, OffsetDeleteResponse(error_code=ErrorCode.NONE, topics=topics))


def _check_delete(group: Group | None, group_id: str) -> ErrorCode:
    if not group_id:
        return ErrorCode.INVALID_GROUP_ID
    if group is None:
        return ErrorCode.GROUP_ID_NOT_FOUND
    return group.check_offset_delete()


def expired(
    group: Group,
    store: OffsetStore,
    pending: PendingOffsets,
    settings: GroupSettings,
    now_ms: int,
) -> list[CoordinatorRecord]:
    """Tombstones of the group's offsets whose retention is over (KIP-211).

    While members consume a topic its offsets stay, and so does what an open transaction may change.
    Others' retention begins with their commit, or when the group became empty if that was later.
    """
    unused_since_ms = group.offsets_unused_since_ms
    if unused_since_ms is None:
        return []
    tombstones = []
    for topic, partition, committed in store.positions(group.group_id):
        if group.has_members and group.is_subscribed_to(topic):
            continue
        if committed.expire_timestamp_ms is not None:
            expire_ms = committed.expire_timestamp_ms
        else:
            since_ms = max(committed.commit_timestamp_ms, unused_since_ms)
            expire_ms = since_ms + settings.offsets_retention_ms
        if now_ms >= expire_ms and not pending.has(group.group_id, topic, partition):
            tombstones.append(offset_tombstone(group.group_id, topic, partition))
    return tombstones
