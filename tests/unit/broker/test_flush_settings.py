"""Where the page cache is trusted (``log.flush.policy=os``), settings say what is flushed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

Tell = Callable[..., None]
TRUSTED = {"log.flush.policy": "os"}


async def produced(broker: Any, client: Any, count: int = 1) -> Any:
    """Produce so many records; returns their partition."""
    for _ in range(count):
        answer = await asyncio.wait_for(broker.produce(client, "t", b"v"), 5)
        assert answer.error_code == 0
    return broker.node.partitions.get("t", 0)


def test_nothing_is_flushed_before_an_answer_by_default(tell: Tell) -> None:
    async def story(broker: Any, client: Any) -> None:
        await broker.create_topic(client, "t")
        partition = await produced(broker, client, 5)
        await asyncio.sleep(100)
        assert partition.high_watermark == 5
        assert partition.log.flushed_offset == 0

    tell(story, settings=TRUSTED)


@pytest.mark.parametrize("messages", [1, 3])
def test_the_record_that_makes_it_so_many_is_answered_when_it_is_durable(
    tell: Tell, messages: int
) -> None:
    async def story(broker: Any, client: Any) -> None:
        await broker.create_topic(client, "t")
        for count in range(1, 8):
            partition = await produced(broker, client)
            assert partition.high_watermark == count
            assert partition.log.flushed_offset == count - count % messages

    tell(story, settings={**TRUSTED, "log.flush.interval.messages": str(messages)})


def test_a_disk_that_fails_meanwhile_is_told(tell: Tell) -> None:
    async def story(broker: Any, client: Any) -> None:
        await broker.create_topic(client, "t")
        partition = await produced(broker, client)

        def fail(operation: str, path: str) -> None:
            if operation == "sync" and path.startswith(partition.log.directory):
                raise OSError(5, "broken", path)

        broker.disk.on_operation = fail
        answer = await asyncio.wait_for(broker.produce(client, "t", b"v"), 5)
        assert answer.error_code != 0
        assert partition.is_offline

    tell(story, settings={**TRUSTED, "log.flush.interval.messages": "1"})


def test_a_full_segment_is_flushed_in_the_background(tell: Tell) -> None:
    async def story(broker: Any, client: Any) -> None:
        await broker.create_topic(client, "t")
        partition = await produced(broker, client, 3)
        partition.log.roll(now_ms=broker.node.clock.wall_ms())
        await produced(broker, client)
        await asyncio.sleep(1)
        assert partition.log.flushed_offset == 4
        await produced(broker, client, 3)
        await asyncio.sleep(1)
        assert partition.log.flushed_offset == 4

    tell(story, settings=TRUSTED)


def test_records_are_flushed_when_they_have_waited_long_enough(tell: Tell) -> None:
    async def story(broker: Any, client: Any) -> None:
        await broker.create_topic(client, "t")
        await asyncio.sleep(10)
        partition = await produced(broker, client)
        await asyncio.sleep(4)
        assert partition.log.flushed_offset == 0
        await asyncio.sleep(8)
        assert partition.log.flushed_offset == 1

    settings = {"log.flush.scheduler.interval.ms": "1000", "log.flush.interval.ms": "8000"}
    tell(story, settings={**TRUSTED, **settings})
