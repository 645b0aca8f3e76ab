"""Replies with slices of files arrive whole, however little the socket takes at a time."""

from __future__ import annotations

import asyncio
import errno
import os
import pathlib
import random
import socket
from typing import Any

import pytest

from ottla.broker import part_sending
from ottla.broker.part_sending import COLD, FULL, SENT, send_parts
from ottla.broker.replies import SENDFILE_BYTES, FileSender
from ottla.broker.socket_room import SocketRoom
from ottla.log.health import DirectoryHealth
from ottla.log.reading import LogSlice
from ottla.log.segment import Segment
from ottla.ports.disk import SystemDisk

FILE_BYTES = 1 << 20

TWINS = {"python": send_parts, "native": part_sending.active}


@pytest.fixture(params=TWINS)
def twin(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Each way of sending parts, while the test runs the one in use."""
    chosen = TWINS[request.param]
    if request.param == "native" and chosen is send_parts:
        pytest.skip("there is only the Python twin here")
    monkeypatch.setattr(part_sending, "active", chosen)
    return chosen


@pytest.fixture
def in_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """The Python twin, whose calls to the system can be replaced."""
    monkeypatch.setattr(part_sending, "active", send_parts)


class PlainTransport:
    """A transport that has nothing unsent."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.was_aborted = False

    def get_extra_info(self, name: str) -> Any:
        return self._connection if name == "socket" else None

    def get_write_buffer_size(self) -> int:
        return 0

    def abort(self) -> None:
        self.was_aborted = True


@pytest.fixture
def segment(tmp_path: pathlib.Path) -> Segment:
    made = Segment(SystemDisk(), str(tmp_path), 0, index_interval_bytes=4096, now_ms=0, is_new=True)
    made.file.write([random.Random(3).randbytes(FILE_BYTES)], 0)
    return made


def connected(send_buffer_bytes: int) -> tuple[socket.socket, socket.socket]:
    """Two ends of a TCP connection; the first one's buffer is small."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = socket.create_connection(server.getsockname())
        theirs, _ = server.accept()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer_bytes)
    for end in (ours, theirs):
        end.setblocking(False)
    return ours, theirs


async def received(connection: socket.socket, size_bytes: int, piece_bytes: int) -> bytes:
    loop = asyncio.get_running_loop()
    data = bytearray()
    while len(data) < size_bytes:
        piece = await loop.sock_recv(connection, piece_bytes)
        assert piece
        data += piece
    return bytes(data)


@pytest.mark.parametrize("send_buffer_bytes", [4096, 100_000])
@pytest.mark.parametrize("piece_bytes", [5000, 1 << 20])
@pytest.mark.usefixtures("twin")
def test_replies_of_several_slices_arrive_in_order(
    segment: Segment, send_buffer_bytes: int, piece_bytes: int
) -> None:
    chance = random.Random(send_buffer_bytes + piece_bytes)
    content = segment.file.read(FILE_BYTES, 0)

    async def main() -> None:
        ours, theirs = connected(send_buffer_bytes)
        idle = asyncio.Event()
        with ours, theirs:
            transport = PlainTransport(ours)
            sender = FileSender(transport, SocketRoom(), idle.set)  # type: ignore[arg-type]
            for _ in range(4):
                parts: list[Any] = []
                expected = bytearray()
                for _ in range(5):
                    header = chance.randbytes(chance.choice((1, 90, 20_000)))
                    size = chance.choice((SENDFILE_BYTES, 100_001, 300_000))
                    position = chance.randrange(FILE_BYTES - size)
                    parts += [header, LogSlice(segment, position, size, 0)]
                    expected += header + content[position : position + size]
                idle.clear()
                sender.send([*parts, b"end"])
                was_busy = sender.is_busy
                got = await received(theirs, len(expected) + 3, piece_bytes)
                assert got == expected + b"end"
                if was_busy:
                    await asyncio.wait_for(idle.wait(), 10)
                assert not sender.is_busy
            assert not transport.was_aborted
            sender.close()

    asyncio.run(main())


@pytest.mark.usefixtures("in_python")
def test_what_is_not_in_the_page_cache_is_read_in_a_thread(
    segment: Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = segment.file.read(FILE_BYTES, 0)
    probed = 0
    preadv = os.preadv

    def cold(descriptor: int, buffers: Any, position: int, flags: int = 0) -> int:
        nonlocal probed
        if flags:
            probed += 1
            raise BlockingIOError
        return preadv(descriptor, buffers, position)

    monkeypatch.setattr(os, "preadv", cold)

    async def main() -> None:
        ours, theirs = connected(100_000)
        idle = asyncio.Event()
        with ours, theirs:
            transport: Any = PlainTransport(ours)
            sender = FileSender(transport, SocketRoom(), idle.set)
            slices = [LogSlice(segment, start, 200_000, 0) for start in (0, 300_000)]
            sender.send([b"a", slices[0], b"b", slices[1]])
            assert sender.is_busy
            got = await received(theirs, 400_002, 1 << 20)
            assert got == b"a" + content[:200_000] + b"b" + content[300_000:500_000]
            await asyncio.wait_for(idle.wait(), 10)
            assert probed == 2
            sender.close()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("number", "is_the_disk"), [(errno.EIO, True), (errno.EPIPE, False), (errno.ECONNRESET, False)]
)
@pytest.mark.usefixtures("in_python")
def test_sending_tells_a_failing_disk_from_a_peer_that_is_gone(
    number: int,
    is_the_disk: bool,
    segment: Segment,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*arguments: object) -> int:
        raise OSError(number, os.strerror(number))

    health = DirectoryHealth(str(tmp_path))
    part = LogSlice(segment, 0, SENDFILE_BYTES, 0)
    part.health = health
    monkeypatch.setattr(os, "sendfile", fail)

    async def main() -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            transport = PlainTransport(ours)
            sender = FileSender(transport, SocketRoom(), lambda: None)  # type: ignore[arg-type]
            sender.send([b"header", part])
            assert transport.was_aborted
            sender.close()

    asyncio.run(main())
    part.release()
    segment.retire()
    assert (health.failure is not None) is is_the_disk


def test_sending_says_how_far_it_came(segment: Segment, twin: Any) -> None:
    ours, theirs = connected(100_000)
    with ours, theirs:
        assert twin(ours.fileno(), [], 0, 0, False) == (0, 0, SENT)
        some = [b"abc", LogSlice(segment, 5, 40_000, 0), b""]
        assert twin(ours.fileno(), some, 0, 1, False) == (3, 0, SENT)
        got = bytearray()
        while len(got) < 40_002:
            got += theirs.recv(1 << 20)
        assert got == b"bc" + segment.file.read(40_000, 5)
        large = [bytes(1 << 24)]
        index, done_bytes, outcome = twin(ours.fileno(), large, 0, 0, False)
        assert (index, outcome) == (0, FULL)
        assert 0 < done_bytes < 1 << 24


def test_errors_are_told_where_they_were_met(segment: Segment, twin: Any) -> None:
    gone = LogSlice(segment, 0, 10, 0)
    gone.release()
    beyond = LogSlice(segment, FILE_BYTES, 10, 0)
    ours, theirs = connected(100_000)
    with ours, theirs:
        descriptor = ours.fileno()
        assert twin(descriptor, [b"a", gone], 0, 0, False) == (1, 0, -errno.EBADF)
        assert twin(descriptor, [beyond], 0, 0, True) == (0, 0, -errno.ENODATA)
        ours.shutdown(socket.SHUT_WR)
        for part in (b"a", LogSlice(segment, 0, 10, 0)):
            assert twin(descriptor, [part], 0, 0, False) == (0, 0, -errno.EPIPE)
    beyond.release()


def test_a_slice_on_the_disk_alone_is_not_sent(segment: Segment, twin: Any) -> None:
    descriptor = segment.file.fileno()
    assert descriptor is not None
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    ours, theirs = connected(100_000)
    with ours, theirs:
        part = LogSlice(segment, 0, 200_000, 0)
        if twin(ours.fileno(), [b"a", part], 0, 0, False) != (1, 0, COLD):
            pytest.skip("this file system keeps files in memory, or does not tell")
        assert twin(ours.fileno(), [b"a", part], 1, 0, True)[2] in (SENT, FULL)
    part.release()
