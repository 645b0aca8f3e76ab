"""One partition's batch of records and its deliveries."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from ottla.client._reference_message import Message
from ottla.client.errors import KafkaError, KafkaException
from ottla.client.values import (
    OFFSET_INVALID,
    TIMESTAMP_CREATE_TIME,
    TIMESTAMP_LOG_APPEND_TIME,
    TIMESTAMP_NOT_AVAILABLE,
)
from ottla.records.batch import HEADER_SIZE_BYTES
from ottla.records.compression import Codec
from ottla.records.decode import decode_records
from ottla.records.encode import BatchBuilder
from ottla.records.record import Record

if TYPE_CHECKING:
    from ottla.client._reference_accumulator import Accumulator

Content = bytes | None
DeliveryCallback = Callable[[KafkaError | None, Message[Any, Any]], object]


def free_kept_buffers() -> None:
    """Give the memory of past batches back to the system; only the native twin keeps any."""


class ProducerBatch:
    """Records for one partition; the accumulator makes it, the engine seals and completes it.

    Once it has been taken from the accumulator it belongs to one thread at a time.
    """

    def __init__(self, owner: Accumulator, topic: str, partition: int, created_ms: int) -> None:
        self.topic = topic
        self.partition = partition
        self.created_ms = created_ms
        """When the first record came, on the monotonic clock; linger and timeouts count from it."""
        self.is_ahead = False
        """Whether the accumulator counts it among those that run ahead."""
        self._owner = owner
        self._builder = BatchBuilder()
        self._callbacks: dict[int, tuple[Any, float]] = {}
        self._wire: bytes | None = None
        self._unreleased_records = 0
        self._unreleased_bytes = 0

    def __len__(self) -> int:
        return self.record_count

    @property
    def record_count(self) -> int:
        """How many records it has."""
        return self._builder.record_count

    @property
    def base_timestamp_ms(self) -> int:
        """The first record's timestamp."""
        return self._builder.base_timestamp_ms

    @property
    def max_timestamp_ms(self) -> int:
        """The largest timestamp of a record."""
        return self._builder.max_timestamp_ms

    @property
    def plain_size_bytes(self) -> int:
        """Its size before compression."""
        return self._builder.size_bytes

    @property
    def size_bytes(self) -> int:
        """Its size on the wire, once sealed."""
        return self._builder.size_bytes if self._wire is None else len(self._wire)

    @property
    def has_callbacks(self) -> bool:
        """Whether somebody waits for one of its records."""
        return bool(self._callbacks)

    def wire(self) -> memoryview | bytes:
        """The bytes to send, after ``seal``; ``BufferError`` before."""
        if self._wire is None:
            raise BufferError("the batch isn't sealed")
        return self._wire

    def seal(
        self,
        producer_id: int = -1,
        producer_epoch: int = -1,
        base_sequence: int = -1,
        is_transactional: bool = False,
        codec: int = 0,
        level: int | None = None,
    ) -> None:
        """Make the bytes to send; again, for an attempt under another epoch or sequence.

        ``wire`` gives them; what it gave before stays as it was. What compression would make
        larger isn't compressed. CRC and compression release the GIL.
        """
        for chosen in (Codec(codec), Codec.NONE):
            self._wire = self._builder.close(
                codec=chosen,
                level=level,
                producer_id=producer_id,
                producer_epoch=producer_epoch,
                base_sequence=base_sequence,
                is_transactional=is_transactional,
            )
            if len(self._wire) < self._builder.size_bytes:
                break

    def split(self, max_bytes: int) -> list[ProducerBatch]:
        """The same records in batches of at most ``max_bytes``, for MESSAGE_TOO_LARGE.

        A record that is larger alone gets a batch of its own. This batch is released.
        """
        parts: list[ProducerBatch] = []
        for index, record in enumerate(self._records()):
            if not parts or (
                parts[-1].size_with(record.key, record.value, record.headers, record.timestamp_ms)
                > max_bytes
            ):
                parts.append(
                    ProducerBatch(self._owner, self.topic, self.partition, self.created_ms)
                )
            parts[-1].append(record, self._callbacks.get(index))
        self.release()
        return parts

    def size_with(
        self,
        key: Content,
        value: Content,
        headers: tuple[tuple[str, Content], ...],
        timestamp_ms: int,
    ) -> int:
        """The batch's size with one record more."""
        probe = BatchBuilder(
            base_timestamp_ms=self.base_timestamp_ms if self.record_count else None
        )
        probe.append(key, value, headers, timestamp_ms, self.record_count)
        return self._builder.size_bytes + probe.size_bytes - HEADER_SIZE_BYTES

    def append(self, record: Record, waiting: tuple[Any, float] | None) -> None:
        """Encode a record; the accumulator counts it."""
        before = self._builder.size_bytes
        self._builder.append(record.key, record.value, record.headers, record.timestamp_ms)
        if waiting is not None:
            self._callbacks[self.record_count - 1] = waiting
        self._unreleased_records += 1
        self._unreleased_bytes += self._builder.size_bytes - before
        self._owner.count(1, self._builder.size_bytes - before)

    def _records(self) -> list[Record]:
        return decode_records(self._builder.close()) if self.record_count else []

    def waiting(self) -> Iterator[tuple[int, Record, tuple[Any, float]]]:
        """Each record that has a callback: index, record, callback and when it was enqueued."""
        if self._callbacks:
            for index, record in enumerate(self._records()):
                if index in self._callbacks:
                    yield index, record, self._callbacks[index]

    def entries(self) -> Iterator[tuple[Record, tuple[Any, float] | None]]:
        """Each record with its callback and when it was enqueued."""
        for index, record in enumerate(self._records()):
            yield record, self._callbacks.get(index)

    def deliveries(
        self,
        base_offset: int = -1,
        log_append_time_ms: int = -1,
        error: KafkaError | None = None,
        now: float | None = None,
        with_headers: bool = True,
    ) -> Deliveries:
        """What became of the records that have callbacks.

        Args:
            base_offset: offset of the first record, -1 when the broker didn't say (acks=0).
            log_append_time_ms: the broker's timestamp for all of them, -1 when it kept theirs.
            error: why they were not delivered.
            now: seconds on the monotonic clock, for latencies.
            with_headers: whether the messages have their headers.
        """
        self._owner.returned(self)
        now = time.monotonic() if now is None else now
        return Deliveries(self, base_offset, log_append_time_ms, error, now, with_headers)

    def forget_callback(self, index: int) -> None:
        """Somebody was told what became of a record."""
        del self._callbacks[index]

    def release_one(self) -> None:
        """A record was delivered: it counts no more."""
        if self._unreleased_records > 0:
            self._unreleased_records -= 1
            self._owner.count(-1, 0)

    def release(self) -> None:
        """All its records are delivered: they count no more for the queue's limits."""
        self._owner.returned(self)
        self._owner.count(-self._unreleased_records, -self._unreleased_bytes)
        self._unreleased_records = self._unreleased_bytes = 0


