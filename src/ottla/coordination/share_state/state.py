"""What is remembered of one share partition, and the records that say so."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ottla.coordination.outcome import CoordinatorRecord
from ottla.coordination.share_state.batches import StateBatch, combine
from ottla.coordination.share_state.commands import SharePartitionKey
from ottla.wire.share_state_records import (
    RecordedBatch,
    ShareSnapshotKey,
    ShareSnapshotValue,
    ShareUpdateKey,
    ShareUpdateValue,
    encode_key,
    encode_value,
)

UNKNOWN_START_OFFSET = -1
UNCHANGED = -1


class ShareState(NamedTuple):
    """The state of a share partition.

    snapshot_epoch: counts the snapshots; updates belong to the one of the same epoch.
    state_epoch: raised when the partition begins anew, to fence late writes.
    leader_epoch: of the last leader that read or wrote, to fence earlier ones.
    start_offset: -1 while no reader has found out.
    update_count: updates since the snapshot.
    snapshot_number: which record of the log the snapshot is, counted from the first replayed.
    """

    snapshot_epoch: int
    state_epoch: int
    leader_epoch: int
    start_offset: int
    delivery_complete_count: int
    state_batches: Sequence[StateBatch]
    created_ms: int
    written_ms: int
    update_count: int = 0
    snapshot_number: int = 0

    def changed(
        self,
        leader_epoch: int,
        start_offset: int,
        delivery_complete_count: int,
        state_batches: Iterable[StateBatch],
    ) -> ShareState:
        """The state after a change, in which -1 means unchanged."""
        if start_offset == UNCHANGED:
            start_offset = self.start_offset
        return self._replace(
            leader_epoch=self.leader_epoch if leader_epoch == UNCHANGED else leader_epoch,
            start_offset=start_offset,
            delivery_complete_count=delivery_complete_count,
            state_batches=combine(self.state_batches, state_batches, start_offset),
        )


def snapshot_record(key: SharePartitionKey, state: ShareState) -> CoordinatorRecord:
    """Says everything of a share partition."""
    value = ShareSnapshotValue(
        snapshot_epoch=state.snapshot_epoch,
        state_epoch=state.state_epoch,
        leader_epoch=state.leader_epoch,
        start_offset=state.start_offset,
        delivery_complete_count=state.delivery_complete_count,
        create_timestamp=state.created_ms,
        write_timestamp=state.written_ms,
        state_batches=recorded(state.state_batches),
    )
    return CoordinatorRecord(_snapshot_key(key), encode_value(value))


def update_record(
    key: SharePartitionKey,
    snapshot_epoch: int,
    leader_epoch: int,
    start_offset: int,
    delivery_complete_count: int,
    state_batches: Iterable[StateBatch],
) -> CoordinatorRecord:
    """Says what changed since the snapshot."""
    record_key = ShareUpdateKey(
        group_id=key.group_id, topic_id=key.topic_id, partition=key.partition
    )
    value = ShareUpdateValue(
        snapshot_epoch=snapshot_epoch,
        leader_epoch=leader_epoch,
        start_offset=start_offset,
        delivery_complete_count=delivery_complete_count,
        state_batches=recorded(state_batches),
    )
    return CoordinatorRecord(encode_key(record_key), encode_value(value))


def tombstone(key: SharePartitionKey) -> CoordinatorRecord:
    """Says that a share partition is forgotten."""
    return CoordinatorRecord(_snapshot_key(key), None)


def read_snapshot(value: ShareSnapshotValue, number: int) -> ShareState:
    """The state that a snapshot says."""
    return ShareState(
        snapshot_epoch=value.snapshot_epoch,
        state_epoch=value.state_epoch,
        leader_epoch=value.leader_epoch,
        start_offset=value.start_offset,
        delivery_complete_count=value.delivery_complete_count,
        state_batches=unrecorded(value.state_batches),
        created_ms=value.create_timestamp,
        written_ms=value.write_timestamp,
        snapshot_number=number,
    )


def recorded(batches: Iterable[StateBatch]) -> list[RecordedBatch]:
    """State batches as records have them."""
    return [
        RecordedBatch(
            first_offset=batch.first_offset,
            last_offset=batch.last_offset,
            delivery_state=batch.delivery_state,
            delivery_count=batch.delivery_count,
        )
        for batch in batches
    ]


def unrecorded(batches: Iterable[RecordedBatch]) -> list[StateBatch]:
    """State batches of a record."""
    return [
        StateBatch(
            batch.first_offset, batch.last_offset, batch.delivery_state, batch.delivery_count
        )
        for batch in batches
    ]


def _snapshot_key(key: SharePartitionKey) -> bytes:
    return encode_key(
        ShareSnapshotKey(group_id=key.group_id, topic_id=key.topic_id, partition=key.partition)
    )
