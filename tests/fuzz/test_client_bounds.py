"""The client's native cursor reads nothing outside its buffer."""

from __future__ import annotations

import importlib.util

import pytest

from ottla.testing.guarded_memory import survives

CHILD = """
import random, struct
from ottla.client import _native
from ottla.records.encode import encode_batch
from ottla.records.record import Record
from ottla.testing.guarded_memory import GuardedMemory

memory = GuardedMemory()

def probe(data):
    first = read(memory.before_the_edge(data))
    assert first == read(memory.after_the_edge(data))

def read(buffer):
    cursor = _native.MessageCursor("t", 0, buffer, 0, aborted=[(0, 0)], is_read_committed=True)
    return [(m.key(), m.value(), m.headers()) for m in cursor], cursor.position, str(cursor.error)

records = [
    Record(0, 1000, b"key", b"value", (("name", b"content"), ("null", None))),
    Record(1, 900, None, b"v" * 70, (("", b""),)),
    Record(2, 2000000, b"", None),
]
intact = encode_batch(records)
for size in range(len(intact)):
    probe(intact[:size])
    if size >= 61:
        probe(intact[:8] + struct.pack(">i", size - 12) + intact[12:size])
dice = random.Random(1)
for _ in range(20000):
    damaged = bytearray(intact)
    for _ in range(dice.randint(1, 3)):
        damaged[dice.randrange(17, len(damaged))] = dice.choice([0, 1, 2, 3, 127, 128, 255])
    del damaged[dice.randrange(61, len(damaged) + 1) :]
    struct.pack_into(">i", damaged, 8, len(damaged) - 12)
    probe(bytes(damaged))
"""


def test_no_byte_outside_the_buffer_is_read() -> None:
    if importlib.util.find_spec("ottla.client._native") is None:
        pytest.skip("the native accelerator isn't built")
    assert survives(CHILD) is None
