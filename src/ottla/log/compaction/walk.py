"""Walking over a segment's batches, many at once where they are simple, with bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ottla.ports.disk import File
from ottla.records.batch import HEADER_SIZE_BYTES, BatchHeader, read_header
from ottla.records.errors import CorruptBatch

Bulk = Callable[[bytes, int], int]
"""Handles batches of a chunk from a position on; returns where it stopped."""
Single = Callable[[memoryview, BatchHeader], bool]
"""Handles one batch; ``False`` ends the walk before it."""


def walk_batches(
    file: File, end: int, buffer_bytes: int, bulk: Bulk, single: Single
) -> Iterator[int]:
    """Hand every batch before ``end`` to ``bulk``, or where that stops, to ``single``.

    Yields how many bytes have been dealt with since the last time, a chunk at a time. Only one
    batch larger than the buffer makes it grow, and only for that batch.

    Raises:
        RecordsError: what is there is no batch, or not all of one.
        OSError: the disk failed.
    """
    position = 0
    while position < end:
        chunk = file.read(min(buffer_bytes, end - position), position)
        handled, goes_on = _handle_chunk(chunk, bulk, single)
        if handled == 0 and goes_on:
            batch, header = _read_large_batch(file, position, end)
            goes_on = single(batch, header)
            handled = len(batch) if goes_on else 0
        position += handled
        yield handled
        if not goes_on:
            return


def _handle_chunk(chunk: bytes, bulk: Bulk, single: Single) -> tuple[int, bool]:
    """How many bytes of whole batches were handled, and whether the walk goes on."""
    at = bulk(chunk, 0)
    view = memoryview(chunk)
    while at + HEADER_SIZE_BYTES <= len(chunk):
        header = read_header(chunk, at)
        following = at + header.size_bytes
        if following > len(chunk):
            break
        if not single(view[at:following], header):
            return at, False
        at = bulk(chunk, following)
    return at, True


def _read_large_batch(file: File, position: int, end: int) -> tuple[memoryview, BatchHeader]:
    header = read_header(file.read(HEADER_SIZE_BYTES, position))
    if position + header.size_bytes > end:
        raise CorruptBatch(f"The batch at {position} goes on after the end of the segment")
    batch = file.read(header.size_bytes, position)
    if len(batch) < header.size_bytes:
        raise CorruptBatch("The file became shorter while it was read")
    return memoryview(batch), header
