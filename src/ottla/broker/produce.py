"""Appending what producers send: the rules between a request's bytes and the log."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

from ottla.broker.partition import Partition
from ottla.log.partition_log import Appended
from ottla.records.batch import BatchHeader, read_header
from ottla.records.compression import Codec
from ottla.records.recompress import recompress
from ottla.records.stamp import stamp_create_time
from ottla.records.validate import CheckedBatch, validate_batch
from ottla.wire.errors import ErrorCode, ProtocolError

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
    partition: Partition, records: memoryview | None, *, version: int, acks: int, now_ms: int
) -> Appended:
    """Check one partition's records as Kafka does, and append them.

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
    _check_header(header, version)
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
    return partition.append(records, [(0, header)], now_ms=now_ms)


def _refuse_if_too_large(records: memoryview, max_message_bytes: int) -> None:
    header = read_header(records)
    if header.size_bytes > max_message_bytes:
        raise ProtocolError(
            ErrorCode.MESSAGE_TOO_LARGE,
            f"the batch has {header.size_bytes} bytes, max.message.bytes is {max_message_bytes}",
        )


def _check_header(header: BatchHeader, version: int) -> None:
    if not header.attributes & _UNUSUAL_ATTRIBUTES:
        return
    if header.is_control:
        raise ProtocolError(ErrorCode.INVALID_RECORD, "clients may not write control batches")
    if header.is_transactional:
        raise ProtocolError(ErrorCode.INVALID_TXN_STATE, "transactions are not offered here")
    if header.codec is Codec.ZSTD and version < _FIRST_ZSTD_VERSION:
        raise ProtocolError(ErrorCode.UNSUPPORTED_COMPRESSION_TYPE)


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


Response = TypeVar("Response")


class DurableReply(Generic[Response]):
    """A produce reply that leaves once every partition's high watermark has passed its records.

    It is a watermark waiter; each partition of the request counts once.
    """

    __slots__ = ("_left", "_on_late", "_response", "_timer", "future")

    def __init__(
        self, response: Response, timeout_ms: int, on_late: Callable[[Response, ErrorCode], None]
    ) -> None:
        """
        Args:
            on_late: writes an error into the response when records did not become durable in time
                or their disk failed; what was appended stays appended, as in Kafka.
        """
        loop = asyncio.get_running_loop()
        self.future: asyncio.Future[Response] = loop.create_future()
        self._response = response
        # One more than the partitions waited for, so that it can't be done before `release`.
        self._left = 1
        self._on_late = on_late
        self._timer = loop.call_later(max(timeout_ms, 0) / 1000, self._expire)

    def wait_for(self, partition: Partition, offset: int) -> None:
        """Also wait for ``partition`` to reach ``offset``."""
        self._left += 1
        partition.when_reached(offset, self)

    def release(self) -> None:
        """All partitions are named: the reply may leave from now on."""
        self.reached()

    def reached(self) -> None:
        self._left -= 1
        if not self._left:
            self._finish()

    def failed(self, error: Exception) -> None:
        self._on_late(self._response, ErrorCode.KAFKA_STORAGE_ERROR)
        self._finish()

    def _expire(self) -> None:
        self._on_late(self._response, ErrorCode.REQUEST_TIMED_OUT)
        self._finish()

    def _finish(self) -> None:
        self._timer.cancel()
        if not self.future.done():
            self.future.set_result(self._response)
