"""Appending what producers send: the rules between a request's bytes and the log."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

from ottla.broker.partition import Partition
from ottla.log.partition_log import Appended
from ottla.records.batch import BatchHeader, read_header
from ottla.records.compression import Codec
from ottla.records.errors import BatchTooLarge
from ottla.records.recompress import recompress
from ottla.records.stamp import stamp_create_time
from ottla.records.validate import CheckedBatch, validate_batch
from ottla.wire.errors import ErrorCode, ProtocolError

if TYPE_CHECKING:
    from ottla.broker.topic_settings import TopicSettings
    from ottla.broker.transactional_produce import ProduceTransaction
    from ottla.log.verification import VerificationGuard
    from ottla.wire.api.k00_produce import ProduceRequest

ACKS_NONE = 0
ACKS_LEADER = 1
ACKS_ALL = -1

# Produce versions before this one predate zstd (KIP-110).
_FIRST_ZSTD_VERSION = 7
# A batch may not grow to more than this when unpacked: a bomb is refused while it unpacks.
MAX_DECOMPRESSED_BYTES = 128 * 1024 * 1024
# What may be unpacked on the event loop: some milliseconds of it.
_INLINE_DECOMPRESSED_BYTES = 4 * 1024 * 1024

_NO_TIMESTAMP = -1
# Any codec from zstd on, transactional, control: what needs a closer look.
_UNUSUAL_ATTRIBUTES = 0x34


class LargeBatchError(Exception):
    """A batch has to be looked through in another thread first: it unpacks to a lot."""


class CheckedRecords(NamedTuple):
    """A partition's records as they are to be stored, and what was learned about them."""

    batch: CheckedBatch
    """As the producer sent it."""
    records: memoryview


def append_client_batch(
    partition: Partition,
    records: memoryview | None,
    *,
    version: int,
    acks: int,
    now_ms: int,
    transaction: ProduceTransaction | None = None,
    checked_records: CheckedRecords | None = None,
) -> Appended:
    """Check one partition's records as Kafka does, and append them.

    Args:
        transaction: of the request's transactional id; without one the records may not be
            transactional.
        checked_records: what `check_records` made of them.

    Raises:
        ProtocolError, RecordsError, LogError: Kafka's error for what is wrong with them.
        LargeBatchError: they have to go through `check_records`, off the event loop.
    """
    settings = partition.settings
    if acks == ACKS_ALL and len(partition.isr) < settings.min_insync_replicas:
        raise ProtocolError(ErrorCode.NOT_ENOUGH_REPLICAS)
    if not records:
        raise ProtocolError(ErrorCode.INVALID_RECORD, "a partition's records are missing")
    if len(records) > settings.max_message_bytes:
        _refuse_if_too_large(records, settings.max_message_bytes)
    if checked_records is None:
        try:
            checked_records = check_records(records, settings, _INLINE_DECOMPRESSED_BYTES)
        except BatchTooLarge:
            raise LargeBatchError from None
    checked, stored = checked_records
    header = checked.header
    guard = _check_header(header, version, partition, transaction)
    _check_timestamps(partition, checked, now_ms)
    if not checked.has_right_max_timestamp and not settings.is_log_append_time:
        stamp_create_time(stored, 0, checked.max_timestamp_ms)
        header = read_header(stored)
    elif stored is not records:
        header = read_header(stored)
    return partition.append(stored, [(0, header)], now_ms=now_ms, guard=guard)


def check_records(
    records: memoryview,
    settings: TopicSettings,
    max_decompressed_bytes: int = MAX_DECOMPRESSED_BYTES,
) -> CheckedRecords:
    """Look through the records, and bring them under the topic's own codec, if it has one.

    Raises:
        ProtocolError, RecordsError: what is wrong with them; ``BatchTooLarge`` where they unpack
            to more than is allowed.
    """
    checked = validate_batch(
        records,
        max_decompressed_bytes=max_decompressed_bytes,
        require_keys=settings.is_compacted,
    )
    if checked.header.size_bytes != len(records):
        raise ProtocolError(ErrorCode.INVALID_RECORD, "a partition takes exactly one batch")
    if settings.codec is not None and settings.codec is not checked.header.codec:
        stored = recompress(
            records,
            settings.codec,
            settings.compression_level,
            max_decompressed_bytes=max_decompressed_bytes,
        )
        records = memoryview(stored)
    return CheckedRecords(checked, records)


def keep_records(request: ProduceRequest) -> None:
    """Copy the records out of the connection's receive buffer, which the next bytes overwrite."""
    for topic in request.topic_data:
        for wanted in topic.partition_data:
            if wanted.records is not None:
                wanted.records = memoryview(bytearray(cast("memoryview", wanted.records)))


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
