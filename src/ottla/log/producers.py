"""What a partition knows of its idempotent producers, and what it refuses them.

Per producer the last five batches are kept, because a producer may have five requests in flight:
a retry of any of them is answered with the offsets it got the first time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import IntEnum
from typing import NamedTuple

from ottla.log.errors import (
    InvalidProducerEpoch,
    InvalidTransactionState,
    OutOfOrderSequence,
    TransactionCoordinatorFenced,
)
from ottla.log.transactions import AbortedTransaction, CompletedTransaction, UnstableTransactions
from ottla.log.verification import Verifications
from ottla.records.batch import MAX_SEQUENCE, BatchHeader

BATCHES_KEPT = 5
NO_EPOCH = -1
NO_TRANSACTION = -1
NO_OFFSET = -1
_MAX_EPOCH = 2**15 - 1
# From this transaction.version on every transaction has an epoch of its own (KIP-890).
_FIRST_VERSION_WITH_EPOCH_BUMPS = 2


class AppendOrigin(IntEnum):
    """Who appends: decides what is checked."""

    CLIENT = 0
    """A produce request: epoch and sequence are checked."""
    COORDINATOR = 1
    """The broker's own records and markers: the epoch is checked."""
    REPLICATION = 2
    """Batches of the leader's log: already decided, offsets already assigned."""


class KeptBatch(NamedTuple):
    """Where a producer's batch went."""

    first_sequence: int
    last_sequence: int
    first_offset: int
    last_offset: int
    timestamp_ms: int


class EndMarker(NamedTuple):
    """The end of a transaction, as a control batch records it."""

    coordinator_epoch: int
    timestamp_ms: int
    is_commit: bool


