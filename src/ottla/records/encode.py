"""From records to the bytes of a batch, at once or one record at a time."""

from __future__ import annotations

import struct
from collections.abc import Iterable

from ottla.records import backend
from ottla.records.batch import (
    CONTROL_FLAG,
    DELETE_HORIZON_FLAG,
    LOG_APPEND_TIME_FLAG,
    MAGIC,
    MIN_BATCH_LENGTH_BYTES,
    NO_PRODUCER_ID,
    NO_SEQUENCE,
    TRANSACTIONAL_FLAG,
)
from ottla.records.compression import Codec, compress
from ottla.records.errors import BatchTooLarge
from ottla.records.record import Record

NO_LEADER_EPOCH = -1
NO_PRODUCER_EPOCH = -1
MAX_BATCH_BYTES = 2**31 - 1

_BEFORE_CRC = struct.Struct(">qiibI")
_AFTER_CRC = struct.Struct(">hiqqqhii")


class BatchBuilder:
    """An open batch: ``append`` records one by one, then ``close`` it to bytes.

    ``append(key, value, headers=(), timestamp_ms=-1, offset_delta=-1)`` encodes one record and
    returns ``False``, changing nothing, when the batch would exceed ``max_bytes`` before
    compression (the first record always fits). Offset deltas count from 0 unless given.
    ``extend(records, base_offset)`` appends ``Record`` objects at their own offsets.
    """

    __slots__ = ("_records", "append", "extend")

    def __init__(
        self, max_bytes: int = MAX_BATCH_BYTES, base_timestamp_ms: int | None = None
    ) -> None:
        self._records = backend.active.RecordBuffer(max_bytes, base_timestamp_ms)
        # Bound once: the native method is called without a Python frame in between.
        self.append = self._records.append
        self.extend = self._records.extend

    @property
    def record_count(self) -> int:
        return self._records.record_count

    @property
    def size_bytes(self) -> int:
        """Bytes of the batch so far, header included, before compression."""
        return self._records.size_bytes

    @property
    def base_timestamp_ms(self) -> int:
        return self._records.base_timestamp_ms

    @property
    def max_timestamp_ms(self) -> int:
        return self._records.max_timestamp_ms

    def close(
        self,
        *,
        base_offset: int = 0,
        codec: Codec = Codec.NONE,
        level: int | None = None,
        leader_epoch: int = NO_LEADER_EPOCH,
        producer_id: int = NO_PRODUCER_ID,
        producer_epoch: int = NO_PRODUCER_EPOCH,
        base_sequence: int = NO_SEQUENCE,
        is_transactional: bool = False,
        is_control: bool = False,
        has_delete_horizon: bool = False,
        log_append_time_ms: int | None = None,
        last_offset_delta: int | None = None,
        max_timestamp_ms: int | None = None,
    ) -> bytes:
        """The finished batch. May be called again, to encode the same records otherwise.

        ``log_append_time_ms`` gives all records that time. ``last_offset_delta`` and
        ``max_timestamp_ms`` override what the records say: a compacted batch keeps its old range.
        """
        records = self._records
        attributes = codec | (
            (TRANSACTIONAL_FLAG if is_transactional else 0)
            | (CONTROL_FLAG if is_control else 0)
            | (DELETE_HORIZON_FLAG if has_delete_horizon else 0)
            | (LOG_APPEND_TIME_FLAG if log_append_time_ms is not None else 0)
        )
        if max_timestamp_ms is None:
            max_timestamp_ms = records.max_timestamp_ms
        payload = records.payload()
        if codec is not Codec.NONE:
            payload = compress(codec, payload, level)
        if len(payload) > MAX_BATCH_BYTES - MIN_BATCH_LENGTH_BYTES:
            raise BatchTooLarge(f"{len(payload)} bytes of records are too many for a batch")
        after_crc = _AFTER_CRC.pack(
            attributes,
            records.last_offset_delta if last_offset_delta is None else last_offset_delta,
            records.base_timestamp_ms,
            max_timestamp_ms if log_append_time_ms is None else log_append_time_ms,
            producer_id,
            producer_epoch,
            base_sequence,
            records.record_count,
        )
        crc32c = backend.active.crc32c
        crc = crc32c(payload, crc32c(after_crc, 0))
        before_crc = _BEFORE_CRC.pack(
            base_offset, MIN_BATCH_LENGTH_BYTES + len(payload), leader_epoch, MAGIC, crc
        )
        return b"".join((before_crc, after_crc, payload))


def encode_batch(
    records: Iterable[Record],
    *,
    base_offset: int | None = None,
    codec: Codec = Codec.NONE,
    level: int | None = None,
    leader_epoch: int = NO_LEADER_EPOCH,
    producer_id: int = NO_PRODUCER_ID,
    producer_epoch: int = NO_PRODUCER_EPOCH,
    base_sequence: int = NO_SEQUENCE,
    is_transactional: bool = False,
    is_control: bool = False,
    delete_horizon_ms: int | None = None,
    log_append_time_ms: int | None = None,
    last_offset_delta: int | None = None,
    max_timestamp_ms: int | None = None,
) -> bytes:
    """Encode ``records``, whose offsets grow, as one batch.

    ``base_offset`` defaults to the first record's offset (0 without records). Compaction passes
    ``base_offset``, ``last_offset_delta`` and ``max_timestamp_ms`` of the batch it rewrites, and
    may pass no records at all, or a ``delete_horizon_ms`` (which replaces the base timestamp).
    Raises ``ValueError`` for offsets before ``base_offset`` or out of order.
    """
    records = list(records)
    if base_offset is None:
        base_offset = records[0].offset if records else 0
    builder = BatchBuilder(base_timestamp_ms=delete_horizon_ms)
    builder.extend(records, base_offset)
    return builder.close(
        base_offset=base_offset,
        codec=codec,
        level=level,
        leader_epoch=leader_epoch,
        producer_id=producer_id,
        producer_epoch=producer_epoch,
        base_sequence=base_sequence,
        is_transactional=is_transactional,
        is_control=is_control,
        has_delete_horizon=delete_horizon_ms is not None,
        log_append_time_ms=log_append_time_ms,
        last_offset_delta=last_offset_delta,
        max_timestamp_ms=max_timestamp_ms,
    )
