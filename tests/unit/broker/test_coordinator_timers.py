"""The timers of a coordinator's shard: set, postponed, brought forward, cancelled."""

from __future__ import annotations

import asyncio
import uuid

from ottla.broker.coordinator_shard import ShardRuntime
from ottla.broker.partition import Partition
from ottla.broker.steady_time import SteadyTime
from ottla.broker.topic_settings import topic_settings
from ottla.coordination.outcome import CoordinatorRecord, Outcome, Reply
from ottla.log.names import TopicPartition
from ottla.log.partition_log import PartitionLog
from ottla.metadata.config.resolve import ConfigResolver
from ottla.metadata.image import EMPTY_IMAGE
from ottla.testing.memory_disk import MemoryDisk
from ottla.testing.simulation.loop import SimulationLoop
from ottla.wire.errors import ErrorCode

NAME = TopicPartition("__consumer_offsets", 0)
START_MS = 1_000_000


class Clock:
    """A core whose commands are deadlines after the start, or ``None`` to cancel."""

    def __init__(self) -> None:
        self.fired_ms: list[int] = []

    def decide(self, command: int | None, now_ms: int) -> Outcome:
        outcome = Outcome()
        if command is None:
            outcome.cancel_timer("alarm")
        else:
            outcome.set_timer("alarm", START_MS + command)
        return outcome

    def on_timer(self, key: str, now_ms: int) -> Outcome:
        self.fired_ms.append(now_ms - START_MS)
        return Outcome()

    def loaded(self, now_ms: int) -> Outcome:
        return Outcome()

    def replay(self, record: CoordinatorRecord, producer: object = None) -> None:
        raise AssertionError("there are no records")

    def end_transaction(self, producer_id: int, producer_epoch: int, is_committed: bool) -> None:
        raise AssertionError("there are no transactions")

    def apply(self, event: object) -> None:
        raise AssertionError("there are no events")

    def abandon(self, error: ErrorCode) -> list[Reply]:
        return []


def alarms(*commands: tuple[int, int | None]) -> list[int]:
    """When the timer fires, with each command submitted at its time."""
    core = Clock()

    async def story() -> None:
        config = ConfigResolver({}, 1).topic_defaults(EMPTY_IMAGE)
        settings = topic_settings(config, producer_id_expiration_ms=1000)
        disk = MemoryDisk()
        disk.make_directories("/data")
        log = PartitionLog.create(disk, f"/data/{NAME}", settings.log, NAME, uuid.uuid4(), now_ms=0)
        partition = Partition(NAME, uuid.uuid4(), log, 0, settings, commit=None)
        time = SteadyTime(asyncio.get_running_loop(), START_MS)
        shard = ShardRuntime(partition, lambda: core, time, max_batch_bytes=1_000_000)
        await shard.ready()
        for at_ms, command in commands:
            await asyncio.sleep((START_MS + at_ms - time.now_ms()) / 1000)
            shard.submit(command)
        await asyncio.sleep(10)
        shard.stop()

    loop = SimulationLoop()
    try:
        loop.run_until_complete(story())
    finally:
        loop.close()
    return core.fired_ms


def test_a_timer_fires_once() -> None:
    assert alarms((0, 1_000)) == [1_000]


def test_a_postponed_timer_fires_at_its_last_deadline() -> None:
    assert alarms((0, 1_000), (500, 1_500), (900, 3_000)) == [3_000]


def test_a_postponed_timer_can_be_brought_forward_again() -> None:
    assert alarms((0, 1_000), (100, 3_000), (200, 2_000)) == [2_000]
    assert alarms((0, 1_000), (100, 500)) == [500]
    assert alarms((0, 1_000), (100, 3_000), (1_500, 1_600)) == [1_600]


def test_a_postponed_timer_can_be_cancelled() -> None:
    assert alarms((0, 1_000), (100, 3_000), (200, None)) == []
    assert alarms((0, 1_000), (100, 3_000), (2_000, None)) == []
