"""Acquiring for a ShareFetch: at once when there is enough, else as soon as there is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from ottla.broker.errors import EXPECTED_ERRORS, error_code_of
from ottla.broker.partition import Partition
from ottla.broker.shares.configuration import ShareConfiguration
from ottla.broker.shares.live_partition import NOTHING, Acquired, LivePartition
from ottla.broker.shares.partitions import SharePartitions
from ottla.broker.shares.sessions import MemberKey, PartitionId
from ottla.coordination.share_partitions.commands import AcquireLimits
from ottla.coordination.share_state.commands import SharePartitionKey
from ottla.wire.errors import ErrorCode


class Wanted(NamedTuple):
    """What a ShareFetch asks for, of all partitions together."""

    max_wait_ms: int
    min_bytes: int
    max_bytes: int
    max_records: int
    batch_size: int
    is_record_limit: bool


class Fetched(NamedTuple):
    """What one partition gives."""

    partition: PartitionId
    acquired: Acquired
    code: ErrorCode = ErrorCode.NONE
    message: str | None = None

    @property
    def has_news(self) -> bool:
        """Whether the client has to be told of the partition."""
        return bool(self.acquired.ranges or self.code)


class ShareFetch:
    """One fetch of one member over the partitions of its session.

    Args:
        is_gone: whether the member's connection is closed: then nothing may be locked any more.
    """

    def __init__(
        self,
        partitions: SharePartitions,
        member: MemberKey,
        wanted: Wanted,
        is_gone: Callable[[], bool],
    ) -> None:
        self._is_gone = is_gone
        self._partitions = partitions
        self._member = member
        self._wanted = wanted
        self._live: list[LivePartition] = []
        self._failed: list[Fetched] = []
        self._observed: list[Partition] = []
        self._retry_is_due = False
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self, ids: Iterable[PartitionId]) -> list[Fetched]:
        """Acquire of these partitions, in their order, and wait if there is too little."""
        for each in ids:
            await self._find(each)
        if self._wanted.max_records <= 0 or self._is_due():
            return self._collect()
        if not self._live and not self._failed:
            return []
        loop = asyncio.get_running_loop()
        timer = loop.call_later(max(0, self._wanted.max_wait_ms) / 1000, self._finish)
        self._observe()
        try:
            await self._done
        finally:
            timer.cancel()
            self._unobserve()
        return self._collect()

    async def _find(self, partition: PartitionId) -> None:
        try:
            found = self._partitions.find_partition(*partition)
            live = await self._partitions.get(SharePartitionKey(self._member.group_id, *partition))
            if live.partition is found:
                self._live.append(live)
        except EXPECTED_ERRORS as error:
            self._failed.append(Fetched(partition, NOTHING, error_code_of(error), str(error)))

    @property
    def _configuration(self) -> ShareConfiguration:
        return self._partitions.configuration(self._member.group_id)

    def _is_due(self) -> bool:
        """Whether there is enough to acquire, or something the client must know."""
        if self._failed or self._wanted.max_wait_ms <= 0 or self._is_stale:
            return True
        total_bytes = 0
        for live in self._live:
            max_bytes = max(1, self._wanted.max_bytes - total_bytes)
            try:
                total_bytes += live.readable_bytes(self._configuration, max_bytes)
            except EXPECTED_ERRORS:
                # Acquiring runs into it again, and tells.
                return True
            if total_bytes >= max(1, self._wanted.min_bytes):
                return True
        return False

    @property
    def _is_stale(self) -> bool:
        return any(live.is_fenced or live.partition.is_offline for live in self._live)

    def _collect(self) -> list[Fetched]:
        results = list(self._failed)
        if self._is_gone():
            return results
        wanted = self._wanted
        left_records, left_bytes = wanted.max_records, wanted.max_bytes
        for live in self._live:
            partition = (live.key.topic_id, live.key.partition)
            acquired = NOTHING
            if live.is_fenced or live.partition.is_offline:
                # The client comes back, and finds the one that took its place, or an error.
                results.append(Fetched(partition, NOTHING))
                continue
            try:
                if left_records > 0 and left_bytes > 0:
                    limits = AcquireLimits(
                        left_records, max(1, wanted.batch_size), wanted.is_record_limit
                    )
                    acquired = live.acquire(
                        self._member.member_id, self._configuration, limits, left_bytes
                    )
            except EXPECTED_ERRORS as error:
                results.append(Fetched(partition, NOTHING, error_code_of(error), str(error)))
                continue
            left_records -= sum(
                each.last_offset - each.first_offset + 1 for each in acquired.ranges
            )
            left_bytes -= len(acquired.records)
            results.append(Fetched(partition, acquired))
        return results

    def _observe(self) -> None:
        for live in self._live:
            live.observe(self._moved)
            live.partition.observe(self._partition_moved)
            self._observed.append(live.partition)

    def _unobserve(self) -> None:
        for live in self._live:
            live.unobserve(self._moved)
        for partition in self._observed:
            partition.unobserve(self._partition_moved)

    def _partition_moved(self, _: Partition) -> None:
        self._moved()

    def _moved(self) -> None:
        # Several partitions may move at once (one group commit): look once.
        if not self._retry_is_due:
            self._retry_is_due = True
            asyncio.get_running_loop().call_soon(self._retry)

    def _retry(self) -> None:
        self._retry_is_due = False
        if not self._done.done() and self._is_due():
            self._finish()

    def abandon(self) -> None:
        """The member's connection is closed: nobody waits any more."""
        self._finish()

    def _finish(self) -> None:
        if not self._done.done():
            self._done.set_result(None)


def acquired_of(results: Sequence[Fetched]) -> list[PartitionId]:
    """The partitions that gave records."""
    return [result.partition for result in results if result.acquired.ranges]
