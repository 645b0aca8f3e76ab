"""The share coordinator of a broker: its log is pruned and says the same; deleted topics leave."""

from __future__ import annotations

import asyncio
import pathlib
from collections.abc import Awaitable, Callable
from uuid import UUID

import pytest

from ottla.broker.configuration import configuration_of
from ottla.broker.node import BrokerNode
from ottla.coordination.share_state.batches import StateBatch
from ottla.coordination.share_state.commands import (
    FoundState,
    InitializeState,
    ReadState,
    SharePartitionKey,
    WriteState,
)
from ottla.metadata.controller.create_topics import NewTopic, decide_create_topics
from ottla.metadata.controller.delete_topics import TopicReference, decide_delete_topics
from ottla.wire.errors import ErrorCode, ProtocolError

ACKNOWLEDGED = 2
SETTINGS = {
    "listeners": "PLAINTEXT://127.0.0.1:0",
    "share.coordinator.state.topic.num.partitions": "1",
    "share.coordinator.snapshot.update.records.per.snapshot": "10",
}


def with_broker(directory: pathlib.Path, work: Callable[[BrokerNode], Awaitable[None]]) -> None:
    async def main() -> None:
        settings = SETTINGS | {"log.dirs": str(directory)}
        node = BrokerNode(configuration_of(settings, origin="test"))
        await node.start()
        try:
            await work(node)
        finally:
            await node.stop()

    asyncio.run(main())


async def create_topic(node: BrokerNode) -> UUID:
    await node.cluster.submit(
        lambda image: decide_create_topics(image, node.resolver, [NewTopic("orders")], node.entropy)
    )
    return node.cluster.image.topics["orders"].topic_id


async def initialize(node: BrokerNode, key: SharePartitionKey) -> None:
    coordinator = node.share_groups.coordinator
    await coordinator.ask(key, lambda token: InitializeState(token, key, 0, 0))


async def acknowledge(node: BrokerNode, key: SharePartitionKey, offset: int) -> None:
    batch = StateBatch(offset, offset, ACKNOWLEDGED, 1)
    coordinator = node.share_groups.coordinator
    await coordinator.ask(
        key, lambda token: WriteState(token, key, 0, 0, max(0, offset - 5), 0, [batch])
    )


async def read(node: BrokerNode, key: SharePartitionKey) -> FoundState:
    coordinator = node.share_groups.coordinator
    found: FoundState = await coordinator.ask(key, lambda token: ReadState(token, key, 0))
    return found


def test_a_pruned_log_says_the_same_after_a_restart(tmp_path: pathlib.Path) -> None:
    kept: list[FoundState] = []
    keys: list[SharePartitionKey] = []

    async def write_and_prune(node: BrokerNode) -> None:
        key = SharePartitionKey("g", await create_topic(node), 0)
        keys.append(key)
        await initialize(node, key)
        for offset in range(57):
            await acknowledge(node, key, offset)
        await node.share_groups.coordinator.prune()
        log = node.partitions.find("__share_group_state", 0).log
        assert log.log_start_offset > 40
        kept.append(await read(node, key))

    async def read_again(node: BrokerNode) -> None:
        assert node.partitions.find("__share_group_state", 0).log.log_start_offset > 40
        assert await read(node, keys[0]) == kept[0]
        await acknowledge(node, keys[0], 57)

    with_broker(tmp_path, write_and_prune)
    with_broker(tmp_path, read_again)


def test_markers_that_anybody_wrote_into_the_topic_are_counted(tmp_path: pathlib.Path) -> None:
    keys: list[SharePartitionKey] = []

    async def work(node: BrokerNode) -> None:
        key = SharePartitionKey("g", await create_topic(node), 0)
        keys.append(key)
        await initialize(node, key)
        for offset in range(5):
            await acknowledge(node, key, offset)
            node.partitions.find("__share_group_state", 0).append_end_marker(1, 0, 0, True, 0, 1)
        await node.share_groups.coordinator.prune()
        assert node.partitions.find("__share_group_state", 0).log.log_start_offset == 0

    async def work_after_a_restart(node: BrokerNode) -> None:
        await read(node, keys[0])
        await node.share_groups.coordinator.prune()
        assert node.partitions.find("__share_group_state", 0).log.log_start_offset == 0

    with_broker(tmp_path, work)
    with_broker(tmp_path, work_after_a_restart)


