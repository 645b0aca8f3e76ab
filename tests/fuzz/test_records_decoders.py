"""Arbitrary and nearly right bytes: typed errors only, and both twins agree to the word."""

from __future__ import annotations

import importlib
import random
import struct
from types import ModuleType

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ottla.records import _reference, backend
from ottla.records.batch import iter_complete_headers
from ottla.records.compression import Codec, compress
from ottla.records.crc import crc32c
from ottla.records.decode import decode_records
from ottla.records.encode import encode_batch
from ottla.records.errors import RecordsError
from ottla.records.record import Record
from ottla.records.validate import validate_batch

MAX_DECOMPRESSED_BYTES = 1 << 16


@pytest.fixture(scope="module")
def native() -> ModuleType:
    try:
        return importlib.import_module("ottla.records._native")
    except ImportError:
        pytest.skip("the native accelerator isn't built")


def outcome(twin: ModuleType, batch: bytes) -> list[object]:
    """What validating and decoding say about a batch: results, or errors with their words."""
    found: list[object] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backend, "active", twin)
        for attempt in (
            lambda: validate_batch(
                batch, max_decompressed_bytes=MAX_DECOMPRESSED_BYTES, require_keys=True
            ),
            lambda: decode_records(batch, max_decompressed_bytes=MAX_DECOMPRESSED_BYTES),
        ):
            try:
                found.append(attempt())
            except RecordsError as error:
                found.append((type(error), str(error)))
    return found


def with_right_crc(batch: bytes) -> bytes:
    """The batch with its magic, length and CRC made right, so that the records get looked at."""
    fixed = bytearray(batch)
    if len(fixed) >= 61:
        fixed[16] = 2
        struct.pack_into(">i", fixed, 8, len(fixed) - 12)
        struct.pack_into(">I", fixed, 17, crc32c(fixed[21:]))
    return bytes(fixed)


def sealed(payload: bytes, record_count: int, attributes: int) -> bytes:
    header = struct.pack(
        ">qiibIhiqqqhii",
        9,
        0,
        0,
        2,
        0,
        attributes,
        record_count - 1,
        5,
        6,
        -1,
        -1,
        -1,
        record_count,
    )
    return with_right_crc(header + payload)


@settings(deadline=None)
@given(st.binary(max_size=200))
@example(b"\xff" * 61)
def test_arbitrary_bytes(native: ModuleType, data: bytes) -> None:
    for batch in (data, with_right_crc(data)):
        assert outcome(native, batch) == outcome(_reference, batch)
        try:
            list(iter_complete_headers(batch))
        except RecordsError:
            pass


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=120), st.integers(1, 4), st.sampled_from([0, 0, 0x08, *range(1, 8)]))
def test_arbitrary_records(
    native: ModuleType, payload: bytes, record_count: int, attributes: int
) -> None:
    batch = sealed(payload, record_count, attributes)
    assert outcome(native, batch) == outcome(_reference, batch)


RECORDS = [
    Record(0, 1000, b"key", b"value", (("name", b"content"), ("null", None))),
    Record(1, 900, None, b"v" * 70, (("", b""),)),
    Record(2, 1002, b"", None),
]


@pytest.mark.parametrize("codec", Codec)
def test_damaged_batches_with_a_right_crc(native: ModuleType, codec: Codec) -> None:
    dice = random.Random(codec)
    intact = encode_batch(RECORDS, codec=codec)
    accepted = 0
    for _ in range(4000):
        damaged = bytearray(intact)
        for _ in range(dice.randint(1, 3)):
            damaged[dice.randrange(21, len(damaged))] = dice.choice([0, 1, 2, 127, 128, 255])
        if dice.random() < 0.2:
            del damaged[dice.randrange(61, len(damaged)) :]
        batch = with_right_crc(bytes(damaged))
        found = outcome(native, batch)
        assert found == outcome(_reference, batch)
        accepted += isinstance(found[1], list)
    # Some damage hits contents only: the fuzz reaches both sides of the fence.
    assert 0 < accepted < 4000


@pytest.mark.parametrize("codec", [Codec.GZIP, Codec.SNAPPY, Codec.LZ4, Codec.ZSTD])
def test_damaged_records_under_compression(native: ModuleType, codec: Codec) -> None:
    dice = random.Random(codec)
    intact = encode_batch(RECORDS)[61:]
    for _ in range(500):
        damaged = bytearray(intact)
        damaged[dice.randrange(len(damaged))] = dice.randrange(256)
        batch = sealed(compress(codec, damaged), 3, codec)
        assert outcome(native, batch) == outcome(_reference, batch)


def test_every_prefix_of_the_records(native: ModuleType) -> None:
    payload = encode_batch(RECORDS)[61:]
    for size in range(len(payload)):
        batch = sealed(payload[:size], 3, 0)
        found = outcome(native, batch)
        assert found == outcome(_reference, batch)
        assert all(type(result) is tuple for result in found)  # refused, not a CheckedBatch
