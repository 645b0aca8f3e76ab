"""Commands that a shard decides together: those of one turn of the event loop."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from ottla.broker.coordinator_shard import ShardRuntime
from ottla.broker.partition import Partition
from ottla.broker.steady_time import SteadyTime
from ottla.broker.topic_settings import topic_settings
from ottla.coordination.groups.commands import ClientContext, ConsumerGroupHeartbeat
from ottla.coordination.groups.shard import GroupShard
from ottla.log.names import TopicPartition
from ottla.log.partition_log import PartitionLog
from ottla.metadata.config.resolve import ConfigResolver
from ottla.metadata.image import EMPTY_IMAGE
from ottla.records.batch import iter_complete_headers
from ottla.testing.consumer_member import ConsumerMember
from ottla.testing.memory_disk import MemoryDisk
from ottla.wire.errors import ErrorCode, ProtocolError

NAME = TopicPartition("__consumer_offsets", 0)
CLIENT = ClientContext("client", "/10.0.0.7")


def run(story: Callable[[ShardRuntime], Awaitable[None]]) -> None:
    """Tell a story of a loaded shard over an empty log in memory."""

    async def main() -> None:
        config = ConfigResolver({}, 1).topic_defaults(EMPTY_IMAGE)
        settings = topic_settings(config, producer_id_expiration_ms=1000)
        disk = MemoryDisk()
        disk.make_directories("/data")
        log = PartitionLog.create(disk, f"/data/{NAME}", settings.log, NAME, uuid.uuid4(), now_ms=0)
        partition = Partition(NAME, uuid.uuid4(), log, 0, settings, commit=None)
        time = SteadyTime(asyncio.get_running_loop(), 1_000_000)
        shard = ShardRuntime(partition, GroupShard, time, max_batch_bytes=1_000_000)
        await shard.ready()
        await story(shard)

    asyncio.run(main())


def gather(shard: ShardRuntime, *members: ConsumerMember) -> list[asyncio.Future[Any]]:
    """Each member's heartbeat, all in one turn."""
    tokens: list[asyncio.Future[Any]] = []
    for member in members:
        token = asyncio.get_running_loop().create_future()
        tokens.append(token)
        shard.gather(ConsumerGroupHeartbeat(token, member.request(), 1, CLIENT, ""))
    return tokens


def members(count: int) -> list[ConsumerMember]:
    return [ConsumerMember("orders", f"m{index}", ["t"]) for index in range(count)]


def batches(shard: ShardRuntime) -> int:
    """How many batches the log has."""
    log = shard.partition.log
    written = log.read(0, 1_000_000, end_offset=log.log_end_offset).read()
    return sum(1 for _ in iter_complete_headers(written))


def test_heartbeats_of_one_turn_make_one_batch_of_the_log() -> None:
    async def story(shard: ShardRuntime) -> None:
        answers = await asyncio.gather(*gather(shard, *members(3)))
        assert [answer.member_epoch for answer in answers] == [1, 1, 1]
        assert batches(shard) == 1

    run(story)


def test_a_heartbeat_that_changes_nothing_waits_for_no_turn() -> None:
    async def story(shard: ShardRuntime) -> None:
        (member,) = members(1)
        (token,) = gather(shard, member)
        member.receive(await token)
        (token,) = gather(shard, member)
        member.receive(await token)
        (token,) = gather(shard, member)
        assert token.done()
        assert token.result().error_code == ErrorCode.NONE

    run(story)


def test_a_shard_that_stops_sends_those_that_wait_elsewhere() -> None:
    async def story(shard: ShardRuntime) -> None:
        tokens = gather(shard, *members(2))
        shard.stop()
        for token in tokens:
            with pytest.raises(ProtocolError) as refusal:
                await token
            assert refusal.value.code is ErrorCode.NOT_COORDINATOR
        await asyncio.sleep(0)
        assert batches(shard) == 0

    run(story)


def test_a_failed_append_refuses_all_of_the_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(shard: ShardRuntime) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise ProtocolError(ErrorCode.KAFKA_STORAGE_ERROR)

        with monkeypatch.context() as patched:
            patched.setattr(Partition, "append", refuse)
            for token in gather(shard, *members(2)):
                with pytest.raises(ProtocolError) as refusal:
                    await token
                assert refusal.value.code is ErrorCode.COORDINATOR_NOT_AVAILABLE
        assert not shard.is_ready

    run(story)


def test_a_decision_that_fails_by_a_fault_of_ours_is_answered_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def story(shard: ShardRuntime) -> None:
        def fail(*_: object) -> None:
            raise KeyError("a fault")

        monkeypatch.setattr(GroupShard, "decide_together", fail)
        for token in gather(shard, *members(2)):
            with pytest.raises(ProtocolError) as refusal:
                await token
            assert refusal.value.code is ErrorCode.UNKNOWN_SERVER_ERROR

    run(story)
