"""The group coordinator: finds the shard of a group and hands it commands."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ottla.broker.coordinator_shards import CoordinatorShards, MakeCommand
from ottla.broker.internal_topic import InternalTopic
from ottla.broker.partition import Partition
from ottla.broker.steady_time import SteadyTime
from ottla.coordination.groups.settings import GroupSettings
from ottla.metadata.image import ClusterImage
from ottla.wire.errors import ProtocolError

# The coordinator's core is imported with its first use: a broker without groups starts sooner.
if TYPE_CHECKING:
    from ottla.broker.coordinator_reply import CoordinatorReply
    from ottla.broker.coordinator_shard import ShardRuntime

_logger = logging.getLogger(__name__)

# Groups whose shard is remembered: the hash of a name takes as long as a small decision.
_MAX_KNOWN_SHARDS = 10_000
_MAX_KNOWN_LENGTH = 256


class GroupCoordinator:
    """All shards of this broker; each is loaded from its log when it is first needed."""

    def __init__(
        self,
        topic: InternalTopic,
        new_settings: Callable[[], GroupSettings],
        time: SteadyTime,
        latest_image: Callable[[], ClusterImage],
    ) -> None:
        self._new_settings = new_settings
        self._time = time
        self._latest_image = latest_image
        self._shards = CoordinatorShards(topic, self._open_shard)
        self._known_shards: dict[str, ShardRuntime] = {}
        self._new_reply: type[CoordinatorReply]

    async def ensure_topic(self) -> None:
        """Create ``__consumer_offsets`` unless it is there."""
        await self._shards.ensure_topic()

    @property
    def partition_count(self) -> int:
        """How many shards there are; 0 before anybody asked for a coordinator."""
        return self._shards.count

    async def submit(self, group_id: str, make: MakeCommand) -> Any:
        """Hand a command to the group's shard and wait for the reply.

        Raises:
            ProtocolError: the shard's log is offline or refused the records.
        """
        from ottla.coordination.routing import partition_for

        await self.ensure_topic()
        return await self.submit_to(partition_for(group_id, self.partition_count), make)

    def ask(
        self,
        group_id: str,
        make: Callable[[CoordinatorReply], object],
        refused: Callable[[ProtocolError], Any],
        *,
        is_gathered: bool = False,
    ) -> Any:
        """As `submit`, without a task: the response, or a pending or an awaitable one.

        Args:
            refused: makes the response of an error.
            is_gathered: it is decided with the others that come at the same moment.
        """
        try:
            shard = self._ready_shard(group_id)
            if shard is not None:
                reply = self._new_reply(refused)
                if is_gathered:
                    shard.gather(make(reply))
                else:
                    shard.submit(make(reply))
                return reply.response if reply.done() else reply
        except ProtocolError as error:
            return refused(error)
        return self._ask_later(group_id, make, refused)

    def _ready_shard(self, group_id: str) -> ShardRuntime | None:
        """The group's shard, unless it has to be made or loaded first.

        Raises:
            ProtocolError: its partition is offline.
        """
        shard = self._known_shards.get(group_id)
        if shard is None or shard.partition.is_offline:
            from ottla.broker.coordinator_reply import CoordinatorReply
            from ottla.coordination.routing import partition_for

            self._new_reply = CoordinatorReply
            shard_count = self.partition_count
            if not shard_count:
                return None
            shard = self._shards.shard(partition_for(group_id, shard_count))
            if len(self._known_shards) >= _MAX_KNOWN_SHARDS:
                self._known_shards.clear()
            if len(group_id) <= _MAX_KNOWN_LENGTH:
                self._known_shards[group_id] = shard
        return shard if shard.is_ready else None

    async def _ask_later(
        self,
        group_id: str,
        make: Callable[[Any], object],
        refused: Callable[[ProtocolError], Any],
    ) -> Any:
        try:
            return await self.submit(group_id, make)
        except ProtocolError as error:
            return refused(error)

    async def submit_to(self, index: int, make: MakeCommand) -> Any:
        """As `submit`, for a shard already known."""
        return await self._shards.submit(index, make)

    async def submit_to_each(self, commands: dict[int, MakeCommand]) -> list[Any]:
        """Hand a command to several shards; their replies in the same order."""
        return await self._shards.submit_to_each(commands)

    async def load_all(self) -> None:
        """Load every shard: sessions of members from before a restart begin to run out."""
        await self._shards.load_all()

    def follow(self, before: ClusterImage, after: ClusterImage) -> None:
        """Forget the offsets of topics that are gone."""
        gone = frozenset(
            topic.name
            for topic_id in after.deleted_topics
            if topic_id not in before.deleted_topics
            and (topic := before.topic_by_id(topic_id)) is not None
        )
        if not gone:
            return
        from ottla.coordination.groups.commands import TopicsDeleted

        self.submit_to_all_when_ready(TopicsDeleted(gone))

    def submit_to_all_when_ready(self, command: object) -> None:
        """Hand every shard a command that nobody waits for, now or after its load."""
        for index in range(self.partition_count):
            try:
                self._shards.shard(index).submit_when_ready(command)
            except ProtocolError as error:
                # One that is offline must not keep it from the others.
                _logger.error("shard %d does not hear of %s: %s", index, command, error)

    def stop(self) -> None:
        """Stop all timers; nothing is decided any more."""
        self._shards.stop()

    def _open_shard(self, partition: Partition) -> ShardRuntime:
        from ottla.broker.coordinator_shard import ShardRuntime
        from ottla.coordination.groups.commands import ForgetMissingTopics
        from ottla.coordination.groups.shard import GroupShard

        settings = self._new_settings()
        shard = ShardRuntime(
            partition,
            lambda: GroupShard(settings, self._latest_image),
            self._time,
            max_batch_bytes=settings.max_batch_bytes,
        )
        shard.submit_when_ready(ForgetMissingTopics())
        return shard
