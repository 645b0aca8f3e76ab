"""Compaction at run time: who is cleaned next, in which thread, at what rate.

A lane cleans one log after the other; ``log.cleaner.threads`` lanes run while there is work. The
heavy parts run in the lane's worker, a piece at a time, and mostly without the GIL; what touches
the log runs on the event loop and is short.
"""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeVar

from ottla.broker.partition import Partition
from ottla.broker.worker import NewWorker, Worker
from ottla.log.compaction.cleaning import is_damage
from ottla.log.compaction.plan import CleaningPlan
from ottla.log.compaction.run import (
    Abandoned,
    CleanerSettings,
    LogCleaning,
    Steps,
    Used,
    Work,
    cleaning_plan,
)
from ottla.log.compaction.throttle import Throttle
from ottla.log.directory import LogDirectory
from ottla.log.errors import LogDirectoryFailed
from ottla.log.names import TopicPartition
from ottla.log.partition_log import PartitionLog
from ottla.metadata.config.resolve import BrokerConfig
from ottla.ports.clock import Clock
from ottla.ports.disk import Disk
from ottla.ports.entropy import Entropy

_logger = logging.getLogger(__name__)

T = TypeVar("T")

# What a worker does before it hands over, some 20 ms: a log may have been deleted meanwhile.
_PIECE_BYTES = 4 * 1024 * 1024
_SMALLEST_PIECE_BYTES = 64 * 1024
_PIECES_PER_SECOND = 4
_LOOKED_AT_WITHOUT_PAUSE = 200
_SEED_BYTES = 16
_SMALLEST_BUFFER_BYTES = 4 * 1024
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_MEBIBYTE = 1 << 20


class CleanerConfig(NamedTuple):
    """The broker's configuration of compaction, as it is now."""

    threads: int
    bytes_per_second: float
    each: CleanerSettings
    """What one thread may use."""

    @classmethod
    def of(cls, config: BrokerConfig) -> CleanerConfig:
        threads = config.integer("log.cleaner.threads")
        share = max(threads, 1)
        bytes_per_second = max(config.number("log.cleaner.io.max.bytes.per.second"), 1.0)
        paced = min(bytes_per_second / _PIECES_PER_SECOND, _PIECE_BYTES)
        return cls(
            threads,
            bytes_per_second,
            CleanerSettings(
                config.integer("log.cleaner.dedupe.buffer.size") // share,
                config.number("log.cleaner.io.buffer.load.factor"),
                max(
                    config.integer("log.cleaner.io.buffer.size") // share // 2,
                    _SMALLEST_BUFFER_BYTES,
                ),
                max(int(paced), _SMALLEST_PIECE_BYTES),
            ),
        )


