"""Everything a broker checks about a batch before it may reach the log."""

from __future__ import annotations

from typing import NamedTuple

from ottla.records import backend
from ottla.records.batch import HEADER_SIZE_BYTES, BatchHeader
from ottla.records.compression import decompress
from ottla.records.decode import decode_records
from ottla.records.errors import InvalidRecord
from ottla.records.record import BytesLike


class CheckedBatch(NamedTuple):
    """A batch that passed ``validate_batch``, and what was learned about its records.

    ``min_timestamp_ms`` leaves out records without a timestamp (-1); both bounds are -1 when no
    record has one. ``first_null_key`` is the index of the first record without a key, or -1.
    """

    header: BatchHeader
    min_timestamp_ms: int
    max_timestamp_ms: int
    first_null_key: int
    uncompressed_size_bytes: int

    @property
    def has_null_key(self) -> bool:
        return self.first_null_key >= 0

    @property
    def has_right_max_timestamp(self) -> bool:
        """Whether the header's max timestamp is that of its records, and says so.

        Kafka's broker corrects a wrong one, and takes away the mark "log append time", which is
        not the producer's to give: see ``stamp.stamp_create_time``.
        """
        header = self.header
        return header.max_timestamp_ms == self.max_timestamp_ms and not header.is_log_append_time


def validate_batch(
    buffer: BytesLike,
    position: int = 0,
    *,
    max_decompressed_bytes: int,
    require_keys: bool = False,
) -> CheckedBatch:
    """Check the batch at ``position`` of ``buffer`` down to every record.

    Checked: that it is all there (``TruncatedBatch``), in format v2 (``UnsupportedFormat``), with
    a right CRC (``CorruptBatch``) and a known codec (``UnsupportedCompression``); that it
    decompresses (``CorruptBatch``) to at most ``max_decompressed_bytes`` (``BatchTooLarge``); that
    its record count and offset range agree, its records have offset deltas 0, 1, 2..., valid sizes,
    and fill it exactly (``InvalidRecord``). ``require_keys`` refuses null keys, as a compacted
    topic must.

    Not checked, because it depends on who sent the batch: control and transactional flags,
    producer id and sequence, timestamps.
    """
    header, walked = backend.active.check_batch(buffer, position)
    _check_counts(header)
    uncompressed_size_bytes = header.size_bytes
    if walked is None:
        payload = memoryview(buffer)[position + HEADER_SIZE_BYTES : position + header.size_bytes]
        plain = decompress(header.codec, payload, max_decompressed_bytes)
        walked = backend.active.walk_records(plain, 0, len(plain), header)
        uncompressed_size_bytes = HEADER_SIZE_BYTES + len(plain)
    checked = CheckedBatch(
        header,
        walked.min_timestamp_ms,
        walked.max_timestamp_ms,
        walked.first_null_key,
        uncompressed_size_bytes,
    )
    if require_keys and checked.has_null_key:
        raise _null_keys(buffer, position, max_decompressed_bytes)
    return checked


def _check_counts(header: BatchHeader) -> None:
    if header.record_count < 1:
        raise InvalidRecord(f"Record count {header.record_count} is less than 1")
    if header.last_offset_delta != header.record_count - 1:
        raise InvalidRecord(
            f"Record count {header.record_count} does not agree with the last offset delta "
            f"{header.last_offset_delta}"
        )


def _null_keys(buffer: BytesLike, position: int, max_decompressed_bytes: int) -> InvalidRecord:
    # Producers show their users which records a compacted topic refused (KIP-467).
    records = decode_records(
        buffer, position, verify_crc=False, max_decompressed_bytes=max_decompressed_bytes
    )
    keyless = tuple(index for index, record in enumerate(records) if record.key is None)
    return InvalidRecord("Compacted topic cannot accept records without a key", keyless)
