"""Bugs to plant into a broker, for the simulation to find: so that it is known to find them.

Each changes the broker's code for the time of one run, from outside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, NamedTuple
from unittest.mock import patch

from ottla.broker.api import k01_fetch, k14_sync_group
from ottla.broker.partition import Partition
from ottla.broker.transaction_markers import TransactionMarkers
from ottla.coordination.groups import offset_requests
from ottla.coordination.groups.group_log import committed_offset
from ottla.coordination.groups.pending_offsets import OffsetKey
from ottla.coordination.groups.shard import GroupShard
from ottla.coordination.transactions import ending
from ottla.coordination.transactions import shard as transactions
from ottla.coordination.transactions.commands import ProducerIdAndEpoch
from ottla.coordination.transactions.shard import TransactionShard
from ottla.coordination.transactions.transaction import TransactionState
from ottla.log.partition_log import PartitionLog
from ottla.log.producers import Producer
from ottla.wire.errors import ErrorCode


class PlantedBug(NamedTuple):
    """A bug, and the kind of scenario in which it shows."""

    name: str
    plant: Callable[[], AbstractContextManager[None]]
    needs: dict[str, Any]
    """Fields of the scenario that differ from what the seed says."""


_COPIES = {"copiers": 2, "writers": 1, "partitions": 2, "producers": 1}
_CRASHES = {"power_cuts": 2, "slow_disk_episodes": 1, "chaos_s": 5.0}
_LOSSES = {"partitions_of_network": 2, "client_kills": 2, "chaos_s": 6.0}

# Between a decision and its last marker lies one fsync.
_MANY_CRASHES = {
    "writers": 4,
    "partitions": 3,
    "power_cuts": 8,
    "slow_disk_episodes": 6,
    "chaos_s": 6.0,
    "copiers": 0,
    "classic_consumers": 0,
    "consumers": 0,
}


@contextmanager
def _acknowledge_before_fsync() -> Iterator[None]:
    def when_reached(partition: Partition, offset: int, waiter: Any) -> None:
        waiter.reached()

    with patch.object(Partition, "when_reached", when_reached):
        yield


@contextmanager
def _high_watermark_past_the_flushed_offset() -> Iterator[None]:
    appended = Partition._appended

    def _appended(partition: Partition) -> None:
        appended(partition)
        partition._advance(partition.log.log_end_offset)

    with patch.object(Partition, "_appended", _appended):
        yield


@contextmanager
def _last_stable_offset_ignored() -> Iterator[None]:
    advance = PartitionLog.advance_high_watermark

    def ignore(log: PartitionLog, offset: int) -> int:
        advance(log, offset)
        return offset

    with patch.object(PartitionLog, "advance_high_watermark", ignore):
        yield


@contextmanager
def _marker_dropped_for_one_partition() -> Iterator[None]:
    append = TransactionMarkers.append

    def drop(markers: TransactionMarkers, partition: Partition, request: Any) -> bool:
        if partition.name.partition == 1 and not partition.is_internal:
            return True
        return append(markers, partition, request)

    with patch.object(TransactionMarkers, "append", drop):
        yield


@contextmanager
def _coordinator_forgets_prepared_commits() -> Iterator[None]:
    loaded = TransactionShard.loaded

    def forget(shard: TransactionShard, now_ms: int) -> Any:
        for name, transaction in shard.transactions.items():
            if transaction.state is TransactionState.PREPARE_COMMIT:
                forgotten = transaction._replace(state=TransactionState.PREPARE_ABORT)
                shard.transactions[name] = forgotten
        return loaded(shard, now_ms)

    with patch.object(TransactionShard, "loaded", forget):
        yield


@contextmanager
def _epoch_fence_skipped() -> Iterator[None]:
    end = ending.end
    refusal = transactions._refusal

    def as_if_current(transaction: Any, command: Any) -> Any:
        current = ProducerIdAndEpoch(transaction.producer_id, transaction.producer_epoch)
        return command._replace(producer=current) if transaction.is_ongoing else command

    def anyone_ends(transaction: Any, command: Any, now_ms: int) -> Any:
        return end(transaction, as_if_current(transaction, command), now_ms)

    def refuse(transaction: Any, producer: ProducerIdAndEpoch) -> ErrorCode:
        if transaction is not None:
            producer = ProducerIdAndEpoch(producer.producer_id, transaction.producer_epoch)
        return refusal(transaction, producer)

    with (
        patch.object(ending, "end", anyone_ends),
        patch.object(transactions, "_refusal", refuse),
        patch.object(Producer, "check_epoch", lambda producer, epoch: None),
    ):
        yield


@contextmanager
def _duplicate_sequence_accepted() -> Iterator[None]:
    with (
        patch.object(Producer, "find_duplicate", lambda producer, header: None),
        patch.object(Producer, "check_sequence", lambda producer, header: None),
    ):
        yield


@contextmanager
def _committed_offsets_lost_on_reload() -> Iterator[None]:
    loaded = GroupShard.loaded

    def forget(shard: GroupShard, now_ms: int) -> Any:
        for group_id in list(shard.groups):
            for topic, partition, _ in list(shard.offsets.positions(group_id)):
                shard.offsets.remove(group_id, topic, partition)
        return loaded(shard, now_ms)

    with patch.object(GroupShard, "loaded", forget):
        yield


@contextmanager
def _two_owners_of_a_partition() -> Iterator[None]:
    handle = k14_sync_group.handle

    def give_all_the_same(context: Any, request: Any) -> Any:
        for each in request.assignments:
            each.assignment = request.assignments[0].assignment
        return handle(context, request)

    with patch.object(k14_sync_group, "handle", give_all_the_same):
        yield


@contextmanager
def _offsets_visible_before_the_marker() -> Iterator[None]:
    replay_pending = offset_requests.replay_pending

    def replay_at_once(shard: GroupShard, change: Any, producer: Any) -> bool:
        if not replay_pending(shard, change, producer):
            return False
        key = change.key
        position = OffsetKey(key.group, key.topic, key.partition)
        offset_requests.put(shard, position, committed_offset(change.value))
        shard.pending_offsets.remove(position)
        return True

    with patch.object(offset_requests, "replay_pending", replay_at_once):
        yield


@contextmanager
def _aborted_list_empty() -> Iterator[None]:
    with patch.object(k01_fetch, "_aborted", lambda result: []):
        yield


PLANTED_BUGS = {
    bug.name: bug
    for bug in (
        PlantedBug("acknowledge-before-fsync", _acknowledge_before_fsync, _CRASHES),
        PlantedBug(
            "high-watermark-past-the-flushed-offset",
            _high_watermark_past_the_flushed_offset,
            _CRASHES,
        ),
        PlantedBug("last-stable-offset-ignored", _last_stable_offset_ignored, _COPIES),
        PlantedBug("marker-dropped-for-one-partition", _marker_dropped_for_one_partition, _COPIES),
        PlantedBug(
            "coordinator-forgets-prepared-commits",
            _coordinator_forgets_prepared_commits,
            _MANY_CRASHES,
        ),
        PlantedBug("epoch-fence-skipped", _epoch_fence_skipped, {**_COPIES, **_LOSSES}),
        PlantedBug("duplicate-sequence-accepted", _duplicate_sequence_accepted, _LOSSES),
        PlantedBug(
            "committed-offsets-lost-on-reload",
            _committed_offsets_lost_on_reload,
            {"classic_consumers": 2, **_CRASHES},
        ),
        PlantedBug(
            "two-owners-of-a-partition", _two_owners_of_a_partition, {"classic_consumers": 3}
        ),
        PlantedBug(
            "offsets-visible-before-the-marker",
            _offsets_visible_before_the_marker,
            {**_COPIES, **_LOSSES},
        ),
        PlantedBug("aborted-list-empty", _aborted_list_empty, _COPIES),
    )
}
