"""Compaction driven by hand: every step here and now, on any disk."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ottla.log.compaction.plan import CleaningPlan, plan_cleaning
from ottla.log.compaction.run import CleanerSettings, LogCleaning, Used
from ottla.log.directory import LogDirectory
from ottla.log.partition_log import PartitionLog
from ottla.ports.disk import Disk

SMALL = CleanerSettings(map_bytes=1 << 20, load_factor=0.9, buffer_bytes=2048, piece_bytes=1 << 14)
_SEED = bytes(range(16))


def plan_now(
    log: PartitionLog, now_ms: int, *, last_stable_offset: int | None = None
) -> CleaningPlan:
    """What of a log could be cleaned now, by default everything that has been flushed."""
    if last_stable_offset is None:
        last_stable_offset = log.flushed_offset
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


def clean_now(
    disk: Disk,
    directory: LogDirectory,
    log: PartitionLog,
    now_ms: int,
    *,
    settings: CleanerSettings = SMALL,
    last_stable_offset: int | None = None,
    between_steps: Callable[[], object] = lambda: None,
) -> LogCleaning:
    """Clean a log, due or not; returns the cleaning that was done.

    Args:
        between_steps: called where the log's thread could do something else.
    """
    plan = plan_now(log, now_ms, last_stable_offset=last_stable_offset)
    cleaning = LogCleaning(
        disk,
        directory,
        log,
        plan,
        settings=lambda: settings,
        seed=_SEED,
        now_ms=now_ms,
        flushed=log.flushed,
        discard=partial(_remove, disk),
    )
    steps = cleaning.run()
    result: object = None
    error: Exception | None = None
    while True:
        try:
            step = steps.send(result) if error is None else steps.throw(error)
        except StopIteration:
            return cleaning
        result = error = None
        if not isinstance(step, Used):
            try:
                result = step()
            except Exception as met:
                error = met
        between_steps()


def _remove(disk: Disk, paths: list[str]) -> None:
    for path in paths:
        disk.remove(path)
