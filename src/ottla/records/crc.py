"""CRC-32C (Castagnoli), the checksum of record batches and of Kafka's producer snapshots."""

from __future__ import annotations

from ottla.records import backend
from ottla.records.record import BytesLike


def crc32c(data: BytesLike, seed: int = 0) -> int:
    """The unsigned checksum of ``data``, continuing from ``seed``, a checksum of what precedes."""
    return backend.active.crc32c(data, seed)
