"""A fetch that waits is answered once, whatever happens meanwhile, and leaves nothing behind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from ottla.broker import fetch as fetching
from ottla.wire.api.k01_fetch import FetchRequest, PartitionToFetch, TopicToFetch

Tell = Callable[..., None]


def fetch(*, max_wait_ms: int) -> FetchRequest:
    wanted = PartitionToFetch(partition=0, fetch_offset=0, partition_max_bytes=1 << 20)
    topics = [TopicToFetch(topic="t", partitions=[wanted])]
    return FetchRequest(max_wait_ms=max_wait_ms, min_bytes=1, max_bytes=1 << 20, topics=topics)


async def observed(partition: Any) -> None:
    """Let the request arrive; somebody waits for the partition then."""
    await asyncio.sleep(1)
    assert partition._observers


def test_records_that_come_end_the_waiting(tell: Tell) -> None:
    async def story(broker: Any, client: Any) -> None:
        await broker.create_topic(client, "t")
        partition = broker.node.partitions.get("t", 0)
        waiting = (await broker.connect()).ask(fetch(max_wait_ms=60_000), 11)
        await observed(partition)
        await broker.produce(client, "t", b"v")
        [topic] = (await asyncio.wait_for(waiting, 5)).responses
        assert topic.partitions[0].records
        assert not partition._observers

    tell(story)


def test_without_records_it_ends_when_its_time_is_up(tell: Tell) -> None:
    async def story(broker: Any, client: Any) -> None:
        await broker.create_topic(client, "t")
        loop = asyncio.get_running_loop()
        begun = loop.time()
        [topic] = (await client.ask(fetch(max_wait_ms=700), 11)).responses
        assert 0.7 <= loop.time() - begun < 0.8
        assert not topic.partitions[0].records
        assert not broker.node.partitions.get("t", 0)._observers

    tell(story)


def test_who_has_gone_is_waited_for_no_longer(tell: Tell) -> None:
    async def story(broker: Any, client: Any) -> None:
        await broker.create_topic(client, "t")
        partition = broker.node.partitions.get("t", 0)
        waiting = (await broker.connect()).ask(fetch(max_wait_ms=60_000), 11)
        await observed(partition)
        for session in list(broker.node.connections):
            session.close()
        with pytest.raises(ConnectionError):
            await waiting
        await asyncio.sleep(1)
        assert not partition._observers

    tell(story)


def test_a_broker_that_fails_to_read_again_closes_the_connection(
    tell: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(broker: Any, client: Any) -> None:
        await broker.create_topic(client, "t")
        partition = broker.node.partitions.get("t", 0)
        waiting = (await broker.connect()).ask(fetch(max_wait_ms=60_000), 11)
        await observed(partition)

        def fail(*_: Any) -> Any:
            raise RuntimeError("a bug")

        monkeypatch.setattr(fetching, "read_partitions", fail)
        await broker.produce(client, "t", b"v")
        with pytest.raises(ConnectionError):
            await asyncio.wait_for(waiting, 5)
        assert not partition._observers

    tell(story)
