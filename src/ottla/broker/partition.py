"""A partition this broker leads: its log, its high watermark, and who waits for it to move."""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from ottla.broker.topic_settings import TopicSettings
from ottla.log.errors import LogDirectoryFailed
from ottla.log.flush import FlushTarget
from ottla.log.names import TopicPartition
from ottla.log.partition_log import Appended, AppendOrigin, PartitionLog
from ottla.log.verification import VerificationGuard
from ottla.metadata.topic_names import is_internal
from ottla.records.batch import BatchHeader, read_header
from ottla.wire.errors import ErrorCode, ProtocolError

NO_LEADER_EPOCH = -1

# Takes the producer's id and epoch, and whether its transaction was committed.
OnTransactionEnd = Callable[[int, int, bool], None]


class WatermarkWaiter(Protocol):
    """Waits for the high watermark to reach an offset."""

    def reached(self) -> None: ...

    def failed(self, error: Exception) -> None: ...


class Partition:
    """Leadership of one partition.

    The high watermark is what consumers may read and what ``acks=all`` waits for. On one broker it
    follows the flushed offset (``log.flush.policy=group``) or the log end (``os``): a record that
    a power cut could take back is not shown to anyone.
    """

    __slots__ = (
        "_commit",
        "_commit_later",
        "_flush",
        "_flushed_ms",
        "_has_unawaited",
        "_observers",
        "_segment_count",
        "_transaction_observers",
        "_waiters",
        "failure",
        "high_watermark",
        "is_internal",
        "isr",
        "last_stable_offset",
        "leader_epoch",
        "log",
        "name",
        "settings",
        "topic_id",
    )

    def __init__(
        self,
        name: TopicPartition,
        topic_id: uuid.UUID,
        log: PartitionLog,
        leader_epoch: int,
        settings: TopicSettings,
        *,
        commit: Callable[[Partition], None] | None,
        commit_later: Callable[[Partition], None] | None = None,
        flush: Callable[[Partition], None] | None = None,
    ) -> None:
        """
        Args:
            commit: asks for a group commit; ``None`` where the operating system's page cache is
                trusted (``log.flush.policy=os``).
            commit_later: asks for one that need not be soon; ``None``: ``commit`` does.
            flush: where there is no ``commit``: asks for what was appended to become durable, when
                a segment is full or ``flush.messages`` is reached.
        """
        self.name = name
        self.is_internal = is_internal(name.topic)
        self.settings = settings
        self.topic_id = topic_id
        self.log = log
        self.leader_epoch = leader_epoch
        self.isr: tuple[int, ...] = ()
        self.failure: Exception | None = None
        self.high_watermark = log.log_end_offset if commit is None else log.flushed_offset
        self._commit = commit
        self._commit_later = commit if commit_later is None else commit_later
        self._flush = flush
        # When it was last seen with nothing to flush.
        self._flushed_ms = 0
        self._segment_count = log.segment_count
        # Whether something was appended since `_commit` was called last.
        self._has_unawaited = False
        self._waiters: deque[tuple[int, WatermarkWaiter]] = deque()
        # In the order of their coming, which the addresses of a set would not keep.
        self._observers: dict[Callable[[Partition], None], None] = {}
        self._transaction_observers: list[OnTransactionEnd] = []
        self.last_stable_offset = log.advance_high_watermark(self.high_watermark)
        """Up to where ``read_committed`` may read: no transaction before it is open."""
        if commit is not None and self.high_watermark < log.log_end_offset:
            commit(self)

    @property
    def is_offline(self) -> bool:
        return self.failure is not None

    def check_leader_epoch(self, epoch: int) -> None:
        """Fence a client that knows another leader epoch (KIP-320); -1 asks for no check.

        Raises:
            ProtocolError: the client's epoch is older, or newer, than this leadership.
        """
        if epoch in (NO_LEADER_EPOCH, self.leader_epoch):
            return
        if epoch < self.leader_epoch:
            raise ProtocolError(ErrorCode.FENCED_LEADER_EPOCH)
        raise ProtocolError(ErrorCode.UNKNOWN_LEADER_EPOCH)

    def append(
        self,
        buffer: memoryview,
        batches: Sequence[tuple[int, BatchHeader]],
        *,
        now_ms: int,
        origin: AppendOrigin = AppendOrigin.CLIENT,
        guard: VerificationGuard | None = None,
        is_awaited: bool = True,
    ) -> Appended:
        """Append validated batches; the caller may then wait for the high watermark.

        Args:
            guard: of `begin_verification`, for a batch that begins a transaction.
            is_awaited: whether the high watermark shall pass the batches soon.

        Raises:
            LogError: what the log refuses (sequence gap, fenced producer, …).
            LogDirectoryFailed: the disk failed; the partition must be taken offline.
        """
        if self.failure is not None:
            raise LogDirectoryFailed(str(self.failure))
        appended = self.log.append(
            buffer,
            batches,
            leader_epoch=self.leader_epoch,
            now_ms=now_ms,
            origin=origin,
            guard=guard,
        )
        if self._flush is not None and self.log.segment_count != self._segment_count:
            self._segment_count = self.log.segment_count
            # As Kafka does: a crash makes the next start look at what follows, and at no more.
            self._flush(self)
        if is_awaited or self._commit_later is None:
            self._appended()
        else:
            self._has_unawaited = True
            self._commit_later(self)
        return appended

    def append_next(self, buffer: memoryview, header: BatchHeader) -> bool:
        """Append one plain, stamped batch in short; see ``PartitionLog.append_next``."""
        if self.failure is not None:
            return False
        if not self.log.append_next(buffer, header, leader_epoch=self.leader_epoch):
            return False
        self._appended()
        return True

    def begin_verification(
        self,
        producer_id: int,
        producer_epoch: int,
        base_sequence: int,
        *,
        bumps_epochs: bool,
        now_ms: int,
    ) -> VerificationGuard | None:
        """The guard with which a batch may begin a transaction, once the transaction coordinator
        has consented; ``None`` when the producer's transaction is open here already (KIP-890).

        Args:
            bumps_epochs: see ``Verifications.begin``.
        """
        producers = self.log.producers
        if producers.has_open_transaction(producer_id, producer_epoch):
            return None
        return producers.verifications.begin(
            producer_id, producer_epoch, base_sequence, bumps_epochs=bumps_epochs, now_ms=now_ms
        )

    def refuse_verification(
        self, producer_id: int, guard: VerificationGuard, error: ErrorCode
    ) -> None:
        """The coordinator has not consented; nothing is kept for producers that it doesn't know."""
        if not error.retriable:
            self.log.producers.verifications.withdraw(producer_id, guard)

    def append_end_marker(
        self,
        producer_id: int,
        producer_epoch: int,
        coordinator_epoch: int,
        is_commit: bool,
        now_ms: int,
        transaction_version: int,
    ) -> Appended:
        """End a producer's transaction here. Who called `on_transaction_end` learns of it at once;
        it is durable when the high watermark has passed the marker.

        Args:
            transaction_version: of the transaction; from 2 on ``producer_epoch`` is to be one more
                than that of the transaction's records.

        Raises:
            InvalidProducerEpoch, TransactionCoordinatorFenced: the marker came too late.
            LogDirectoryFailed: the disk failed; the partition must be taken offline.
        """
        from ottla.records.control import ControlType, encode_end_transaction_batch

        if self.failure is not None:
            raise LogDirectoryFailed(str(self.failure))
        marker = encode_end_transaction_batch(
            ControlType.COMMIT if is_commit else ControlType.ABORT,
            producer_id=producer_id,
            producer_epoch=producer_epoch,
            coordinator_epoch=coordinator_epoch,
            timestamp_ms=now_ms,
        )
        buffer = bytearray(marker)
        appended = self.log.append(
            buffer,
            [(0, read_header(buffer))],
            leader_epoch=self.leader_epoch,
            now_ms=now_ms,
            origin=AppendOrigin.COORDINATOR,
            transaction_version=transaction_version,
        )
        for callback in self._transaction_observers:
            callback(producer_id, producer_epoch, is_commit)
        self._appended()
        return appended

    def on_transaction_end(self, callback: OnTransactionEnd) -> None:
        """Call ``callback`` for every end marker appended from now on."""
        self._transaction_observers.append(callback)

    def forget_transaction_end(self, callback: OnTransactionEnd) -> None:
        """Undo `on_transaction_end`."""
        if callback in self._transaction_observers:
            self._transaction_observers.remove(callback)

    def _appended(self) -> None:
        if self._commit is not None:
            self._has_unawaited = False
            self._commit(self)
            return
        log = self.log
        if (
            log.log_end_offset - log.flushed_offset >= self.settings.flush_messages
            and self._flush is not None
        ):
            # Who made it so many is answered when they are on disk.
            self._flush(self)
        else:
            self._advance(log.log_end_offset)

    def flush_if_due(self, now_ms: int) -> None:
        """Ask for a flush when that of ``flush.ms`` is due and there is something to flush."""
        if self.log.log_end_offset <= self.log.flushed_offset:
            self._flushed_ms = now_ms
        elif self._flush is not None and now_ms - self._flushed_ms >= self.settings.flush_ms:
            self._flush(self)

    def flushed(self, target: FlushTarget) -> None:
        """A group commit ended: everything below the target's offset is on disk."""
        self.log.flushed(target)
        self.catch_up()

    def catch_up(self) -> None:
        """The log was flushed by other means than a group commit."""
        self._advance(self.log.flushed_offset)

    def reconfigure(self, settings: TopicSettings) -> None:
        """The topic's configuration changed."""
        self.settings = settings
        self.log.config = settings.log

    def when_reached(self, offset: int, waiter: WatermarkWaiter) -> None:
        """Tell ``waiter`` once the high watermark is at or past ``offset`` (at once if it is)."""
        if self.high_watermark >= offset:
            waiter.reached()
        elif self.failure is not None:
            waiter.failed(self.failure)
        else:
            self._park(offset, waiter)

    def _park(self, offset: int, waiter: WatermarkWaiter) -> None:
        if self._has_unawaited:
            self._appended()
        if not self._waiters or self._waiters[-1][0] <= offset:
            self._waiters.append((offset, waiter))
        else:
            # A retried batch waits for an offset below those already waited for.
            waiters = sorted([*self._waiters, (offset, waiter)], key=lambda each: each[0])
            self._waiters = deque(waiters)

    def observe(self, observer: Callable[[Partition], None]) -> None:
        """Call ``observer`` whenever there may be more to read, or the partition fails."""
        self._observers[observer] = None

    def unobserve(self, observer: Callable[[Partition], None]) -> None:
        self._observers.pop(observer, None)

    def fail(self, error: Exception) -> None:
        """Take the partition offline: it was deleted or its disk failed. Waiters learn of it."""
        self.failure = error
        waiters, self._waiters = self._waiters, deque()
        for _, waiter in waiters:
            waiter.failed(error)
        self._notify()

    def _advance(self, offset: int) -> None:
        if offset <= self.high_watermark:
            return
        self.high_watermark = offset
        self.last_stable_offset = self.log.advance_high_watermark(offset)
        # A reply that leaves lets its connection go on, which may append and wait here again.
        while self._waiters and self._waiters[0][0] <= offset:
            self._waiters.popleft()[1].reached()
        self._notify()

    def _notify(self) -> None:
        if self._observers:
            for observer in tuple(self._observers):
                observer(self)
