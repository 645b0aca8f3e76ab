"""The native loop: its selector, its sockets, its wake-ups, and who gives way to whom."""

from __future__ import annotations

import asyncio
import gc
import os
import selectors
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from ottla.client.backend import ReceiveMemory, give_way_to_engines
from ottla.client.engine.native_loop import NativeLoop, SocketTransport, native_io

IO = native_io()
pytestmark = pytest.mark.skipif(IO is None, reason="there is no native selector here")


@pytest.fixture
def selector() -> Iterator[Any]:
    made = IO.NativeSelector()
    yield made
    made.close()


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    yield ours, theirs
    ours.close()
    theirs.close()


Pair = tuple[socket.socket, socket.socket]


def test_a_selector_says_what_is_ready(selector: Any, pair: Pair) -> None:
    ours, theirs = pair
    both = selectors.EVENT_READ | selectors.EVENT_WRITE
    selector.register(ours, selectors.EVENT_READ, "data")
    assert selector.select(0) == []
    assert selector.select(0.001) == []
    theirs.send(b"x")
    [(key, mask)] = selector.select(None)
    assert (key.fileobj, key.fd, key.data, mask) == (ours, ours.fileno(), "data", 1)
    selector.modify(ours, both, "other")
    [(key, mask)] = selector.select(1)
    assert (key.data, mask) == ("other", both)
    assert selector.get_key(ours).data == "other"
    assert list(selector.get_map()) == [ours.fileno()]
    selector.unregister(ours)
    assert selector.select(0) == []
    with pytest.raises(KeyError):
        selector.get_key(ours)


def test_what_a_selector_refuses(selector: Any, pair: Pair) -> None:
    ours, _ = pair
    selector.register(ours, selectors.EVENT_READ)
    with pytest.raises(KeyError):
        selector.register(ours, selectors.EVENT_READ)
    with pytest.raises(ValueError, match="descriptor"):
        selector.register(-1, selectors.EVENT_READ)
    with pytest.raises(OSError, match=r".*"):
        selector.register(10_000, selectors.EVENT_READ)
    with pytest.raises(KeyError):
        selector.unregister(10_000)


def test_a_descriptor_that_was_closed_can_still_be_forgotten(selector: Any) -> None:
    ours, theirs = socket.socketpair()
    selector.register(ours.fileno(), selectors.EVENT_READ)
    number = ours.fileno()
    ours.close()
    theirs.close()
    selector.unregister(number)


def test_any_thread_wakes_a_selector(selector: Any) -> None:
    selector.register(selector.wake_fd, selectors.EVENT_READ, "woken")
    timer = threading.Timer(0.02, selector.wake)
    timer.start()
    [(key, _)] = selector.select(30)
    timer.join()
    assert key.data == "woken"
    assert selector.select(0) == []


def test_descriptors_are_given_back() -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        IO.NativeSelector()
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= before + 1


def test_buffers_go_out_as_they_are(pair: Pair) -> None:
    ours, theirs = pair
    buffers = [b"abc", bytearray(b"def"), memoryview(b"xghix")[1:-1], b""]
    assert IO.send(ours.fileno(), buffers) == 9
    assert theirs.recv(100) == b"abcdefghi"
    assert IO.send(ours.fileno(), [b"x"] * 100) == 64
    theirs.recv(100)
    assert 0 < IO.send(ours.fileno(), [bytes(50_000_000)]) < 50_000_000
    assert IO.send(ours.fileno(), [b"more"]) == -1


def test_what_comes_in_lies_in_the_given_buffer(pair: Pair) -> None:
    ours, theirs = pair
    buffer = bytearray(200_000)
    assert IO.receive(ours.fileno(), buffer) == -1
    theirs.send(b"hello")
    assert IO.receive(ours.fileno(), memoryview(buffer)[2:5]) == 3
    assert IO.receive(ours.fileno(), buffer) == 2
    assert bytes(buffer[:5]) == b"lohel"
    theirs.close()
    assert IO.receive(ours.fileno(), buffer) == 0
    with pytest.raises(BufferError):
        IO.receive(ours.fileno(), b"read only")
    with pytest.raises(OSError, match=r".*"):
        IO.receive(-1, buffer)


def test_a_large_room_is_filled_while_more_comes(pair: Pair, selector: Any) -> None:
    ours, theirs = pair
    sent = os.urandom(3_000_000)
    room = bytearray(len(sent))
    sender = threading.Thread(target=theirs.sendall, args=(sent,))
    sender.start()
    received = 0
    while received < len(room):
        received += max(0, IO.receive(ours.fileno(), memoryview(room)[received:], selector.wake_fd))
    sender.join()
    assert room == sent


def test_a_call_ends_the_wait_for_more(pair: Pair, selector: Any) -> None:
    ours, theirs = pair
    room = bytearray(1_000_000)
    selector.wake()
    theirs.send(b"some")
    assert IO.receive(ours.fileno(), room, selector.wake_fd) == 4
    assert IO.receive(ours.fileno(), room, selector.wake_fd) == -1
    theirs.close()
    assert IO.receive(ours.fileno(), room, selector.wake_fd) == 0


