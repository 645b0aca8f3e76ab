"""The consumer on the engine's loop: moves data between its cores, the brokers, the application."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, Protocol

from ottla.client.configuration.objects import ConsumerConfiguration
from ottla.client.core.cluster import Changes
from ottla.client.core.consuming.fetching import Delivered, FetchedRecords
from ottla.client.core.consuming.missing import MissingPartitions
from ottla.client.core.consuming.partition import (
    EARLIEST_TIMESTAMP,
    LATEST_TIMESTAMP,
    NO_POSITION,
    AssignedPartition,
    Key,
    PartitionError,
    Start,
    Stored,
)
from ottla.client.core.targets import Lane
from ottla.client.engine.consuming_fetches import Fetches
from ottla.client.engine.consuming_group import ConsumingGroup, Rebalance
from ottla.client.engine.consuming_lookups import OffsetLookup
from ottla.client.engine.consuming_offsets import ConsumingOffsets
from ottla.client.engine.consuming_positions import ConsumingPositions
from ottla.client.engine.consuming_statistics import ConsumingStatistics
from ottla.client.engine.engine import Engine
from ottla.client.engine.farewells import unless_unreachable
from ottla.client.errors import KafkaError, KafkaException, describe


class Application(Protocol):
    """The side of the consumer that the user calls; told on the engine's loop."""

    def deliver(self, delivered: Sequence[Delivered]) -> None:
        """Records and errors to hand out, in this order."""

    def rebalance(self, event: Rebalance) -> None:
        """A change of the assignment for the application's callbacks; :meth:`Consuming.rebalanced`
        is to be called afterwards."""

    def fail(self, error: KafkaError, topic: str | None) -> None:
        """An error of the consumer or its group for the next ``poll``."""

    def call_user(self, callback: Callable[..., object], *arguments: Any) -> None:
        """Call the user's ``on_commit``."""

    def look_again(self) -> None:
        """Records that were delivered became void: don't hand out any more of them."""

    def take_polled(self) -> bool:
        """Whether the application has polled since the last time, or is polling."""


