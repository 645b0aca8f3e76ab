"""Writes the end markers of transactions into their partitions, and tells when all are durable."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from ottla.broker.partition import Partition
from ottla.broker.partitions import Partitions
from ottla.coordination.transactions.commands import WriteMarkers
from ottla.coordination.transactions.transaction import TopicPartition
from ottla.log.errors import LogDirectoryFailed, LogError
from ottla.metadata.image import ClusterImage

if TYPE_CHECKING:
    from ottla.broker.steady_time import SteadyTime

_logger = logging.getLogger(__name__)

# How long an offline partition is left alone before its marker is tried again.
_RETRY_DELAY_S = 1.0
# Markers of one transaction that are written before other work gets its turn.
_MARKERS_PER_TURN = 100


class TransactionMarkers:
    """The port of the transaction coordinator to the partitions.

    A partition that is gone needs no marker; one that is offline gets it when it is back, and
    keeps no other waiting but its own transaction.

    Args:
        latest_image: tells a partition that is gone from one whose log isn't open.
        storage_failed: takes the log directory of a partition offline.
    """

    def __init__(
        self,
        partitions: Partitions,
        latest_image: Callable[[], ClusterImage],
        time: SteadyTime,
        storage_failed: Callable[[Partition, Exception], None],
    ) -> None:
        self._partitions = partitions
        self._latest_image = latest_image
        self._time = time
        self._storage_failed = storage_failed
        self._loop = asyncio.get_running_loop()
        self._retries: set[asyncio.TimerHandle] = set()
        self._is_stopped = False
        self._under_way: set[WriteMarkers] = set()

    def write(self, request: WriteMarkers, when_done: Callable[[], None]) -> None:
        """Write all markers of a transaction; ``when_done`` is called when they are durable.

        A shard that was loaded again asks for what is under way already: a second set of markers
        could end the producer's next transaction.
        """
        if request in self._under_way:
            return
        self._under_way.add(request)

        def done() -> None:
            self._under_way.discard(request)
            when_done()

        _Writing(self, request, done).start()

    def stop(self) -> None:
        """Try nothing again; the next start resumes what is left."""
        self._is_stopped = True
        for handle in self._retries:
            handle.cancel()
        self._retries.clear()

    def retry(self, attempt: Callable[[], None]) -> None:
        """Call ``attempt`` again after a while."""
        if self._is_stopped:
            return

        def run() -> None:
            self._retries.discard(handle)
            attempt()

        handle = self._loop.call_later(_RETRY_DELAY_S, run)
        self._retries.add(handle)

    def soon(self, step: Callable[[], None]) -> None:
        """Call ``step`` after what else waits for a turn of the event loop."""
        if not self._is_stopped:
            self._loop.call_soon(step)

    def find(self, topic: str, index: int) -> Partition | None:
        """The partition, if its log is open and its disk is well."""
        partition = self._partitions.get(topic, index)
        return None if partition is None or partition.is_offline else partition

    def exists(self, topic: str, index: int) -> bool:
        """Whether there is such a partition in the cluster."""
        return self._latest_image().partition(topic, index) is not None

    def append(self, partition: Partition, request: WriteMarkers) -> bool:
        """Append one marker; whether the partition could take it, or has no use for it."""
        try:
            partition.append_end_marker(
                request.producer.producer_id,
                request.producer.producer_epoch,
                request.coordinator_epoch,
                request.is_commit,
                self._time.now_ms(),
                request.transaction_version,
            )
        except LogDirectoryFailed as failure:
            self._storage_failed(partition, failure)
            return False
        except LogError as error:
            # A newer epoch of the producer, or of the coordinator, has ended this transaction.
            _logger.warning(
                "%s refuses the marker of %s: %s",
                partition.name,
                request.transactional_id,
                error,
            )
        return True


class _Writing:
    """The markers of one transaction on their way."""

    __slots__ = ("_left", "_markers", "_request", "_todo", "_when_done")

    def __init__(
        self, markers: TransactionMarkers, request: WriteMarkers, when_done: Callable[[], None]
    ) -> None:
        self._markers = markers
        self._request = request
        self._when_done = when_done
        self._todo = deque(sorted(request.partitions))
        self._left = set(request.partitions)

    def start(self) -> None:
        if not self._left:
            self._when_done()
            return
        self._go_on()

    def _go_on(self) -> None:
        for _ in range(min(len(self._todo), _MARKERS_PER_TURN)):
            self._attempt(self._todo.popleft())
        if self._todo:
            self._markers.soon(self._go_on)

    def _attempt(self, name: TopicPartition) -> None:
        partition = self._markers.find(*name)
        if partition is None:
            if self._markers.exists(*name):
                self.retry(name)
            else:
                self.written(name)
        elif self._markers.append(partition, self._request):
            partition.when_reached(partition.log.log_end_offset, _Written(self, name))
        else:
            self.retry(name)

    def retry(self, name: TopicPartition) -> None:
        self._markers.retry(partial(self._attempt, name))

    def written(self, name: TopicPartition) -> None:
        self._left.discard(name)
        if not self._left:
            self._when_done()


class _Written:
    """Waits for one marker to be durable."""

    __slots__ = ("_name", "_writing")

    def __init__(self, writing: _Writing, name: TopicPartition) -> None:
        self._writing = writing
        self._name = name

    def reached(self) -> None:
        self._writing.written(self._name)

    def failed(self, error: Exception) -> None:
        self._writing.retry(self._name)
