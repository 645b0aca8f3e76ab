"""The client's native cursor reads nothing outside its buffer: a forbidden page lies on each side.

An over-read of a single byte kills the process, so the checks run in a child.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

CHILD = """
import ctypes, mmap, random, struct
from ottla.client import _native
from ottla.records.encode import encode_batch
from ottla.records.record import Record

PAGE = mmap.PAGESIZE
area = mmap.mmap(-1, 3 * PAGE)
libc = ctypes.CDLL(None, use_errno=True)
start = ctypes.addressof(ctypes.c_char.from_buffer(area))
for page in (0, 2):
    if libc.mprotect(ctypes.c_void_p(start + page * PAGE), ctypes.c_size_t(PAGE), 0):
        raise OSError(ctypes.get_errno(), "mprotect")

def probe(data):
    area[2 * PAGE - len(data) : 2 * PAGE] = data
    at_the_end = memoryview(area)[2 * PAGE - len(data) : 2 * PAGE]
    first = read(at_the_end)
    area[PAGE : PAGE + len(data)] = data
    assert first == read(memoryview(area)[PAGE : PAGE + len(data)])

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
print("survived")
"""


def test_no_byte_outside_the_buffer_is_read() -> None:
    if importlib.util.find_spec("ottla.client._native") is None:
        pytest.skip("the native accelerator isn't built")
    child = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True)
    assert child.stdout.strip() == "survived", f"exit {child.returncode}: {child.stderr[-500:]}"
