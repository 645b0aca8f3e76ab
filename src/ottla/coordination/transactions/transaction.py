"""What is known of one transactional id: its producer and the state of its transaction."""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple

NO_PRODUCER_ID: Final = -1
NO_PRODUCER_EPOCH: Final = -1
NOT_STARTED: Final = -1
# Never given to a client, so that the coordinator can always fence a producer.
FENCING_EPOCH: Final = 2**15 - 1
# The last epoch a client gets; after it comes another producer id.
LAST_EPOCH: Final = FENCING_EPOCH - 1

# A topic's name and the number of one of its partitions.
TopicPartition = tuple[str, int]


class TransactionState(IntEnum):
    """Numbered as in the log."""

    EMPTY = 0
    ONGOING = 1
    PREPARE_COMMIT = 2
    PREPARE_ABORT = 3
    COMPLETE_COMMIT = 4
    COMPLETE_ABORT = 5
    DEAD = 6
    PREPARE_EPOCH_FENCE = 7


# Transient in Kafka and atomic here: never in a log, but names that a filter may ask for.
NEVER_LOGGED: Final = frozenset({TransactionState.DEAD, TransactionState.PREPARE_EPOCH_FENCE})

STATE_NAMES: Final = {
    TransactionState.EMPTY: "Empty",
    TransactionState.ONGOING: "Ongoing",
    TransactionState.PREPARE_COMMIT: "PrepareCommit",
    TransactionState.PREPARE_ABORT: "PrepareAbort",
    TransactionState.COMPLETE_COMMIT: "CompleteCommit",
    TransactionState.COMPLETE_ABORT: "CompleteAbort",
    TransactionState.DEAD: "Dead",
    TransactionState.PREPARE_EPOCH_FENCE: "PrepareEpochFence",
}

_ENDING = frozenset({TransactionState.PREPARE_COMMIT, TransactionState.PREPARE_ABORT})


class Transaction(NamedTuple):
    """A transactional id as of its last record.

    Attributes:
        previous_producer_id: the id before this one, whose epochs were used up.
        next_producer_id: the id that follows when the markers are written.
        last_producer_epoch: the epoch before the last bump, if its producer asked for the bump:
            when it asks again it gets the same answer. Not in the log; a restart forgets it.
        timeout_ms: how long a transaction may stay open.
        started_ms: when the first partition was added, or `NOT_STARTED`.
        updated_ms: when the last record was written.
        client_version: the transaction.version that whoever ended the transaction spoke.
    """

    transactional_id: str
    producer_id: int
    producer_epoch: int
    timeout_ms: int
    updated_ms: int
    state: TransactionState = TransactionState.EMPTY
    partitions: frozenset[TopicPartition] = frozenset()
    started_ms: int = NOT_STARTED
    previous_producer_id: int = NO_PRODUCER_ID
    next_producer_id: int = NO_PRODUCER_ID
    last_producer_epoch: int = NO_PRODUCER_EPOCH
    client_version: int = 0

    @property
    def is_ongoing(self) -> bool:
        return self.state is TransactionState.ONGOING

    @property
    def is_ending(self) -> bool:
        """Its end is decided, and its markers are being written."""
        return self.state in _ENDING

    @property
    def is_idle(self) -> bool:
        """Nothing is under way: the id may expire."""
        return not self.is_ongoing and not self.is_ending

    @property
    def is_commit(self) -> bool:
        """Whether it is being, or was, committed."""
        return self.state in (TransactionState.PREPARE_COMMIT, TransactionState.COMPLETE_COMMIT)

    @property
    def is_epoch_exhausted(self) -> bool:
        return self.producer_epoch >= LAST_EPOCH

    def has_timed_out(self, now_ms: int) -> bool:
        return self.is_ongoing and self.started_ms + self.timeout_ms < now_ms
