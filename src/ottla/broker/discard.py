"""Removing files off the event loop: unlinking a cached segment of 256 MiB takes over 10 ms."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from functools import partial

from ottla.broker.worker import Worker
from ottla.ports.disk import Disk

_logger = logging.getLogger(__name__)


class Discard:
    """Removes files and directories, each after its delay.

    Args:
        worker: does the removing.
    """

    def __init__(self, disk: Disk, worker: Worker) -> None:
        self._disk = disk
        self._worker = worker
        self._loop = asyncio.get_running_loop()
        self._timers: set[asyncio.TimerHandle] = set()

    def later(self, paths: Sequence[str], delay_ms: int) -> None:
        """Remove ``paths`` once ``delay_ms`` have passed; what a stop leaves, the next start
        removes."""
        if not paths:
            return

        def begin() -> None:
            self._timers.discard(timer)
            self._worker.run(partial(self._remove, paths), lambda _: None)

        timer = self._loop.call_later(delay_ms / 1000, begin)
        self._timers.add(timer)

    def stop(self) -> None:
        """Begin no more removals; one that is under way goes on in its thread."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self._worker.stop(wait=False)

    def _remove(self, paths: Sequence[str]) -> None:
        for path in paths:
            try:
                if self._disk.is_directory(path):
                    self._disk.remove_tree(path)
                else:
                    self._disk.remove(path)
            except FileNotFoundError:
                continue
            except OSError as error:
                _logger.warning("can't remove %s: %s", path, error)
