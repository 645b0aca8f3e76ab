"""All shards of one coordinator on this broker: each is loaded when it is first needed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any

from ottla.broker.internal_topic import InternalTopic
from ottla.broker.partition import Partition
from ottla.wire.errors import ProtocolError

# The runtime is imported with its first use: a broker without coordinators starts sooner.
if TYPE_CHECKING:
    from ottla.broker.coordinator_shard import ShardRuntime

_logger = logging.getLogger(__name__)

# Makes a command of the future that its reply will complete.
MakeCommand = Callable[["asyncio.Future[Any]"], object]


class CoordinatorShards:
    """The shards that live in the partitions of an internal topic.

    Args:
        open_shard: makes the runtime of one of them, not loaded yet.
    """

    def __init__(
        self, topic: InternalTopic, open_shard: Callable[[Partition], ShardRuntime]
    ) -> None:
        self._topic = topic
        self._open_shard = open_shard
        self._shards: dict[int, ShardRuntime] = {}

    async def ensure_topic(self) -> None:
        """Create the topic unless it is there.

        Raises:
            ProtocolError: it can't be created.
        """
        if not self._topic.partition_count():
            await self._topic.create()

    @property
    def count(self) -> int:
        """How many shards there are; 0 before anybody asked for a coordinator."""
        return self._topic.partition_count()

    def opened(self) -> Iterator[ShardRuntime]:
        """The shards that were needed so far."""
        return iter(list(self._shards.values()))

    async def submit(self, index: int, make: MakeCommand) -> Any:
        """Hand a command to a shard and wait for the reply.

        Raises:
            ProtocolError: the shard's log is offline or refused the records.
        """
        shard = self.shard(index)
        while not shard.is_ready:
            await shard.ready()
            # Who waited beside this may have had it thrown away again.
            shard = self.shard(index)
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        shard.submit(make(reply))
        return reply.result() if reply.done() else await reply

    async def submit_to_each(self, commands: dict[int, MakeCommand]) -> list[Any]:
        """Hand a command to several shards; their replies in the same order."""
        waits: list[Awaitable[Any]] = [self.submit(index, make) for index, make in commands.items()]
        return list(await asyncio.gather(*waits))

    async def load_all(self) -> None:
        """Load every shard: what the restart interrupted goes on though nobody asks."""
        for index in range(self.count):
            try:
                await self.shard(index).ready()
            except ProtocolError as error:
                _logger.error("can't load shard %d of %s: %s", index, self._topic.name, error)

    def shard(self, index: int) -> ShardRuntime:
        """One shard, loaded or not.

        Raises:
            ProtocolError: its partition is offline.
        """
        partition = self._topic.partition(index)
        shard = self._shards.get(index)
        if shard is None or shard.partition is not partition:
            if shard is not None:
                # The topic was deleted and is there again.
                shard.stop()
            shard = self._shards[index] = self._open_shard(partition)
        return shard

    def stop(self) -> None:
        """Stop all timers; nothing is decided any more."""
        for shard in self._shards.values():
            shard.stop()
