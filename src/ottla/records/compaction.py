"""Batches without the records that compaction removes.

A cleaned batch keeps its offsets, leader epoch, producer and sequence, so that nothing that is
asked of the log changes. KIP-534: what is to be removed later (tombstones, end markers) waits for
the batch's delete horizon, which its base timestamp becomes; the deltas make up for it.
"""

from __future__ import annotations

import struct
from typing import Any, Protocol, cast

from ottla.records import backend
from ottla.records.batch import (
    ATTRIBUTES_POSITION,
    CODEC_MASK,
    CRC_POSITION,
    DELETE_HORIZON_FLAG,
    HEADER_SIZE_BYTES,
    LENGTH_OVERHEAD_BYTES,
    NO_TIMESTAMP_MS,
    BatchHeader,
)
from ottla.records.compression import Codec, compress, decompress
from ottla.records.record import BytesLike

_LENGTH = struct.Struct(">i")
_LENGTH_POSITION = 8
_CRC = struct.Struct(">I")
_ATTRIBUTES = struct.Struct(">h")
_TIMESTAMPS = struct.Struct(">qq")
_TIMESTAMPS_POSITION = 27
_COUNT = struct.Struct(">i")
_COUNT_POSITION = 57


class OffsetMap(Protocol):
    """The latest offset of every key seen, by a digest of the key: bounded, whatever the keys."""

    @property
    def count(self) -> int:
        """How many keys there are."""
        ...

    @property
    def capacity(self) -> int:
        """How many keys fit."""
        ...

    def clear(self) -> None: ...

    def put(self, key: BytesLike, offset: int) -> bool:
        """Note the offset of a key; ``False`` when the key is new and there is no room."""
        ...

    def get(self, key: BytesLike) -> int:
        """The offset noted last for a key, or -1."""
        ...


def twin() -> Any:
    """The functions of ``_reference_compaction``, in the twin that ``backend`` chose."""
    if backend.active.NAME == "native":
        return backend.active
    from ottla.records import _reference_compaction

    return _reference_compaction


def new_offset_map(memory_bytes: int, load_factor: float, seed: bytes) -> OffsetMap:
    """An empty map.

    Args:
        memory_bytes: how much it may take once it is full.
        load_factor: the share of its table that is filled before it refuses new keys.
        seed: 16 secret bytes, so that nobody can choose keys that collide.

    Raises:
        ValueError: there is no room for a single key.
    """
    return cast(OffsetMap, twin().OffsetMap(memory_bytes, load_factor, seed))


def index_batch(
    offset_map: OffsetMap,
    batch: BytesLike,
    header: BatchHeader,
    start_offset: int,
    max_decompressed_bytes: int,
) -> bool:
    """Note the offsets of a batch's keys; ``False`` when the map is full.

    Raises:
        RecordsError: the batch is damaged.
    """
    backend.active.check_crc(batch, 0)
    records, start, end = _records(batch, header, max_decompressed_bytes)
    found: bool = twin().index_records(offset_map, records, start, end, header, start_offset)
    return found


def clean_batch(
    offset_map: OffsetMap,
    batch: BytesLike,
    header: BatchHeader,
    *,
    now_ms: int,
    delete_retention_ms: int,
    max_decompressed_bytes: int,
) -> BytesLike | None:
    """A batch of records without those that have been superseded; ``None`` when none is left.

    Raises:
        RecordsError: the batch is damaged.
    """
    backend.active.check_crc(batch, 0)
    records, start, end = _records(batch, header, max_decompressed_bytes)
    found = twin().filter_records(
        offset_map, records, start, end, header, now_ms, delete_retention_ms
    )
    if found is None:
        return batch if header.record_count else None
    count, payload, horizon_ms, max_timestamp_ms = found
    if count == 0:
        return None
    attributes, base_timestamp_ms = header.attributes, header.base_timestamp_ms
    if horizon_ms is not None:
        attributes, base_timestamp_ms = attributes | DELETE_HORIZON_FLAG, horizon_ms
    if header.is_compressed:
        payload = compress(header.codec, payload)
    return _with_records(batch, attributes, base_timestamp_ms, max_timestamp_ms, count, payload)


def with_delete_horizon(batch: BytesLike, header: BatchHeader, horizon_ms: int) -> bytes:
    """An uncompressed batch whose records may go once the horizon has passed."""
    from ottla.records.decode import decode_records
    from ottla.records.encode import BatchBuilder

    builder = BatchBuilder(base_timestamp_ms=horizon_ms)
    builder.extend(decode_records(batch), header.base_offset)
    records = builder.close()[HEADER_SIZE_BYTES:]
    return _with_records(
        batch,
        header.attributes | DELETE_HORIZON_FLAG,
        horizon_ms,
        header.max_timestamp_ms,
        header.record_count,
        records,
    )


def empty_batch(batch: BytesLike, header: BatchHeader) -> bytes:
    """A batch's header alone: it keeps the offsets, and the producer's epoch and sequence."""
    attributes = header.attributes & ~(CODEC_MASK | DELETE_HORIZON_FLAG)
    return _with_records(batch, attributes, NO_TIMESTAMP_MS, header.max_timestamp_ms, 0, b"")


def _records(
    batch: BytesLike, header: BatchHeader, max_decompressed_bytes: int
) -> tuple[BytesLike, int, int]:
    if header.codec is Codec.NONE or not header.record_count:
        return batch, HEADER_SIZE_BYTES, header.size_bytes
    payload = memoryview(batch)[HEADER_SIZE_BYTES : header.size_bytes]
    plain = decompress(header.codec, payload, max_decompressed_bytes)
    return plain, 0, len(plain)


def _with_records(
    batch: BytesLike,
    attributes: int,
    base_timestamp_ms: int,
    max_timestamp_ms: int,
    record_count: int,
    records: BytesLike,
) -> bytes:
    made = bytearray(batch[:HEADER_SIZE_BYTES])
    length = HEADER_SIZE_BYTES - LENGTH_OVERHEAD_BYTES + len(records)
    _LENGTH.pack_into(made, _LENGTH_POSITION, length)
    _ATTRIBUTES.pack_into(made, ATTRIBUTES_POSITION, attributes)
    _TIMESTAMPS.pack_into(made, _TIMESTAMPS_POSITION, base_timestamp_ms, max_timestamp_ms)
    _COUNT.pack_into(made, _COUNT_POSITION, record_count)
    crc32c = backend.active.crc32c
    crc = crc32c(records, crc32c(memoryview(made)[ATTRIBUTES_POSITION:], 0))
    _CRC.pack_into(made, CRC_POSITION, crc)
    return bytes(made) + bytes(records)
