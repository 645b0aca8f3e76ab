"""The native twin reads nothing outside its buffer: each batch ends where a forbidden page begins.

An over-read of a single byte kills the process, so the checks run in a child.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

CHILD = '''
import ctypes, mmap, random, struct
from ottla.records import _native, backend
from ottla.records.crc import crc32c
from ottla.records.encode import encode_batch
from ottla.records.errors import RecordsError
from ottla.records.record import Record
from ottla.records.validate import validate_batch
from ottla.records.decode import decode_records

assert backend.active is _native
PAGE = mmap.PAGESIZE
area = mmap.mmap(-1, 3 * PAGE)
libc = ctypes.CDLL(None, use_errno=True)
start = ctypes.addressof(ctypes.c_char.from_buffer(area))
for page in (0, 2):
    if libc.mprotect(ctypes.c_void_p(start + page * PAGE), ctypes.c_size_t(PAGE), 0):
        raise OSError(ctypes.get_errno(), "mprotect")

def at_the_edge(data):
    """The data in memory, with a forbidden page right after it."""
    area[2 * PAGE - len(data) : 2 * PAGE] = data
    return memoryview(area)[2 * PAGE - len(data) : 2 * PAGE]

def after_the_edge(data):
    """The data in memory, with a forbidden page right before it."""
    area[PAGE : PAGE + len(data)] = data
    return memoryview(area)[PAGE : PAGE + len(data)]

def probe(batch):
    for place in (at_the_edge, after_the_edge):
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
    assert crc32c(at_the_edge(data)) == crc32c(after_the_edge(data)) == crc32c(data)
print("survived")
'''


def test_no_byte_outside_the_buffer_is_read() -> None:
    if importlib.util.find_spec("ottla.records._native") is None:
        pytest.skip("the native accelerator isn't built")
    child = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True)
    assert child.stdout.strip() == "survived", f"exit {child.returncode}: {child.stderr[-500:]}"
