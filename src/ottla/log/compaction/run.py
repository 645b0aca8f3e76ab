"""One cleaning of one log from its beginning to its checkpoint, whoever drives it.

``clean_log`` runs in the log's thread and yields what has to be done elsewhere; the driver sends
back the results. So a broker drives it from its event loop with a worker thread, a test step by
step.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from functools import partial
from typing import Any, NamedTuple

from ottla.log.compaction.cleaning import (
    ActiveProducers,
    CleaningRequest,
    GroupRewriting,
    Indexing,
    Rewriting,
)
from ottla.log.compaction.plan import CleaningPlan, group_segments, plan_cleaning
from ottla.log.directory import LogDirectory
from ottla.log.flush import FlushTarget
from ottla.log.partition_log import PartitionLog
from ottla.ports.disk import Disk
from ottla.records.compaction import new_offset_map


class CleanerSettings(NamedTuple):
    """What a cleaning may use."""

    map_bytes: int
    load_factor: float
    buffer_bytes: int
    """For reading, and as much again for writing."""
    piece_bytes: int
    """What is read and written before there is a look at whether to go on."""


class Used(NamedTuple):
    """Yielded after bytes were read or written, for the driver to keep to its rate."""

    size_bytes: int


class Abandoned(Exception):  # noqa: N818 - nothing is wrong
    """The log was deleted, shortened or closed while it was cleaned; nothing is lost."""


Work = Callable[[], Any]
"""Blocking work for a worker; its result is sent back, its exception thrown."""
Steps = Generator[Work | Used, Any, None]


def cleaning_plan(log: PartitionLog, now_ms: int, *, last_stable_offset: int) -> CleaningPlan:
    """What of a log can be cleaned now, due or not.

    Raises:
        LogDirectoryFailed: the disk failed.
    """
    return log.compaction.guarded(
        lambda segments: plan_cleaning(
            segments,
            log.config,
            now_ms,
            first_dirty_offset=log.first_dirty_offset,
            log_start_offset=log.log_start_offset,
            log_end_offset=log.log_end_offset,
            last_stable_offset=last_stable_offset,
        )
    )


class LogCleaning:
    """Cleans one log as planned.

    Args:
        settings: as they are now; asked again and again.
        seed: 16 secret bytes for the digests of keys.
        flushed: told when everything up to a target's offset has become durable.
        discard: takes paths to remove after ``file.delete.delay.ms``.
    """

    def __init__(
        self,
        disk: Disk,
        directory: LogDirectory,
        log: PartitionLog,
        plan: CleaningPlan,
        *,
        settings: Callable[[], CleanerSettings],
        seed: bytes,
        now_ms: int,
        flushed: Callable[[FlushTarget], object],
        discard: Callable[[list[str]], object],
    ) -> None:
        self._disk = disk
        self._directory = directory
        self._log = log
        self._plan = plan
        self._settings = settings
        self._seed = seed
        self._now_ms = now_ms
        self._flushed = flushed
        self._discard = discard
        self._compaction = log.compaction
        self.first_dirty_offset = plan.first_dirty_offset
        self.read_bytes = 0
        self.written_bytes = 0

    def run(self) -> Steps:
        """
        Raises:
            Abandoned: the log has changed otherwise.
            LogDirectoryFailed, OSError, RecordsError, MapTooSmallError: as it was met.
        """
        log, plan = self._log, self._plan
        yield from self._make_durable()
        request = CleaningRequest(
            plan.first_dirty_offset,
            plan.end_offset,
            log.config,
            self._now_ms,
            self._compaction.aborted(plan.end_offset, log.log_start_offset),
        )
        sources = self._compaction.sources(plan.end_offset)
        settings = self._settings()
        offset_map = new_offset_map(settings.map_bytes, settings.load_factor, self._seed)
        indexing = Indexing(self._disk, request, offset_map)
        yield from self._in_pieces(indexing.steps(sources, settings.buffer_bytes))
        rewriting = Rewriting(
            self._disk, log.directory, request, offset_map, indexing.latest_offset
        )
        reached = [each for each in sources if each.base_offset <= indexing.latest_offset]
        # Who writes on meanwhile leaves a newer last batch, beyond what is cleaned.
        active = ActiveProducers.of(log.producers)
        for group in group_segments(reached, log.config, plan.end_offset):
            yield from self._rewrite(rewriting.begin(group, active), settings.buffer_bytes)
        self.first_dirty_offset = max(plan.first_dirty_offset, indexing.latest_offset + 1)
        self._compaction.cleaned_up_to(self.first_dirty_offset)
        yield from self._checkpoint()

    def _in_worker(self, work: Work) -> Generator[Work | Used, Any, Any]:
        found = yield work
        if self._log.is_closed:
            raise Abandoned
        return found

    def _make_durable(self) -> Steps:
        """Let recovery look at nothing that is going to be replaced: it would miss what is gone."""
        log, end_offset = self._log, self._plan.end_offset
        if log.flushed_offset < end_offset:
            target = log.flush_target()
            if target is not None:
                yield from self._in_worker(target.sync)
                self._flushed(target)
        if log.checkpointed_offset < end_offset:
            yield from self._checkpoint()
        if log.checkpointed_offset < end_offset:
            raise Abandoned

    def _checkpoint(self) -> Steps:
        checkpoint = self._directory.take_checkpoint()
        yield from self._in_worker(partial(self._directory.write_checkpoint, checkpoint))
        self._directory.checkpointed(checkpoint)

    def _in_pieces(self, steps: Iterator[int]) -> Steps:
        is_done = False
        while not is_done:
            advance = partial(_advance, steps, self._settings().piece_bytes)
            used_bytes, is_done = yield from self._in_worker(advance)
            yield Used(used_bytes)

    def _rewrite(self, group: GroupRewriting, buffer_bytes: int) -> Steps:
        replaced = None
        try:
            yield from self._in_pieces(group.steps(buffer_bytes))
            self.read_bytes += group.read_bytes
            self.written_bytes += group.segment.size_bytes
            if group.is_changed:
                yield from self._in_worker(group.make_durable)
                old = [source.segment for source in group.sources]
                replaced = self._compaction.replace(old, group.segment)
                if replaced is None:
                    raise Abandoned
        except Exception:
            yield group.discard
            raise
        if replaced is None:
            yield from self._in_worker(group.discard)
            return
        sync = partial(self._disk.sync_directory, self._log.directory)
        yield from self._in_worker(sync)
        self._compaction.take_names(group.segment)
        yield from self._in_worker(sync)
        self._discard(replaced)


def _advance(steps: Iterator[int], piece_bytes: int) -> tuple[int, bool]:
    """In the worker: go on with the steps; how many bytes they took, and whether they are done."""
    used_bytes = 0
    for step_bytes in steps:
        used_bytes += step_bytes
        if used_bytes >= piece_bytes:
            return used_bytes, False
    return used_bytes, True
