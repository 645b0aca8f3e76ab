"""From fetched bytes to messages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ottla.client._reference_message import Message
from ottla.client.values import (
    OFFSET_INVALID,
    TIMESTAMP_CREATE_TIME,
    TIMESTAMP_LOG_APPEND_TIME,
)
from ottla.records import decode
from ottla.records.batch import HEADER_SIZE_BYTES, MAGIC_POSITION, BatchHeader, read_header
from ottla.records.control import ControlType, decode_control_key
from ottla.records.crc import crc32c
from ottla.records.errors import CorruptBatch, RecordsError, TruncatedBatch
from ottla.records.record import BytesLike, Record

_CRC_FROM = 21


class MessageCursor:
    """Hands out the messages of one partition's fetched bytes, one after the other.

    What is not for the user is left out: records below ``position``, control records and, when
    ``is_read_committed``, the records of ``aborted`` transactions. A partial last batch ends the
    cursor quietly. What can't be read ends it with ``error``, after all messages before it.

    Making the cursor looks at all batches from outside only, and :meth:`prepare` into them: that is
    the engine's work. The rest happens in ``next`` and ``take``, one thread at a time.

    Args:
        topic: the topic, for the messages.
        partition: the partition, for the messages.
        buffer: what was fetched; must not change while the cursor lives.
        position: offset of the first record to hand out.
        aborted: (producer id, first offset) of aborted transactions, as fetched with the bytes.
        is_read_committed: leave aborted transactions out.
        check_crcs: whether to compare each batch's CRC.
        max_decompressed_bytes: what one batch may decompress to.
    """

    def __init__(
        self,
        topic: str,
        partition: int,
        buffer: BytesLike,
        position: int,
        *,
        aborted: Iterable[tuple[int, int]] = (),
        is_read_committed: bool = False,
        check_crcs: bool = False,
        max_decompressed_bytes: int = 512 * 1024 * 1024,
    ) -> None:
        self.topic = topic
        self.partition = partition
        self.position = position
        """Offset of the next record; after the end, where to fetch next."""
        self.consumed = OFFSET_INVALID
        """Offset after the last message handed out, ``OFFSET_INVALID`` before the first."""
        self.consumed_epoch = -1
        """Leader epoch of that message."""
        self.end_offset = position
        """Offset after all that can be read, as it looks from outside. When the cursor ends before
        that, ``error`` says why."""
        self.end_epoch = -1
        """Leader epoch of the last batch, -1 without any."""
        self.record_count = 0
        """How many records the batches say they hold, roughly: some may be left out."""
        self.error: RecordsError | None = None
        """Why the cursor ends before its bytes do."""
        self.damaged_offset = -1
        """Where the batch with a wrong checksum begins, which is the ``error``; -1 without one."""
        self.resume_offset = -1
        """Where the next batch begins, or as far as the damaged one says that it goes."""
        self.buffered_bytes = len(buffer)
        """What the cursor holds: the bytes fetched and those decompressed."""
        self._buffer = memoryview(buffer)
        self._aborted = sorted(aborted, key=lambda transaction: transaction[1])
        self._aborting: set[int] = set()
        self._is_read_committed = is_read_committed
        self._max_decompressed_bytes = max_decompressed_bytes
        self._scanned_bytes = 0
        self._headers: list[BatchHeader] = []
        try:
            self._survey(check_crcs)
        except RecordsError as error:
            self.error = error.with_traceback(None)
        self._messages = self._read()

    def prepare(self, most_bytes: int) -> None:
        """Check and decompress the batches ahead of who reads them, until ``buffered_bytes`` are
        more than so many. Before the first ``next`` only."""

    def __iter__(self) -> Iterator[Message[Any, Any]]:
        return self

    def __next__(self) -> Message[Any, Any]:
        return next(self._messages)

    def next(self) -> Message[Any, Any] | None:
        """The next message, None at the end."""
        return next(self._messages, None)

    def take(self, limit: int) -> list[Message[Any, Any]]:
        """At most ``limit`` messages; fewer only at the end."""
        messages: list[Message[Any, Any]] = []
        while len(messages) < limit and (message := self.next()) is not None:
            messages.append(message)
        return messages

    def take_acquired(self, ranges: Iterable[tuple[int, int, int]]) -> list[Message[Any, Any]]:
        """The messages that a share group has acquired; the cursor is done with the others too.

        Args:
            ranges: first and last offset and delivery count, in order.
        """
        messages: list[Message[Any, Any]] = []
        left = iter(ranges)
        first, last, delivery_count = -1, -1, 0
        for message in self._messages:
            while message._offset > last:
                acquired = next(left, None)
                if acquired is None:
                    return messages
                first, last, delivery_count = acquired
            if message._offset >= first:
                message._delivery_count = delivery_count
                messages.append(message)
        return messages

    def _survey(self, check_crcs: bool) -> None:
        """Look at every batch from outside, until one is not sound."""
        start = 0
        while (header := self._header_at(start)) is not None:
            size_bytes = header.size_bytes
            if header.next_offset > self.end_offset:
                if check_crcs:
                    self._check_crc(header, start)
                self.end_offset = header.next_offset
                self.end_epoch = header.partition_leader_epoch
                if not header.is_control:
                    # It can't hold more than it has offsets.
                    self.record_count += max(
                        0, min(header.record_count, header.last_offset_delta + 1)
                    )
            self._headers.append(header)
            start += size_bytes

    def _check_crc(self, header: BatchHeader, start: int) -> None:
        end = start + header.size_bytes
        computed = crc32c(self._buffer[start + _CRC_FROM : end])
        if computed != header.crc:
            self.damaged_offset = header.base_offset
            self.resume_offset = header.next_offset
            if len(self._buffer) - end >= 8:
                following = int.from_bytes(self._buffer[end : end + 8], "big", signed=True)
                if following > header.base_offset:
                    self.resume_offset = following
            raise CorruptBatch(f"CRC-32C is {computed:#010x}, the batch says {header.crc:#010x}")

    def _header_at(self, start: int) -> BatchHeader | None:
        """The header of the batch that begins there, None when there is no whole one."""
        if len(self._buffer) - start <= MAGIC_POSITION:
            return None
        try:
            header = read_header(self._buffer, start)
        except TruncatedBatch:
            return None
        if header.size_bytes > len(self._buffer) - start:
            return None
        if header.base_offset < 0 or header.last_offset_delta < 0 or header.next_offset >= 2**63:
            raise CorruptBatch(
                f"Offsets from {header.base_offset}, {header.last_offset_delta} more"
            )
        return header

    def _read(self) -> Iterator[Message[Any, Any]]:
        try:
            for header in self._headers:
                self._scanned_bytes += header.size_bytes
                for record in self._records(header):
                    if record.offset >= self.position:
                        self.consumed = self.position = record.offset + 1
                        self.consumed_epoch = header.partition_leader_epoch
                        yield self._message(header, record)
                self.position = max(self.position, header.next_offset)
        except RecordsError as error:
            self.error = error.with_traceback(None)

    def _records(self, header: BatchHeader) -> list[Record]:
        if header.next_offset <= self.position or self._is_skipped(header):
            return []
        return self._decoded(header)

    def _decoded(self, header: BatchHeader) -> list[Record]:
        return decode.decode_records(
            self._buffer,
            self._scanned_bytes - header.size_bytes,
            verify_crc=False,
            max_decompressed_bytes=self._max_decompressed_bytes,
        )

    def _is_skipped(self, header: BatchHeader) -> bool:
        if self._is_read_committed:
            while self._aborted and self._aborted[0][1] <= header.last_offset:
                self._aborting.add(self._aborted.pop(0)[0])
            if header.producer_id in self._aborting:
                if not header.is_control:
                    return header.is_transactional
                if self._is_abort_marker(header):
                    self._aborting.discard(header.producer_id)
        return header.is_control

    def _is_abort_marker(self, header: BatchHeader) -> bool:
        if header.is_compressed or header.size_bytes == HEADER_SIZE_BYTES:
            return False
        try:
            return decode_control_key(self._decoded(header)[0].key) is ControlType.ABORT
        except (RecordsError, IndexError):
            return False

    def _message(self, header: BatchHeader, record: Record) -> Message[Any, Any]:
        kind = TIMESTAMP_LOG_APPEND_TIME if header.is_log_append_time else TIMESTAMP_CREATE_TIME
        return Message(
            self.topic,
            self.partition,
            record.offset,
            record.key,
            record.value,
            list(record.headers) or None,
            timestamp=(kind, record.timestamp_ms),
            leader_epoch=header.partition_leader_epoch,
        )
