"""Which shard of a coordinator a key belongs to."""

from __future__ import annotations

import sys
from collections.abc import Iterable

# As this machine stores numbers, so that they need not be put together.
_UTF_16 = f"utf-16-{sys.byteorder[0]}e"


def partition_for(key: str, partition_count: int) -> int:
    """The partition of the internal topic that holds a group or transactional id: Java's hash.

    Java hashes UTF-16 code units; its absolute value of the least int is taken as 0.
    """
    hashed = 0
    for code_unit in _code_units(key):
        hashed = (31 * hashed + code_unit) & 0xFFFFFFFF
    if hashed & 0x80000000:
        hashed = (0x1_0000_0000 - hashed) & 0x7FFFFFFF
    return hashed % partition_count


def _code_units(key: str) -> Iterable[int]:
    if key.isascii():
        return key.encode()
    return memoryview(key.encode(_UTF_16, "surrogatepass")).cast("H")
