"""Which partition a key belongs to: librdkafka's partitioners, number for number.

``murmur2`` is also what the Java client does. Randomness is an argument: ``draw(n)`` returns a
number from 0 to n - 1.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Literal, SupportsIndex

from ottla.client.arguments import int32

Partitioner = Literal[
    "random", "consistent", "consistent_random", "murmur2", "murmur2_random", "fnv1a",
    "fnv1a_random",
]  # fmt: skip

_UINT32 = 0xFFFFFFFF
_POSITIVE = 0x7FFFFFFF
_MURMUR2_SEED = 0x9747B28C
_MURMUR2_MULTIPLIER = 0x5BD1E995
_FNV_OFFSET = 0x811C9DC5
_FNV_PRIME = 0x01000193


def murmur2_hash(key: bytes) -> int:
    """MurmurHash2 of the key, 32 bits, seeded as Kafka does."""
    state = _MURMUR2_SEED ^ len(key)
    whole = len(key) & ~3
    for position in range(0, whole, 4):
        word = int.from_bytes(key[position : position + 4], "little")
        word = word * _MURMUR2_MULTIPLIER & _UINT32
        word = (word ^ word >> 24) * _MURMUR2_MULTIPLIER & _UINT32
        state = (state * _MURMUR2_MULTIPLIER & _UINT32) ^ word
    if whole != len(key):
        state ^= int.from_bytes(key[whole:], "little")
        state = state * _MURMUR2_MULTIPLIER & _UINT32
    state = (state ^ state >> 13) * _MURMUR2_MULTIPLIER & _UINT32
    return state ^ state >> 15


def fnv1a_hash(key: bytes) -> int:
    """FNV-1a of the key as the magnitude of a signed number of 32 bits, as Sarama has it."""
    state = _FNV_OFFSET
    for byte in key:
        state = (state ^ byte) * _FNV_PRIME & _UINT32
    return state if state <= _POSITIVE else 2**32 - state


def murmur2(key: bytes, partition_count: SupportsIndex, /) -> int:
    """The partition of a key by MurmurHash2, as the Java client chooses it.

    Raises:
        TypeError: the key is not ``bytes`` or the count no integer.
        ValueError: the count is not positive.
    """
    return (murmur2_hash(_bytes(key)) & _POSITIVE) % _count(partition_count)


def consistent(key: bytes, partition_count: SupportsIndex, /) -> int:
    """The partition of a key by CRC-32; raises as :func:`murmur2` does."""
    return zlib.crc32(_bytes(key)) % _count(partition_count)


def fnv1a(key: bytes, partition_count: SupportsIndex, /) -> int:
    """The partition of a key by FNV-1a; raises as :func:`murmur2` does."""
    return fnv1a_hash(_bytes(key)) % _count(partition_count)


def _bytes(key: bytes) -> bytes:
    if not isinstance(key, bytes):
        raise TypeError(f"a bytes-like object is required, not {type(key).__name__!r}")
    return key


def _count(partition_count: SupportsIndex) -> int:
    count = int32(partition_count)
    if count <= 0:
        raise ValueError(f"partition_count must be > 0, got {count}")
    return count


def is_sticky(partitioner: Partitioner, key: bytes | None) -> bool:
    """Whether a record goes where the last ones without a key went, to fill one batch (KIP-480).

    librdkafka asks this before it asks the partitioner: also those named after a hash send records
    without a key there.
    """
    if partitioner == "random":
        return False
    return key is None or (not key and partitioner == "consistent_random")


def partition_of(
    partitioner: Partitioner,
    key: bytes | None,
    partition_count: int,
    draw: Callable[[int], int],
) -> int:
    """The partition that a partitioner chooses.

    Args:
        partitioner: its name, as the key ``partitioner`` has it.
        key: the record's key, None without one.
        partition_count: how many partitions the topic has, at least one.
        draw: draws a number below its argument.
    """
    if partitioner == "random":
        return draw(partition_count)
    if partitioner == "consistent_random":
        return consistent(key, partition_count) if key else draw(partition_count)
    if partitioner == "consistent":
        return consistent(key or b"", partition_count)
    if key is None and partitioner.endswith("_random"):
        return draw(partition_count)
    hashed = murmur2 if partitioner.startswith("murmur2") else fnv1a
    return hashed(key or b"", partition_count)
