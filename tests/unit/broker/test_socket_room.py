"""Who waits for a socket to take bytes is told once each time, and nobody else is."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import pytest

from ottla.broker import socket_room
from ottla.broker.socket_room import SocketRoom


@pytest.fixture(params=[True, False], ids=["epoll", "loop"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways to watch sockets."""
    monkeypatch.setattr(socket_room, "_HAS_EPOLL", request.param and socket_room._HAS_EPOLL)


@contextlib.contextmanager
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        yield ours, theirs


def fill(connection: socket.socket) -> int:
    sent = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            sent += connection.send(bytes(65536))
    return sent


def empty(connection: socket.socket, size_bytes: int) -> None:
    while size_bytes:
        size_bytes -= len(connection.recv(size_bytes))


def test_each_wait_is_told_once_when_there_is_room() -> None:
    async def main() -> None:
        room = SocketRoom()
        with pair() as (ours, theirs):
            for _ in range(3):
                sent = fill(ours)
                told: list[int] = []
                has_room = asyncio.Event()
                room.wait(ours, lambda told=told: told.append(1))  # type: ignore[misc]
                await asyncio.sleep(0.001)
                assert not told
                empty(theirs, sent)
                # A later socket that has room from the start is told after it.
                with pair() as (other, _):
                    room.wait(other, has_room.set)
                    await asyncio.wait_for(has_room.wait(), 5)
                    room.forget(other)
                assert told == [1]
            room.forget(ours)
        room.close()

    asyncio.run(main())


def test_a_socket_that_failed_is_told_of() -> None:
    async def main() -> None:
        room = SocketRoom()
        with pair() as (ours, theirs):
            fill(ours)
            told = asyncio.Event()
            room.wait(ours, told.set)
            theirs.close()
            await asyncio.wait_for(told.wait(), 5)
            room.forget(ours)
        room.close()

    asyncio.run(main())


def test_who_is_forgotten_meanwhile_is_not_told_and_a_failure_hurts_nobody_else() -> None:
    async def main() -> None:
        room = SocketRoom()
        told: list[str] = []
        done = asyncio.Event()
        with pair() as (first, _), pair() as (second, _), pair() as (third, _):

            def fail() -> None:
                told.append("first")
                room.forget(second)
                raise RuntimeError("of a test")

            def finish() -> None:
                told.append("third")
                done.set()

            # All have room, and are told in one go in the order of their waiting.
            room.wait(first, fail)
            room.wait(second, lambda: told.append("second"))
            room.wait(third, finish)
            await asyncio.wait_for(done.wait(), 5)
            assert told == ["first", "third"]
            room.forget(first)
            room.forget(third)
        room.close()

    asyncio.run(main())


def test_a_descriptor_that_is_used_again_is_a_new_socket() -> None:
    async def main() -> None:
        room = SocketRoom()
        for _ in range(3):
            told = asyncio.Event()
            with pair() as (ours, _):
                room.wait(ours, told.set)
                await asyncio.wait_for(told.wait(), 5)
                room.forget(ours)
        room.close()

    asyncio.run(main())


def test_nobody_is_told_after_the_end() -> None:
    async def main() -> None:
        room = SocketRoom()
        told: list[int] = []
        with pair() as (ours, _):
            room.wait(ours, lambda: told.append(1))
            room.close()
            await asyncio.sleep(0.001)
            assert not told
            room.forget(ours)

    asyncio.run(main())