class Consuming:
    """One consumer. All methods run on the engine's loop unless they say otherwise.

    Args:
        engine: of the consumer.
        configuration: of the consumer.
        application: whom to tell.

    Attributes:
        assignment: the partitions that are read, by topic and number. Any thread may look.
        fatal_error: what made the consumer useless.
    """

    def __init__(
        self, engine: Engine, configuration: ConsumerConfiguration, application: Application
    ) -> None:
        self.engine = engine
        self.configuration = configuration
        self.application = application
        self.assignment: dict[Key, AssignedPartition] = {}
        self.is_closed = False
        self._released: deque[FetchedRecords] = deque()
        self._awaits_room = False
        self._is_woken = False
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self.statistics = ConsumingStatistics(self)
        self._missing = MissingPartitions(configuration.topic_metadata_propagation_max_ms)
        self.fetches = Fetches(self)
        self.positions = ConsumingPositions(self)
        self.group = ConsumingGroup(self)
        self.offsets = ConsumingOffsets(self)
        self.fatal_error: KafkaError | None = None
        engine.statistics.append(self.statistics.collect)
        engine.on_metadata(self._metadata_updated)
        engine.on_connection(self._connection_changed)

    # The assignment

    def assign(self, starts: Iterable[Start]) -> None:
        """Read these partitions and no others. What is stored of those that go is committed.

        Raises:
            KafkaException: ``_INVALID_ARG``: one of them is there twice; then nothing changes.
        """
        starts = list(starts)
        _check_different(starts)
        self._drop(list(self.assignment.values()))
        self._add(starts)

    def incremental_assign(self, starts: Sequence[Start]) -> None:
        """Read these partitions too.

        Raises:
            KafkaException: ``_CONFLICT``: one of them is read already; then nothing changes.
        """
        _check_different(starts)
        for start in starts:
            if (start.topic, start.partition) in self.assignment:
                text = (
                    f"{start.topic} [{start.partition}] is already part of the current assignment"
                )
                raise KafkaException(KafkaError(KafkaError._CONFLICT, text))
        self._add(starts)

    def unassign(self, keys: Iterable[Key] | None = None) -> None:
        """Stop reading these partitions, or all of them.

        Raises:
            KafkaException: ``_INVALID_ARG``: one of them is not read; then nothing changes.
        """
        if keys is None:
            self._drop(list(self.assignment.values()))
            return
        partitions = []
        for topic, number in keys:
            partition = self.assignment.get((topic, number))
            if partition is None:
                text = (
                    f"{topic} [{number}] can't be unassigned since it is not in the current "
                    "assignment"
                )
                raise KafkaException(KafkaError(KafkaError._INVALID_ARG, text))
            partitions.append(partition)
        self._drop(partitions)

    def carry_out(self, event: Rebalance) -> None:
        """Do what the group decided, unless the application has done it in its own way."""
        if event.kind == "assign":
            starts = [Start(*key) for key in event.partitions]
            if event.is_incremental:
                self.incremental_assign(starts)
            else:
                self.assign(starts)
        elif event.is_incremental:
            self.unassign([key for key in event.partitions if key in self.assignment])
        else:
            self.unassign()

    def _add(self, starts: Iterable[Start]) -> None:
        stores_offsets = self.configuration.enable_auto_offset_store
        for start in starts:
            partition = AssignedPartition(start, stores_offsets=stores_offsets)
            partition.committed = self.offsets.committed.get(partition.key, NO_POSITION)
            if partition.key not in self.assignment:
                self.engine.want(partition.topic)
            self.assignment[partition.key] = partition
        self.wake()

    def _drop(self, partitions: Sequence[AssignedPartition]) -> None:
        for partition in partitions:
            partition.refetch()
        self.offsets.commit_dropped(partitions)
        for partition in partitions:
            del self.assignment[partition.key]
            if partition.committed is NO_POSITION:
                # Perhaps the topic was made anew: what was committed to the old one is not for it.
                self.offsets.committed.pop(partition.key, None)
            self.engine.release(partition.topic)
            self._missing.forget(partition)
        self.wake()

    # Positions

    def seek(self, start: Start) -> None:
        """Go on reading at another offset.

        Raises:
            KafkaException: ``_UNKNOWN_PARTITION`` or, if there is such a partition, ``_STATE``: it
                is not assigned.
        """
        partition = self.assignment.get((start.topic, start.partition))
        if partition is None:
            view = self.engine.cluster.partition(start.topic, start.partition)
            code = KafkaError._UNKNOWN_PARTITION if view is None else KafkaError._STATE
            text = f"Failed to seek to offset {start.offset}: {describe(code)}"
            raise KafkaException(KafkaError(code, text))
        partition.begin_at(start.offset, start.leader_epoch)
        self.wake()

    def pause(self, keys: Iterable[Key]) -> None:
        """Stop fetching partitions; those that are not assigned don't matter."""
        for key in keys:
            if key in self.assignment:
                self.assignment[key].pause()
        self.wake()

    def resume(self, keys: Iterable[Key]) -> None:
        """Fetch partitions again."""
        for key in keys:
            if key in self.assignment:
                self.assignment[key].resume()
        self.wake()

    def rewind(self, offsets: Mapping[Key, Stored]) -> None:
        """Go back to messages that were taken and never reached the user."""
        for key, (offset, leader_epoch, _) in offsets.items():
            if key in self.assignment:
                self.assignment[key].rewind(offset, leader_epoch)
        self.wake()

    # Offsets of partitions, assigned or not

    async def watermarks(self, key: Key, timeout_ms: float) -> tuple[int, int]:
        """The offset of the first record, and the offset after the last one.

        Raises:
            KafkaException: ``_UNKNOWN_PARTITION``, ``_TIMED_OUT``, or what the broker says.
        """
        first, last = await asyncio.gather(
            self._lookup(timeout_ms).find({key: EARLIEST_TIMESTAMP}),
            self._lookup(timeout_ms).find({key: LATEST_TIMESTAMP}),
        )
        return first[key].offset, last[key].offset

    async def offsets_for_times(
        self, wanted: Mapping[Key, int], timeout_ms: float
    ) -> dict[Key, int]:
        """The offsets of the first records at or after a time, -1 where all are older; raises as
        :meth:`watermarks` does."""
        found = await self._lookup(timeout_ms).find(wanted)
        return {key: listed.offset for key, listed in found.items()}

    def _lookup(self, timeout_ms: float) -> OffsetLookup:
        is_read_committed = self.configuration.isolation_level == "read_committed"
        return OffsetLookup(self.engine, is_read_committed=is_read_committed, timeout_ms=timeout_ms)

    # What the application has read

    def release(self, records: FetchedRecords) -> bool:
        """The application has done with records. Any thread may call it.

        Returns:
            Whether :meth:`wake` has to be called, because room is waited for.
        """
        self._released.append(records)
        return self._awaits_room

    def damaged(self, records: FetchedRecords) -> None:
        """The application found records that can't be decompressed or read."""
        if records.version == records.partition.version:
            self.fetches.damaged(records)
            self.wake()

    def _drain(self) -> None:
        while self._released:
            self.fetches.fetcher.released(self._released.popleft())

    # Carrying on

    def wake(self) -> None:
        """See soon what there is to do."""
        if not self._is_woken and not self.is_closed:
            self._is_woken = True
            self.engine.call_soon(self._carry_on)

    def _carry_on(self) -> None:
        self._is_woken = False
        if not self.is_closed:
            self.carry_on()

    def carry_on(self) -> None:
        """Do what there is to do now."""
        self._drain()
        now_ms = self.engine.now_ms()
        needs_metadata = self.positions.carry_on(now_ms)
        needs_metadata |= self.fetches.carry_on(now_ms)
        if needs_metadata:
            self.engine.refresh_metadata()
        self._awaits_room = self.fetches.fetcher.is_crowded
        if self._awaits_room and self._released:
            # The application was faster than the flag.
            self.wake()
        self._set_timer(now_ms)

    def _set_timer(self, now_ms: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadlines_ms = (
            self.positions.next_deadline_ms(now_ms),
            self.fetches.fetcher.next_deadline_ms(now_ms),
        )
        deadline_ms = min((each for each in deadlines_ms if each is not None), default=None)
        if deadline_ms is not None:
            self._timer = self.engine.call_at(deadline_ms, self.wake)

    def deliver(self, delivered: Sequence[Delivered]) -> None:
        """Hand something to the application."""
        if delivered:
            self.application.deliver(delivered)

    def spawn(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run something besides; it is cancelled when the consumer is closed."""
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _metadata_updated(self, changes: Changes) -> None:
        self.statistics.metadata_updated()
        errors: list[PartitionError] = self._missing.find(
            self.assignment.values(), self.engine.cluster, self.engine.now_ms()
        )
        self.deliver(errors)
        self.wake()

    def _connection_changed(self, broker_id: int, lane: Lane, error: KafkaError | None) -> None:
        if lane is Lane.FETCH or error is None:
            self.wake()

    # The end

    async def close(self, timeout_ms: float) -> None:
        """Commit, leave the group, stop reading. The application goes on serving rebalances."""
        if self.is_closed:
            return
        await self.unless_unreachable(self.group.close(timeout_ms))
        self._drop(list(self.assignment.values()))
        await self.unless_unreachable(self.offsets.finish(timeout_ms))
        self.is_closed = True
        self.fetches.close()
        if self._timer is not None:
            self._timer.cancel()
        for task in self._tasks:
            task.cancel()

    async def unless_unreachable(self, farewell: Coroutine[Any, Any, None]) -> None:
        """Wait for something that needs brokers, as long as any of them can be reached."""
        await unless_unreachable(self.engine, farewell)


def _check_different(starts: Sequence[Start]) -> None:
    if len({(start.topic, start.partition) for start in starts}) < len(starts):
        error = KafkaError(KafkaError._INVALID_ARG)
        text = f"Failed to set assignment: {error.str()}"
        raise KafkaException(KafkaError(error.code(), text))
