"""Where an embedded broker keeps its data: memory, a temporary directory, or one of yours."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import NamedTuple

from ottla.metadata.mutations import Mutation
from ottla.metadata.store.interface import Change, Compare, Entry, Lease, MetadataStore, RangeResult
from ottla.metadata.store.sqlite import IN_MEMORY, SqliteMetadataStore
from ottla.ports.disk import Disk, SystemDisk
from ottla.testing.memory_disk import MemoryDisk

# Data that is thrown away anyway need not survive a power cut.
_THROWN_AWAY = {"log.flush.policy": "os"}


class Storage(NamedTuple):
    """The disk, directory and metadata a broker is given, over all its starts."""

    directory: str
    disk: Disk
    store: MetadataStore | None
    """``None`` for the broker's own file in ``directory``."""
    settings: Mapping[str, str]
    """What the broker should set on this storage unless told otherwise."""
    discard: Callable[[], None]
    """Forgets what is only temporary."""


def open_storage(storage: str | os.PathLike[str]) -> Storage:
    """``"memory"``, ``"temporary"``, or the path of a directory that stays."""
    if storage == "memory":
        store = KeptStore(SqliteMetadataStore(IN_MEMORY))
        return Storage("/ottla", MemoryDisk(), store, _THROWN_AWAY, store.discard)
    if storage == "temporary":
        directory = tempfile.mkdtemp(prefix="ottla-")
        return Storage(directory, SystemDisk(), None, _THROWN_AWAY, _removal_of(directory))
    return Storage(os.path.abspath(os.fspath(storage)), SystemDisk(), None, {}, _keep)


def _removal_of(directory: str) -> Callable[[], None]:
    return lambda: shutil.rmtree(directory, ignore_errors=True)


def _keep() -> None:
    """What belongs to the caller stays."""


class KeptStore:
    """A metadata store that a stopped broker does not close: it is needed when it starts again."""

    def __init__(self, store: SqliteMetadataStore) -> None:
        self._store = store

    async def get(self, key: str) -> Entry | None:
        return await self._store.get(key)

    async def range(self, prefix: str) -> RangeResult:
        return await self._store.range(prefix)

    async def commit(
        self, mutations: Sequence[Mutation], *, lease: Lease, compares: Sequence[Compare] = ()
    ) -> int:
        return await self._store.commit(mutations, lease=lease, compares=compares)

    async def acquire_lease(
        self, name: str, holder: str, *, now_ms: int, duration_ms: int
    ) -> Lease | None:
        return await self._store.acquire_lease(name, holder, now_ms=now_ms, duration_ms=duration_ms)

    async def release_lease(self, lease: Lease) -> None:
        await self._store.release_lease(lease)

    def watch(self, from_revision: int, prefix: str = "") -> AsyncIterator[list[Change]]:
        return self._store.watch(from_revision, prefix)

    async def close(self) -> None:
        """Nothing: see the class."""

    def discard(self) -> None:
        """Close it after all."""
        # A store in memory awaits nothing, so its coroutine ends at the first step.
        with contextlib.suppress(StopIteration):
            self._store.close().send(None)