class Deliveries:
    """The deliveries of one batch, for the thread that serves callbacks.

    Iterating yields ``(callback, message)``; ``serve`` calls the callbacks. At the end the batch is
    released. Each record is handed out once, also when its callback raises.
    """

    def __init__(
        self,
        batch: ProducerBatch,
        base_offset: int,
        log_append_time_ms: int,
        error: KafkaError | None,
        now: float,
        with_headers: bool,
    ) -> None:
        self.batch = batch
        self.error = error
        self._base_offset = base_offset
        self._log_append_time_ms = log_append_time_ms
        self._now = now
        self._with_headers = with_headers
        self._waiting = batch.waiting()

    def __iter__(self) -> Iterator[tuple[Any, Message[Any, Any]]]:
        return self

    def __next__(self) -> tuple[Any, Message[Any, Any]]:
        found = next(self._waiting, None)
        if found is None:
            self.batch.release()
            raise StopIteration
        index, record, (callback, enqueued) = found
        self.batch.release_one()
        return callback, self._message(index, record, enqueued)

    def serve(self, limit: int = -1) -> int:
        """Call up to ``limit`` callbacks with (error, message); how many were called."""
        served = 0
        while served != limit:
            found = next(self, None)
            if found is None:
                break
            served += 1
            found[0](self.error, found[1])
        return served

    def resolve(self, future_type: type[Any]) -> int:
        """Settle the futures among the callbacks: with the message, or a ``KafkaException``.

        Returns:
            How many callbacks are left to be served; without any, the batch is released.
        """
        waiting = list(self.batch.waiting())
        left = 0
        for index, record, (callback, enqueued) in waiting:
            if not isinstance(callback, future_type):
                left += 1
                continue
            self.batch.forget_callback(index)
            self.batch.release_one()
            if callback.done():
                continue
            if self.error is None:
                callback.set_result(self._message(index, record, enqueued))
            else:
                callback.set_exception(KafkaException(self.error))
        if left == 0:
            self.batch.release()
        return left

    def _message(self, index: int, record: Record, enqueued: float) -> Message[Any, Any]:
        kind, timestamp_ms = TIMESTAMP_CREATE_TIME, record.timestamp_ms
        if self.error is not None:
            # What was not appended has no time of the log's, and its own is not told.
            kind, timestamp_ms = TIMESTAMP_NOT_AVAILABLE, -1
        elif self._log_append_time_ms >= 0:
            kind, timestamp_ms = TIMESTAMP_LOG_APPEND_TIME, self._log_append_time_ms
        has_offset = self._base_offset >= 0 and self.error is None
        return Message(
            self.batch.topic,
            self.batch.partition,
            self._base_offset + index if has_offset else OFFSET_INVALID,
            record.key,
            record.value,
            (list(record.headers) or None) if self._with_headers else None,
            self.error,
            (kind, timestamp_ms),
            max(self._now - enqueued, 0.0),
        )
