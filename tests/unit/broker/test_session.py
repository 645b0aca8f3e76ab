"""A connection's replies keep their order; what must wait stops the connection, and no other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from ottla.broker.connections import Connections
from ottla.broker.frames import FrameReader
from ottla.broker.receive_memory import ReceiveMemory
from ottla.broker.session import Reply, Session


class FakeTransport(asyncio.Transport):
    """Keeps what is written; can be told that the peer does not read."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes] = []
        self.is_reading_paused = False
        self.is_aborted = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 1) if name in ("peername", "sockname") else default

    @property
    def received(self) -> bytes:
        """All that was written, in order."""
        return b"".join(self.sent)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def write(self, data: Any) -> None:
        self.sent.append(bytes(data))

    def pause_reading(self) -> None:
        self.is_reading_paused = True

    def resume_reading(self) -> None:
        self.is_reading_paused = False

    def abort(self) -> None:
        self.is_aborted = True


class Executor:
    """Answers a frame with itself; ``park…`` waits, ``produce…`` waits and lets others overlap."""

    def __init__(self) -> None:
        self.seen: list[bytes] = []
        self.parked: dict[bytes, Reply] = {}

    def execute(self, session: Session, frame: memoryview) -> Any:
        data = bytes(frame)
        self.seen.append(data)
        if data.startswith((b"park", b"produce")):
            reply = self.parked[data] = Reply(overlaps=data.startswith(b"produce"))
            return reply
        if data == b"silent":
            return ()
        if data == b"bug":
            raise RuntimeError("a bug")
        return [data]

    def overlaps(self, frame: memoryview) -> bool:
        return bytes(frame).startswith(b"produce")


class Wire:
    def __init__(self, max_frame_bytes: int = 1000, connections: Connections | None = None) -> None:
        memory = ReceiveMemory(1 << 24, lambda owner: None)
        if connections is None:
            connections = Connections(max_connections=10, max_per_host=10, max_idle_ms=-1)
        self.executor = Executor()
        reader = FrameReader(memory, max_frame_bytes)
        self.session = reader.owner = Session(connections, self.executor, reader, "PLAINTEXT")
        self.transport = FakeTransport()
        self.session.connection_made(self.transport)

    def send(self, *payloads: bytes) -> None:
        data = b"".join(len(each).to_bytes(4, "big") + each for each in payloads)
        while data:
            buffer = self.session.get_buffer(-1)
            count = min(len(buffer), len(data))
            buffer[:count] = data[:count]
            data = data[count:]
            self.session.buffer_updated(count)

    def complete(self, payload: bytes) -> None:
        self.session.complete(self.executor.parked[payload], [payload])
        self.session.flush()


def in_a_loop(story: Callable[[Wire], None]) -> None:
    async def run() -> None:
        story(Wire())

    asyncio.run(run())


def test_replies_leave_in_the_order_of_their_requests() -> None:
    def story(wire: Wire) -> None:
        wire.send(b"produce1", b"produce2", b"plain")
        wire.complete(b"produce2")
        assert wire.transport.sent == []
        wire.complete(b"produce1")
        assert wire.transport.received == b"produce1produce2plain"

    in_a_loop(story)


def test_a_fetch_sees_what_its_connection_produced_before() -> None:
    def story(wire: Wire) -> None:
        wire.send(b"produce1", b"fetch", b"produce2")
        assert wire.executor.seen == [b"produce1"]
        wire.complete(b"produce1")
        assert wire.executor.seen == [b"produce1", b"fetch", b"produce2"]
        assert wire.transport.received == b"produce1fetch"

    in_a_loop(story)


def test_a_parked_request_stops_its_connection_until_it_is_answered() -> None:
    def story(wire: Wire) -> None:
        wire.send(b"park", b"later")
        assert wire.executor.seen == [b"park"]
        assert wire.transport.is_reading_paused
        wire.complete(b"park")
        assert wire.transport.received == b"parklater"
        assert not wire.transport.is_reading_paused

    in_a_loop(story)


def test_a_client_that_does_not_read_is_not_read_from() -> None:
    def story(wire: Wire) -> None:
        wire.session.pause_writing()
        wire.send(b"one", b"two")
        assert wire.executor.seen == [b"one"]
        assert wire.transport.is_reading_paused
        wire.session.resume_writing()
        assert wire.transport.received == b"onetwo"
        assert not wire.transport.is_reading_paused

    in_a_loop(story)


