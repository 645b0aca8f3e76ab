"""Replies, the group commit and failing disks: nobody waits for ever, and each learns the truth."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from ottla.log.errors import LogDirectoryFailed
from ottla.metadata.controller.create_topics import NewTopic, decide_create_topics
from ottla.records.batch import read_header
from ottla.records.encode import encode_batch
from ottla.records.record import Record
from ottla.testing.simulation.disk import SimulatedDisk
from ottla.wire.api.k01_fetch import FetchRequest, PartitionToFetch, TopicToFetch
from ottla.wire.api.k20_delete_topics import DeleteTopicsRequest
from ottla.wire.errors import ErrorCode

Tell = Callable[..., None]
TWO_DISKS = {"log.dirs": "/data,/more"}


def fetch(topic: str, *, max_wait_ms: int) -> FetchRequest:
    wanted = PartitionToFetch(partition=0, fetch_offset=0, partition_max_bytes=1 << 20)
    topics = [TopicToFetch(topic=topic, partitions=[wanted])]
    return FetchRequest(max_wait_ms=max_wait_ms, min_bytes=1, max_bytes=1 << 20, topics=topics)


def break_directory(disk: SimulatedDisk, path: str) -> None:
    """Every call on this directory fails from now on."""

    def check(operation: str, touched: str) -> None:
        if touched.startswith(path):
            raise OSError(5, "broken", touched)

    disk.on_operation = check


def test_a_flush_by_others_between_append_and_commit_leaves_no_reply_behind(tell: Tell) -> None:
    async def story(broker: Any, client: Any) -> None:
        await broker.create_topic(client, "t")
        partition = broker.node.partitions.get("t", 0)
        commit = broker.node._commit
        begin_round = commit._begin_round

        def flush_first() -> None:
            partition.log.flush()
            begin_round()

        commit._begin_round = flush_first
        produced = await asyncio.wait_for(broker.produce(client, "t", b"v"), 5)
        assert produced.error_code == 0
        assert partition.high_watermark == 1

    tell(story)


def test_a_directory_whose_failure_a_read_met_does_not_stop_the_commits_of_another(
    tell: Tell,
) -> None:
    async def story(broker: Any, client: Any) -> None:
        for name in ("first", "second"):
            await broker.create_topic(client, name)
        first, second = (broker.node.partitions.get(name, 0) for name in ("first", "second"))
        assert first.log.directory.rpartition("/")[0] != second.log.directory.rpartition("/")[0]
        victim = max(first, second, key=lambda each: each.log.directory)
        other = min(first, second, key=lambda each: each.log.directory)
        append = victim.log.append

        def append_and_break(*args: Any, **options: Any) -> Any:
            appended = append(*args, **options)
            victim.log._health.fail(OSError(5, "broken"))
            return appended

        victim.log.append = append_and_break
        waiting = broker.send(client, victim.name.topic, b"v")
        beside = broker.send(client, other.name.topic, b"v")
        lost = (await asyncio.wait_for(waiting, 5)).responses[0].partition_responses[0]
        assert lost.error_code == ErrorCode.KAFKA_STORAGE_ERROR
        kept = (await asyncio.wait_for(beside, 5)).responses[0].partition_responses[0]
        assert kept.error_code == 0
        again = await asyncio.wait_for(broker.produce(client, other.name.topic, b"v"), 5)
        assert again.base_offset == 1

    tell(story, settings=TWO_DISKS)


def test_one_partition_that_fails_is_refused_beside_those_that_made_it(tell: Tell) -> None:
    async def story(broker: Any, client: Any) -> None:
        from ottla.broker.durable_reply import Deadlines, DurableReply
        from ottla.wire.api.k00_produce import ProducedPartition, ProduceResponse

        await broker.create_topic(client, "t", 3)
        partitions = [broker.node.partitions.get("t", index) for index in range(3)]
        answers = [
            ProducedPartition(index=index, error_code=0, base_offset=0) for index in range(3)
        ]
        sent: list[Any] = []
        waiting = [(each, 1, answer) for each, answer in zip(partitions, answers, strict=True)]
        reply = DurableReply(ProduceResponse(responses=[]), waiting, 1000, Deadlines())
        reply.then(sent.append)
        partitions[0]._advance(1)
        partitions[1].fail(LogDirectoryFailed("gone"))
        assert not sent
        await asyncio.sleep(2)
        assert [answer.error_code for answer in answers] == [
            ErrorCode.NONE,
            ErrorCode.KAFKA_STORAGE_ERROR,
            ErrorCode.REQUEST_TIMED_OUT,
        ]
        assert len(sent) == 1

    tell(story)


def test_a_fetch_parked_on_a_deleted_topic_is_answered_at_once(tell: Tell) -> None:
    async def story(broker: Any, client: Any) -> None:
        await broker.create_topic(client, "t")
        parked = client.ask(fetch("t", max_wait_ms=60_000), 12)
        await asyncio.sleep(1)
        other = await broker.connect()
        await other.ask(DeleteTopicsRequest(topic_names=["t"], timeout_ms=1000), 5)
        [topic] = (await asyncio.wait_for(parked, 1)).responses
        assert topic.partitions[0].error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION

    tell(story)


def test_new_partitions_go_where_the_disk_still_works(tell: Tell) -> None:
    async def story(broker: Any, client: Any) -> None:
        break_directory(broker.disk, "/more")
        await broker.create_topic(client, "t", 4)
        for index in range(4):
            assert (await broker.produce(client, "t", b"v", index)).error_code == 0
        assert not broker.node.failed.is_set()

    tell(story, settings=TWO_DISKS)


def test_without_any_disk_left_partitions_are_offline_and_the_broker_says_so(tell: Tell) -> None:
    async def story(broker: Any, client: Any) -> None:
        break_directory(broker.disk, "/data")
        await broker.create_topic(client, "t")
        produced = await broker.produce(client, "t", b"v")
        assert produced.error_code == ErrorCode.KAFKA_STORAGE_ERROR
        assert broker.node.failed.is_set()

    tell(story)


def test_a_topic_deleted_on_a_broken_disk_is_remembered_as_deleted(tell: Tell) -> None:
    async def story(broker: Any, client: Any) -> None:
        await broker.create_topic(client, "kept")
        await broker.create_topic(client, "t")
        break_directory(broker.disk, broker.node.partitions.get("t", 0).log.directory)
        deletion = await client.ask(DeleteTopicsRequest(topic_names=["t"], timeout_ms=1000), 5)
        assert deletion.responses[0].error_code == 0
        await asyncio.sleep(5)
        assert len(broker.node.cluster.image.deleted_topics) == 1

    tell(story, settings=TWO_DISKS)


def test_a_listener_that_fails_keeps_no_other_from_following(
    tell: Tell, caplog: pytest.LogCaptureFixture
) -> None:
    async def story(broker: Any, client: Any) -> None:
        def fail(before: object, after: object) -> None:
            raise RuntimeError("a bug")

        broker.node.cluster._listeners.insert(0, fail)
        await broker.create_topic(client, "t")
        assert (await broker.produce(client, "t", b"v")).error_code == 0

    tell(story)
    assert "a bug" in caplog.text


def test_a_stop_comes_to_its_end_under_load_and_answers_what_it_took(tell: Tell) -> None:
    answered: list[int] = []

    async def story(broker: Any, client: Any) -> None:
        await broker.create_topic(client, "t")

        async def load() -> None:
            loader = await broker.connect()
            try:
                while True:
                    produced = await broker.produce(loader, "t", b"v")
                    answered.append(produced.error_code)
            except ConnectionError:
                return

        loaders = [asyncio.create_task(load()) for _ in range(8)]
        await asyncio.sleep(1)
        await asyncio.wait_for(broker.node.stop(), 5)
        await asyncio.gather(*loaders)

    tell(story)
    assert set(answered) == {0}


def test_creating_many_partitions_gives_way_to_others(tell: Tell) -> None:
    async def story(broker: Any, client: Any) -> None:
        turns = 0

        async def other_work() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += bool(broker.node.cluster._lock.locked())

        other = asyncio.create_task(other_work())
        topics = [NewTopic("many", 1000, 1)]
        node = broker.node
        await node.cluster.submit(
            lambda image: decide_create_topics(image, node.resolver, topics, node.entropy)
        )
        other.cancel()
        assert turns >= 20

    tell(story)


def test_a_checkpoint_under_way_never_replaces_a_newer_one(tell: Tell) -> None:
    async def story(broker: Any, client: Any) -> None:
        await broker.create_topic(client, "t")
        [directory] = broker.node.log_directories
        older = directory.take_checkpoint()
        assert (await broker.produce(client, "t", b"v")).error_code == 0
        directory.checkpoint()
        newer = broker.disk.read_file("/data/replication-offset-checkpoint")
        directory.write_checkpoint(older)
        directory.checkpointed(older)
        assert broker.disk.read_file("/data/replication-offset-checkpoint") == newer
        assert broker.node.partitions.get("t", 0).log.checkpointed_offset == 1

    tell(story)


def test_checkpoints_are_written_beside_the_event_loop(tell: Tell) -> None:
    async def story(broker: Any, client: Any) -> None:
        await broker.create_topic(client, "t")
        assert (await broker.produce(client, "t", b"v")).error_code == 0
        await asyncio.sleep(2)
        assert b"t 0 1" in broker.disk.read_file("/data/recovery-point-offset-checkpoint")
        assert broker.node.partitions.get("t", 0).log.checkpointed_offset == 1

    tell(story, settings={"log.flush.offset.checkpoint.interval.ms": "1000"})


def test_a_round_syncs_its_partitions_side_by_side_and_ends_with_the_last(tell: Tell) -> None:
    async def story(broker: Any, client: Any) -> None:
        names = [f"t{number}" for number in range(3)]
        for name in names:
            await broker.create_topic(client, name)
        commit = broker.node._commit
        rounds: list[int] = []
        begin_round = commit._begin_round

        def begin() -> None:
            assert not commit._lanes_at_work, "the round before is still under way"
            begin_round()
            rounds.append(commit._lanes_at_work)

        commit._begin_round = begin
        for name in names:
            commit.request(broker.node.partitions.get(name, 0))
            broker.node.partitions.get(name, 0).log.roll(now_ms=1)
        await asyncio.wait_for(commit.drain(), 5)
        assert rounds[0] == 3
        assert not commit._lanes_at_work

    tell(story)


def append_unawaited(partition: Any) -> int:
    """The offset after a record that nobody waits for."""
    batch = bytearray(encode_batch([Record(0, 0, None, b"v", ())]))
    partition.append(memoryview(batch), [(0, read_header(batch))], now_ms=1_000, is_awaited=False)
    end: int = partition.log.log_end_offset
    return end


def test_what_nobody_waits_for_is_durable_after_a_moment(tell: Tell) -> None:
    async def story(broker: Any, client: Any) -> None:
        await broker.create_topic(client, "t")
        partition = broker.node.partitions.get("t", 0)
        end = append_unawaited(partition)
        await asyncio.sleep(0.02)
        assert partition.high_watermark < end, "it waits for company"
        await asyncio.sleep(0.1)
        assert partition.high_watermark == end

    tell(story)


def test_what_somebody_waits_for_after_all_is_durable_soon(tell: Tell) -> None:
    async def story(broker: Any, client: Any) -> None:
        await broker.create_topic(client, "t")
        partition = broker.node.partitions.get("t", 0)
        end = append_unawaited(partition)
        reached = asyncio.Event()
        waiter = SimpleNamespace(reached=reached.set, failed=pytest.fail)
        partition.when_reached(end, waiter)
        await asyncio.wait_for(reached.wait(), 0.02)

        append_unawaited(partition)
        await asyncio.wait_for(broker.produce(client, "t", b"with it"), 0.04)
        assert partition.high_watermark == end + 2

    tell(story)


def test_what_nobody_waits_for_does_not_miss_the_last_commit(tell: Tell) -> None:
    async def story(broker: Any, client: Any) -> None:
        await broker.create_topic(client, "t")
        partition = broker.node.partitions.get("t", 0)
        end = append_unawaited(partition)
        await asyncio.wait_for(broker.node._commit.drain(), 0.02)
        assert partition.high_watermark == end

    tell(story)
