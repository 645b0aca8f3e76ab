"""A history put in order for the checks: who sent what, what stands where, how transactions ended.

A partition is one sequence of records that never changes, so every poll is a view of a stretch of
it, and all views must agree. The sequence is put together from acknowledgements and polls.
"""

from __future__ import annotations

import enum
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from ottla.testing.history.operations import (
    NEVER,
    NO_OFFSET,
    Assign,
    Commit,
    EndTransaction,
    FetchCommitted,
    Operation,
    Outcome,
    Poll,
    Send,
)


class Cleaning(NamedTuple):
    """Which absences are no anomalies."""

    compacted: Collection[str] = ()
    """Partitions where a record may go once a later one has its key, and a tombstone always."""
    start_offsets: Mapping[str, int] = {}
    """First offsets of partitions whose older records were deleted."""


class Fate(enum.Enum):
    """How a transaction ended, as far as its clients can know."""

    COMMITTED = "committed"
    ABORTED = "aborted"
    UNKNOWN = "unknown"


class Transaction:
    """What belongs together."""

    __slots__ = ("commit_acknowledged", "commit_requested", "fate", "name", "seen_by")

    def __init__(self, name: str) -> None:
        self.name = name
        self.fate = Fate.ABORTED
        """Until someone asks for a commit."""
        self.commit_requested = NEVER
        self.commit_acknowledged = NEVER
        self.seen_by: Operation | None = None
        """An operation that only its commit explains."""

    def end(self, operation: EndTransaction) -> None:
        """Take in one attempt to end it."""
        if not operation.commits or operation.outcome is Outcome.FAIL:
            return
        self.commit_requested = min(self.commit_requested, operation.invoked)
        if operation.outcome is Outcome.OK:
            self.fate = Fate.COMMITTED
            self.commit_acknowledged = min(self.commit_acknowledged, operation.completed)
        elif self.fate is Fate.ABORTED:
            self.fate = Fate.UNKNOWN

    @property
    def is_committed(self) -> bool:
        """Whether it certainly is."""
        return self.fate is Fate.COMMITTED or (
            self.fate is Fate.UNKNOWN and self.seen_by is not None
        )


class Place(NamedTuple):
    """Where a record stands, and which operation says so."""

    partition: str
    offset: int
    witness: Operation


class PartitionView:
    """The records of one partition in order of their offsets."""

    __slots__ = ("offsets", "values")

    def __init__(self, at: Mapping[int, str]) -> None:
        self.offsets = sorted(at)
        self.values = [at[offset] for offset in self.offsets]

    def between(self, start: int, end: int) -> Sequence[tuple[int, str]]:
        """Offsets and values from ``start`` until before ``end``."""
        first = bisect_left(self.offsets, start)
        last = bisect_left(self.offsets, end, first)
        return list(zip(self.offsets[first:last], self.values[first:last], strict=True))


class Index:
    """Everything the checks look things up in."""

    def __init__(self, operations: Sequence[Operation], cleaning: Cleaning) -> None:
        self.operations = operations
        self.cleaning = cleaning
        self.sends: dict[str, Send] = {}
        self.polls: list[Poll] = []
        self.assigns: list[Assign] = []
        self.commits: list[Commit] = []
        self.fetches: list[FetchCommitted] = []
        self.transactions: dict[str, Transaction] = {}
        self.places: dict[str, Place] = {}
        """Of each record the first place it was known to be at."""
        self.at: dict[str, dict[int, tuple[str, Operation]]] = defaultdict(dict)
        """Of each partition and offset the first value known, and who said so."""
        self.last_sign_of: dict[str, int] = {}
        """Of each process the moment it began the last operation that succeeded."""
        self._last_of_key: dict[tuple[str, str], int] = {}
        for operation in operations:
            if operation.is_ok:
                self.last_sign_of[operation.process] = operation.invoked
            self._sort_in(operation)

    def _sort_in(self, operation: Operation) -> None:
        match operation:
            case Send():
                if operation.value in self.sends:
                    raise ValueError(f"two sends have the value {operation.value!r}")
                self.sends[operation.value] = operation
                self.transaction_of(operation)
            case Poll():
                if operation.is_ok:
                    self.polls.append(operation)
            case Assign():
                self.assigns.append(operation)
            case Commit():
                self.commits.append(operation)
                self.transaction_of(operation)
            case FetchCommitted():
                if operation.is_ok:
                    self.fetches.append(operation)
            case EndTransaction():
                self._transaction(operation.transaction).end(operation)

    def _transaction(self, name: str) -> Transaction:
        found = self.transactions.get(name)
        if found is None:
            found = self.transactions[name] = Transaction(name)
        return found

    def transaction_of(self, operation: Send | Commit) -> Transaction | None:
        """The transaction an operation belongs to."""
        if operation.transaction is None:
            return None
        return self._transaction(operation.transaction)

    def is_visible(self, value: str, *, committed: bool) -> bool:
        """Whether consumers of that isolation level certainly get a record, once it stands."""
        send = self.sends.get(value)
        if send is None or not committed:
            return True
        transaction = self.transaction_of(send)
        return transaction is None or transaction.is_committed

    def view(self, partition: str, *, committed: bool) -> PartitionView:
        """What a consumer must get of a partition."""
        at = self.at.get(partition, {})
        return PartitionView(
            {
                offset: value
                for offset, (value, _) in at.items()
                if self.is_visible(value, committed=committed)
            }
        )

    def note_keys(self) -> None:
        """Find the last record of each key, for compacted partitions."""
        for partition in self.cleaning.compacted:
            for offset, (value, _) in self.at.get(partition, {}).items():
                send = self.sends.get(value)
                if send is None or send.key is None:
                    continue
                key = (partition, send.key)
                if self.is_visible(value, committed=True):
                    self._last_of_key[key] = max(self._last_of_key.get(key, NO_OFFSET), offset)

    def may_be_absent(self, partition: str, offset: int, value: str) -> bool:
        """Whether retention or compaction may have removed a record."""
        if offset < self.cleaning.start_offsets.get(partition, 0):
            return True
        if partition not in self.cleaning.compacted:
            return False
        send = self.sends.get(value)
        if send is None or send.is_tombstone:
            return True
        if send.key is None:
            return False
        return self._last_of_key.get((partition, send.key), NO_OFFSET) > offset
