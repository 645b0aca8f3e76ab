"""One partition of ``__transaction_state`` at work: the transactional ids it holds.

A transaction's life: the first partition added makes it *ongoing*; its end is decided by one record
(*prepare*), which is when it is committed or aborted for good; the markers are written to all of
its partitions; one more record makes it *complete*. Whatever a restart finds it goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from ottla.coordination.outcome import (
    CoordinatorRecord,
    Outcome,
    Reply,
    SkippedRecord,
    TransactionalProducer,
    size_bytes,
)
from ottla.coordination.transactions import commands, ending, initialising
from ottla.coordination.transactions.commands import (
    FreshProducerIdNeeded,
    ProducerGranted,
    ProducerIdAndEpoch,
    markers_of,
)
from ottla.coordination.transactions.settings import TransactionSettings
from ottla.coordination.transactions.transaction import (
    NO_PRODUCER_EPOCH,
    TopicPartition,
    Transaction,
    TransactionState,
)
from ottla.coordination.transactions.transaction_log import (
    read_record,
    tombstone,
    transaction_record,
)
from ottla.wire.errors import ErrorCode

#: Time to look for transactions that have been open too long; set while there are open ones.
TIMEOUT_TIMER: Final = "transaction timeouts"
#: Time to look for ids nobody has used for long; set while there are ids.
EXPIRATION_TIMER: Final = "expired transactional ids"


class LastEpochKnown(NamedTuple):
    """The epoch before the last bump, by which a retry is recognised; see `Transaction`."""

    transactional_id: str
    last_producer_epoch: int


class TransactionVersionKnown(NamedTuple):
    """The finalized level of ``transaction.version``."""

    transaction_version: int


class TransactionShard:
    """The transaction coordinator for one partition. `replay` and `apply` alone change it.

    Args:
        coordinator_epoch: the leader epoch of the partition; markers carry it, and those of an
            older coordinator are refused.
        transaction_version: the finalized level of the feature.
    """

    def __init__(
        self,
        settings: TransactionSettings | None = None,
        *,
        coordinator_epoch: int = 0,
        transaction_version: int = 2,
    ) -> None:
        self.settings = TransactionSettings() if settings is None else settings
        self.coordinator_epoch = coordinator_epoch
        self.transaction_version = transaction_version
        self.transactions: dict[str, Transaction] = {}
        self._ongoing: set[str] = set()

    # State

    def replay(
        self, record: CoordinatorRecord, producer: TransactionalProducer | None = None
    ) -> SkippedRecord | None:
        """Takes in one record of the log; says so if it was skipped."""
        if producer is not None:
            return SkippedRecord("part of a transaction, which transaction states never are")
        change = read_record(record)
        if isinstance(change, SkippedRecord):
            return change
        transactional_id, transaction = change
        if transaction is None:
            self.transactions.pop(transactional_id, None)
        else:
            self.transactions[transactional_id] = transaction
        if transaction is not None and transaction.is_ongoing:
            self._ongoing.add(transactional_id)
        else:
            self._ongoing.discard(transactional_id)
        return None

    def end_transaction(self, producer_id: int, producer_epoch: int, is_committed: bool) -> None:
        """Nothing here is part of a transaction, so there is nothing to end."""

    def apply(self, event: LastEpochKnown | TransactionVersionKnown) -> None:
        """Makes a change that a restart forgets."""
        if isinstance(event, TransactionVersionKnown):
            self.transaction_version = event.transaction_version
            return
        transaction = self.transactions[event.transactional_id]
        self.transactions[event.transactional_id] = transaction._replace(
            last_producer_epoch=event.last_producer_epoch
        )

    # Decisions

    def decide(self, command: commands.Command, now_ms: int) -> Outcome:
        """What the command leads to; nothing is changed yet."""
        outcome = Outcome()
        _DECIDE[type(command)](self, command, outcome, now_ms)
        return outcome

    def on_timer(self, key: str, now_ms: int) -> Outcome:
        """What the timer's expiry leads to."""
        outcome = Outcome(is_atomic=False)
        if key == TIMEOUT_TIMER:
            self._abort_timed_out(outcome, now_ms)
        else:
            self._remove_expired(outcome, now_ms)
        return outcome

    def loaded(self, now_ms: int) -> Outcome:
        """After the replay of the log: transactions whose end was decided get their markers."""
        outcome = Outcome()
        for transaction in self.transactions.values():
            if transaction.is_ending:
                outcome.requests.append(markers_of(transaction, self.coordinator_epoch))
        if self._ongoing:
            outcome.set_timer(TIMEOUT_TIMER, now_ms + self.settings.timeout_check_interval_ms)
        if self.transactions:
            outcome.set_timer(EXPIRATION_TIMER, now_ms + self.settings.expiration_check_interval_ms)
        return outcome

    def abandon(self, error: ErrorCode) -> list[Reply]:
        """No command is ever parked here."""
        return []

    def _init_producer_id(
        self, command: commands.InitProducerId, outcome: Outcome, now_ms: int
    ) -> None:
        if not 0 < command.timeout_ms <= self.settings.max_timeout_ms:
            outcome.reply(command.token, ProducerGranted(ErrorCode.INVALID_TRANSACTION_TIMEOUT))
            return
        transaction = self.transactions.get(command.transactional_id)
        granted: Transaction | ErrorCode | FreshProducerIdNeeded
        if transaction is None:
            granted = self._begin(command, outcome, now_ms)
        elif initialising.is_fenced(transaction, command.expected):
            granted = ErrorCode.PRODUCER_FENCED
        elif transaction.is_ending:
            granted = ErrorCode.CONCURRENT_TRANSACTIONS
        elif transaction.is_ongoing:
            # The producer before is fenced; this one asks again until its markers are written.
            fenced = ending.fence(transaction, self.transaction_version, now_ms)
            self._write(outcome, transaction, fenced)
            granted = ErrorCode.CONCURRENT_TRANSACTIONS
        else:
            granted = initialising.renew(transaction, command, now_ms)
        if isinstance(granted, Transaction):
            self._write(outcome, transaction, granted)
        self._grant(outcome, command.token, granted)

    def _begin(
        self, command: commands.InitProducerId, outcome: Outcome, now_ms: int
    ) -> Transaction | ErrorCode | FreshProducerIdNeeded:
        if len(self.transactions) >= self.settings.max_transactional_ids_per_shard:
            return ErrorCode.POLICY_VIOLATION
        if not self.transactions:
            outcome.set_timer(EXPIRATION_TIMER, now_ms + self.settings.expiration_check_interval_ms)
        return initialising.begin(command, now_ms)

    def _add_partitions(
        self, command: commands.AddPartitions, outcome: Outcome, now_ms: int
    ) -> None:
        transaction = self.transactions.get(command.transactional_id)
        error = _refusal(transaction, command.producer)
        if transaction is None or error is not ErrorCode.NONE:
            outcome.reply(command.token, error)
            return
        partitions = transaction.partitions | command.partitions
        if not transaction.is_ongoing or len(partitions) > len(transaction.partitions):
            error = self._extend(outcome, transaction, partitions, now_ms)
        outcome.reply(command.token, error)

    def _extend(
        self,
        outcome: Outcome,
        transaction: Transaction,
        partitions: frozenset[TopicPartition],
        now_ms: int,
    ) -> ErrorCode:
        extended = transaction._replace(
            state=TransactionState.ONGOING,
            partitions=partitions,
            started_ms=transaction.started_ms if transaction.is_ongoing else now_ms,
            updated_ms=now_ms,
            client_version=0,
        )
        record = transaction_record(extended, self.transaction_version)
        is_too_large = size_bytes([record]) > self.settings.max_batch_bytes
        if is_too_large or len(partitions) > self.settings.max_partitions_per_transaction:
            return ErrorCode.POLICY_VIOLATION
        if not self._ongoing:
            outcome.set_timer(TIMEOUT_TIMER, now_ms + self.settings.timeout_check_interval_ms)
        self._write(outcome, transaction, extended)
        return ErrorCode.NONE

    def _verify(self, command: commands.VerifyPartitions, outcome: Outcome, _: int) -> None:
        transaction = self.transactions.get(command.transactional_id)
        error = _refusal(transaction, command.producer)
        if transaction is None or error is not ErrorCode.NONE:
            outcome.reply(command.token, dict.fromkeys(command.partitions, error))
            return
        outcome.reply(
            command.token,
            {
                partition: ErrorCode.NONE
                if partition in transaction.partitions
                else ErrorCode.TRANSACTION_ABORTABLE
                for partition in command.partitions
            },
        )

    def _end_transaction(
        self, command: commands.EndTransaction, outcome: Outcome, now_ms: int
    ) -> None:
        transaction = self.transactions.get(command.transactional_id)
        if transaction is None:
            error = ErrorCode.INVALID_PRODUCER_ID_MAPPING
            outcome.reply(command.token, ProducerGranted(error))
            return
        ended = ending.end(transaction, command, now_ms)
        if isinstance(ended, Transaction):
            self._write(outcome, transaction, ended)
            # The client goes on with what holds when the markers are written.
            ended = ending.complete(ended, now_ms) if ended.is_ending else ended
        elif ended is ErrorCode.NONE:
            ended = transaction
        self._grant(outcome, command.token, ended)

    def _markers_written(
        self, command: commands.MarkersWritten, outcome: Outcome, now_ms: int
    ) -> None:
        transaction = self.transactions.get(command.transactional_id)
        if (
            transaction is not None
            and transaction.is_ending
            and command.producer == (transaction.producer_id, transaction.producer_epoch)
        ):
            self._write(outcome, transaction, ending.complete(transaction, now_ms))

    def _describe(self, command: commands.DescribeTransaction, outcome: Outcome, _: int) -> None:
        outcome.reply(command.token, self.transactions.get(command.transactional_id))

    def _list(self, command: commands.ListTransactions, outcome: Outcome, _: int) -> None:
        outcome.reply(command.token, list(self.transactions.values()))

    def _version_finalized(
        self, command: commands.VersionFinalized, outcome: Outcome, _: int
    ) -> None:
        outcome.events.append(TransactionVersionKnown(command.transaction_version))

    def _abort_timed_out(self, outcome: Outcome, now_ms: int) -> None:
        left = len(self._ongoing)
        for transactional_id in sorted(self._ongoing):
            transaction = self.transactions[transactional_id]
            if transaction.has_timed_out(now_ms):
                fenced = ending.fence(transaction, self.transaction_version, now_ms)
                self._write(outcome, transaction, fenced)
                left -= 1
        if left:
            outcome.set_timer(TIMEOUT_TIMER, now_ms + self.settings.timeout_check_interval_ms)

    def _remove_expired(self, outcome: Outcome, now_ms: int) -> None:
        oldest_ms = now_ms - self.settings.transactional_id_expiration_ms
        for transaction in self.transactions.values():
            if transaction.is_idle and transaction.updated_ms <= oldest_ms:
                outcome.records.append(tombstone(transaction.transactional_id))
        if len(outcome.records) < len(self.transactions):
            outcome.set_timer(EXPIRATION_TIMER, now_ms + self.settings.expiration_check_interval_ms)

    def _write(self, outcome: Outcome, before: Transaction | None, after: Transaction) -> None:
        """Adds the transition to the outcome, with what follows once it is durable."""
        outcome.records.append(transaction_record(after, self.transaction_version))
        if after.last_producer_epoch != NO_PRODUCER_EPOCH:
            event = LastEpochKnown(after.transactional_id, after.last_producer_epoch)
            outcome.events.append(event)
        if after.is_ending:
            outcome.requests.append(markers_of(after, self.coordinator_epoch))

    def _grant(
        self,
        outcome: Outcome,
        token: object,
        granted: Transaction | ErrorCode | FreshProducerIdNeeded,
    ) -> None:
        if isinstance(granted, Transaction):
            outcome.reply(
                token,
                ProducerGranted(ErrorCode.NONE, granted.producer_id, granted.producer_epoch),
            )
        elif isinstance(granted, ErrorCode):
            outcome.reply(token, ProducerGranted(granted))
        else:
            outcome.reply(token, granted)


def _refusal(transaction: Transaction | None, producer: ProducerIdAndEpoch) -> ErrorCode:
    """Why the producer may not write in this transaction now; ``NONE`` if it may."""
    if transaction is None or transaction.producer_id != producer.producer_id:
        return ErrorCode.INVALID_PRODUCER_ID_MAPPING
    if transaction.producer_epoch != producer.producer_epoch:
        return ErrorCode.PRODUCER_FENCED
    if transaction.is_ending:
        return ErrorCode.CONCURRENT_TRANSACTIONS
    return ErrorCode.NONE


_DECIDE: dict[type[Any], Callable[[TransactionShard, Any, Outcome, int], None]] = {
    commands.InitProducerId: TransactionShard._init_producer_id,
    commands.AddPartitions: TransactionShard._add_partitions,
    commands.VerifyPartitions: TransactionShard._verify,
    commands.EndTransaction: TransactionShard._end_transaction,
    commands.MarkersWritten: TransactionShard._markers_written,
    commands.DescribeTransaction: TransactionShard._describe,
    commands.ListTransactions: TransactionShard._list,
    commands.VersionFinalized: TransactionShard._version_finalized,
}
