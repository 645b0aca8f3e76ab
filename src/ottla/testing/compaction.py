"""Compaction driven by hand: every step here and now, on any disk."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ottla.log.compaction.run import CleanerSettings, LogCleaning, Used, cleaning_plan
from ottla.log.directory import LogDirectory
from ottla.log.partition_log import PartitionLog
from ottla.ports.disk import Disk

SMALL = CleanerSettings(map_bytes=1 << 20, load_factor=0.9, buffer_bytes=2048, piece_bytes=1 << 14)
_SEED = bytes(range(16))


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
        last_stable_offset: by default what has been flushed.
        between_steps: called where the log's thread could do something else.
    """
    if last_stable_offset is None:
        last_stable_offset = log.flushed_offset
    plan = cleaning_plan(log, now_ms, last_stable_offset=last_stable_offset)
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
