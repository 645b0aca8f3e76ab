"""Walking over the batches in a segment's file with bounded reads."""

from __future__ import annotations

from collections.abc import Iterator

from ottla.log.producers import EndMarker
from ottla.ports.disk import File
from ottla.records.batch import HEADER_SIZE_BYTES, BatchHeader, read_header
from ottla.records.crc import crc32c
from ottla.records.errors import CorruptBatch, RecordsError

# Headers on the way to an offset: an index interval (4 KiB) and the batch after it, usually.
LOOKUP_CHUNK_BYTES = 8 * 1024
SCAN_CHUNK_BYTES = 1024 * 1024
_CRC_FROM = 21


def iter_file_headers(
    file: File, position: int, end: int, chunk_bytes: int = LOOKUP_CHUNK_BYTES
) -> Iterator[tuple[int, BatchHeader]]:
    """Position and header of every batch from ``position`` on that lies wholly before ``end``.

    Only headers are read where batches are larger than a chunk. Raises ``RecordsError`` at bytes
    that are no batch; ends quietly at a batch that isn't complete.
    """
    while position + HEADER_SIZE_BYTES <= end:
        chunk = file.read(min(chunk_bytes, end - position), position)
        start = position
        if len(chunk) < HEADER_SIZE_BYTES:
            return
        while position - start + HEADER_SIZE_BYTES <= len(chunk):
            header = read_header(chunk, position - start)
            following = position + header.size_bytes
            if following > end:
                return
            yield position, header
            position = following


def iter_checked_headers(file: File, end: int) -> Iterator[tuple[int, BatchHeader]]:
    """Position and header of every batch of a file whose checksum is right, from the first on.

    Ends quietly at the end of the file; raises ``RecordsError`` at the first batch that is not
    complete or not what was written. Memory stays bounded whatever lengths the file claims.
    """
    position, start, chunk = 0, 0, memoryview(b"")
    while position < end:
        at = position - start
        if len(chunk) - at < HEADER_SIZE_BYTES:
            chunk, start, at = _read_chunk(file, position, end), position, 0
        header = read_header(chunk, at)
        size_bytes = header.size_bytes
        if position + size_bytes > end:
            raise CorruptBatch(f"The batch at {position} goes on after the end of the file")
        if at + size_bytes > len(chunk) and at > 0:
            chunk, start, at = _read_chunk(file, position, end), position, 0
        if at + size_bytes <= len(chunk):
            crc = crc32c(chunk[at + _CRC_FROM : at + size_bytes])
        else:
            crc = _crc_piecewise(file, position + _CRC_FROM, position + size_bytes)
        if crc != header.crc:
            raise CorruptBatch(f"The batch at {position} has a wrong checksum")
        yield position, header
        position += size_bytes


def _read_chunk(file: File, position: int, end: int) -> memoryview:
    return memoryview(file.read(min(SCAN_CHUNK_BYTES, end - position), position))


def _crc_piecewise(file: File, position: int, end: int) -> int:
    crc = 0
    while position < end:
        piece = file.read(min(SCAN_CHUNK_BYTES, end - position), position)
        if not piece:
            raise CorruptBatch("The file became shorter while it was read")
        crc = crc32c(piece, crc)
        position += len(piece)
    return crc


def read_batch(file: File, position: int, header: BatchHeader) -> bytes:
    """All bytes of a batch."""
    return file.read(header.size_bytes, position)


def parse_end_marker(batch: bytes | bytearray | memoryview, position: int = 0) -> EndMarker | None:
    """What a control batch says about a transaction; ``None`` when it ends none.

    A batch emptied by compaction and the leader-change records of other logs end none.
    """
    from ottla.records.control import ControlType, decode_end_transaction_marker
    from ottla.records.decode import decode_records

    try:
        records = decode_records(batch, position, verify_crc=False)
        if not records:
            return None
        marker = decode_end_transaction_marker(records[0].key, records[0].value)
    except RecordsError:
        return None
    is_commit = marker.type is ControlType.COMMIT
    return EndMarker(marker.coordinator_epoch, records[0].timestamp_ms, is_commit)
