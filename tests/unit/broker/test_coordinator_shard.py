"""A coordinator's shard and its log: loading, failing, loading again."""

from __future__ import annotations

import asyncio
import errno
import uuid
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest

from ottla.broker.coordinator_shard import ShardRuntime
from ottla.broker.coordinator_shards import CoordinatorShards
from ottla.broker.partition import Partition
from ottla.broker.steady_time import SteadyTime
from ottla.broker.topic_settings import topic_settings
from ottla.coordination.groups.commands import OffsetCommit, OffsetFetch
from ottla.coordination.groups.shard import GroupShard
from ottla.log.names import TopicPartition
from ottla.log.partition_log import PartitionLog
from ottla.log.recovery import OpenRequest
from ottla.metadata.config.resolve import ConfigResolver
from ottla.metadata.image import EMPTY_IMAGE
from ottla.testing.memory_disk import MemoryDisk, MemoryFile
from ottla.wire.api.k08_offset_commit import OffsetCommitRequest, PartitionToCommit, TopicToCommit
from ottla.wire.api.k09_offset_fetch import OffsetFetchRequest
from ottla.wire.errors import ErrorCode, ProtocolError

NAME = TopicPartition("__consumer_offsets", 0)


class Shards:
    """Shards over one partition in memory: each stands for the coordinator after a restart."""

    def __init__(self) -> None:
        config = ConfigResolver({}, 1).topic_defaults(EMPTY_IMAGE)
        settings = topic_settings(config, producer_id_expiration_ms=1000)
        self.disk = MemoryDisk()
        self.disk.make_directories("/data")
        log = PartitionLog.create(
            self.disk, f"/data/{NAME}", settings.log, NAME, uuid.uuid4(), now_ms=0
        )
        self.partition = Partition(NAME, uuid.uuid4(), log, 0, settings, commit=None)
        self.time = SteadyTime(asyncio.get_running_loop(), 1_000_000)

    def end_in_a_gap(self) -> None:
        """Stop and start the broker over a log whose last offsets are gone, as Kafka's compaction
        leaves it."""
        old = self.partition.log
        end_offset = old.log_end_offset + 10
        old.roll(end_offset, now_ms=0)
        old.close()
        request = OpenRequest(end_offset, 0, True, 0)
        log = PartitionLog.open(self.disk, old.directory, old.config, NAME, old.topic_id, request)
        assert log.log_end_offset == end_offset
        settings, topic_id = self.partition.settings, self.partition.topic_id
        self.partition = Partition(NAME, topic_id, log, 0, settings, commit=None)

    def next(self) -> ShardRuntime:
        return ShardRuntime(self.partition, GroupShard, self.time, max_batch_bytes=1_000_000)


async def ask(shard: ShardRuntime, make: Callable[[Any], Any]) -> Any:
    token: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    await shard.ready()
    shard.submit(make(token))
    return await token


def commit_command(token: Any, offset: int, metadata: str = "") -> OffsetCommit:
    partition = PartitionToCommit(
        partition_index=0, committed_offset=offset, committed_metadata=metadata
    )
    request = OffsetCommitRequest(
        group_id="g", topics=[TopicToCommit(name="orders", partitions=[partition])]
    )
    return OffsetCommit(token, request, 8)


async def commit(shard: ShardRuntime, offset: int, metadata: str = "") -> int:
    response = await ask(shard, lambda token: commit_command(token, offset, metadata))
    code: int = response.topics[0].partitions[0].error_code
    return code


async def committed(shard: ShardRuntime) -> int:
    request = OffsetFetchRequest(group_id="g", topics=None)
    response = await ask(shard, lambda token: OffsetFetch(token, request, 7))
    offset: int = response.topics[0].partitions[0].committed_offset
    return offset


def run(story: Callable[[Shards], Awaitable[None]]) -> None:
    async def main() -> None:
        await story(Shards())

    asyncio.run(main())


def test_a_shard_is_rebuilt_from_a_log_larger_than_one_read() -> None:
    async def story(shards: Shards) -> None:
        first = shards.next()
        for number in range(400):
            assert await commit(first, number, "m" * 4000) == ErrorCode.NONE
        first.stop()
        assert shards.partition.log.size_bytes > 1024 * 1024
        assert await committed(shards.next()) == 399

    run(story)


def test_a_log_that_ends_in_a_gap_is_loaded_to_its_end() -> None:
    async def story(shards: Shards) -> None:
        assert await commit(shards.next(), 5) == ErrorCode.NONE
        shards.end_in_a_gap()
        assert await committed(shards.next()) == 5

    run(story)


def test_a_failed_append_changes_nothing_and_the_shard_is_loaded_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def story(shards: Shards) -> None:
        shard = shards.next()
        assert await commit(shard, 5) == ErrorCode.NONE

        def refuse(*_: object, **__: object) -> None:
            raise ProtocolError(ErrorCode.KAFKA_STORAGE_ERROR)

        with monkeypatch.context() as patched:
            patched.setattr(Partition, "append", refuse)
            with pytest.raises(ProtocolError) as refusal:
                await commit(shard, 6)
            assert refusal.value.code is ErrorCode.COORDINATOR_NOT_AVAILABLE
        assert not shard.is_ready
        assert await committed(shard) == 5

    run(story)


def test_who_waited_for_a_load_is_not_served_by_a_shard_thrown_away_since(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def story(shards: Shards) -> None:
        assert await commit(shards.next(), 5) == ErrorCode.NONE
        shard = shards.next()
        topic = SimpleNamespace(partition=lambda index: shards.partition)
        coordinator = CoordinatorShards(topic, lambda _: shard)  # type: ignore[arg-type]
        append = Partition.append
        refused: list[bool] = []
        served_by: list[bool] = []

        def refuse_once(*arguments: Any, **keywords: Any) -> Any:
            if not refused:
                refused.append(True)
                raise ProtocolError(ErrorCode.KAFKA_STORAGE_ERROR)
            return append(*arguments, **keywords)

        def noted(token: Any) -> Any:
            served_by.append(shard.is_ready)
            return commit_command(token, 7)

        monkeypatch.setattr(Partition, "append", refuse_once)
        first = coordinator.submit(0, lambda token: commit_command(token, 6))
        results = await asyncio.gather(first, coordinator.submit(0, noted), return_exceptions=True)
        assert isinstance(results[0], ProtocolError)
        assert not isinstance(results[1], BaseException)
        assert results[1].topics[0].partitions[0].error_code == ErrorCode.NONE
        assert served_by == [True]
        assert await committed(shard) == 7

    run(story)


def test_a_load_that_fails_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(shards: Shards) -> None:
        assert await commit(shards.next(), 5) == ErrorCode.NONE
        shard = shards.next()

        def refuse(*_: object, **__: object) -> None:
            raise ProtocolError(ErrorCode.KAFKA_STORAGE_ERROR)

        with monkeypatch.context() as patched:
            patched.setattr(PartitionLog, "read", refuse)
            with pytest.raises(ProtocolError):
                await shard.ready()
        assert await committed(shard) == 5

    run(story)


def test_a_log_that_can_not_be_read_is_told_as_an_absent_coordinator(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(self: MemoryFile, size_bytes: int, position: int) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    async def main() -> None:
        shards = Shards()
        await commit(shards.next(), 1)
        monkeypatch.setattr(MemoryFile, "read", fail)
        with pytest.raises(ProtocolError) as raised:
            await shards.next().ready()
        assert raised.value.code is ErrorCode.COORDINATOR_NOT_AVAILABLE

    asyncio.run(main())
