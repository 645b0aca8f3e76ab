"""A broker that compacts in virtual time: when it is due, at its rate, and what it can't clean."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
from collections.abc import Awaitable, Callable

import pytest

from ottla.broker.configuration import configuration_of
from ottla.broker.node import BrokerNode
from ottla.broker.partition import Partition
from ottla.log.names import CLEANER_CHECKPOINT, TopicPartition
from ottla.log.text_files import parse_offset_checkpoint
from ottla.metadata.controller.create_topics import NewTopic, decide_create_topics
from ottla.metadata.controller.delete_topics import TopicReference, decide_delete_topics
from ottla.metadata.store.sqlite import IN_MEMORY, SqliteMetadataStore
from ottla.ports.entropy import SeededEntropy
from ottla.records.batch import read_header
from ottla.records.decode import decode_records
from ottla.records.encode import encode_batch
from ottla.records.record import Record
from ottla.testing.memory_disk import MemoryDisk, MemoryFile
from ottla.testing.simulation.loop import SimulationLoop, run_simulation
from ottla.testing.simulation.net import SimulatedNetwork
from ottla.testing.simulation.worker import SimulatedWorker

TABLE = {"cleanup.policy": "compact", "segment.bytes": "1048576"}
VALUE = bytes(50_000)
PER_SEGMENT = 20


class FailingDisk(MemoryDisk):
    """Makes no ``.cleaned`` files while ``error`` is set."""

    error: int | None = None

    def open(self, path: str, *, create: bool = False) -> MemoryFile:
        if self.error is not None and path.endswith(".cleaned"):
            raise OSError(self.error, os.strerror(self.error), path)
        return super().open(path, create=create)


class Scene:
    """A broker, its disk, and a topic to fill."""

    def __init__(self, loop: SimulationLoop, disk: FailingDisk, **settings: str) -> None:
        self.loop = loop
        self.disk = disk
        self.node = BrokerNode(
            configuration_of(
                {"listeners": "PLAINTEXT://:9092", "log.dirs": "/data", **settings}, origin="test"
            ),
            clock=loop.clock,
            disk=disk,
            net=SimulatedNetwork(loop).host("broker"),
            entropy=SeededEntropy(1),
            store=SqliteMetadataStore(IN_MEMORY),
            new_worker=SimulatedWorker,
        )

    async def create(self, name: str, **configs: str) -> Partition:
        topic = NewTopic(name, 1, 1, configs=tuple({**TABLE, **configs}.items()))
        node = self.node
        await node.cluster.submit(
            lambda image: decide_create_topics(image, node.resolver, [topic], node.entropy)
        )
        partition = node.partitions.get(name, 0)
        assert partition is not None
        return partition

    def fill(self, partition: Partition, segments: int, keys: int = 4) -> None:
        for number in range(segments * PER_SEGMENT + 1):
            key = b"%d" % (number % keys)
            record = Record(0, self.loop.clock.wall_ms(), key, VALUE)
            batch = memoryview(bytearray(encode_batch([record])))
            partition.append(batch, [(0, read_header(batch))], now_ms=self.loop.clock.wall_ms())

    def checkpoint(self) -> dict[TopicPartition, int]:
        try:
            return parse_offset_checkpoint(self.disk.read_file(f"/data/{CLEANER_CHECKPOINT}"))
        except FileNotFoundError:
            return {}


def play(story: Callable[[Scene], Awaitable[None]], **settings: str) -> None:
    settings = {key.replace("_", "."): value for key, value in settings.items()}

    async def main(loop: SimulationLoop) -> None:
        scene = Scene(loop, FailingDisk(loop.clock), **settings)
        await scene.node.start()
        try:
            await story(scene)
        finally:
            await scene.node.stop()

    run_simulation(main, seed=1)


def test_a_dirty_log_is_compacted_and_a_clean_one_is_left_alone() -> None:
    async def story(scene: Scene) -> None:
        partition = await scene.create("table")
        scene.fill(partition, 5)
        await asyncio.sleep(20)
        size_bytes = partition.log.size_bytes
        assert size_bytes < 2_000_000
        active = partition.log.log_end_offset - 1
        assert scene.checkpoint() == {TopicPartition("table", 0): active}
        paths = scene.disk.list_directory("/data/table-0")
        scene.fill(partition, 0)
        await asyncio.sleep(60)
        # Less than half of it is dirty.
        assert partition.log.first_dirty_offset == active
        assert [each for each in paths if each.endswith((".swap", ".cleaned"))] == []

    play(story)


def test_a_lag_postpones_compaction_and_another_forces_it() -> None:
    async def story(scene: Scene) -> None:
        young = await scene.create("young", **{"min.compaction.lag.ms": "600000"})
        forced = await scene.create(
            "forced",
            **{"max.compaction.lag.ms": "100000", "min.cleanable.dirty.ratio": "1"},
        )
        never = await scene.create("never", **{"min.cleanable.dirty.ratio": "1"})
        for each in (young, forced, never):
            scene.fill(each, 3)
        await asyncio.sleep(60)
        assert [each.log.first_dirty_offset for each in (young, forced, never)] == [0, 0, 0]
        await asyncio.sleep(60)
        assert forced.log.first_dirty_offset > 0
        assert young.log.first_dirty_offset == 0
        await asyncio.sleep(600)
        assert young.log.first_dirty_offset > 0
        assert never.log.first_dirty_offset == 0

    play(story)


def test_a_rate_is_kept() -> None:
    async def story(scene: Scene) -> None:
        partition = await scene.create("table")
        scene.fill(partition, 10)
        await asyncio.sleep(30)
        # About 20 MB have to be read, and 200 kB written.
        assert partition.log.first_dirty_offset == 0
        await asyncio.sleep(200)
        assert partition.log.first_dirty_offset > 0

    play(story, log_cleaner_io_max_bytes_per_second="200000")


def test_as_many_logs_are_compacted_at_once_as_there_are_threads() -> None:
    async def story(scene: Scene) -> None:
        tables = [await scene.create(f"table{number}") for number in range(3)]
        for each in tables:
            scene.fill(each, 10)
        await asyncio.sleep(40)
        begun = [
            any(
                name.endswith(".cleaned")
                for name in scene.disk.list_directory(f"/data/table{number}-0")
            )
            for number in range(3)
        ]
        assert sorted(begun) == [False, True, True]
        await asyncio.sleep(600)
        assert all(each.log.first_dirty_offset > 0 for each in tables)

    play(story, log_cleaner_threads="2", log_cleaner_io_max_bytes_per_second="1000000")


def test_compaction_can_be_turned_off() -> None:
    async def story(scene: Scene) -> None:
        partition = await scene.create("table")
        scene.fill(partition, 3)
        await asyncio.sleep(600)
        assert partition.log.first_dirty_offset == 0

    play(story, log_cleaner_enable="false")


def test_a_damaged_log_is_left_as_it_is_and_others_are_compacted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def story(scene: Scene) -> None:
        damaged, sound = await scene.create("damaged"), await scene.create("sound")
        for each in (damaged, sound):
            scene.fill(each, 3)
        file = scene.disk.open("/data/damaged-0/00000000000000000000.log")
        file.write([b"?"], 300)
        size_bytes = damaged.log.size_bytes
        await asyncio.sleep(120)
        assert damaged.log.size_bytes == size_bytes
        assert damaged.log.first_dirty_offset == 0
        assert not damaged.is_offline
        assert sound.log.first_dirty_offset > 0
        told = [each for each in caplog.records if "damaged-0 can't be compacted" in each.message]
        assert len(told) == 1

    with caplog.at_level(logging.INFO):
        play(story)


def test_a_map_too_small_for_one_batch_is_told(caplog: pytest.LogCaptureFixture) -> None:
    async def story(scene: Scene) -> None:
        partition = await scene.create("table")
        records = [Record(number, 1000, b"%d" % number, b"v" * 50) for number in range(2000)]
        for _ in range(20):
            batch = memoryview(bytearray(encode_batch(records)))
            partition.append(batch, [(0, read_header(batch))], now_ms=1000)
        await asyncio.sleep(60)
        assert partition.log.first_dirty_offset == 0
        assert any("dedupe.buffer.size is too small" in each.message for each in caplog.records)

    play(story, log_cleaner_dedupe_buffer_size="24000")


def test_a_full_map_needs_several_rounds() -> None:
    async def story(scene: Scene) -> None:
        partition = await scene.create("table", **{"min.cleanable.dirty.ratio": "0.01"})
        scene.fill(partition, 10, keys=60)
        await asyncio.sleep(300)
        assert partition.log.first_dirty_offset > 0
        records = []
        offset = 0
        while offset < partition.log.first_dirty_offset:
            with partition.log.read(offset, 1) as found:
                data = found.read()
            header = read_header(data)
            records += decode_records(data)
            offset = header.next_offset
        clean = [each.key for each in records if each.offset < partition.log.first_dirty_offset]
        assert len(set(clean)) == len(clean) == 60

    play(story, log_cleaner_dedupe_buffer_size="1000")


def test_a_topic_may_be_deleted_while_it_is_compacted() -> None:
    async def story(scene: Scene) -> None:
        partition = await scene.create("table")
        scene.fill(partition, 10)
        node = scene.node
        await asyncio.sleep(30)
        assert not partition.is_offline
        await node.cluster.submit(
            lambda image: decide_delete_topics(image, node.resolver, [TopicReference("table")])
        )
        again = await scene.create("table")
        await asyncio.sleep(200)
        assert again.log.first_dirty_offset == 0
        assert TopicPartition("table", 0) not in scene.checkpoint()
        names = scene.disk.list_directory("/data/table-0")
        assert not [each for each in names if each.endswith((".cleaned", ".swap"))]
        scene.fill(again, 4)
        await asyncio.sleep(200)
        assert again.log.first_dirty_offset > 0

    play(story, log_cleaner_io_max_bytes_per_second="200000")


def test_a_full_disk_is_tried_again() -> None:
    async def story(scene: Scene) -> None:
        partition = await scene.create("table")
        scene.fill(partition, 5)
        scene.disk.error = errno.ENOSPC
        await asyncio.sleep(60)
        assert partition.log.first_dirty_offset == 0
        assert not partition.is_offline
        scene.disk.error = None
        await asyncio.sleep(60)
        assert partition.log.first_dirty_offset > 0

    play(story)


def test_a_disk_that_fails_takes_its_directory_offline() -> None:
    async def story(scene: Scene) -> None:
        partition, other = await scene.create("table"), await scene.create("other")
        scene.fill(partition, 5)
        scene.disk.error = errno.EIO
        await asyncio.sleep(60)
        assert partition.is_offline
        assert other.is_offline

    play(story)
