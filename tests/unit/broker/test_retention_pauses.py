"""Retention over many partitions leaves room for requests in between."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from ottla.broker.partition import Partition
from ottla.broker.partitions import Partitions
from ottla.testing.simulation.client import SimulatedClient

if TYPE_CHECKING:
    from conftest import SimulatedBroker

PARTITIONS = 450


def test_retention_looks_at_a_bounded_number_of_partitions_at_a_time(
    tell: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    turn = 0
    seen: list[tuple[int, str]] = []
    look = Partitions._apply_retention_to

    def note(self: Partitions, partition: Partition, now_ms: int) -> None:
        seen.append((turn, str(partition.name)))
        look(self, partition, now_ms)

    async def count_turns() -> None:
        nonlocal turn
        while True:
            turn += 1
            await asyncio.sleep(0)

    async def story(broker: SimulatedBroker, client: SimulatedClient) -> None:
        await broker.create_topic(client, "many", PARTITIONS)
        monkeypatch.setattr(Partitions, "_apply_retention_to", note)
        counting = asyncio.create_task(count_turns())
        first, second = (broker.node.partitions.apply_retention(10**12) for _ in range(2))
        await asyncio.gather(first, second)
        counting.cancel()

    tell(story)
    assert len(seen) == len({name for _, name in seen}) == PARTITIONS
    assert max(Counter(turn for turn, _ in seen).values()) <= 100


def test_retention_runs_by_the_clock(tell: Callable[..., None]) -> None:
    async def story(broker: SimulatedBroker, client: SimulatedClient) -> None:
        await broker.create_topic(client, "short")
        await broker.produce(client, "short", bytes(100))
        broker.node.partitions.find("short", 0).log.roll(now_ms=broker.node.clock.wall_ms())
        await asyncio.sleep(5)
        assert broker.node.partitions.find("short", 0).log.log_start_offset == 1

    tell(
        story,
        settings={"log.retention.check.interval.ms": "1000", "log.retention.ms": "1000"},
    )
