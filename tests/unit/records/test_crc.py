"""CRC-32C against its definition."""

from __future__ import annotations

import random

import pytest

from ottla.records.crc import crc32c

REVERSED_POLYNOMIAL = 0x82F63B78


def crc32c_by_definition(data: bytes, seed: int = 0) -> int:
    state = seed ^ 0xFFFFFFFF
    for byte in data:
        state ^= byte
        for _ in range(8):
            state = (state >> 1) ^ (REVERSED_POLYNOMIAL if state & 1 else 0)
    return state ^ 0xFFFFFFFF


def test_the_check_value_of_the_standard() -> None:
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(b"") == 0


# Around every size at which the native code changes its method or has a tail.
@pytest.mark.parametrize(
    "size", [*range(40), 127, 128, 511, 512, 513, 527, 640, 1023, 1024, 1025, 1279, 1280, 1543]
)
def test_any_size_and_seed(size: int) -> None:
    data = random.Random(size).randbytes(size)
    assert crc32c(data) == crc32c_by_definition(data)
    assert crc32c(memoryview(bytearray(data)), 0x12345678) == crc32c_by_definition(data, 0x12345678)


@pytest.mark.parametrize("size", [4000, 70_000])
def test_a_checksum_continues_from_any_cut(size: int) -> None:
    data = random.Random(size).randbytes(size)
    whole = crc32c(data)
    for cut in (0, 1, 17, 512, 1025, size - 1, size):
        assert crc32c(data[cut:], crc32c(data[:cut])) == whole
