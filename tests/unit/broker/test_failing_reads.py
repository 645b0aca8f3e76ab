"""A disk that fails while it is read takes its directory offline, as when it can't be written."""

from __future__ import annotations

import asyncio
import errno
import os
import pathlib
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from ottla.broker.replies import SENDFILE_BYTES, FileSender
from ottla.broker.socket_room import SocketRoom
from ottla.log.health import DirectoryHealth
from ottla.log.reading import LogSlice
from ottla.log.segment import Segment
from ottla.ports.disk import SystemDisk
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


class AbortableTransport:
    """What a ``FileSender`` needs of a transport."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.was_aborted = False

    def get_extra_info(self, name: str) -> Any:
        return self._connection if name == "socket" else None

    def get_write_buffer_size(self) -> int:
        return 0

    def abort(self) -> None:
        self.was_aborted = True


@pytest.mark.parametrize(
    ("number", "is_the_disk"), [(errno.EIO, True), (errno.EPIPE, False), (errno.ECONNRESET, False)]
)
def test_sending_tells_a_failing_disk_from_a_peer_that_is_gone(
    number: int, is_the_disk: bool, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> int:
        raise OSError(number, os.strerror(number))

    health = DirectoryHealth(str(tmp_path))
    segment = Segment(
        SystemDisk(), str(tmp_path), 0, index_interval_bytes=4096, now_ms=0, is_new=True
    )
    segment.file.write([bytes(SENDFILE_BYTES)], 0)
    part = LogSlice(segment, 0, SENDFILE_BYTES, 0)
    part.health = health
    monkeypatch.setattr(os, "sendfile", fail)

    async def main() -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            transport = AbortableTransport(ours)
            sender = FileSender(transport, SocketRoom(), lambda: None)  # type: ignore[arg-type]
            sender.send([b"header", part])
            assert transport.was_aborted
            sender.close()

    asyncio.run(main())
    part.release()
    segment.retire()
    assert (health.failure is not None) is is_the_disk
