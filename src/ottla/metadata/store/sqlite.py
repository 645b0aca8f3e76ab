"""The metadata store of one machine: one SQLite file.

Write-ahead logging with ``synchronous=FULL``: a transaction is one append and one fsync, where a
rollback journal needs a file created, two fsyncs and a file removed; both survive a power cut. The
exclusive locking mode keeps every other process out and spares the shared-memory file.

A file's fsyncs must not stop the event loop, so the calls run, in order, on one thread of their
own, started with the first call. A store in memory has nothing to wait for and no thread: a
simulation stays deterministic.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from ottla.metadata.mutations import Delete, DeletePrefix, Mutation, Put
from ottla.metadata.store.interface import (
    Change,
    Compare,
    CompareFailedError,
    Entry,
    Lease,
    MetadataStoreError,
    MetadataStoreFailed,
    RangeResult,
    RevisionCompactedError,
    StaleLeaseError,
)

if TYPE_CHECKING:
    import asyncio

    from ottla.metadata.store.worker import Worker

IN_MEMORY: Final = ":memory:"
FILE_NAME: Final = "metadata.sqlite"

# "Ottl" in ASCII: tells our file from any other SQLite database.
APPLICATION_ID: Final = 0x4F74746C
SCHEMA_VERSION: Final = 1
# How far back a watcher may start; older changes are dropped as new ones are written.
KEPT_REVISIONS: Final = 1000

# Keys hold no character above this, so it closes the range of a prefix.
_AFTER_PREFIX = "\U0010ffff"
_SCHEMA = (
    "CREATE TABLE entries(key TEXT PRIMARY KEY, value TEXT NOT NULL, revision INTEGER NOT NULL)"
    " WITHOUT ROWID",
    "CREATE TABLE changes(revision INTEGER NOT NULL, key TEXT NOT NULL, value TEXT,"
    " PRIMARY KEY(revision, key)) WITHOUT ROWID",
    "CREATE TABLE leases(name TEXT PRIMARY KEY, holder TEXT NOT NULL, epoch INTEGER NOT NULL,"
    " expires_ms INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE state(id INTEGER PRIMARY KEY CHECK(id = 1), revision INTEGER NOT NULL,"
    " compacted_revision INTEGER NOT NULL)",
    "INSERT INTO state VALUES(1, 0, 0)",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
    f"PRAGMA application_id = {APPLICATION_ID}",
)

T = TypeVar("T")


class SqliteMetadataStore:
    """A :class:`MetadataStore` in a SQLite file, or in memory.

    Args:
        path: The file, created if it is not there, or ``":memory:"``.

    Raises:
        MetadataStoreError: the file is no store of ours, is damaged, comes from a newer Ottla,
            or another process has it open.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._thread: Worker | None = None
        self._waiting: set[asyncio.Future[None]] = set()
        self._closed = False
        self._granted: dict[str, int] = {}
        self._database = self._open()

    # -- the interface ---------------------------------------------------------------------

    async def get(self, key: str) -> Entry | None:
        return await self._run(lambda: self._get(key))

    async def range(self, prefix: str) -> RangeResult:
        return await self._run(lambda: self._range(prefix))

    async def commit(
        self, mutations: Sequence[Mutation], *, lease: Lease, compares: Sequence[Compare] = ()
    ) -> int:
        revision = await self._run(
            lambda: self._transaction(lambda: self._commit(mutations, lease, compares))
        )
        waiting, self._waiting = self._waiting, set()
        for future in waiting:
            if not future.done():
                future.set_result(None)
        return revision

    async def acquire_lease(
        self, name: str, holder: str, *, now_ms: int, duration_ms: int
    ) -> Lease | None:
        return await self._run(
            lambda: self._transaction(lambda: self._acquire(name, holder, now_ms, duration_ms))
        )

    async def release_lease(self, lease: Lease) -> None:
        await self._run(
            lambda: self._transaction(
                lambda: self._execute(
                    "UPDATE leases SET expires_ms = 0 WHERE name = ? AND epoch = ?",
                    lease.name,
                    lease.epoch,
                )
            )
        )

    async def watch(self, from_revision: int, prefix: str = "") -> AsyncIterator[list[Change]]:
        import asyncio

        seen = from_revision
        while True:
            # Registered before reading: a commit in between wakes us instead of being missed.
            committed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.add(committed)
            try:
                read = partial(self._changes, seen, prefix)
                transactions, seen = await self._run(read)
                for transaction in transactions:
                    yield transaction
                await committed
            finally:
                self._waiting.discard(committed)

    async def close(self) -> None:
        if self._closed:
            return
        try:
            await self._run(self._database.close)
        finally:
            self._closed = True
            for future in self._waiting:
                future.cancel()
            if self._thread is not None:
                self._thread.stop()

    # -- where the calls run ---------------------------------------------------------------

    async def _run(self, call: Callable[[], T]) -> T:
        if self._closed:
            raise MetadataStoreError(f"the metadata store {self.path} is closed")
        if self.path == IN_MEMORY:
            return self._translating(call)
        if self._thread is None:
            from ottla.metadata.store.worker import Worker

            self._thread = Worker(f"metadata {self.path}")
        return await self._thread.run(lambda: self._translating(call))

    def _translating(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except sqlite3.Error as error:
            raise MetadataStoreFailed(str(_explain(error, self.path))) from error

    # -- opening ---------------------------------------------------------------------------

    def _open(self) -> sqlite3.Connection:
        try:
            database = sqlite3.connect(
                self.path, timeout=0, isolation_level=None, check_same_thread=False
            )
        except sqlite3.Error as error:
            raise _explain(error, self.path) from error
        try:
            self._prepare(database)
        except sqlite3.Error as error:
            database.close()
            raise _explain(error, self.path) from error
        except MetadataStoreError:
            database.close()
            raise
        return database

    def _prepare(self, database: sqlite3.Connection) -> None:
        execute = database.execute
        execute("PRAGMA locking_mode = EXCLUSIVE")
        # Asked before anything is written: a file that is not ours stays as it is.
        (application_id,) = execute("PRAGMA application_id").fetchone()
        (version,) = execute("PRAGMA user_version").fetchone()
        (tables,) = execute("SELECT count(*) FROM sqlite_master").fetchone()
        is_new = tables == 0 and application_id == 0 and version == 0
        if not is_new and application_id != APPLICATION_ID:
            raise MetadataStoreError(
                f"{self.path} is a SQLite database, but not Ottla's metadata; "
                "move it away or choose another data directory"
            )
        if version > SCHEMA_VERSION:
            raise MetadataStoreError(
                f"{self.path} was written by a newer Ottla (schema {version}, this one reads "
                f"{SCHEMA_VERSION}); start that version, or restore an older copy"
            )
        execute("PRAGMA journal_mode = WAL")
        execute("PRAGMA synchronous = FULL")
        if is_new:
            execute("BEGIN EXCLUSIVE")
            for statement in _SCHEMA:
                execute(statement)
            execute("COMMIT")

    # -- one call each, on the worker --------------------------------------------------------

    def _execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
        return self._database.execute(statement, values)

    def _transaction(self, body: Callable[[], T]) -> T:
        self._execute("BEGIN IMMEDIATE")
        try:
            result = body()
            self._execute("COMMIT")
        except BaseException:
            if self._database.in_transaction:
                self._execute("ROLLBACK")
            raise
        return result

    def _get(self, key: str) -> Entry | None:
        row = self._execute(
            "SELECT key, value, revision FROM entries WHERE key = ?", key
        ).fetchone()
        return None if row is None else Entry(*row)

    def _range(self, prefix: str) -> RangeResult:
        self._execute("BEGIN")
        try:
            rows = self._execute(
                "SELECT key, value, revision FROM entries WHERE key >= ? AND key < ? ORDER BY key",
                prefix,
                prefix + _AFTER_PREFIX,
            ).fetchall()
            return RangeResult([Entry(*row) for row in rows], self._revision())
        finally:
            self._execute("COMMIT")

    def _revision(self) -> int:
        return int(self._execute("SELECT revision FROM state").fetchone()[0])

    def _commit(
        self, mutations: Sequence[Mutation], lease: Lease, compares: Sequence[Compare]
    ) -> int:
        row = self._execute("SELECT epoch FROM leases WHERE name = ?", lease.name).fetchone()
        if row is None or row[0] != lease.epoch:
            raise StaleLeaseError(lease, 0 if row is None else row[0])
        for compare in compares:
            entry = self._get(compare.key)
            actual = 0 if entry is None else entry.revision
            if actual != compare.revision:
                raise CompareFailedError(compare, actual)
        revision = self._revision() + 1
        for mutation in mutations:
            self._mutate(mutation, revision)
        oldest = revision - KEPT_REVISIONS
        self._execute("DELETE FROM changes WHERE revision <= ?", oldest)
        self._execute(
            "UPDATE state SET revision = ?, compacted_revision = max(0, ?)", revision, oldest
        )
        return revision

    def _mutate(self, mutation: Mutation, revision: int) -> None:
        if isinstance(mutation, Put):
            self._execute("REPLACE INTO entries VALUES(?, ?, ?)", *mutation, revision)
            self._execute("REPLACE INTO changes VALUES(?, ?, ?)", revision, *mutation)
        elif isinstance(mutation, Delete):
            self._delete(mutation.key, mutation.key, revision, "<=")
        elif isinstance(mutation, DeletePrefix):
            self._delete(mutation.prefix, mutation.prefix + _AFTER_PREFIX, revision, "<")

    def _delete(self, first: str, last: str, revision: int, until: str) -> None:
        # `until` is one of the two operators above, never input.
        which = f"WHERE key >= ? AND key {until} ?"
        self._execute(
            f"REPLACE INTO changes SELECT ?, key, NULL FROM entries {which}",  # noqa: S608
            revision,
            first,
            last,
        )
        self._execute(f"DELETE FROM entries {which}", first, last)  # noqa: S608

    def _acquire(self, name: str, holder: str, now_ms: int, duration_ms: int) -> Lease | None:
        row = self._execute(
            "SELECT holder, epoch, expires_ms FROM leases WHERE name = ?", name
        ).fetchone()
        current, epoch, expires_ms = row or ("", 0, 0)
        # The file is ours alone: whoever was granted a lease before we opened it is dead.
        is_held = expires_ms > now_ms and self._granted.get(name) == epoch
        if is_held and current != holder:
            return None
        if not is_held:
            epoch += 1
        self._granted[name] = epoch
        lease = Lease(name, holder, epoch, now_ms + duration_ms)
        self._execute("REPLACE INTO leases VALUES(?, ?, ?, ?)", *lease)
        return lease

    def _changes(self, since: int, prefix: str) -> tuple[list[list[Change]], int]:
        revision, compacted = self._execute(
            "SELECT revision, compacted_revision FROM state"
        ).fetchone()
        if since < compacted:
            raise RevisionCompactedError(
                f"changes up to revision {compacted} are no longer kept, {since} was asked for"
            )
        rows = self._execute(
            "SELECT key, value, revision FROM changes"
            " WHERE revision > ? AND key >= ? AND key < ? ORDER BY revision, key",
            since,
            prefix,
            prefix + _AFTER_PREFIX,
        )
        transactions: list[list[Change]] = []
        for row in rows:
            change = Change(*row)
            if not transactions or transactions[-1][0].revision != change.revision:
                transactions.append([])
            transactions[-1].append(change)
        return transactions, revision


def _explain(error: sqlite3.Error, path: str) -> MetadataStoreError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return MetadataStoreError(f"another process has the metadata {path} open; stop it first")
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return MetadataStoreError(
            f"the metadata {path} is damaged ({error}); restore it from a backup, or move it away "
            "to start with none (topics, their ids and configurations are then lost)"
        )
    if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
        return MetadataStoreError(
            f"the metadata {path} can't be opened for writing ({error}); "
            "check that its directory exists and its permissions"
        )
    if code == sqlite3.SQLITE_FULL:
        return MetadataStoreError(f"no space left for the metadata {path}; free some and retry")
    return MetadataStoreError(f"the metadata {path} failed: {error}")