def test_memory_is_used_again_when_nobody_looks_at_it() -> None:
    memory = ReceiveMemory()
    first = memoryview(memory.room(1_000_000))
    first[:4] = b"kept"
    part = first[:4]
    first.release()
    second = memoryview(memory.room(900_000))
    second[:4] = b"else"
    assert part == b"kept"
    part.release()
    third = memoryview(memory.room(900_000))
    assert (len(third), third[:4]) == (900_000, b"kept")
    third.release()
    # What is too small is given up, what is far too large is kept for another time.
    large, small = memoryview(memory.room(5_000_000)), memoryview(memory.room(70_000))
    large[:4] = b"more"
    large.release()
    small.release()
    again = memoryview(memory.room(5_000_000))
    assert again[:4] == b"more"
    memory.give_back()


# Sockets


class Reader(asyncio.BufferedProtocol):
    """Notes all that happens to it."""

    def __init__(self, room: int = 64 * 1024) -> None:
        self.buffer = bytearray(room)
        self.received = bytearray()
        self.events: list[object] = []
        self.arrived = asyncio.Event()
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.events.append("made")

    def get_buffer(self, sizehint: int) -> bytearray:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.received += self.buffer[:nbytes]
        self.arrived.set()

    async def until(self, size_bytes: int) -> None:
        """Wait for so many bytes."""
        while len(self.received) < size_bytes:
            self.arrived.clear()
            await self.arrived.wait()

    def pause_writing(self) -> None:
        self.events.append("paused")

    def resume_writing(self) -> None:
        self.events.append("resumed")

    def connection_lost(self, exc: Exception | None) -> None:
        self.events.append(exc)
        self.lost.set_result(None)


def on_native_loop(test: Callable[[NativeLoop], Awaitable[None]]) -> Callable[[], None]:
    def run() -> None:
        loop = NativeLoop(IO)
        try:
            loop.run_until_complete(asyncio.wait_for(test(loop), 30))
        finally:
            loop.close()

    return run


async def joined() -> tuple[socket.socket, socket.socket]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        ours = socket.create_connection(listener.getsockname())
        theirs, _ = listener.accept()
    ours.setblocking(False)
    return ours, theirs


@on_native_loop
async def _bulk(loop: NativeLoop) -> None:
    ours, theirs = await joined()
    reader = Reader()
    transport = SocketTransport(loop, ours, reader)
    sent = [os.urandom(size) for size in (10, 3_000_000, 0, 70_000, 5_000_000, 1)]
    transport.writelines(sent[:3])
    for data in sent[3:]:
        transport.write(data)
    assert transport.get_write_buffer_size() > 0

    def echo() -> None:
        with theirs:
            while data := theirs.recv(1_000_000):
                theirs.sendall(data)

    thread = threading.Thread(target=echo)
    thread.start()
    await reader.until(sum(map(len, sent)))
    assert reader.received == b"".join(sent)
    assert reader.events == ["made", "paused", "resumed"]
    assert transport.get_write_buffer_size() == 0
    transport.close()
    await reader.lost
    thread.join()
    assert reader.events[-1] is None


def test_megabytes_come_and_go_in_order() -> None:
    _bulk()


@on_native_loop
async def _ends(loop: NativeLoop) -> None:
    ours, theirs = await joined()
    reader = Reader()
    transport = SocketTransport(loop, ours, reader)
    theirs.sendall(b"last")
    theirs.close()
    await reader.lost
    assert bytes(reader.received) == b"last"
    assert reader.events == ["made", None]
    assert transport.is_closing()
    transport.write(b"too late")
    transport.abort()
    transport.close()

    ours, theirs = await joined()
    reader = Reader()
    SocketTransport(loop, ours, reader)
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    theirs.close()
    await reader.lost
    assert isinstance(reader.events[-1], ConnectionResetError)


def test_ends_are_told_once_with_their_reason() -> None:
    _ends()


@on_native_loop
async def _pauses(loop: NativeLoop) -> None:
    ours, theirs = await joined()
    reader = Reader()
    transport = SocketTransport(loop, ours, reader)
    transport.pause_reading()
    theirs.sendall(b"x")
    await asyncio.sleep(0.01)
    assert not reader.received
    assert not transport.is_reading()
    transport.resume_reading()
    await reader.until(1)
    # What was written before goes out before the end.
    transport.write(bytes(5_000_000))
    transport.close()
    got = 0
    while data := await loop.run_in_executor(None, theirs.recv, 1_000_000):
        got += len(data)
    assert got == 5_000_000
    await reader.lost
    theirs.close()


def test_reading_pauses_and_closing_waits_for_what_was_written() -> None:
    _pauses()


def test_calls_from_other_threads_wake_the_loop() -> None:
    loop = NativeLoop(IO)
    woken: list[int] = []
    loop.on_wake(lambda: woken.append(1))
    threading.Timer(0.02, loop.wake).start()
    threading.Timer(0.06, lambda: loop.call_soon_threadsafe(loop.stop)).start()
    loop.run_forever()
    loop.close()
    assert len(woken) >= 1


def test_a_busy_thread_that_gives_way_does_not_hold_the_loop_up() -> None:
    """Turns of the loop while another thread never stops: with the GIL's switch interval of a
    minute, only giving way lets the loop have any."""
    import sys

    before = sys.getswitchinterval()
    loop = NativeLoop(IO)
    turns, done = 20, threading.Event()

    async def turn() -> None:
        for _ in range(turns):
            await asyncio.sleep(0.001)
        done.set()

    thread = threading.Thread(target=lambda: loop.run_until_complete(turn()))
    sys.setswitchinterval(60)
    try:
        thread.start()
        end = time.monotonic() + 30
        while not done.is_set() and time.monotonic() < end:
            give_way_to_engines()
    finally:
        sys.setswitchinterval(before)
    thread.join()
    loop.close()
    assert done.is_set()