def test_one_that_pipelines_leaves_the_others_their_turn() -> None:
    async def story() -> None:
        wire = Wire()
        requests = [b"%d" % number for number in range(40)]
        wire.send(*requests)
        first_turn = len(wire.executor.seen)
        assert 0 < first_turn < 40
        assert wire.transport.is_reading_paused
        for _ in range(len(requests)):
            await asyncio.sleep(0)
        assert not wire.transport.is_reading_paused
        assert wire.transport.received == b"".join(requests)

    asyncio.run(story())


def test_a_large_request_is_a_turn_of_its_own() -> None:
    async def story() -> None:
        wire = Wire(max_frame_bytes=1 << 20)
        wire.send(b"x" * (1 << 20))
        assert wire.transport.is_reading_paused
        await asyncio.sleep(0)
        assert not wire.transport.is_reading_paused

    asyncio.run(story())


def test_one_large_request_of_all_connections_runs_between_two_looks_at_the_small() -> None:
    async def story() -> None:
        connections = Connections(max_connections=10, max_per_host=10, max_idle_ms=-1)
        wires = [Wire(max_frame_bytes=1 << 20, connections=connections) for _ in range(3)]
        for number, wire in enumerate(wires):
            wire.send(bytes([number]) * (1 << 20))
        wires[0].send(b"small")
        for begun in (1, 2, 3):
            assert [bool(wire.executor.seen) for wire in wires] == [
                number < begun for number in range(3)
            ]
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not any(wire.transport.is_reading_paused for wire in wires)
        assert [len(wire.transport.received) for wire in wires] == [(1 << 20) + 5, 1 << 20, 1 << 20]

    asyncio.run(story())


def test_a_reply_that_is_ready_does_not_let_a_large_request_jump_the_queue() -> None:
    async def story() -> None:
        connections = Connections(max_connections=10, max_per_host=10, max_idle_ms=-1)
        first, second = (Wire(max_frame_bytes=1 << 20, connections=connections) for _ in range(2))
        second.send(b"produce1")
        first.send(b"x" * (1 << 20))
        second.send(b"produce" + bytes(1 << 19))
        second.complete(b"produce1")
        assert second.executor.seen == [b"produce1"]
        await asyncio.sleep(0)
        assert len(second.executor.seen) == 2

    asyncio.run(story())


def test_a_connection_lost_before_its_turn_stops_nobody() -> None:
    async def story() -> None:
        connections = Connections(max_connections=10, max_per_host=10, max_idle_ms=-1)
        wires = [Wire(max_frame_bytes=1 << 20, connections=connections) for _ in range(3)]
        for wire in wires:
            wire.send(b"x" * (1 << 20))
        wires[1].session.connection_lost(None)
        for _ in range(3):
            await asyncio.sleep(0)
        assert [len(wire.executor.seen) for wire in wires] == [1, 0, 1]

    asyncio.run(story())


def test_replies_of_one_turn_leave_in_one_call() -> None:
    def story(wire: Wire) -> None:
        wire.send(b"one", b"two", b"three")
        assert wire.transport.sent == [b"onetwothree"]

    in_a_loop(story)


def test_a_request_without_an_answer_keeps_nobody_waiting() -> None:
    def story(wire: Wire) -> None:
        wire.send(b"silent", b"next")
        assert wire.transport.sent == [b"next"]

    in_a_loop(story)


@pytest.mark.parametrize("payload", [b"bug", b"x" * 2000])
def test_a_bug_or_an_oversized_frame_closes_the_connection(payload: bytes) -> None:
    def story(wire: Wire) -> None:
        wire.send(payload)
        assert wire.transport.is_aborted
        wire.session.connection_lost(None)
        assert wire.session.is_closed

    in_a_loop(story)


def test_a_reply_after_the_end_of_the_connection_is_dropped() -> None:
    def story(wire: Wire) -> None:
        wire.send(b"park")
        wire.session.connection_lost(None)
        wire.complete(b"park")
        assert wire.transport.sent == []

    in_a_loop(story)
