"""Appending what producers send: the rules between a request's bytes and the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.broker.partition import Partition
from ottla.log.partition_log import Appended
from ottla.records.batch import BatchHeader, read_header
from ottla.records.compression import Codec
from ottla.records.recompress import recompress
from ottla.records.stamp import stamp_create_time
from ottla.records.validate import CheckedBatch, validate_batch
from ottla.wire.errors import ErrorCode, ProtocolError

if TYPE_CHECKING:
    from ottla.broker.transactional_produce import ProduceTransaction
    from ottla.log.verification import VerificationGuard

ACKS_NONE = 0
ACKS_LEADER = 1
ACKS_ALL = -1

# Produce versions before this one predate zstd (KIP-110).
_FIRST_ZSTD_VERSION = 7
# A batch may not grow to more than this when unpacked: a bomb is refused while it unpacks.
MAX_DECOMPRESSED_BYTES = 128 * 1024 * 1024

_NO_TIMESTAMP = -1
# Any codec from zstd on, transactional, control: what needs a closer look.
_UNUSUAL_ATTRIBUTES = 0x34


def append_client_batch(
    partition: Partition,
    records: memoryview | None,
    *,
    version: int,
    acks: int,
    now_ms: int,
    transaction: ProduceTransaction | None = None,
) -> Appended:
    """Check one partition's records as Kafka does, and append them.

    Args:
        transaction: of the request's transactional id; without one the records may not be
            transactional.

    Raises:
        ProtocolError, RecordsError, LogError: Kafka's error for what is wrong with them.
    """
    settings = partition.settings
    if acks == ACKS_ALL and len(partition.isr) < settings.min_insync_replicas:
        raise ProtocolError(ErrorCode.NOT_ENOUGH_REPLICAS)
    if not records:
        raise ProtocolError(ErrorCode.INVALID_RECORD, "a partition's records are missing")
    if len(records) > settings.max_message_bytes:
        _refuse_if_too_large(records, settings.max_message_bytes)
    checked = validate_batch(
        records,
        max_decompressed_bytes=MAX_DECOMPRESSED_BYTES,
        require_keys=settings.is_compacted,
    )
    header = checked.header
    if header.size_bytes != len(records):
        raise ProtocolError(ErrorCode.INVALID_RECORD, "a partition takes exactly one batch")
    guard = _check_header(header, version, partition, transaction)
    _check_timestamps(partition, checked, now_ms)
    if not checked.has_right_max_timestamp and not settings.is_log_append_time:
        stamp_create_time(records, 0, checked.max_timestamp_ms)
        header = read_header(records)
    if settings.codec is not None and settings.codec is not header.codec:
        records = memoryview(
            recompress(
                records,
                settings.codec,
                settings.compression_level,
                max_decompressed_bytes=MAX_DECOMPRESSED_BYTES,
            )
        )
        header = read_header(records)
    return partition.append(records, [(0, header)], now_ms=now_ms, guard=guard)


def _refuse_if_too_large(records: memoryview, max_message_bytes: int) -> None:
    header = read_header(records)
    if header.size_bytes > max_message_bytes:
        raise ProtocolError(
            ErrorCode.MESSAGE_TOO_LARGE,
            f"the batch has {header.size_bytes} bytes, max.message.bytes is {max_message_bytes}",
        )


def _check_header(
    header: BatchHeader,
    version: int,
    partition: Partition,
    transaction: ProduceTransaction | None,
) -> VerificationGuard | None:
    """Refuse what clients may not write; returns what a transactional batch is appended with."""
    if not header.attributes & _UNUSUAL_ATTRIBUTES:
        return None
    if header.is_control:
        raise ProtocolError(ErrorCode.INVALID_RECORD, "clients may not write control batches")
    if header.codec is Codec.ZSTD and version < _FIRST_ZSTD_VERSION:
        raise ProtocolError(ErrorCode.UNSUPPORTED_COMPRESSION_TYPE)
    if not header.is_transactional:
        return None
    if transaction is None:
        # CVE-2018-17196: what is checked of a transactional id must not be got round without one.
        raise ProtocolError(ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED)
    if not header.is_idempotent:
        raise ProtocolError(ErrorCode.INVALID_RECORD, "a transactional batch needs a producer id")
    return transaction.guard_for(partition)


def _check_timestamps(partition: Partition, checked: CheckedBatch, now_ms: int) -> None:
    """``message.timestamp.{before,after}.max.ms`` (KIP-937) for client-stamped records."""
    settings = partition.settings
    newest, oldest = checked.max_timestamp_ms, checked.min_timestamp_ms
    if settings.is_log_append_time or newest == _NO_TIMESTAMP:
        return
    if newest - now_ms > settings.timestamp_after_max_ms:
        raise ProtocolError(
            ErrorCode.INVALID_TIMESTAMP,
            f"timestamp {newest} is more than {settings.timestamp_after_max_ms} ms ahead",
        )
    if now_ms - oldest > settings.timestamp_before_max_ms:
        raise ProtocolError(
            ErrorCode.INVALID_TIMESTAMP,
            f"timestamp {oldest} is more than {settings.timestamp_before_max_ms} ms old",
        )
