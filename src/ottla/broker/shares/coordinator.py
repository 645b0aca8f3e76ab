"""The share coordinator in the broker: ``__share_group_state``, its shards and its pruning."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from uuid import UUID

from ottla.broker.coordinator_shard import ShardRuntime
from ottla.broker.coordinator_shards import CoordinatorShards
from ottla.broker.errors import EXPECTED_ERRORS
from ottla.broker.internal_topic import InternalTopic
from ottla.coordination.routing import partition_for
from ottla.coordination.share_state import commands
from ottla.coordination.share_state.commands import NeededCount, Refused, SharePartitionKey
from ottla.coordination.share_state.shard import ShareStateSettings, ShareStateShard
from ottla.metadata.topic_names import SHARE_GROUP_STATE_TOPIC
from ottla.metadata.uuids import format_uuid
from ottla.wire.errors import ErrorCode, ProtocolError

if TYPE_CHECKING:
    from ottla.broker.node import BrokerNode
    from ottla.broker.partition import Partition
    from ottla.broker.steady_time import SteadyTime

_logger = logging.getLogger(__name__)

# Not compacted: an update says what changed, so the last one of a key is not enough.
_TOPIC_SETTINGS: Mapping[str, str] = MappingProxyType(
    {"cleanup.policy": "delete", "retention.ms": "-1", "compression.type": "producer"}
)
_PRUNE_INTERVAL_S = 300
_MAX_BATCH_BYTES = 1_048_588


class ShareCoordinator:
    """All shards of this broker."""

    def __init__(self, broker: BrokerNode, time: SteadyTime) -> None:
        self._broker = broker
        self._time = time
        topic = InternalTopic(
            broker,
            SHARE_GROUP_STATE_TOPIC,
            "share.coordinator.state.topic",
            _TOPIC_SETTINGS,
            has_min_isr=True,
        )
        self._shards = CoordinatorShards(topic, self._open_shard)
        self._loop = asyncio.get_running_loop()
        self._pruning: asyncio.Task[None] | None = None
        self._timer = self._loop.call_later(_PRUNE_INTERVAL_S, self._prune_soon)

    async def ensure_topic(self) -> None:
        """Create ``__share_group_state`` unless it is there.

        Raises:
            ProtocolError: it can't be created.
        """
        await self._shards.ensure_topic()

    async def ask(
        self, key: SharePartitionKey, make: Callable[[asyncio.Future[Any]], object]
    ) -> Any:
        """Hand a command about a share partition to its shard and wait for the answer.

        Raises:
            ProtocolError: it was refused, the partition doesn't exist, or the shard is offline.
        """
        topic = self._broker.cluster.image.topic_by_id(key.topic_id)
        if topic is None or not 0 <= key.partition < len(topic.partitions):
            raise ProtocolError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        await self.ensure_topic()
        name = f"{key.group_id}:{format_uuid(key.topic_id)}:{key.partition}"
        answer = await self._shards.submit(partition_for(name, self._shards.count), make)
        if isinstance(answer, Refused):
            raise ProtocolError(answer.code, answer.message)
        return answer

    def forget_topics(self, topic_ids: frozenset[UUID]) -> None:
        """Topics are gone: so is the state of their share partitions. Shards that aren't loaded
        find out when they are."""
        for shard in self._shards.opened():
            try:
                if shard.is_ready:
                    shard.submit(commands.TopicsDeleted(topic_ids))
            except ProtocolError as error:
                _logger.error("%s keeps state of deleted topics: %s", shard.partition.name, error)

    def stop(self) -> None:
        """Stop all timers; nothing is decided any more."""
        self._timer.cancel()
        if self._pruning is not None:
            self._pruning.cancel()
        self._shards.stop()

    async def prune(self) -> None:
        """Let go of what lies before the oldest snapshot in use, in the shards opened so far.

        Every record of the log has been replayed when a shard is asked, so how many of the newest
        are needed says where the log may begin.
        """
        pruned = []
        for shard in self._shards.opened():
            partition = shard.partition
            try:
                await shard.ready()
                reply: asyncio.Future[NeededCount] = self._loop.create_future()
                end_offset = partition.log.log_end_offset
                shard.submit(commands.CountNeeded(reply))
                start_offset = end_offset - (await reply).records
                if start_offset > partition.log.log_start_offset:
                    self._broker.partitions.delete_records_before(partition, start_offset)
                    pruned.append(partition)
            except EXPECTED_ERRORS as error:
                _logger.error("can't prune %s: %s", partition.name, error)
        if pruned:
            # A crash must not bring back updates without their snapshots.
            self._broker.partitions.checkpoint(pruned)

    def _prune_soon(self) -> None:
        self._timer = self._loop.call_later(_PRUNE_INTERVAL_S, self._prune_soon)
        if self._pruning is None or self._pruning.done():
            self._pruning = self._loop.create_task(self.prune())

    def _has_topic(self, topic_id: UUID) -> bool:
        return self._broker.cluster.image.topic_by_id(topic_id) is not None

    def _open_shard(self, partition: Partition) -> ShardRuntime:
        config = self._broker.config
        settings = ShareStateSettings(
            updates_per_snapshot=config.integer(
                "share.coordinator.snapshot.update.records.per.snapshot"
            )
        )
        return ShardRuntime(
            partition,
            lambda: ShareStateShard(settings, self._has_topic),
            self._time,
            max_batch_bytes=_MAX_BATCH_BYTES,
        )
