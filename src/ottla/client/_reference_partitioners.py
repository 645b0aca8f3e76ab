"""Which partition a key belongs to."""

from __future__ import annotations

import zlib
from collections.abc import Callable

from ottla.client.arguments import int32

_MASK = 0xFFFFFFFF
_MULTIPLIER = 0x5BD1E995


def murmur2_hash(key: bytes) -> int:
    """The hash of Java's clients, its sign dropped as they drop it."""
    state = 0x9747B28C ^ len(key)
    whole = len(key) & ~3
    for position in range(0, whole, 4):
        word = int.from_bytes(key[position : position + 4], "little") * _MULTIPLIER & _MASK
        word = (word ^ word >> 24) * _MULTIPLIER & _MASK
        state = state * _MULTIPLIER & _MASK ^ word
    rest = key[whole:]
    if rest:
        state = (state ^ int.from_bytes(rest, "little")) * _MULTIPLIER & _MASK
    state = (state ^ state >> 13) * _MULTIPLIER & _MASK
    return (state ^ state >> 15) & 0x7FFFFFFF


def fnv1a_hash(key: bytes) -> int:
    """FNV-1a with the absolute value taken, as Sarama's reference partitioner does."""
    state = 0x811C9DC5
    for byte in key:
        state = (state ^ byte) * 0x01000193 & _MASK
    return -state & _MASK if state & 0x80000000 else state


HASHES: dict[str, Callable[[bytes], int]] = {
    "consistent": zlib.crc32,
    "consistent_random": zlib.crc32,
    "murmur2": murmur2_hash,
    "murmur2_random": murmur2_hash,
    "fnv1a": fnv1a_hash,
    "fnv1a_random": fnv1a_hash,
}


def _partition(hashed: str, key: bytes, partition_count: int) -> int:
    if not isinstance(key, bytes):
        raise TypeError(f"a key must be bytes, not {type(key).__name__}")
    count = int32(partition_count)
    if count <= 0:
        raise ValueError(f"partition_count must be > 0, got {count}")
    return HASHES[hashed](key) % count


def murmur2(key: bytes, partition_count: int, /) -> int:
    """The partition that Java's clients choose for a key."""
    return _partition("murmur2", key, partition_count)


def consistent(key: bytes, partition_count: int, /) -> int:
    """The partition by the key's CRC-32, the default of this client."""
    return _partition("consistent", key, partition_count)


def fnv1a(key: bytes, partition_count: int, /) -> int:
    """The partition by the key's FNV-1a hash, as Sarama chooses it."""
    return _partition("fnv1a", key, partition_count)
