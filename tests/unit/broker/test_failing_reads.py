"""A disk that fails while it is read takes its directory offline, as when it can't be written."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from ottla.testing.simulation.client import SimulatedClient
from ottla.testing.simulation.disk import SimulatedFile
from ottla.wire.api.k01_fetch import FetchRequest, PartitionToFetch, TopicToFetch
from ottla.wire.errors import ErrorCode

if TYPE_CHECKING:
    from conftest import SimulatedBroker


def fail_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: SimulatedFile, size_bytes: int, position: int) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(SimulatedFile, "read", fail)


def test_a_fetch_that_can_not_be_read_is_a_storage_error(
    tell: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(broker: SimulatedBroker, client: SimulatedClient) -> None:
        await broker.create_topic(client, "orders")
        await broker.produce(client, "orders", b"value")
        fail_reads(monkeypatch)
        wanted = PartitionToFetch(
            partition=0, fetch_offset=0, log_start_offset=-1, partition_max_bytes=1000
        )
        request = FetchRequest(
            replica_id=-1,
            max_wait_ms=0,
            min_bytes=0,
            topics=[TopicToFetch(topic="orders", partitions=[wanted])],
        )
        [topic] = (await client.ask(request, 11)).responses
        assert topic.partitions[0].error_code == ErrorCode.KAFKA_STORAGE_ERROR
        await asyncio.sleep(1)
        assert broker.node.failed.is_set()

    tell(story)