class LogCleaner:
    """Cleans compacted logs whenever that is due.

    Args:
        partitions: all partitions of this broker.
        config: the configuration as it is now.
        directory_of: where a partition's log lies.
        discard: takes paths to remove, and after how many milliseconds.
    """

    def __init__(
        self,
        partitions: Iterable[Partition],
        config: Callable[[], CleanerConfig],
        directory_of: Callable[[Partition], LogDirectory | None],
        *,
        disk: Disk,
        clock: Clock,
        entropy: Entropy,
        new_worker: NewWorker,
        discard: Callable[[Sequence[str], int], None],
    ) -> None:
        self._partitions = partitions
        self._config = config
        self._directory_of = directory_of
        self._disk = disk
        self._clock = clock
        self._entropy = entropy
        self._new_worker = new_worker
        self._discard = discard
        self._loop = asyncio.get_running_loop()
        self._throttle = Throttle()
        self._lanes: dict[int, asyncio.Task[None]] = {}
        self._workers: dict[int, Worker] = {}
        self._in_progress: set[TopicPartition] = set()
        self._uncleanable: dict[TopicPartition, PartitionLog] = {}
        self._is_stopping = False

    def begin(self) -> None:
        """Look for logs that are due, and clean them until there are none."""
        for number in range(self._config().threads):
            if number not in self._lanes:
                self._lanes[number] = self._loop.create_task(self._run_lane(number))

    def stop(self) -> None:
        """Clean nothing any more; what is unfinished is undone or completed by the next start."""
        self._is_stopping = True
        for task in self._lanes.values():
            task.cancel()
        for worker in self._workers.values():
            worker.stop(wait=True)
        self._workers.clear()

    async def _run_lane(self, number: int) -> None:
        try:
            while number < self._config().threads:
                found = await self._most_due()
                if found is None:
                    return
                partition, plan = found
                self._in_progress.add(partition.name)
                try:
                    if not await self._clean(partition, plan, self._worker(number)):
                        return
                finally:
                    self._in_progress.discard(partition.name)
        except Exception:
            _logger.exception("a lane of the log cleaner failed")
        finally:
            del self._lanes[number]

    def _worker(self, number: int) -> Worker:
        if number not in self._workers:
            self._workers[number] = self._new_worker(f"log-cleaner-{number}")
        return self._workers[number]

    # Choosing

    async def _most_due(self) -> tuple[Partition, CleaningPlan] | None:
        best: tuple[Partition, CleaningPlan] | None = None
        now_ms = self._clock.wall_ms()
        for number, partition in enumerate(self._partitions):
            if number % _LOOKED_AT_WITHOUT_PAUSE == _LOOKED_AT_WITHOUT_PAUSE - 1:
                await asyncio.sleep(0)
            log = partition.log
            if (
                not log.config.compacts
                or log.segment_count == 1
                or partition.is_offline
                or partition.name in self._in_progress
                or self._uncleanable.get(partition.name) is log
            ):
                continue
            try:
                plan = cleaning_plan(log, now_ms, last_stable_offset=partition.last_stable_offset)
            except LogDirectoryFailed:
                continue
            if plan.is_due(log.config.min_cleanable_dirty_ratio) and (
                best is None or plan.dirty_ratio > best[1].dirty_ratio
            ):
                best = partition, plan
        return best

    # Cleaning

    async def _clean(self, partition: Partition, plan: CleaningPlan, worker: Worker) -> bool:
        """Clean one log; returns whether the lane may go on with others."""
        try:
            await self._drive(partition, plan, worker)
        except (Abandoned, LogDirectoryFailed):
            # Whoever did it, or watches the directory, has told of it.
            return True
        except OSError as error:
            return self._disk_failed(partition, error)
        except Exception as error:
            if is_damage(error):
                _logger.error(
                    "%s can't be compacted and is left as it is: %s", partition.name, error
                )
            else:
                _logger.exception("the compaction of %s failed", partition.name)
            self._uncleanable[partition.name] = partition.log
        return True

    async def _drive(self, partition: Partition, plan: CleaningPlan, worker: Worker) -> None:
        begun_s = self._clock.monotonic()
        log, directory = partition.log, self._directory_of(partition)
        if directory is None:
            return
        cleaning = LogCleaning(
            self._disk,
            directory,
            log,
            plan,
            settings=lambda: self._config().each,
            seed=self._entropy.token(_SEED_BYTES),
            now_ms=self._clock.wall_ms(),
            flushed=partition.flushed,
            discard=lambda paths: self._discard(paths, log.config.file_delete_delay_ms),
        )
        steps = cleaning.run()
        step = next(steps, None)
        while step is not None:
            try:
                found = await self._carry_out(step, worker)
            except Exception as error:
                step = steps.throw(error)
            else:
                step = _send(steps, found)
        _logger.info(
            "%s: compacted up to offset %d: %.1f MiB became %.1f MiB in %.1f s",
            partition.name,
            cleaning.first_dirty_offset - 1,
            cleaning.read_bytes / _MEBIBYTE,
            cleaning.written_bytes / _MEBIBYTE,
            self._clock.monotonic() - begun_s,
        )

    async def _carry_out(self, step: Work | Used, worker: Worker) -> object:
        if not isinstance(step, Used):
            return await self._in_worker(worker, step)
        pause_s = self._throttle.pause_s(
            step.size_bytes, self._config().bytes_per_second, self._clock.monotonic()
        )
        if pause_s > 0:
            await asyncio.sleep(pause_s)
        return None

    def _disk_failed(self, partition: Partition, error: OSError) -> bool:
        if partition.is_offline or partition.log.is_closed:
            return True
        if error.errno in _NO_SPACE:
            # Only new files were being written: nothing is lost, and others may still have room.
            _logger.error("no space left to compact %s; trying again later", partition.name)
            return False
        directory = self._directory_of(partition)
        if directory is not None:
            directory.fail(error)
        return True

    async def _in_worker(self, worker: Worker, work: Callable[[], T]) -> T:
        """Run blocking work in a lane's worker, and raise here what it raises there."""
        result: asyncio.Future[T] = self._loop.create_future()

        def attempt() -> tuple[T | None, Exception | None]:
            try:
                if self._is_stopping:
                    raise Abandoned
                return work(), None
            except Exception as error:
                return None, error

        def tell(outcome: tuple[T | None, Exception | None]) -> None:
            value, error = outcome
            if result.done():
                return
            if error is not None:
                result.set_exception(error)
            else:
                result.set_result(value)  # type: ignore[arg-type]

        worker.run(attempt, tell)
        return await result


def _send(steps: Steps, result: object) -> Work | Used | None:
    try:
        return steps.send(result)
    except StopIteration:
        return None
