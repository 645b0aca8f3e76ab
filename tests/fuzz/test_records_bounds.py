"""The native twin reads nothing outside its buffer, on neither side."""

from __future__ import annotations

import importlib.util

import pytest

from ottla.testing.guarded_memory import survives

CHILD = """
import random, struct
from ottla.records import _native, backend
from ottla.records.crc import crc32c
from ottla.records.encode import encode_batch
from ottla.records.errors import RecordsError
from ottla.records.record import Record
from ottla.records.validate import validate_batch
from ottla.records.decode import decode_records
from ottla.testing.guarded_memory import GuardedMemory

assert backend.active is _native
memory = GuardedMemory()

def probe(batch):
    for place in (memory.before_the_edge, memory.after_the_edge):
        buffer = place(batch)
        for attempt in (
            lambda: validate_batch(buffer, max_decompressed_bytes=10_000),
            lambda: decode_records(buffer),
            lambda: decode_records(buffer, verify_crc=False),
        ):
            try:
                attempt()
            except RecordsError:
                pass

def with_right_crc(batch):
    fixed = bytearray(batch)
    fixed[16] = 2
    struct.pack_into(">i", fixed, 8, len(fixed) - 12)
    struct.pack_into(">I", fixed, 17, crc32c(fixed[21:]))
    return bytes(fixed)

records = [
    Record(0, 1000, b"key", b"value", (("name", b"content"), ("null", None))),
    Record(1, 900, None, b"v" * 70, (("", b""),)),
    Record(2, 2000000, b"", None),
]
intact = encode_batch(records)
for size in range(len(intact)):
    probe(intact[:size])
    if size >= 61:
        probe(with_right_crc(intact[:size]))
dice = random.Random(1)
for _ in range(5000):
    damaged = bytearray(intact)
    for _ in range(dice.randint(1, 3)):
        damaged[dice.randrange(21, len(damaged))] = dice.choice([0, 1, 2, 3, 127, 128, 255])
    del damaged[dice.randrange(61, len(damaged) + 1) :]
    probe(with_right_crc(damaged))
for size in range(2000):
    data = bytes(size)
    found = crc32c(memory.before_the_edge(data)), crc32c(memory.after_the_edge(data))
    assert found == (crc32c(data), crc32c(data))
"""


def test_no_byte_outside_the_buffer_is_read() -> None:
    if importlib.util.find_spec("ottla.records._native") is None:
        pytest.skip("the native accelerator isn't built")
    assert survives(CHILD) is None