def test_a_share_partition_that_is_idle_keeps_its_state_from_being_pruned(
    tmp_path: pathlib.Path,
) -> None:
    async def work(node: BrokerNode) -> None:
        topic_id = await create_topic(node)
        idle, busy = (SharePartitionKey(group, topic_id, 0) for group in ("idle", "busy"))
        await initialize(node, idle)
        await initialize(node, busy)
        for offset in range(30):
            await acknowledge(node, busy, offset)
        await node.share_groups.coordinator.prune()
        assert node.partitions.find("__share_group_state", 0).log.log_start_offset == 0

    with_broker(tmp_path, work)


def test_the_state_of_deleted_topics_is_forgotten(tmp_path: pathlib.Path) -> None:
    async def work(node: BrokerNode) -> None:
        key = SharePartitionKey("g", await create_topic(node), 0)
        await initialize(node, key)
        live = await node.share_groups.partitions.get(key)
        await node.cluster.submit(
            lambda image: decide_delete_topics(image, node.resolver, [TopicReference("orders")])
        )
        assert live.is_fenced
        assert node.share_groups.partitions.known(key) is None
        with pytest.raises(ProtocolError) as refusal:
            await read(node, key)
        assert refusal.value.code is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        await node.share_groups.coordinator.prune()
        log = node.partitions.find("__share_group_state", 0).log
        assert log.log_start_offset == log.log_end_offset

    with_broker(tmp_path, work)


def test_a_shard_that_is_not_loaded_finds_deleted_topics_gone_when_it_is(
    tmp_path: pathlib.Path,
) -> None:
    keys: list[SharePartitionKey] = []

    async def work(node: BrokerNode) -> None:
        keys.append(SharePartitionKey("g", await create_topic(node), 0))
        await initialize(node, keys[0])

    async def delete(node: BrokerNode) -> None:
        await node.cluster.submit(
            lambda image: decide_delete_topics(image, node.resolver, [TopicReference("orders")])
        )
        assert not list(node.share_groups.coordinator._shards.opened()), "nobody asked"

    async def ask(node: BrokerNode) -> None:
        other = SharePartitionKey("g", await create_topic(node), 0)
        await initialize(node, other)
        [shard] = node.share_groups.coordinator._shards.opened()
        assert list(shard._core.states) == [other]  # type: ignore[attr-defined]

    with_broker(tmp_path, work)
    with_broker(tmp_path, delete)
    with_broker(tmp_path, ask)


def test_only_what_has_state_can_be_fetched(tmp_path: pathlib.Path) -> None:
    async def work(node: BrokerNode) -> None:
        key = SharePartitionKey("nobody", await create_topic(node), 0)
        with pytest.raises(ProtocolError) as refusal:
            await node.share_groups.partitions.get(key)
        assert refusal.value.code is ErrorCode.INVALID_REQUEST

    with_broker(tmp_path, work)


def test_a_group_that_begins_at_the_end_does_not_begin_later_after_a_restart(
    tmp_path: pathlib.Path,
) -> None:
    keys: list[SharePartitionKey] = []

    async def begin(node: BrokerNode) -> None:
        key = SharePartitionKey("g", await create_topic(node), 0)
        keys.append(key)
        coordinator = node.share_groups.coordinator
        await coordinator.ask(key, lambda token: InitializeState(token, key, 0, -1))
        await node.share_groups.partitions.get(key)

    async def look(node: BrokerNode) -> None:
        assert (await read(node, keys[0])).start_offset == 0

    with_broker(tmp_path, begin)
    with_broker(tmp_path, look)
