"""A share partition at work: its records read, its locks timed, its changes made durable."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ottla.broker.errors import EXPECTED_ERRORS
from ottla.coordination.share_partitions.commands import (
    Acknowledgement,
    AcquiredRange,
    AcquireLimits,
    LogBatch,
)
from ottla.coordination.share_partitions.share_partition import SharePartition
from ottla.coordination.share_partitions.transition import StateWrite, Transition
from ottla.coordination.share_state.commands import SharePartitionKey, WriteState
from ottla.records.batch import iter_complete_headers
from ottla.wire.errors import ErrorCode, ProtocolError

if TYPE_CHECKING:
    from ottla.broker.partition import Partition
    from ottla.broker.shares.configuration import ShareConfiguration
    from ottla.broker.shares.coordinator import ShareCoordinator
    from ottla.broker.steady_time import SteadyTime
    from ottla.log.reading import LogSlice

_logger = logging.getLogger(__name__)

# Reads in a row of batches of which nothing is to be delivered, before others get their turn.
_MAX_FRUITLESS_READS = 8
# An event loop's timer may fire that much early.
_TIMER_SLACK_S = 0.002


class Acquired(NamedTuple):
    """Whole batches, and what of them is now the member's."""

    records: bytes | memoryview
    ranges: Sequence[AcquiredRange]


NOTHING = Acquired(b"", ())


