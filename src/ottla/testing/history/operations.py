"""What clients do: operations that are invoked and, later or never, completed."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

NO_OFFSET = -1
NEVER = 1 << 62
"""The moment of what has not happened: later than all others."""


class Outcome(enum.Enum):
    """How an operation ended."""

    OK = "ok"
    FAIL = "fail"
    """It certainly had no effect."""
    INFO = "info"
    """Nobody knows: no answer came, or one that leaves it open."""


class Isolation(enum.Enum):
    """Kafka's ``isolation.level``."""

    READ_UNCOMMITTED = "read_uncommitted"
    READ_COMMITTED = "read_committed"


class Read(NamedTuple):
    """What one poll returned of one partition."""

    from_offset: int
    """The position before the poll."""
    to_offset: int
    """The position after it; control records and aborted ones lie in between unseen."""
    records: Sequence[tuple[int, str]]
    """Offsets and values, as they came."""


class Operation:
    """One thing a process did.

    Attributes:
        id: its number in its history.
        process: the client, which does one thing after the other unless it pipelines sends. A
            client that was restarted is a new process.
        invoked: moment of the call: the number of its event in the history.
        completed: moment of the answer, `NEVER` without one that tells the outcome.
        invoked_ms: when it was called, for people to read; never compared.
        completed_ms: when it was answered.
        error: why it did not succeed, in a few words.
    """

    KIND = "operation"
    __slots__ = (
        "completed",
        "completed_ms",
        "error",
        "id",
        "invoked",
        "invoked_ms",
        "outcome",
        "process",
    )

    def __init__(self, process: str) -> None:
        self.id = 0
        self.process = process
        self.invoked = 0
        self.completed = NEVER
        self.invoked_ms = 0.0
        self.completed_ms = 0.0
        self.outcome = Outcome.INFO
        self.error = ""

    @property
    def is_ok(self) -> bool:
        return self.outcome is Outcome.OK

    @property
    def has_failed(self) -> bool:
        return self.outcome is Outcome.FAIL

    def __str__(self) -> str:
        when = f"{self.invoked_ms:.1f} ms"
        if self.completed != NEVER:
            when += f" to {self.completed_ms:.1f} ms"
        return f"{self.process}'s {self.KIND} #{self.id} ({self.outcome.value}, {when})"


class Send(Operation):
    """One record to one partition. Values are unique in a history: they name the record.

    To be noted as ok only when the broker acknowledged it with ``acks=all``. A process sends to a
    partition in the order in which it invokes; a client that sends a record again is still in the
    same operation.
    """

    KIND = "send"
    __slots__ = ("is_tombstone", "key", "offset", "partition", "transaction", "value")

    def __init__(
        self,
        process: str,
        partition: str,
        value: str,
        key: str | None = None,
        transaction: str | None = None,
        is_tombstone: bool = False,
    ) -> None:
        super().__init__(process)
        self.partition = partition
        self.value = value
        self.key = key
        self.transaction = transaction
        self.is_tombstone = is_tombstone
        self.offset = NO_OFFSET


class Poll(Operation):
    """One poll of all a process has been assigned."""

    KIND = "poll"
    __slots__ = ("group", "isolation", "read")

    def __init__(
        self,
        process: str,
        group: str | None = None,
        isolation: Isolation = Isolation.READ_COMMITTED,
    ) -> None:
        super().__init__(process)
        self.group = group
        self.isolation = isolation
        self.read: dict[str, Read] = {}

    @property
    def is_committed(self) -> bool:
        return self.isolation is Isolation.READ_COMMITTED


class Assign(Operation):
    """A process learns which partitions it is to read, or chooses them itself (no ``group``).

    ``member`` is what the group knows it by (its instance id, if it has one), ``generation`` the
    generation of a classic group, the member epoch of a consumer group.
    """

    KIND = "assign"
    __slots__ = ("generation", "group", "member", "partitions")

    def __init__(
        self,
        process: str,
        partitions: Iterable[str],
        group: str | None = None,
        member: str = "",
        generation: int = -1,
    ) -> None:
        super().__init__(process)
        self.partitions = tuple(partitions)
        self.group = group
        self.member = member
        self.generation = generation


