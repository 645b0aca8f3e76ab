"""Changing a batch's codec, for topics whose ``compression.type`` is not ``producer``."""

from __future__ import annotations

from ottla.records import backend
from ottla.records.batch import (
    ATTRIBUTES_POSITION,
    CODEC_MASK,
    CRC_POSITION,
    HEADER_SIZE_BYTES,
    LENGTH_OVERHEAD_BYTES,
    read_header,
)
from ottla.records.compression import Codec, compress, decompress
from ottla.records.record import BytesLike

_LENGTH_POSITION = 8


def recompress(
    buffer: BytesLike, codec: Codec, level: int | None, *, max_decompressed_bytes: int
) -> bytearray:
    """The batch at the start of ``buffer`` with its records, untouched, under another codec.

    Raises:
        RecordsError: the records do not decompress, or to more than ``max_decompressed_bytes``.
    """
    header = read_header(buffer)
    payload = memoryview(buffer)[HEADER_SIZE_BYTES : header.size_bytes]
    plain = decompress(header.codec, payload, max_decompressed_bytes)
    batch = bytearray(memoryview(buffer)[:HEADER_SIZE_BYTES])
    batch += compress(codec, plain, level)
    attributes = header.attributes & ~CODEC_MASK | codec
    batch[ATTRIBUTES_POSITION : ATTRIBUTES_POSITION + 2] = attributes.to_bytes(2, "big")
    length_bytes = len(batch) - LENGTH_OVERHEAD_BYTES
    batch[_LENGTH_POSITION : _LENGTH_POSITION + 4] = length_bytes.to_bytes(4, "big")
    crc = backend.active.crc32c(memoryview(batch)[ATTRIBUTES_POSITION:], 0)
    batch[CRC_POSITION:ATTRIBUTES_POSITION] = crc.to_bytes(4, "big")
    return batch
