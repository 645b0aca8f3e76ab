"""What an append gives back, what is refused, and what it makes of the producers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ottla.log.config import LOG_APPEND_TIME, LogConfig
from ottla.log.errors import MessageTooLarge, RecordListTooLarge, UnexpectedAppendOffset
from ottla.log.producers import AppendOrigin, KeptBatch, Producer, Producers, StagedAppend
from ottla.log.scan import parse_end_marker
from ottla.log.transactions import AbortedTransaction
from ottla.log.verification import VerificationGuard
from ottla.records.batch import (
    CONTROL_FLAG,
    LENGTH_OVERHEAD_BYTES,
    TRANSACTIONAL_FLAG,
    BatchHeader,
)


class Appended(NamedTuple):
    """Where batches went, or, for a repeated batch, where it had gone the first time."""

    first_offset: int
    last_offset: int
    log_append_time_ms: int
    """The broker's time when it is the records' time, else -1."""
    log_start_offset: int
    is_duplicate: bool = False


def repeated(duplicate: KeptBatch, config: LogConfig, log_start_offset: int) -> Appended:
    """What a retry of a batch that is in the log is answered with."""
    is_append_time = config.message_timestamp_type == LOG_APPEND_TIME
    return Appended(
        duplicate.first_offset,
        duplicate.last_offset,
        duplicate.timestamp_ms if is_append_time else -1,
        log_start_offset,
        is_duplicate=True,
    )


def check_sizes(
    size_bytes: int,
    batches: Sequence[tuple[int, BatchHeader]],
    config: LogConfig,
    is_replica: bool,
) -> None:
    """Raise ``RecordListTooLarge`` or ``MessageTooLarge`` for what the topic doesn't take."""
    if size_bytes > config.segment_bytes:
        raise RecordListTooLarge(
            f"{size_bytes} bytes at once exceed segment.bytes ({config.segment_bytes})"
        )
    # A replica takes what its leader took, though the topic's limit may have shrunk since.
    if is_replica or size_bytes <= config.max_message_bytes:
        return
    for _, header in batches:
        if header.size_bytes > config.max_message_bytes:
            raise MessageTooLarge(
                f"A batch of {header.size_bytes} bytes exceeds max.message.bytes "
                f"({config.max_message_bytes})"
            )


def check_replicated(header: BatchHeader, log_end_offset: int) -> int:
    """A replicated batch's own offset; raises ``UnexpectedAppendOffset`` when it is taken."""
    if header.base_offset < log_end_offset:
        raise UnexpectedAppendOffset(
            f"A replicated batch starts at {header.base_offset}, before the log end offset "
            f"{log_end_offset}"
        )
    return header.base_offset


def check_verified(
    producers: Producers,
    header: BatchHeader,
    origin: AppendOrigin,
    guard: VerificationGuard | None,
    *,
    needs_guard: bool,
) -> None:
    """Refuse a transactional batch that would begin a transaction behind the coordinator's back.

    Args:
        guard: stands for the coordinator's consent.

    Raises:
        InvalidTransactionState, InvalidProducerEpoch, OutOfOrderSequence: as Kafka does.
    """
    producer_id = header.producer_id
    producer = producers.get(producer_id) or Producer(producer_id)
    is_client = origin is AppendOrigin.CLIENT
    if is_client and producer.find_duplicate(header) is not None:
        return
    if needs_guard and not producers.has_open_transaction(producer_id, header.producer_epoch):
        producers.verifications.check_guard(producer_id, guard)
    producer.check_epoch(header.producer_epoch)
    if is_client:
        producers.verifications.check_sequence(producer, header)


class PreparedAppend:
    """Batches that may be written, with their offsets; nothing has changed before `commit`.

    Raises:
        LogError: as ``PartitionLog.append`` does.
    """

    __slots__ = ("_batches", "_producer", "_producers", "_staged", "duplicate", "written")

    def __init__(
        self,
        buffer: bytearray | memoryview,
        batches: Sequence[tuple[int, BatchHeader]],
        producers: Producers,
        *,
        log_end_offset: int,
        append_time_ms: int,
        origin: AppendOrigin,
        guard: VerificationGuard | None,
        needs_guard: bool,
        transaction_version: int,
    ) -> None:
        self._batches = batches
        self._producers = producers
        self._producer: Producer | None = None
        self._staged: StagedAppend | None = None
        self.duplicate: KeptBatch | None = None
        """The batch that was there before, in which case nothing is to be written."""
        self.written: list[tuple[int, int, int]] = []
        """Each batch's size, last offset and largest timestamp."""
        offset = log_end_offset
        is_replica = origin is AppendOrigin.REPLICATION
        for position, header in batches:
            if is_replica:
                offset = check_replicated(header, offset)
            max_timestamp_ms = header.max_timestamp_ms if append_time_ms < 0 else append_time_ms
            if header.producer_id >= 0:
                kind = header.attributes & (TRANSACTIONAL_FLAG | CONTROL_FLAG)
                if kind == TRANSACTIONAL_FLAG and not is_replica:
                    check_verified(producers, header, origin, guard, needs_guard=needs_guard)
                if len(batches) == 1 and not header.attributes & CONTROL_FLAG:
                    # What clients send: nothing needs to be staged for a single batch.
                    producer = producers.get(header.producer_id) or Producer(header.producer_id)
                    self._producer = producer
                    self.duplicate = producer.check(header, origin)
                else:
                    self._staged = self._staged or StagedAppend(producers, origin)
                    is_control = header.attributes & CONTROL_FLAG
                    marker = parse_end_marker(buffer, position) if is_control else None
                    self.duplicate = self._staged.stage(
                        header,
                        offset,
                        max_timestamp_ms,
                        marker,
                        transaction_version=transaction_version,
                    )
                if self.duplicate is not None:
                    return
            last_offset = offset + header.last_offset_delta
            size_bytes = header.batch_length_bytes + LENGTH_OVERHEAD_BYTES
            self.written.append((size_bytes, last_offset, max_timestamp_ms))
            offset = last_offset + 1

    def commit(self, first_offset: int) -> Sequence[AbortedTransaction]:
        """The append is on disk; returns what the transaction index has to say of it."""
        verifications = self._producers.verifications
        if verifications:
            for _, header in self._batches:
                if header.is_transactional:
                    verifications.discard(header.producer_id)
        if self._producer is not None:
            self._producer.add(self._batches[0][1], first_offset, self.written[0][2])
            self._producers.put(self._producer)
        elif self._staged is not None:
            return self._staged.commit()
        return ()