class Producer:
    """One producer id in one partition."""

    __slots__ = (
        "batches",
        "coordinator_epoch",
        "current_txn_first_offset",
        "idle_since_ms",
        "last_timestamp_ms",
        "producer_epoch",
        "producer_id",
    )

    def __init__(
        self,
        producer_id: int,
        producer_epoch: int = NO_EPOCH,
        batches: Iterable[KeptBatch] = (),
        *,
        last_timestamp_ms: int = -1,
        coordinator_epoch: int = -1,
        current_txn_first_offset: int = NO_TRANSACTION,
    ) -> None:
        self.producer_id = producer_id
        self.producer_epoch = producer_epoch
        self.batches = list(batches)
        self.last_timestamp_ms = last_timestamp_ms
        """The timestamp of its last record, which says nothing of when that was written: replayed
        history is old when it arrives."""
        self.idle_since_ms: int | None = None
        """When it was first found idle since its last write."""
        self.coordinator_epoch = coordinator_epoch
        self.current_txn_first_offset = current_txn_first_offset

    @property
    def last_sequence(self) -> int:
        """Sequence of the producer's last record, or -1."""
        return self.batches[-1].last_sequence if self.batches else -1

    @property
    def last_offset(self) -> int:
        """Offset of the producer's last record, or -1."""
        return self.batches[-1].last_offset if self.batches else NO_OFFSET

    def copy(self) -> Producer:
        return Producer(
            self.producer_id,
            self.producer_epoch,
            self.batches,
            last_timestamp_ms=self.last_timestamp_ms,
            coordinator_epoch=self.coordinator_epoch,
            current_txn_first_offset=self.current_txn_first_offset,
        )

    def find_duplicate(self, header: BatchHeader) -> KeptBatch | None:
        """The kept batch that this one repeats."""
        batches = self.batches
        first = header.base_sequence
        # Nearly every batch is simply the next one.
        if batches and header.producer_epoch == self.producer_epoch and first != batches[-1][1] + 1:
            last = header.last_sequence
            for batch in batches:
                if batch[0] == first and batch[1] == last:
                    return batch
        return None

    def check(self, header: BatchHeader, origin: AppendOrigin) -> KeptBatch | None:
        """Check a batch of records; returns the kept batch it repeats, if it does.

        Raises:
            InvalidProducerEpoch, OutOfOrderSequence, InvalidTransactionState: as Kafka does.
        """
        if origin is AppendOrigin.CLIENT:
            duplicate = self.find_duplicate(header)
            if duplicate is not None:
                return duplicate
        if origin is not AppendOrigin.REPLICATION:
            self.check_epoch(header.producer_epoch)
        if origin is AppendOrigin.CLIENT:
            self.check_sequence(header)
        self.check_transaction(header)
        return None

    def check_epoch(self, producer_epoch: int) -> None:
        """Refuse a producer that a newer instance has replaced."""
        if producer_epoch < self.producer_epoch:
            raise InvalidProducerEpoch(
                f"Producer {self.producer_id} has epoch {producer_epoch}, "
                f"but epoch {self.producer_epoch} has already written"
            )

    def check_sequence(self, header: BatchHeader) -> None:
        """Refuse a batch that doesn't follow the producer's last one.

        A producer of whom nothing is known (new, expired, or all its records deleted) may start
        anywhere; a new epoch starts at 0.
        """
        if self.producer_epoch == NO_EPOCH:
            return
        first = header.base_sequence
        if header.producer_epoch != self.producer_epoch:
            expected = 0
        else:
            # Without kept batches (after an end marker only) the sequence starts at 0, too.
            last = self.last_sequence
            expected = 0 if last == MAX_SEQUENCE else last + 1
        if first != expected:
            raise OutOfOrderSequence(
                f"Producer {self.producer_id}, epoch {header.producer_epoch}: sequence {first} "
                f"where {expected} was expected"
            )

    def check_transaction(self, header: BatchHeader) -> None:
        """Refuse a plain batch while the producer's transaction is open."""
        if self.current_txn_first_offset != NO_TRANSACTION and not header.is_transactional:
            raise InvalidTransactionState(
                f"Producer {self.producer_id} has an open transaction; its batch is not part of it"
            )

    def add(self, header: BatchHeader, first_offset: int, max_timestamp_ms: int) -> None:
        """Take note of an accepted batch."""
        self._set_epoch(header.producer_epoch)
        batches = self.batches
        if len(batches) == BATCHES_KEPT:
            del batches[0]
        batches.append(
            KeptBatch(
                header.base_sequence,
                header.last_sequence,
                first_offset,
                first_offset + header.last_offset_delta,
                max_timestamp_ms,
            )
        )
        self.last_timestamp_ms = max_timestamp_ms
        self.idle_since_ms = None
        if header.is_transactional and self.current_txn_first_offset == NO_TRANSACTION:
            self.current_txn_first_offset = first_offset

    def check_marker(
        self, producer_epoch: int, coordinator_epoch: int, transaction_version: int
    ) -> None:
        """Refuse a marker of a replaced producer or a replaced coordinator.

        Where each transaction has its own epoch a marker carries the next one: one that doesn't
        exceed the producer's is late, and would end a transaction begun since (KIP-1228). A
        repeated marker is harmless when no transaction is open; at the largest epoch there is no
        next one.
        """
        is_late = producer_epoch < self.producer_epoch
        if transaction_version >= _FIRST_VERSION_WITH_EPOCH_BUMPS:
            is_late = is_late or (
                producer_epoch == self.producer_epoch
                and producer_epoch != _MAX_EPOCH
                and self.current_txn_first_offset != NO_TRANSACTION
            )
        if is_late:
            raise InvalidProducerEpoch(
                f"Marker for producer {self.producer_id} with epoch {producer_epoch}, "
                f"but epoch {self.producer_epoch} has already written"
            )
        if coordinator_epoch < self.coordinator_epoch:
            raise TransactionCoordinatorFenced(
                f"Marker for producer {self.producer_id} of coordinator epoch "
                f"{coordinator_epoch}, but {self.coordinator_epoch} has already written"
            )

    def end_transaction(
        self, producer_epoch: int, offset: int, marker: EndMarker
    ) -> CompletedTransaction | None:
        """Take note of the marker at ``offset``; returns the transaction it ends.

        A marker without a transaction ends none: the partition was added to a transaction, but
        nothing was written.
        """
        first_offset = self.current_txn_first_offset
        self._set_epoch(producer_epoch)
        self.coordinator_epoch = marker.coordinator_epoch
        self.last_timestamp_ms = marker.timestamp_ms
        self.idle_since_ms = None
        self.current_txn_first_offset = NO_TRANSACTION
        if first_offset == NO_TRANSACTION:
            return None
        return CompletedTransaction(
            self.producer_id, first_offset, offset, is_aborted=not marker.is_commit
        )

    def _set_epoch(self, producer_epoch: int) -> None:
        if producer_epoch != self.producer_epoch:
            self.batches.clear()
            self.producer_epoch = producer_epoch


