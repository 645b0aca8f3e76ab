"""What any home of the metadata has to offer.

The store holds the entries of ``metadata.codec``: small, readable, one for each thing that is. It
never holds records or committed offsets; those have their logs.

Every transaction makes one revision. The controller writes only under its lease, and what guards
the write is the lease's epoch, checked inside the transaction: that a lease has not expired proves
nothing once its holder was paused.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple, Protocol

from ottla.metadata.mutations import Mutation

ABSENT_REVISION = 0
CONTROLLER_LEASE = "controller"


class Entry(NamedTuple):
    """A stored value; ``revision`` is the transaction that last wrote it."""

    key: str
    value: str
    revision: int


class RangeResult(NamedTuple):
    """Entries in order of their keys, as of ``revision``."""

    entries: list[Entry]
    revision: int


class Compare(NamedTuple):
    """A condition of a transaction: the entry was last written by ``revision`` (0: is absent)."""

    key: str
    revision: int


class Change(NamedTuple):
    """What a transaction did to one entry; no value means it is gone."""

    key: str
    value: str | None
    revision: int


class Lease(NamedTuple):
    """The right of one holder to write, until the next holder's epoch."""

    name: str
    holder: str
    epoch: int
    expires_ms: int


class MetadataStoreError(Exception):
    """The store could not do it; the message says what a person can do."""


class MetadataStoreFailed(MetadataStoreError):  # noqa: N818 - it says what happened
    """What the store lies on failed: a disk that is full, damaged or gone. Nothing was written as
    far as anybody knows, and nothing should be tried again."""


class CompareFailedError(MetadataStoreError):
    """A condition did not hold; nothing was written. Read again and decide again."""

    def __init__(self, compare: Compare, actual_revision: int) -> None:
        super().__init__(
            f"metadata entry {compare.key!r} is at revision {actual_revision}, "
            f"not {compare.revision}"
        )
        self.compare = compare
        self.actual_revision = actual_revision


class StaleLeaseError(MetadataStoreError):
    """Another holder took the lease; nothing was written, and the writer must stop."""

    def __init__(self, lease: Lease, current_epoch: int) -> None:
        super().__init__(
            f"lease {lease.name!r} of {lease.holder} has epoch {lease.epoch}, "
            f"but epoch {current_epoch} was given out since"
        )
        self.lease = lease
        self.current_epoch = current_epoch


class RevisionCompactedError(MetadataStoreError):
    """The changes since that revision are no longer kept; load everything again."""


class MetadataStore(Protocol):
    """Entries, transactions, leases and changes. Only for one event loop at a time."""

    async def get(self, key: str) -> Entry | None:
        """One entry, or None."""
        ...

    async def range(self, prefix: str) -> RangeResult:
        """All entries whose key starts with ``prefix``, read at one revision."""
        ...

    async def commit(
        self, mutations: Sequence[Mutation], *, lease: Lease, compares: Sequence[Compare] = ()
    ) -> int:
        """Write all of ``mutations`` or nothing, durably; the new revision.

        Raises:
            StaleLeaseError: the lease's epoch is not the current one.
            CompareFailedError: a condition does not hold.
            MetadataStoreFailed: the store is damaged, full or gone.
        """
        ...

    async def acquire_lease(
        self, name: str, holder: str, *, now_ms: int, duration_ms: int
    ) -> Lease | None:
        """Take a lease that is free, expired or already the holder's own; else None.

        The holder's own is renewed under the same epoch, any other gets a new epoch.
        """
        ...

    async def release_lease(self, lease: Lease) -> None:
        """Give a lease back before it expires; one that is another's already stays as it is."""
        ...

    def watch(self, from_revision: int, prefix: str = "") -> AsyncIterator[list[Change]]:
        """Every transaction after ``from_revision``, in order, as it happens.

        Raises:
            RevisionCompactedError: the changes from there on are no longer kept.
        """
        ...

    async def close(self) -> None:
        """Let go of everything; nothing may be called afterwards."""
        ...
