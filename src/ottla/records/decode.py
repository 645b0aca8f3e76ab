"""From bytes to records."""

from __future__ import annotations

from ottla.records import backend
from ottla.records.batch import HEADER_SIZE_BYTES, read_header, truncated
from ottla.records.compression import decompress
from ottla.records.record import BytesLike, Record

# What a reader decompresses unless told otherwise: far above any sensible batch, far below memory.
DEFAULT_MAX_DECOMPRESSED_BYTES = 512 * 1024 * 1024


def decode_records(
    buffer: BytesLike,
    position: int = 0,
    *,
    verify_crc: bool = True,
    max_decompressed_bytes: int = DEFAULT_MAX_DECOMPRESSED_BYTES,
) -> list[Record]:
    """The records of the batch at ``position``, with absolute offsets and final timestamps.

    Reads what compaction leaves too: gaps between offsets, and batches without any record. Control
    records are decoded like others (see ``control``). Raises ``RecordsError`` subclasses only.
    """
    if verify_crc:
        header = backend.active.check_crc(buffer, position)
    else:
        header = read_header(buffer, position)
        if header.size_bytes > len(buffer) - position:
            raise truncated(header.size_bytes, len(buffer) - position)
    start, end = position + HEADER_SIZE_BYTES, position + header.size_bytes
    if header.record_count == 0:
        return []
    if not header.is_compressed:
        return backend.active.decode_records(buffer, start, end, header)
    plain = decompress(header.codec, memoryview(buffer)[start:end], max_decompressed_bytes)
    return backend.active.decode_records(plain, 0, len(plain), header)