class LivePartition:
    """One share partition of this broker.

    Attributes:
        is_fenced: another reader took over, or the state began anew: this one is of no use.
    """

    def __init__(
        self,
        key: SharePartitionKey,
        partition: Partition,
        core: SharePartition,
        state_epoch: int,
        coordinator: ShareCoordinator,
        time: SteadyTime,
    ) -> None:
        self.key = key
        self.partition = partition
        self.core = core
        self.is_fenced = False
        self._state_epoch = state_epoch
        self._coordinator = coordinator
        self._time = time
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._writes: set[asyncio.Task[None]] = set()
        # In the order of their coming, which the addresses of a set would not keep.
        self._observers: dict[Callable[[], None], None] = {}

    @property
    def is_idle(self) -> bool:
        """Whether everything it knows is remembered by the share coordinator, too."""
        return not (self._writes or self._observers or self.core.next_deadline_ms is not None)

    def observe(self, observer: Callable[[], None]) -> None:
        """Call ``observer`` whenever more may have become available."""
        self._observers[observer] = None

    def unobserve(self, observer: Callable[[], None]) -> None:
        self._observers.pop(observer, None)

    # Reading

    def readable_bytes(self, configuration: ShareConfiguration, max_bytes: int) -> int:
        """About how much could be acquired now."""
        found = self._read(configuration, max_bytes)
        if found is None:
            return 0
        with found:
            return found.size_bytes

    def acquire(
        self,
        member_id: str,
        configuration: ShareConfiguration,
        limits: AcquireLimits,
        max_bytes: int,
    ) -> Acquired:
        """Lock records for a member.

        Raises:
            LogError: the log can't be read.
        """
        for _ in range(_MAX_FRUITLESS_READS):
            offset = self.core.next_fetch_offset
            found = self._read(configuration, max_bytes)
            if found is None:
                break
            acquired = self._acquire_of(found, member_id, configuration, limits)
            if acquired.ranges:
                self._set_timer()
                return acquired
            if self.core.next_fetch_offset == offset:
                break
        return NOTHING

    def _read(self, configuration: ShareConfiguration, max_bytes: int) -> LogSlice | None:
        core, log = self.core, self.partition.log
        core.settings = configuration.partitions
        core.forget_below(log.log_start_offset)
        offset = core.next_fetch_offset
        end_offset = self._end_offset(configuration)
        if offset >= end_offset or not core.can_acquire:
            return None
        return log.read(offset, max_bytes, end_offset=end_offset, at_least_one_batch=True)

    def _end_offset(self, configuration: ShareConfiguration) -> int:
        if configuration.is_read_committed:
            return self.partition.last_stable_offset
        return self.partition.high_watermark

    def _acquire_of(
        self,
        found: LogSlice,
        member_id: str,
        configuration: ShareConfiguration,
        limits: AcquireLimits,
    ) -> Acquired:
        with found:
            data = found.read()
            aborted: list[tuple[int, int, int]] = []
            if configuration.is_read_committed:
                end_offset = self._end_offset(configuration)
                aborted = [
                    (each.producer_id, each.first_offset, each.last_offset)
                    for each in self.partition.log.aborted_transactions(found, end_offset)
                ]
        batches: list[LogBatch] = []
        ends: list[int] = []
        for position, header in iter_complete_headers(data):
            is_aborted = header.is_transactional and any(
                header.producer_id == producer_id and first <= header.base_offset <= last
                for producer_id, first, last in aborted
            )
            is_deliverable = not header.is_control and not is_aborted
            batches.append(LogBatch(header.base_offset, header.last_offset, is_deliverable))
            ends.append(position + header.size_bytes)
        ranges = self.core.acquire(
            member_id, self.core.next_fetch_offset, batches, limits, self._time.now_ms()
        )
        if not ranges:
            return NOTHING
        last_offset = ranges[-1].last_offset
        needed = next(
            end
            for batch, end in zip(batches, ends, strict=True)
            if batch.last_offset >= last_offset
        )
        return Acquired(memoryview(data)[:needed], ranges)

    # Changes of state

    async def acknowledge(
        self, member_id: str, acknowledgements: Sequence[Acknowledgement]
    ) -> None:
        """Carry out what a member says of its records; returns when that is durable.

        Raises:
            ProtocolError: it doesn't hold them, or the change could not be made durable.
        """
        transition = self.core.acknowledge(member_id, acknowledgements, self._time.now_ms())
        self._set_timer()
        await self._make_durable(transition)

    async def release(self, member_id: str) -> None:
        """Give back everything a member holds.

        Raises:
            ProtocolError: the change could not be made durable; the locks will run out.
        """
        await self._make_durable(self.core.release(member_id))

    async def _make_durable(self, transition: Transition) -> None:
        if transition.write is None:
            return
        try:
            # Who asked may go away; what it asked for goes on.
            await asyncio.shield(self._in_background(self._write(transition, transition.write)))
        except ProtocolError as error:
            raise ProtocolError(_code_for_members(error.code), error.message) from error

    def _in_background(self, write: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Tasks begin in the order of their making, and so do writes reach the coordinator."""
        task = self._loop.create_task(write)
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)
        return task

    async def _ask_to_write(self, write: StateWrite) -> None:
        await self._coordinator.ask(
            self.key,
            lambda token: WriteState(
                token, self.key, self._state_epoch, self.partition.leader_epoch, *write
            ),
        )

    async def _write(self, transition: Transition, write: StateWrite) -> None:
        try:
            await self._ask_to_write(write)
        except EXPECTED_ERRORS as error:
            _logger.error("can't write the share state of %s: %s", self.key, error)
            self.core.roll_back(transition)
            self._note_fencing(error)
            raise
        finally:
            self._set_timer()
        self.core.settle(transition)
        self._moved()

    def _note_fencing(self, error: Exception) -> None:
        code = getattr(error, "code", None)
        self.is_fenced = self.is_fenced or code in (
            ErrorCode.FENCED_STATE_EPOCH,
            ErrorCode.FENCED_LEADER_EPOCH,
            ErrorCode.INVALID_REQUEST,
            ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        )

    def _moved(self) -> None:
        self._set_timer()
        for observer in tuple(self._observers):
            observer()

    # Locks

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline_ms = self.core.next_deadline_ms
        if deadline_ms is not None and not self.is_fenced:
            due = self._time.loop_time(deadline_ms) + _TIMER_SLACK_S
            self._timer = self._loop.call_at(due, self._expire_locks)

    def _expire_locks(self) -> None:
        self._timer = None
        write = self.core.expire_locks(self._time.now_ms())
        if write is not None:
            self._in_background(self._write_expiry(write))
        self._moved()

    async def _write_expiry(self, write: StateWrite) -> None:
        """The records are free whether or not this succeeds; their counts may be lost."""
        try:
            await self._ask_to_write(write)
        except EXPECTED_ERRORS as error:
            _logger.error("can't write down that locks of %s ran out: %s", self.key, error)
            self._note_fencing(error)

    def close(self) -> None:
        """Stop: this share partition is of no use any more. Who waits for it looks again."""
        self.is_fenced = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._moved()


def _code_for_members(code: ErrorCode) -> ErrorCode:
    """What a member hears when the share coordinator refused; it must be able to go on."""
    if code in (ErrorCode.FENCED_LEADER_EPOCH, ErrorCode.NOT_COORDINATOR):
        return ErrorCode.NOT_LEADER_OR_FOLLOWER
    return code
