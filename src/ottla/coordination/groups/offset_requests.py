"""What a shard does about committed offsets, of whichever kind their group is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ottla.coordination.groups import commands, offsets, queries
from ottla.coordination.groups.classic import ClassicGroup
from ottla.coordination.groups.committed import CommittedOffset
from ottla.coordination.groups.group import Membership, PartitionName
from ottla.coordination.groups.group_log import Change, committed_offset, offset_tombstone
from ottla.coordination.groups.pending_offsets import OffsetKey
from ottla.coordination.groups.timers import session_timer
from ottla.coordination.outcome import Outcome, TransactionalProducer
from ottla.wire.errors import ErrorCode
from ottla.wire.group_records import (
    GroupRecordKey,
    GroupRecordValue,
    OffsetCommitKey,
    OffsetCommitValue,
)

if TYPE_CHECKING:
    from ottla.coordination.groups.shard import GroupShard


def replay(shard: GroupShard, key: GroupRecordKey, value: GroupRecordValue | None) -> None:
    """Takes in a committed offset, or its end."""
    assert isinstance(key, OffsetCommitKey)
    position = OffsetKey(key.group, key.topic, key.partition)
    if value is None:
        shard.offsets.remove(*position)
        shard.pending_offsets.remove(position)
        return
    assert isinstance(value, OffsetCommitValue)
    shard.pending_offsets.overtake(position)
    put(shard, position, committed_offset(value))


def replay_pending(shard: GroupShard, change: Change, producer: TransactionalProducer) -> bool:
    """Takes in an offset that waits for the end of a transaction; false for any other record."""
    key, value = change.key, change.value
    if not isinstance(key, OffsetCommitKey) or not isinstance(value, OffsetCommitValue):
        return False
    position = OffsetKey(key.group, key.topic, key.partition)
    _ensure_group(shard, key.group)
    shard.pending_offsets.put(producer.producer_id, position, committed_offset(value))
    return True


def put(shard: GroupShard, position: OffsetKey, committed: CommittedOffset) -> None:
    """Lets an offset take effect."""
    _ensure_group(shard, position.group_id)
    shard.offsets.put(*position, committed)


def _ensure_group(shard: GroupShard, group_id: str) -> None:
    if group_id not in shard.groups:
        # Offsets of nobody's group make a simple group.
        shard.groups[group_id] = ClassicGroup(group_id)


def expire(shard: GroupShard, outcome: Outcome, now_ms: int) -> None:
    """Lets go of offsets past their retention, and of empty groups without any."""
    outcome.is_atomic = False
    for group in shard.groups.values():
        pending = shard.pending_offsets
        tombstones = offsets.expired(group, shard.offsets, pending, shard.settings, now_ms)
        outcome.records.extend(tombstones)
        offset_count = sum(1 for _ in shard.offsets.positions(group.group_id))
        is_unused = len(tombstones) == offset_count and not pending.has_group(group.group_id)
        if group.may_vanish and is_unused:
            outcome.records.extend(group.tombstones())


def _offset_commit(
    shard: GroupShard, command: commands.OffsetCommit, outcome: Outcome, now_ms: int
) -> None:
    request = command.request
    group = shard.groups.get(request.group_id)
    if group is None:
        error = offsets.check_commit_without_group(request, command.version)
        if error is ErrorCode.NONE and shard.is_full:
            error = ErrorCode.POLICY_VIOLATION
    else:
        error = group.check_commit(
            Membership(
                request.member_id,
                request.generation_id_or_member_epoch,
                request.group_instance_id,
                version=command.version,
            ),
            (
                PartitionName(topic.name, topic.topic_id, partition.partition_index)
                for topic in request.topics
                for partition in topic.partitions
            ),
        )
    if error is not ErrorCode.NONE:
        outcome.reply(command.token, offsets.commit_error(request, error))
        return
    if group is not None:
        timeout_ms = group.session_of_committer(request.member_id)
        if timeout_ms is not None:
            key = session_timer(group.group_id, request.member_id)
            outcome.set_timer(key, now_ms + timeout_ms)
    offsets.commit(outcome, command, shard.settings, now_ms)


def _offset_fetch(
    shard: GroupShard, command: commands.OffsetFetch, outcome: Outcome, _: int
) -> None:
    response = queries.fetch_offsets(shard, command.request, command.version)
    outcome.reply(command.token, response)


def _offset_delete(
    shard: GroupShard, command: commands.OffsetDelete, outcome: Outcome, _: int
) -> None:
    group = shard.groups.get(command.request.group_id)
    offsets.delete(outcome, command, group, shard.offsets, shard.pending_offsets)


def _topics_deleted(
    shard: GroupShard, command: commands.TopicsDeleted, outcome: Outcome, _: int
) -> None:
    _forget_topics(shard, outcome, lambda topic: topic in command.topics)


def _forget_missing_topics(
    shard: GroupShard, command: commands.ForgetMissingTopics, outcome: Outcome, _: int
) -> None:
    topics = shard.image.topics
    _forget_topics(shard, outcome, lambda topic: topic not in topics)


def _forget_topics(shard: GroupShard, outcome: Outcome, is_gone: Callable[[str], bool]) -> None:
    outcome.is_atomic = False
    for group_id in shard.offsets.group_ids():
        committed = shard.offsets.of_group(group_id)
        for topic in filter(is_gone, committed):
            outcome.records.extend(
                offset_tombstone(group_id, topic, partition) for partition in committed[topic]
            )
    for group_id in shard.pending_offsets.group_ids():
        outcome.records.extend(
            offset_tombstone(group_id, topic, partition)
            for topic, partition in shard.pending_offsets.of_group(group_id)
            if is_gone(topic) and shard.offsets.get(group_id, topic, partition) is None
        )


DECIDE: dict[type[Any], Callable[[GroupShard, Any, Outcome, int], None]] = {
    commands.OffsetCommit: _offset_commit,
    commands.OffsetFetch: _offset_fetch,
    commands.OffsetDelete: _offset_delete,
    commands.ForgetMissingTopics: _forget_missing_topics,
    commands.TopicsDeleted: _topics_deleted,
}