class Commit(Operation):
    """A group's offsets are committed, perhaps as part of a transaction."""

    KIND = "commit"
    __slots__ = ("group", "offsets", "transaction")

    def __init__(
        self, process: str, group: str, offsets: Mapping[str, int], transaction: str | None = None
    ) -> None:
        super().__init__(process)
        self.group = group
        self.offsets = dict(offsets)
        self.transaction = transaction


class FetchCommitted(Operation):
    """A group's committed offsets are read; ``NO_OFFSET`` where there is none.

    ``is_stable`` as ``require_stable`` in Kafka (KIP-447): offsets of transactions that are ending
    are waited for.
    """

    KIND = "fetch-committed"
    __slots__ = ("group", "is_stable", "offsets")

    def __init__(self, process: str, group: str, is_stable: bool = True) -> None:
        super().__init__(process)
        self.group = group
        self.is_stable = is_stable
        self.offsets: dict[str, int] = {}


class EndTransaction(Operation):
    """A transaction is asked to commit or to abort; one that nobody ends is aborted in the end.

    Operations carry the transaction's name, which is unique in a history, from its begin on.
    """

    KIND = "end-transaction"
    __slots__ = ("commits", "transaction")

    def __init__(self, process: str, transaction: str, commits: bool) -> None:
        super().__init__(process)
        self.transaction = transaction
        self.commits = commits


KINDS: dict[str, type[Operation]] = {
    each.KIND: each for each in (Send, Poll, Assign, Commit, FetchCommitted, EndTransaction)
}

AnOperation = TypeVar("AnOperation", bound=Operation)


class History:
    """Operations in the order of their invocation, noted while they happen.

    Args:
        now_ms: the time to note for people to read.
    """

    def __init__(self, now_ms: Callable[[], float] = lambda: 0.0) -> None:
        self.operations: list[Operation] = []
        self._now_ms = now_ms
        self._moment = 0

    def __len__(self) -> int:
        return len(self.operations)

    def invoke(self, operation: AnOperation) -> AnOperation:
        """Note that an operation begins."""
        self._moment += 1
        operation.id = len(self.operations)
        operation.invoked = self._moment
        operation.invoked_ms = self._now_ms()
        self.operations.append(operation)
        return operation

    def ok(self, operation: Operation, **results: Any) -> None:
        """Note success, and what it brought: a send's ``offset``, a poll's ``read``, the
        ``offsets`` that were fetched."""
        for name, value in results.items():
            setattr(operation, name, value)
        self._complete(operation, Outcome.OK)

    def fail(self, operation: Operation, error: str = "") -> None:
        """Note that it certainly had no effect."""
        operation.error = error
        self._complete(operation, Outcome.FAIL)

    def info(self, operation: Operation, error: str = "") -> None:
        """Note that nobody will know; the same as noting nothing, but for the reason."""
        operation.error = error

    def _complete(self, operation: Operation, outcome: Outcome) -> None:
        self._moment += 1
        operation.completed = self._moment
        operation.completed_ms = self._now_ms()
        operation.outcome = outcome

    # One method for each kind of operation.

    def send(self, process: str, partition: str, value: str, **details: Any) -> Send:
        return self.invoke(Send(process, partition, value, **details))

    def poll(self, process: str, **details: Any) -> Poll:
        return self.invoke(Poll(process, **details))

    def assign(self, process: str, partitions: Iterable[str], **details: Any) -> Assign:
        """An assignment is noted once it is known: it is complete at once."""
        operation = self.invoke(Assign(process, partitions, **details))
        self.ok(operation)
        return operation

    def commit(
        self, process: str, group: str, offsets: Mapping[str, int], **details: Any
    ) -> Commit:
        return self.invoke(Commit(process, group, offsets, **details))

    def fetch_committed(self, process: str, group: str, **details: Any) -> FetchCommitted:
        return self.invoke(FetchCommitted(process, group, **details))

    def end_transaction(self, process: str, transaction: str, *, commits: bool) -> EndTransaction:
        return self.invoke(EndTransaction(process, transaction, commits))
