"""The 61 bytes before the records of a batch (message format v2), and walking from one to the next.

=====  ====  ========================  =====================================================
 from  size  field
=====  ====  ========================  =====================================================
    0     8  base offset               assigned by the leader
    8     4  batch length              bytes after this field
   12     4  partition leader epoch    assigned by the leader
   16     1  magic                     2
   17     4  CRC-32C                   of everything from the attributes on
   21     2  attributes                0-2 codec, 3 timestamp type, 4 transactional, 5 control,
                                       6 base timestamp is a delete horizon (KIP-534)
   23     4  last offset delta
   27     8  base timestamp
   35     8  max timestamp
   43     8  producer id               -1 when not idempotent
   51     2  producer epoch
   53     4  base sequence
   57     4  record count
=====  ====  ========================  =====================================================
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from ottla.records.compression import Codec
from ottla.records.errors import (
    CorruptBatch,
    TruncatedBatch,
    UnsupportedCompression,
    UnsupportedFormat,
)
from ottla.records.record import BytesLike

HEADER_SIZE_BYTES = 61
# Base offset and batch length: what the batch length does not count.
LENGTH_OVERHEAD_BYTES = 12
MIN_BATCH_LENGTH_BYTES = HEADER_SIZE_BYTES - LENGTH_OVERHEAD_BYTES
MAGIC = 2
MAGIC_POSITION = 16
CRC_POSITION = 17
ATTRIBUTES_POSITION = 21
MAX_TIMESTAMP_POSITION = 35

CODEC_MASK = 0x07
LOG_APPEND_TIME_FLAG = 0x08
TRANSACTIONAL_FLAG = 0x10
CONTROL_FLAG = 0x20
DELETE_HORIZON_FLAG = 0x40

NO_PRODUCER_ID = -1
NO_SEQUENCE = -1
NO_TIMESTAMP_MS = -1
MAX_SEQUENCE = 2**31 - 1

_HEADER = struct.Struct(">qiibIhiqqqhii")


class BatchHeader(NamedTuple):
    """Every field of a batch header, unchecked beyond size and magic."""

    base_offset: int
    batch_length_bytes: int
    partition_leader_epoch: int
    magic: int
    crc: int
    attributes: int
    last_offset_delta: int
    base_timestamp_ms: int
    max_timestamp_ms: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    record_count: int

    @property
    def size_bytes(self) -> int:
        """Bytes of the whole batch, header included."""
        return self.batch_length_bytes + LENGTH_OVERHEAD_BYTES

    @property
    def last_offset(self) -> int:
        return self.base_offset + self.last_offset_delta

    @property
    def next_offset(self) -> int:
        return self.base_offset + self.last_offset_delta + 1

    @property
    def max_record_timestamp_ms(self) -> int:
        """The largest timestamp of its records; -1 where compaction left none of them."""
        return self.max_timestamp_ms if self.record_count else NO_TIMESTAMP_MS

    @property
    def codec(self) -> Codec:
        """How the records are compressed; raises ``UnsupportedCompression`` for unknown numbers."""
        number = self.attributes & CODEC_MASK
        if number > Codec.ZSTD:
            raise UnsupportedCompression(f"Unknown compression codec {number}")
        return Codec(number)

    @property
    def is_compressed(self) -> bool:
        return self.attributes & CODEC_MASK != 0

    @property
    def is_log_append_time(self) -> bool:
        """Whether the max timestamp is the time of every record, set by the broker."""
        return self.attributes & LOG_APPEND_TIME_FLAG != 0

    @property
    def is_transactional(self) -> bool:
        return self.attributes & TRANSACTIONAL_FLAG != 0

    @property
    def is_control(self) -> bool:
        return self.attributes & CONTROL_FLAG != 0

    @property
    def has_delete_horizon(self) -> bool:
        return self.attributes & DELETE_HORIZON_FLAG != 0

    @property
    def delete_horizon_ms(self) -> int | None:
        """When compaction may drop the batch's tombstones and markers, once it decided that."""
        return self.base_timestamp_ms if self.has_delete_horizon else None

    @property
    def has_producer_id(self) -> bool:
        return self.producer_id > NO_PRODUCER_ID

    @property
    def is_idempotent(self) -> bool:
        """Whether the broker must check the batch's sequence (markers have an id, no sequence)."""
        return self.producer_id > NO_PRODUCER_ID and self.base_sequence != NO_SEQUENCE

    @property
    def last_sequence(self) -> int:
        """Sequence of the last record; sequences wrap to 0 after 2^31-1."""
        if self.base_sequence == NO_SEQUENCE:
            return NO_SEQUENCE
        return increment_sequence(self.base_sequence, self.last_offset_delta)


def increment_sequence(sequence: int, increment: int) -> int:
    """The sequence ``increment`` records later, wrapping to 0 after 2^31-1."""
    return (sequence + increment) & MAX_SEQUENCE


def read_header(buffer: BytesLike, position: int = 0) -> BatchHeader:
    """Read the header at ``position``; the records need not be in the buffer.

    Raises ``TruncatedBatch`` when the header isn't complete, ``UnsupportedFormat`` for message
    formats v0 and v1, ``CorruptBatch`` for any other magic and for impossible lengths.
    """
    available = len(buffer) - position
    if position < 0 or available <= MAGIC_POSITION:
        raise TruncatedBatch(f"{available} bytes are too few for a batch header")
    magic = buffer[position + MAGIC_POSITION]
    if magic != MAGIC:
        raise wrong_magic(magic)
    if available < HEADER_SIZE_BYTES:
        raise TruncatedBatch(f"{available} bytes are too few for a batch header")
    header = BatchHeader._make(_HEADER.unpack_from(buffer, position))
    if header.batch_length_bytes < MIN_BATCH_LENGTH_BYTES:
        raise impossible_length(header.batch_length_bytes)
    return header


def wrong_magic(magic: int) -> CorruptBatch | UnsupportedFormat:
    """The error for a batch that isn't in format v2."""
    if magic in (0, 1):
        return UnsupportedFormat(f"Message format v{magic} is not supported, only v2 is")
    return CorruptBatch(f"Invalid magic {magic}")


def impossible_length(batch_length_bytes: int) -> CorruptBatch:
    """The error for a batch length that cannot hold the header."""
    return CorruptBatch(
        f"Batch length {batch_length_bytes} is less than the minimum of {MIN_BATCH_LENGTH_BYTES}"
    )


def truncated(size_bytes: int, available_bytes: int) -> TruncatedBatch:
    """The error for a batch that goes on after the buffer's end."""
    return TruncatedBatch(f"Batch of {size_bytes} bytes, of which {available_bytes} are there")


def iter_headers(buffer: BytesLike, position: int = 0) -> Iterator[tuple[int, BatchHeader]]:
    """Each batch's position and header, up to the end of the buffer.

    Raises as ``read_header`` does, and ``TruncatedBatch`` when the last batch isn't complete.
    """
    end = len(buffer)
    while position < end:
        header = read_header(buffer, position)
        following = position + header.batch_length_bytes + LENGTH_OVERHEAD_BYTES
        if following > end:
            raise truncated(header.size_bytes, end - position)
        yield position, header
        position = following


def iter_complete_headers(
    buffer: BytesLike, position: int = 0
) -> Iterator[tuple[int, BatchHeader]]:
    """As ``iter_headers``, but a partial last batch ends it quietly.

    A fetch response is cut at its byte limit, a torn log at the crash: both may end mid-batch.
    """
    try:
        yield from iter_headers(buffer, position)
    except TruncatedBatch:
        return
