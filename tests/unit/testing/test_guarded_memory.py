"""The guard that native code is checked with bites."""

from __future__ import annotations

import pytest

from ottla.testing.guarded_memory import survives

PROGRAM = """
import ctypes
from ottla.testing.guarded_memory import GuardedMemory
placed = GuardedMemory().{edge}(b"abc")
address = ctypes.addressof(ctypes.c_char.from_buffer(placed))
assert ctypes.string_at(address + {offset}, {size}) == b"abc"[:{size}]
"""


@pytest.mark.parametrize("edge", ["before_the_edge", "after_the_edge"])
def test_what_is_there_may_be_read(edge: str) -> None:
    assert survives(PROGRAM.format(edge=edge, offset=0, size=3)) is None


@pytest.mark.parametrize(
    ("edge", "offset", "size"), [("before_the_edge", 0, 4), ("after_the_edge", -1, 1)]
)
def test_one_byte_more_ends_the_process(edge: str, offset: int, size: int) -> None:
    assert "exit -11" in (survives(PROGRAM.format(edge=edge, offset=offset, size=size)) or "")
