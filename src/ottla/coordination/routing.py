"""Which shard of a coordinator a key belongs to."""

from __future__ import annotations


def partition_for(key: str, partition_count: int) -> int:
    """The partition of the internal topic that holds a group or transactional id: Java's hash.

    Java hashes UTF-16 code units; its absolute value of the least int is taken as 0.
    """
    code_units = key.encode("utf-16-be", "surrogatepass")
    hashed = 0
    for position in range(0, len(code_units), 2):
        code_unit = code_units[position] << 8 | code_units[position + 1]
        hashed = (31 * hashed + code_unit) & 0xFFFFFFFF
    if hashed & 0x80000000:
        hashed = (0x1_0000_0000 - hashed) & 0x7FFFFFFF
    return hashed % partition_count
