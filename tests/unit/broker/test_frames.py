"""Frames come out as they went in, however the bytes were cut; memory follows what arrived."""

from __future__ import annotations

import random

import pytest

from ottla.broker.frames import FrameReader, FrameRefusedError
from ottla.broker.receive_memory import ReceiveMemory

MEBIBYTE = 1024 * 1024


class Wire:
    """Feeds bytes to a reader as a transport would and keeps what it delivers."""

    def __init__(self, max_frame_bytes: int = 8 * MEBIBYTE, budget_bytes: int = 1 << 30) -> None:
        self.given_up: list[object] = []
        self.memory = ReceiveMemory(budget_bytes, self._give_up)
        self.reader = FrameReader(self.memory, max_frame_bytes)
        self.delivered: list[bytes] = []
        self.accepts = True

    def _give_up(self, owner: object) -> None:
        self.given_up.append(owner)
        assert isinstance(owner, FrameReader)
        owner.release()

    def deliver(self, frame: memoryview) -> bool:
        # Offsets are stamped in place before a batch is appended.
        assert not frame.readonly
        self.delivered.append(bytes(frame))
        return self.accepts

    def feed(self, data: bytes, reader: FrameReader | None = None) -> None:
        reader = reader or self.reader
        while data:
            buffer = reader.buffer()
            count = min(len(buffer), len(data))
            buffer[:count] = data[:count]
            data = data[count:]
            reader.received(count, self.deliver)


def framed(payload: bytes) -> bytes:
    return len(payload).to_bytes(4, "big") + payload


@pytest.mark.parametrize("seed", range(20))
def test_frames_survive_any_cutting(seed: int) -> None:
    chance = random.Random(seed)
    payloads = [chance.randbytes(chance.choice([0, 1, 3, 100, 70_000, MEBIBYTE])) for _ in range(9)]
    stream = b"".join(map(framed, payloads))
    wire = Wire()
    while stream:
        cut = chance.choice([1, 2, 5, 1000, 65_536, 500_000])
        wire.feed(stream[:cut])
        stream = stream[cut:]
    assert wire.delivered == payloads
    assert wire.memory.held_bytes == 0


@pytest.mark.parametrize("prefix", [b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff"])
def test_a_negative_or_oversized_length_is_refused(prefix: bytes) -> None:
    with pytest.raises(FrameRefusedError):
        Wire(max_frame_bytes=1000).feed(prefix)


def test_a_blocked_connection_keeps_what_arrived_until_it_resumes() -> None:
    wire = Wire()
    wire.accepts = False
    wire.feed(framed(b"first") + framed(b"second") + framed(b"third")[:6])
    assert wire.delivered == [b"first"]
    wire.accepts = True
    wire.reader.resume(wire.deliver)
    assert wire.delivered == [b"first", b"second"]
    wire.feed(framed(b"third")[6:])
    assert wire.delivered == [b"first", b"second", b"third"]


def test_an_announced_frame_costs_only_in_step_with_what_arrives() -> None:
    wire = Wire(max_frame_bytes=100 * MEBIBYTE)
    wire.feed((100 * MEBIBYTE).to_bytes(4, "big") + b"x")
    assert wire.memory.held_bytes <= 4096
    wire.feed(b"y" * 10_000)
    assert wire.memory.held_bytes <= 2 * MEBIBYTE


def test_over_budget_the_frame_without_progress_is_given_up() -> None:
    wire = Wire(budget_bytes=3 * MEBIBYTE)
    stalled = FrameReader(wire.memory, 8 * MEBIBYTE)
    wire.feed((2 * MEBIBYTE).to_bytes(4, "big") + b"s" * 900_000, stalled)
    payload = b"p" * (2 * MEBIBYTE)
    wire.feed(framed(payload))
    assert wire.given_up == [stalled]
    assert wire.delivered == [payload]
    assert wire.memory.held_bytes == 0


def test_releasing_a_half_received_frame_gives_its_memory_back() -> None:
    wire = Wire()
    wire.feed((MEBIBYTE).to_bytes(4, "big") + b"z" * 100_000)
    assert wire.memory.held_bytes > 0
    wire.reader.release()
    assert wire.memory.held_bytes == 0


def test_a_large_frame_that_is_refused_gives_its_memory_back() -> None:
    memory = ReceiveMemory(1 << 30, lambda owner: None)
    reader = FrameReader(memory, 8 * MEBIBYTE)

    def refuse(frame: memoryview) -> bool:
        raise ValueError("no request")

    data = framed(bytes(MEBIBYTE))

    def feed() -> None:
        rest = data
        while rest:
            buffer = reader.buffer()
            count = min(len(buffer), len(rest))
            buffer[:count] = rest[:count]
            rest = rest[count:]
            reader.received(count, refuse)

    with pytest.raises(ValueError, match="no request"):
        feed()
    assert memory.held_bytes == 0