class Producers:
    """All producers of a partition, up to the log offset ``end_offset``."""

    __slots__ = ("_by_id", "end_offset", "unstable", "verifications")

    def __init__(self, high_watermark: int = 0) -> None:
        self._by_id: dict[int, Producer] = {}
        self.end_offset = 0
        self.unstable = UnstableTransactions(high_watermark)
        self.verifications = Verifications()

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Producer]:
        return iter(self._by_id.values())

    def get(self, producer_id: int) -> Producer | None:
        """What is known of a producer."""
        return self._by_id.get(producer_id)

    def is_next(self, header: BatchHeader) -> bool:
        """Whether a plain batch is nobody's, or simply the next of a producer without a
        transaction."""
        if header.producer_id < 0:
            return True
        producer = self._by_id.get(header.producer_id)
        if producer is None or not producer.batches:
            return False
        return (
            producer.producer_epoch == header.producer_epoch
            and producer.batches[-1].last_sequence + 1 == header.base_sequence
            and producer.current_txn_first_offset == NO_TRANSACTION
        )

    def add_next(self, header: BatchHeader) -> None:
        """Take note of such a batch, which is on disk."""
        if header.producer_id >= 0:
            producer = self._by_id[header.producer_id]
            producer.add(header, header.base_offset, header.max_timestamp_ms)
        self.end_offset = header.next_offset

    def put(self, producer: Producer) -> None:
        """Take over a producer as it is now, with the transaction it may have begun."""
        self._by_id[producer.producer_id] = producer
        if producer.current_txn_first_offset != NO_TRANSACTION:
            self.unstable.begin(producer.producer_id, producer.current_txn_first_offset)

    def load(self, producers: Iterable[Producer]) -> None:
        """Take over the producers of a snapshot."""
        for producer in sorted(producers, key=lambda each: each.current_txn_first_offset):
            self.put(producer)

    def clear(self) -> None:
        self._by_id.clear()
        self.unstable = UnstableTransactions(self.unstable.high_watermark)

    def has_open_transaction(self, producer_id: int, producer_epoch: int) -> bool:
        """Whether the producer's transaction has records here, and no end yet."""
        producer = self._by_id.get(producer_id)
        return (
            producer is not None
            and producer.current_txn_first_offset != NO_TRANSACTION
            and producer.producer_epoch == producer_epoch
        )

    def replay(self, header: BatchHeader, marker: EndMarker | None) -> AbortedTransaction | None:
        """Take note of a batch that is in the log already; nothing is refused.

        Returns what the transaction index has to say of it.
        """
        if header.producer_id < 0:
            return None
        producer = self._by_id.get(header.producer_id)
        if producer is None:
            producer = Producer(header.producer_id)
        completed = None
        if not header.is_control:
            producer.add(header, header.base_offset, header.max_timestamp_ms)
        elif marker is not None:
            completed = producer.end_transaction(header.producer_epoch, header.base_offset, marker)
        self.put(producer)
        return None if completed is None else self.unstable.end(completed)

    def remove_expired(self, now_ms: int, expiration_ms: int) -> None:
        """Forget producers that wrote nothing for long and have no open transaction.

        A producer's time begins with the first look that finds it idle, so this must be called now
        and then. Kafka goes by the records' timestamps, and forgets at once who writes old ones.
        """
        self.verifications.remove_expired(now_ms, expiration_ms)
        for producer in list(self._by_id.values()):
            if producer.current_txn_first_offset != NO_TRANSACTION:
                continue
            if producer.idle_since_ms is None:
                producer.idle_since_ms = now_ms
            elif now_ms - producer.idle_since_ms >= expiration_ms:
                del self._by_id[producer.producer_id]


class StagedAppend:
    """The producers as they will be once an append is on disk; nothing changes before `commit`."""

    __slots__ = ("_changed", "_origin", "_producers", "_transactions")

    def __init__(self, producers: Producers, origin: AppendOrigin) -> None:
        self._producers = producers
        self._origin = origin
        self._changed: dict[int, Producer] = {}
        # Those begun (by producer id and first offset) and ended, in the order of their batches.
        self._transactions: list[tuple[int, int] | CompletedTransaction] = []

    def stage(
        self,
        header: BatchHeader,
        first_offset: int,
        max_timestamp_ms: int,
        marker: EndMarker | None,
        *,
        transaction_version: int = 0,
    ) -> KeptBatch | None:
        """Check one batch; returns the batch it repeats, in which case nothing may be appended.

        Raises:
            InvalidProducerEpoch, OutOfOrderSequence, InvalidTransactionState,
            TransactionCoordinatorFenced: as Kafka does.
        """
        producer_id = header.producer_id
        producer = self._changed.get(producer_id)
        if producer is None:
            known = self._producers.get(producer_id)
            producer = Producer(producer_id) if known is None else known.copy()
        if header.is_control:
            if marker is not None:
                if self._origin is not AppendOrigin.REPLICATION:
                    producer.check_marker(
                        header.producer_epoch, marker.coordinator_epoch, transaction_version
                    )
                completed = producer.end_transaction(header.producer_epoch, first_offset, marker)
                if completed is not None:
                    self._transactions.append(completed)
        else:
            duplicate = producer.check(header, self._origin)
            if duplicate is not None:
                return duplicate
            producer.add(header, first_offset, max_timestamp_ms)
            if producer.current_txn_first_offset == first_offset:
                self._transactions.append((producer_id, first_offset))
        self._changed[producer_id] = producer
        return None

    def commit(self) -> list[AbortedTransaction]:
        """The append is on disk; returns what the transaction index has to say of it."""
        unstable = self._producers.unstable
        aborted = []
        for transaction in self._transactions:
            if not isinstance(transaction, CompletedTransaction):
                unstable.begin(*transaction)
                continue
            entry = unstable.end(transaction)
            if entry is not None:
                aborted.append(entry)
        for producer in self._changed.values():
            self._producers.put(producer)
        return aborted
