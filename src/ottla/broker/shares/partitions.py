"""The share partitions of this broker: made of what the share coordinator remembers."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING
from uuid import UUID

from ottla.broker.shares.configuration import ShareConfiguration, ShareConfigurations
from ottla.broker.shares.live_partition import LivePartition
from ottla.broker.shares.sessions import MemberKey
from ottla.coordination.share_partitions.share_partition import SharePartition
from ottla.coordination.share_state.commands import (
    FoundState,
    ReadState,
    SharePartitionKey,
    WriteState,
)
from ottla.wire.errors import ErrorCode, ProtocolError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ottla.broker.node import BrokerNode
    from ottla.broker.partition import Partition
    from ottla.broker.shares.coordinator import ShareCoordinator
    from ottla.broker.steady_time import SteadyTime

_logger = logging.getLogger(__name__)

_UNKNOWN_START_OFFSET = -1


class SharePartitions:
    """Every share partition in use."""

    def __init__(self, broker: BrokerNode, coordinator: ShareCoordinator, time: SteadyTime) -> None:
        self._broker = broker
        self._coordinator = coordinator
        self._time = time
        self._configurations = ShareConfigurations(broker.resolver)
        self._live: dict[SharePartitionKey, LivePartition] = {}
        self._loading: dict[SharePartitionKey, asyncio.Task[LivePartition]] = {}
        self._releases: set[asyncio.Task[None]] = set()

    def configuration(self, group_id: str) -> ShareConfiguration:
        """What applies to a group now."""
        return self._configurations.of(self._broker.cluster.image, group_id)

    def known(self, key: SharePartitionKey) -> LivePartition | None:
        """A share partition that is in use already and can be used on."""
        live = self._live.get(key)
        if live is None:
            return None
        if live.is_fenced or live.partition.is_offline:
            self.forget([key])
            return None
        return live

    async def get(self, key: SharePartitionKey) -> LivePartition:
        """A share partition, ready to be read.

        Raises:
            ProtocolError: the group has no state of it, or its disk is offline.
        """
        live = self.known(key)
        if live is not None:
            return live
        loading = self._loading.get(key)
        if loading is None:
            loading = self._loading[key] = asyncio.ensure_future(self._load(key))
            loading.add_done_callback(lambda _: self._loading.pop(key, None))
        return await asyncio.shield(loading)

    def find_partition(self, topic_id: UUID, index: int) -> Partition:
        """The partition itself.

        Raises:
            ProtocolError: it is unknown here or offline.
        """
        name = self._broker.partitions.topic_name(topic_id)
        if name is None:
            raise ProtocolError(ErrorCode.UNKNOWN_TOPIC_ID)
        return self._broker.partitions.find(name, index)

    async def _load(self, key: SharePartitionKey) -> LivePartition:
        partition = self.find_partition(key.topic_id, key.partition)
        leader_epoch = partition.leader_epoch
        found: FoundState = await self._coordinator.ask(
            key, lambda token: ReadState(token, key, leader_epoch)
        )
        configuration = self.configuration(key.group_id)
        start_offset = found.start_offset
        if start_offset == _UNKNOWN_START_OFFSET:
            start_offset = self._first_offset(partition, configuration)
            # At once, or a restart would begin at another "latest" and skip what lies between.
            await self._coordinator.ask(
                key,
                lambda token: WriteState(
                    token, key, found.state_epoch, leader_epoch, start_offset, 0, ()
                ),
            )
        core = SharePartition(start_offset, found.state_batches, configuration.partitions)
        live = LivePartition(key, partition, core, found.state_epoch, self._coordinator, self._time)
        self._live[key] = live
        return live

    def _first_offset(self, partition: Partition, configuration: ShareConfiguration) -> int:
        reset = configuration.auto_offset_reset
        if reset == "earliest":
            return partition.log.log_start_offset
        if isinstance(reset, int):
            found = partition.log.offset_for_timestamp(self._broker.clock.wall_ms() - reset)
            if found is not None and found[0] < partition.high_watermark:
                return found[0]
        return partition.high_watermark

    # Endings

    def member_left(self, member: MemberKey) -> None:
        """A member's session is over: whatever it holds goes back, though nobody waits for it."""
        task = asyncio.ensure_future(self._release_all(member))
        self._releases.add(task)
        task.add_done_callback(self._releases.discard)

    async def _release_all(self, member: MemberKey) -> None:
        for live in list(self._live.values()):
            if live.key.group_id == member.group_id and live.core.has_locks(member.member_id):
                try:
                    await live.release(member.member_id)
                except ProtocolError as error:
                    _logger.error("the locks of %s will run out: %s", member, error)
        self.member_is_gone(member.group_id)

    def member_is_gone(self, group_id: str) -> None:
        """A session is over, and what it held is given back."""
        if not self._broker.share_groups.sessions.has_members(group_id):
            self.forget_group(group_id)

    def forget(self, keys: Iterable[SharePartitionKey]) -> None:
        """Drop share partitions whose state began anew or is gone."""
        for key in keys:
            live = self._live.pop(key, None)
            if live is not None:
                live.close()

    def forget_group(self, group_id: str) -> None:
        """Nobody of the group fetches: what is idle can be read again when somebody does."""
        self.forget(
            [key for key, live in self._live.items() if key.group_id == group_id and live.is_idle]
        )

    def forget_topics(self, topic_ids: frozenset[UUID]) -> None:
        """Topics are gone."""
        self.forget([key for key in self._live if key.topic_id in topic_ids])

    def stop(self) -> None:
        """Stop all timers; acquired records are given to others after the restart."""
        for task in self._releases:
            task.cancel()
        for live in self._live.values():
            live.close()
