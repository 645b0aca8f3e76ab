"""Group commit: one ``fdatasync`` in flight, every append that waits shares the next.

The event loop appends and marks partitions as dirty. A thread syncs what was dirty when the round
began; back on the loop each partition's flushed offset moves, and with it the high watermark that
releases ``acks=all`` replies. Appends made during a round belong to the next one. After a failed
sync the log directory is offline: the kernel may have dropped the pages, so it is never retried.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from ottla.log.flush import FlushTarget

if TYPE_CHECKING:
    from ottla.broker.partition import Partition

_logger = logging.getLogger(__name__)

_Round = list[tuple["Partition", FlushTarget]]
_Finished = list[tuple["Partition", FlushTarget, OSError | None]]


class GroupCommit:
    """Makes appended records durable, for all partitions of one event loop.

    Args:
        on_failure: told of the partition whose directory failed, and how.
    """

    def __init__(self, on_failure: Callable[[Partition, OSError], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_failure = on_failure
        self._dirty: dict[Partition, None] = {}
        self._in_flight = False
        self._rounds: queue.SimpleQueue[_Round | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._idle = asyncio.Event()
        self._idle.set()

    def request(self, partition: Partition) -> None:
        """Sync what the partition has appended so far, soon."""
        self._dirty[partition] = None
        if not self._in_flight:
            self._in_flight = True
            self._idle.clear()
            # After this iteration's reads: what arrives together is synced together.
            self._loop.call_soon(self._begin_round)

    async def drain(self) -> None:
        """Wait until nothing is dirty and nothing is in flight."""
        await self._idle.wait()

    def stop(self) -> None:
        """End the thread; call ``drain`` first."""
        if self._thread is not None:
            self._rounds.put(None)
            self._thread.join()
            self._thread = None

    def _begin_round(self) -> None:
        dirty, self._dirty = self._dirty, {}
        targets = [(each, each.log.flush_target()) for each in dirty if not each.is_offline]
        work = [(partition, target) for partition, target in targets if target is not None]
        if not work:
            self._end_round()
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._sync, name="group-commit", daemon=True)
            self._thread.start()
        self._rounds.put(work)

    def _sync(self) -> None:
        """The thread: sync each round's targets and hand them back."""
        while (work := self._rounds.get()) is not None:
            finished: _Finished = []
            for partition, target in work:
                try:
                    target.sync()
                except OSError as error:
                    finished.append((partition, target, error))
                else:
                    finished.append((partition, target, None))
            self._loop.call_soon_threadsafe(self._finish_round, finished)

    def _finish_round(self, finished: _Finished) -> None:
        for partition, target, error in finished:
            if error is not None:
                self._on_failure(partition, error)
            elif not partition.is_offline:
                partition.flushed(target)
        self._end_round()

    def _end_round(self) -> None:
        if self._dirty:
            self._loop.call_soon(self._begin_round)
            return
        self._in_flight = False
        self._idle.set()
