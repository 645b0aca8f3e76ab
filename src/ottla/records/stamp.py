"""What the leader writes into a batch it accepts, in place."""

from __future__ import annotations

import struct

from ottla.records import backend
from ottla.records.batch import (
    ATTRIBUTES_POSITION,
    CRC_POSITION,
    LENGTH_OVERHEAD_BYTES,
    LOG_APPEND_TIME_FLAG,
    MAX_TIMESTAMP_POSITION,
    BatchHeader,
    read_header,
    truncated,
)

_BASE_OFFSET = struct.Struct(">q")
_LEADER_EPOCH = struct.Struct(">i")
_LEADER_EPOCH_POSITION = LENGTH_OVERHEAD_BYTES
_CRC = struct.Struct(">I")
_ATTRIBUTES = struct.Struct(">h")
_TIMESTAMP = struct.Struct(">q")


def stamp(
    buffer: bytearray | memoryview, position: int, base_offset: int, leader_epoch: int
) -> None:
    """Set base offset and partition leader epoch, both outside the CRC."""
    _BASE_OFFSET.pack_into(buffer, position, base_offset)
    _LEADER_EPOCH.pack_into(buffer, position + _LEADER_EPOCH_POSITION, leader_epoch)


def stamp_plain_batch(
    buffer: bytearray | memoryview,
    position: int,
    end: int,
    *,
    base_offset: int,
    leader_epoch: int,
    now_ms: int,
    before_max_ms: int,
    after_max_ms: int,
) -> BatchHeader | None:
    """``validate_batch`` and ``stamp`` in one step, for what nearly all producers send.

    Plain is the one batch that fills ``buffer[position:end]``, without attributes (uncompressed,
    not transactional, no control batch, with its producer's timestamps), right in every respect,
    its timestamps at most ``before_max_ms`` before and ``after_max_ms`` after ``now_ms``.

    Returns the header as stamped; ``None``, the batch unchanged, for any other.
    """
    return backend.active.stamp_plain_batch(
        buffer, position, end, base_offset, leader_epoch, now_ms, before_max_ms, after_max_ms
    )


def stamp_log_append_time(buffer: bytearray | memoryview, position: int, timestamp_ms: int) -> None:
    """Make ``timestamp_ms`` the time of every record (``message.timestamp.type=LogAppendTime``).

    The records keep the producer's timestamps; readers take the batch's instead.
    """
    _stamp_max_timestamp(buffer, position, timestamp_ms, LOG_APPEND_TIME_FLAG)


def stamp_create_time(buffer: bytearray | memoryview, position: int, max_timestamp_ms: int) -> None:
    """Set the max timestamp of records that keep their own, as Kafka does for what it accepts.

    Changes nothing, and computes no CRC, when the batch is right already.
    """
    _stamp_max_timestamp(buffer, position, max_timestamp_ms, 0)


def _stamp_max_timestamp(
    buffer: bytearray | memoryview, position: int, timestamp_ms: int, timestamp_type: int
) -> None:
    header = read_header(buffer, position)
    attributes = header.attributes & ~LOG_APPEND_TIME_FLAG | timestamp_type
    if header.max_timestamp_ms == timestamp_ms and header.attributes == attributes:
        return
    end = position + header.size_bytes
    if end > len(buffer):
        raise truncated(header.size_bytes, len(buffer) - position)
    _ATTRIBUTES.pack_into(buffer, position + ATTRIBUTES_POSITION, attributes)
    _TIMESTAMP.pack_into(buffer, position + MAX_TIMESTAMP_POSITION, timestamp_ms)
    covered = memoryview(buffer)[position + ATTRIBUTES_POSITION : end]
    _CRC.pack_into(buffer, position + CRC_POSITION, backend.active.crc32c(covered, 0))
