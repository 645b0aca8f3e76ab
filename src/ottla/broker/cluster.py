"""The cluster's metadata as this broker, its own controller, keeps it.

Decisions are made one at a time: decide on the current image, write the records to the store in one
transaction, then publish the next image. What has not been stored was never true.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeVar

from ottla.metadata.decoding import load_image
from ottla.metadata.image import ClusterImage
from ottla.metadata.records import MetadataRecord
from ottla.metadata.store.interface import (
    CONTROLLER_LEASE,
    Lease,
    MetadataStore,
    MetadataStoreError,
    MetadataStoreFailed,
    StaleLeaseError,
)
from ottla.wire.errors import ErrorCode, ProtocolError

_logger = logging.getLogger(__name__)

Reply = TypeVar("Reply", covariant=True)

# One broker is its own only candidate; the lease's epoch, not its end, is what guards writes.
_LEASE_DURATION_MS = 60_000


class Decision(Protocol[Reply]):
    """What a decision of the metadata room consists of."""

    @property
    def records(self) -> Sequence[MetadataRecord]: ...

    @property
    def reply(self) -> Reply: ...


# Told of each change, with the image before and after it; the next one is told afterwards.
ImageListener = Callable[[ClusterImage, ClusterImage], Awaitable[None] | None]


class Cluster:
    """The current image, and the one way to change it."""

    def __init__(
        self, store: MetadataStore, image: ClusterImage, revision: int, lease: Lease
    ) -> None:
        self.image = image
        self.revision = revision
        """Grows with every change; what `image` was read or stored at."""
        self._store = store
        self._lease = lease
        self._lock = asyncio.Lock()
        self._listeners: list[ImageListener] = []
        self.on_store_failure: Callable[[MetadataStoreFailed], object] | None = None
        """Told when the store's disk fails."""

    @classmethod
    async def load(cls, store: MetadataStore, *, holder: str, now_ms: int) -> Cluster:
        """Read the image back from the store and become its only writer.

        Raises:
            MetadataStoreError: the store is damaged, or another controller holds it.
            CorruptEntryError: an entry is not what its key promises.
        """
        lease = await store.acquire_lease(
            CONTROLLER_LEASE, holder, now_ms=now_ms, duration_ms=_LEASE_DURATION_MS
        )
        if lease is None:
            raise MetadataStoreError("another controller holds the metadata store")
        loaded = await store.range("")
        image = load_image((entry.key, entry.value) for entry in loaded.entries)
        return cls(store, image, loaded.revision, lease)

    @property
    def controller_epoch(self) -> int:
        """The epoch that guards this controller's writes."""
        return self._lease.epoch

    def listen(self, listener: ImageListener) -> None:
        """Call ``listener`` after each change, before the change is answered."""
        self._listeners.append(listener)

    async def submit(self, decide: Callable[[ClusterImage], Decision[Reply]]) -> Reply:
        """Make a decision on the current image and carry it out.

        Raises:
            ProtocolError: the decision could not be stored; nothing has changed.
        """
        # A client that goes away must not leave a decision stored but not published.
        return await asyncio.shield(self._submit(decide))

    async def _submit(self, decide: Callable[[ClusterImage], Decision[Reply]]) -> Reply:
        async with self._lock:
            decision = decide(self.image)
            if decision.records:
                await self._store_and_publish(decision.records)
            return decision.reply

    async def append(self, records: Sequence[MetadataRecord]) -> None:
        """Carry out records that need no decision."""
        async with self._lock:
            await self._store_and_publish(records)

    async def _store_and_publish(self, records: Sequence[MetadataRecord]) -> None:
        before = self.image
        after = before.apply(records)
        mutations: list[Any] = []
        for record in records:
            mutations.extend(record.mutations())
        try:
            self.revision = await self._store.commit(mutations, lease=self._lease)
        except MetadataStoreError as error:
            raise self._refusal(error) from error
        self.image = after
        for listener in self._listeners:
            try:
                following = listener(before, after)
                if following is not None:
                    await following
            except Exception:
                # What is stored is true: the others must learn of it, and the client, too.
                _logger.exception("following a change of the metadata failed")

    def _refusal(self, error: MetadataStoreError) -> ProtocolError:
        """What to answer when nothing could be stored."""
        if isinstance(error, MetadataStoreFailed):
            if self.on_store_failure is not None:
                self.on_store_failure(error)
            return ProtocolError(ErrorCode.KAFKA_STORAGE_ERROR, str(error))
        if isinstance(error, StaleLeaseError):
            return ProtocolError(ErrorCode.NOT_CONTROLLER, str(error))
        return ProtocolError(ErrorCode.UNKNOWN_SERVER_ERROR, str(error))

    async def close(self) -> None:
        """Give the lease back and close the store, after the change that is under way."""
        async with self._lock:
            try:
                await self._store.release_lease(self._lease)
            except MetadataStoreError as error:
                # Another start takes the lease anyway; what matters is that the file is let go.
                _logger.warning("can't give the controller's lease back: %s", error)
            await self._store.close()
