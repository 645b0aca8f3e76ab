"""Reading partitions for a fetch, and waiting until there is enough to read."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ottla.broker.errors import EXPECTED_ERRORS, error_code_of
from ottla.broker.fetch_sessions import FetchTurn, WantedPartition
from ottla.log.errors import LogDirectoryFailed
from ottla.wire.errors import ErrorCode, ProtocolError

if TYPE_CHECKING:
    from ottla.broker.partition import Partition
    from ottla.broker.partitions import Partitions
    from ottla.log.reading import LogSlice
    from ottla.log.transactions import AbortedTransaction

_NONE = ErrorCode.NONE


class FetchLimits:
    """How much a fetch wants at least and at most, and how far it may read."""

    __slots__ = ("max_bytes", "min_bytes", "read_committed")

    def __init__(self, *, min_bytes: int, max_bytes: int, read_committed: bool) -> None:
        self.min_bytes = min_bytes
        self.max_bytes = max_bytes
        self.read_committed = read_committed

    def satisfied_by(self, results: Sequence[PartitionResult]) -> bool:
        """Whether the client should be answered now: enough bytes, or an error it must know."""
        total = 0
        for result in results:
            if result.error_code or result.diverging_epoch is not None:
                return True
            total += result.size_bytes
        return total >= self.min_bytes


class PartitionResult:
    """What was read of one partition."""

    __slots__ = (
        "aborted_transactions",
        "diverging_epoch",
        "error_code",
        "high_watermark",
        "is_slice",
        "last_stable_offset",
        "log_start_offset",
        "read_committed",
        "records",
        "size_bytes",
        "wanted",
    )

    def __init__(self, wanted: WantedPartition, *, read_committed: bool) -> None:
        self.wanted = wanted
        self.read_committed = read_committed
        self.error_code: int = 0
        self.high_watermark = -1
        self.last_stable_offset = -1
        self.log_start_offset = -1
        self.records: LogSlice | None = None
        self.size_bytes = 0
        """Of the records."""
        self.is_slice = False
        """Whether the records are to be sent from their file."""
        self.aborted_transactions: Sequence[AbortedTransaction] = ()
        self.diverging_epoch: tuple[int, int] | None = None

    @property
    def has_news(self) -> bool:
        """Whether an incremental reply must name this partition (KIP-227)."""
        return bool(
            self.error_code
            or self.size_bytes
            or self.diverging_epoch is not None
            or self.wanted.told_high_watermark != self.high_watermark
            or self.wanted.told_log_start_offset != self.log_start_offset
        )

    def content(self) -> bytes | LogSlice:
        """The records; the disk may fail when they are read, which the error code tells then."""
        records = self.records
        if records is None or not self.size_bytes:
            return b""
        if self.is_slice:
            return records
        try:
            return records.read()
        except LogDirectoryFailed:
            self.error_code = ErrorCode.KAFKA_STORAGE_ERROR
            return b""

    def told(self) -> None:
        """The client is being told; an error is repeated until it is gone."""
        self.wanted.told_high_watermark = -1 if self.error_code else self.high_watermark
        self.wanted.told_log_start_offset = self.log_start_offset


def read_partitions(
    partitions: Partitions, wanted: Sequence[WantedPartition], limits: FetchLimits
) -> list[PartitionResult]:
    """Read each partition in turn until ``max_bytes`` are found.

    The first batch found is returned even when it is larger than the limits (KIP-74): a consumer
    must be able to get past it.
    """
    results = []
    left_bytes = limits.max_bytes
    at_least_one = True
    read_committed = limits.read_committed
    for each in wanted:
        result = PartitionResult(each, read_committed=read_committed)
        max_bytes = each.max_bytes
        try:
            partition = find_partition(partitions, each)
            _read(
                partition, result, max_bytes if max_bytes < left_bytes else left_bytes, at_least_one
            )
        except EXPECTED_ERRORS as error:
            result.error_code = error_code_of(error)
        size_bytes = result.size_bytes
        if size_bytes:
            at_least_one = False
            left_bytes = left_bytes - size_bytes if size_bytes < left_bytes else 0
        results.append(result)
    return results


def find_partition(partitions: Partitions, wanted: WantedPartition) -> Partition:
    """The partition a fetch names, by id or by name, its leader epoch checked.

    Raises:
        ProtocolError: it is unknown here, offline, or the client's leader epoch is another.
    """
    topic_key, index = wanted.key
    name: str | None
    if isinstance(topic_key, str):
        name = topic_key
    else:
        name = partitions.topic_name(topic_key)
        if name is None:
            raise ProtocolError(ErrorCode.UNKNOWN_TOPIC_ID)
    partition = partitions.find(name, index)
    if wanted.current_leader_epoch != partition.leader_epoch:
        partition.check_leader_epoch(wanted.current_leader_epoch)
    return partition


def _read(
    partition: Partition,
    result: PartitionResult,
    max_bytes: int,
    at_least_one: bool,
) -> None:
    wanted = result.wanted
    log = partition.log
    result.high_watermark = high_watermark = partition.high_watermark
    result.last_stable_offset = partition.last_stable_offset
    result.log_start_offset = log.log_start_offset
    if wanted.last_fetched_epoch >= 0:
        epoch, end_offset = log.end_offset_for_epoch(wanted.last_fetched_epoch)
        if epoch < 0:
            raise ProtocolError(ErrorCode.OFFSET_OUT_OF_RANGE, "the fetched epoch is not known")
        if epoch < wanted.last_fetched_epoch or end_offset < wanted.fetch_offset:
            result.diverging_epoch = (epoch, end_offset)
            return
    end_offset = result.last_stable_offset if result.read_committed else high_watermark
    # Between the high watermark and the log's end nothing is out of range, only not yet visible.
    if end_offset <= wanted.fetch_offset <= log.log_end_offset:
        return
    if max_bytes <= 0 and not at_least_one:
        return
    records = log.read(
        wanted.fetch_offset, max_bytes, end_offset=end_offset, at_least_one_batch=at_least_one
    )
    result.records = records
    result.size_bytes = size_bytes = records.size_bytes
    if size_bytes and result.read_committed:
        result.aborted_transactions = log.aborted_transactions(records, end_offset)


class ParkedFetch:
    """A fetch that waits for ``min_bytes`` or its time to run out; a pending answer (see
    ``dispatch.Pending``) without a future of its own: consumers at the log's end live by it."""

    __slots__ = (
        "_limits",
        "_observed",
        "_partitions",
        "_respond",
        "_retry_is_due",
        "_send",
        "_timer",
        "_turn",
    )

    def __init__(
        self,
        partitions: Partitions,
        turn: FetchTurn,
        limits: FetchLimits,
        respond: Callable[[FetchTurn, list[PartitionResult]], Any],
    ) -> None:
        self._partitions = partitions
        self._turn = turn
        self._limits = limits
        self._respond = respond
        self._observed: list[Partition] = []
        self._timer: asyncio.TimerHandle | None = None
        self._retry_is_due = False
        self._send: Callable[[Any], None] | None = None

    def park(self, results: Sequence[PartitionResult], max_wait_ms: int) -> None:
        """Start waiting for any of the partitions to move."""
        for result in results:
            topic_key, index = result.wanted.key
            name = (
                self._partitions.topic_name(topic_key)
                if isinstance(topic_key, uuid.UUID)
                else topic_key
            )
            partition = self._partitions.get(name, index) if name is not None else None
            if partition is not None:
                partition.observe(self._moved)
                self._observed.append(partition)
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(max_wait_ms / 1000, self._finish)

    def then(self, send: Callable[[Any], None]) -> None:
        """Hand the response to ``send`` when it is due."""
        self._send = send

    def abandon(self) -> None:
        """The client has gone: nobody would read the answer."""
        self._send = None
        if self._timer is not None:
            self._timer.cancel()
        for partition in self._observed:
            partition.unobserve(self._moved)
        self._observed.clear()

    def _moved(self, partition: Partition) -> None:
        # Several partitions may move at once (one group commit): look once.
        if not self._retry_is_due:
            self._retry_is_due = True
            asyncio.get_running_loop().call_soon(self._retry)

    def _retry(self) -> None:
        self._retry_is_due = False
        self._answer_if(self._limits.satisfied_by)

    def _finish(self) -> None:
        self._answer_if(lambda results: True)

    def _answer_if(self, is_due: Callable[[Sequence[PartitionResult]], bool]) -> None:
        send = self._send
        if send is None:
            return
        try:
            results = read_partitions(self._partitions, self._turn.wanted, self._limits)
            if not is_due(results):
                return
            answer = self._respond(self._turn, results)
        except Exception as error:
            # Unanswered, the connection would wait for ever.
            answer = error
        self.abandon()
        send(answer)
