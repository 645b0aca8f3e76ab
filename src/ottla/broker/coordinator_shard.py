"""Runs one shard of a coordinator over its partition of an internal topic.

The cores in ``coordination`` decide; this is the one place where a decision becomes a write. A
shard's records are appended and replayed at once, its replies leave when the high watermark has
passed the records. A failed append discards the shard; it is loaded again from the log.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Any, Protocol, cast

from ottla.broker.errors import EXPECTED_ERRORS, error_code_of
from ottla.broker.partition import Partition
from ottla.broker.steady_time import SteadyTime
from ottla.coordination.core import CoordinatorCore
from ottla.coordination.outcome import (
    CoordinatorRecord,
    Outcome,
    Reply,
    Timer,
    TransactionalProducer,
    size_bytes,
)
from ottla.log.errors import LogDirectoryFailed
from ottla.log.partition_log import AppendOrigin
from ottla.log.verification import VerificationGuard
from ottla.records.batch import BatchHeader, iter_complete_headers, read_header
from ottla.records.control import ControlType, decode_control_key
from ottla.records.decode import decode_records
from ottla.records.encode import encode_batch
from ottla.records.record import Record
from ottla.wire.errors import ErrorCode, ProtocolError

_logger = logging.getLogger(__name__)

_LOAD_BUFFER_BYTES = 1024 * 1024
# How long a load keeps the event loop from other work.
_LOAD_TURN_S = 0.005
_SLOW_LOAD_MS = 100


class ReplyToken(Protocol):
    """Where the answer to a command goes: a future, or something like it."""

    def done(self) -> bool: ...

    def set_result(self, response: Any) -> None: ...

    def set_exception(self, error: ProtocolError) -> None: ...


class GatheringCore(CoordinatorCore, Protocol):
    """A core that does better when it decides about several commands together."""

    def decide_at_once(self, command: Any, now_ms: int) -> Outcome | None:
        """What the command leads to, if it gains nothing by waiting for others of its kind."""
        ...

    def decide_together(
        self, gathered: Sequence[Any], now_ms: int
    ) -> Iterator[tuple[Sequence[Any], Outcome]]:
        """Some of the commands and what they lead to, which is performed before the next."""
        ...


class ShardRuntime:
    """Drives one shard over its partition."""

    def __init__(
        self,
        partition: Partition,
        new_core: Callable[[], CoordinatorCore],
        time: SteadyTime,
        *,
        max_batch_bytes: int,
        load_buffer_bytes: int = _LOAD_BUFFER_BYTES,
        perform: Callable[[object], None] | None = None,
    ) -> None:
        """
        Args:
            new_core: an empty core, made for each load.
            max_batch_bytes: how large a batch may become of records that need not be atomic.
            load_buffer_bytes: how much of the log is read at a time while it is loaded.
            perform: the shard's port, which carries out an outcome's ``requests``.
        """
        self.partition = partition
        self._new_core = new_core
        self._time = time
        self._max_batch_bytes = max_batch_bytes
        self._load_buffer_bytes = load_buffer_bytes
        self._perform = perform
        self._loop = asyncio.get_running_loop()
        self._core = new_core()
        self._timers: dict[Hashable, _ArmedTimer] = {}
        self._loaded: asyncio.Future[None] | None = None
        self._after_load: list[object] = []
        self._gathered: list[Any] = []

    async def ready(self) -> None:
        """Wait until the shard's state is rebuilt from its log; after a failure, try again.

        Raises:
            ProtocolError: the log can't be read.
        """
        if self._loaded is None or (self._loaded.done() and not self.is_ready):
            self._loaded = asyncio.ensure_future(self._load())
        await asyncio.shield(self._loaded)

    @property
    def is_ready(self) -> bool:
        loaded = self._loaded
        return loaded is not None and loaded.done() and loaded.exception() is None

    def submit(self, command: object) -> None:
        """Decide a command and carry out what was decided.

        Raises:
            ProtocolError: the decision could not be written; nothing has changed.
        """
        self._carry_out(self._core.decide(command, self._time.now_ms()))

    def gather(self, command: Any) -> None:
        """As `submit`, but together with the others that come in this turn of the event loop.

        Raises:
            ProtocolError: the decision could not be written; nothing has changed.
        """
        core = cast("GatheringCore", self._core)
        outcome = core.decide_at_once(command, self._time.now_ms())
        if outcome is not None:
            self._carry_out(outcome)
            return
        if not self._gathered:
            self._loop.call_soon(self._decide_gathered)
        self._gathered.append(command)

    def _decide_gathered(self) -> None:
        gathered, self._gathered = self._gathered, []
        if not gathered:
            return
        left = dict.fromkeys(gathered)
        core = cast("GatheringCore", self._core)
        error = ProtocolError(ErrorCode.UNKNOWN_SERVER_ERROR)
        try:
            for company, outcome in core.decide_together(gathered, self._time.now_ms()):
                self._carry_out(outcome)
                for command in company:
                    del left[command]
        except ProtocolError as refused:
            error = refused
        except Exception:
            _logger.exception("%s failed on %d requests", self.partition.name, len(left))
        _refuse(left, error)

    def submit_when_ready(self, command: object) -> None:
        """Submit a command that nobody waits for, now or after the load."""
        if self.is_ready:
            self.submit(command)
        else:
            self._after_load.append(command)

    def stop(self) -> None:
        """Nothing is decided any more; who is parked is told to look for the coordinator again."""
        _Parked(self._core.abandon(ErrorCode.NOT_COORDINATOR)).reached()
        gathered, self._gathered = self._gathered, []
        _refuse(gathered, ProtocolError(ErrorCode.NOT_COORDINATOR))
        self.partition.forget_transaction_end(self._core.end_transaction)
        for armed in self._timers.values():
            armed.handle.cancel()
        self._timers.clear()

    async def _load(self) -> None:
        started = self._loop.time()
        core = self._new_core()
        try:
            skipped = await self._replay_into(core)
        except EXPECTED_ERRORS as error:
            _logger.error("can't load %s: %s", self.partition.name, error)
            raise ProtocolError(ErrorCode.COORDINATOR_NOT_AVAILABLE, str(error)) from error
        self._core = core
        # Nothing was appended since the replay saw the log's end: there was no pause.
        self.partition.on_transaction_end(core.end_transaction)
        self._carry_out(core.loaded(self._time.now_ms()))
        waiting, self._after_load = self._after_load, []
        for command in waiting:
            self.submit(command)
        for reason, count in skipped.items():
            _logger.info("%s: skipped %d records: %s", self.partition.name, count, reason)
        elapsed_ms = (self._loop.time() - started) * 1000
        if elapsed_ms > _SLOW_LOAD_MS:
            _logger.info("loaded %s in %.0f ms", self.partition.name, elapsed_ms)

    async def _replay_into(self, core: CoordinatorCore) -> Counter[str]:
        """Replay the whole log; how many records were skipped, by reason."""
        skipped: Counter[str] = Counter()
        log = self.partition.log
        offset = log.log_start_offset
        turn_ends = self._loop.time() + _LOAD_TURN_S
        while offset < log.log_end_offset:
            end = log.log_end_offset
            piece = log.read(offset, self._load_buffer_bytes, end_offset=end).read()
            if not piece:
                # Another broker's compaction may have left nothing up to the log's end.
                break
            for position, header in iter_complete_headers(piece):
                if header.is_control:
                    _replay_marker(core, header, decode_records(piece, position))
                else:
                    _replay_batch(core, header, decode_records(piece, position), skipped)
                offset = header.next_offset
                if self._loop.time() > turn_ends:
                    await asyncio.sleep(0)
                    turn_ends = self._loop.time() + _LOAD_TURN_S
        return skipped

    def _carry_out(self, outcome: Outcome) -> None:
        """Perform an outcome in the order its type lays down."""
        if outcome.records:
            self._append(outcome)
            for record in outcome.records:
                self._core.replay(record, outcome.producer)
        for event in outcome.events:
            self._core.apply(event)
        for timer in outcome.timers:
            self._set_timer(timer)
        if outcome.replies or outcome.requests:
            # Also answers without records of their own may rest on some that aren't durable yet.
            waiter = _Parked(outcome.replies, outcome.requests, self._perform)
            self.partition.when_reached(self.partition.log.log_end_offset, waiter)

    def _append(self, outcome: Outcome) -> None:
        is_one_batch = outcome.is_atomic or outcome.producer is not None
        limit_bytes = sys.maxsize if is_one_batch else self._max_batch_bytes
        now_ms = self._time.now_ms()
        guard = None if outcome.producer is None else outcome.producer.guard
        # The end of a transaction's life, the expiry of offsets: whoever rests on it waits for it.
        is_awaited = bool(outcome.replies or outcome.requests)
        try:
            for share in _batches(outcome.records, limit_bytes):
                batch = memoryview(bytearray(_encode(share, now_ms, outcome.producer)))
                self.partition.append(
                    batch,
                    [(0, read_header(batch))],
                    now_ms=now_ms,
                    origin=AppendOrigin.COORDINATOR,
                    guard=cast("VerificationGuard | None", guard),
                    is_awaited=is_awaited,
                )
        except EXPECTED_ERRORS as error:
            if outcome.producer is not None and not isinstance(error, LogDirectoryFailed):
                # The log knows better than the producer, of which the shard knows nothing.
                raise ProtocolError(error_code_of(error), str(error)) from error
            self._discard()
            raise ProtocolError(ErrorCode.COORDINATOR_NOT_AVAILABLE, str(error)) from error

    def _discard(self) -> None:
        """What is in memory may be ahead of the log: load again before the next command."""
        self.stop()
        self._loaded = None

    def _set_timer(self, timer: Timer) -> None:
        key, deadline_ms = timer
        armed = self._timers.get(key)
        if armed is not None:
            if deadline_ms is not None and deadline_ms >= armed.fires_ms:
                # Each heartbeat postpones a session's end: looked at again when it would have come.
                armed.deadline_ms = deadline_ms
                return
            armed.handle.cancel()
            del self._timers[key]
        if deadline_ms is not None:
            self._arm(key, deadline_ms)

    def _arm(self, key: Hashable, deadline_ms: int) -> None:
        at = self._time.loop_time(deadline_ms)
        handle = self._loop.call_at(at, self._on_timer, key)
        self._timers[key] = _ArmedTimer(handle, deadline_ms)

    def _on_timer(self, key: Hashable) -> None:
        armed = self._timers.pop(key)
        if armed.deadline_ms > armed.fires_ms:
            self._arm(key, armed.deadline_ms)
            return
        try:
            self._carry_out(self._core.on_timer(key, self._time.now_ms()))
        except ProtocolError:
            _logger.exception("timer %r of %s failed", key, self.partition.name)


def _refuse(commands: Iterable[Any], error: ProtocolError) -> None:
    for command in commands:
        command.token.set_exception(error)


def _batches(
    records: Sequence[CoordinatorRecord], limit_bytes: int
) -> Iterator[list[CoordinatorRecord]]:
    """The records in as few batches as the limit allows; one is never empty."""
    share: list[CoordinatorRecord] = []
    share_bytes = 0
    for record in records:
        record_bytes = size_bytes([record])
        if share and share_bytes + record_bytes > limit_bytes:
            yield share
            share, share_bytes = [], 0
        share.append(record)
        share_bytes += record_bytes
    if share:
        yield share


def _encode(
    records: Sequence[CoordinatorRecord], now_ms: int, producer: TransactionalProducer | None
) -> bytes:
    numbered = [
        Record(index, now_ms, record.key, record.value, ()) for index, record in enumerate(records)
    ]
    if producer is None:
        return encode_batch(numbered)
    return encode_batch(
        numbered,
        producer_id=producer.producer_id,
        producer_epoch=producer.producer_epoch,
        is_transactional=True,
    )


def _replay_batch(
    core: CoordinatorCore, header: BatchHeader, records: Sequence[Record], skipped: Counter[str]
) -> None:
    producer = None
    if header.is_transactional:
        producer = TransactionalProducer(header.producer_id, header.producer_epoch)
    for record in records:
        if record.key is None:
            continue
        note = core.replay(CoordinatorRecord(record.key, record.value), producer)
        if note is not None:
            skipped[note.reason] += 1


def _replay_marker(core: CoordinatorCore, header: BatchHeader, records: Sequence[Record]) -> None:
    for record in records:
        control_type = decode_control_key(record.key)
        if control_type in (ControlType.COMMIT, ControlType.ABORT):
            core.end_transaction(
                header.producer_id, header.producer_epoch, control_type is ControlType.COMMIT
            )


class _ArmedTimer:
    """A timer of the event loop, and the deadline it may have been given since."""

    __slots__ = ("deadline_ms", "fires_ms", "handle")

    def __init__(self, handle: asyncio.TimerHandle, deadline_ms: int) -> None:
        self.handle = handle
        self.fires_ms = deadline_ms
        self.deadline_ms = deadline_ms


class _Parked:
    """Replies and requests that wait for the high watermark."""

    __slots__ = ("_perform", "_replies", "_requests")

    def __init__(
        self,
        replies: Sequence[Reply],
        requests: Sequence[object] = (),
        perform: Callable[[object], None] | None = None,
    ) -> None:
        self._replies = replies
        self._requests = requests
        self._perform = perform

    def reached(self) -> None:
        for reply in self._replies:
            token = cast(ReplyToken, reply.token)
            if not token.done():
                token.set_result(reply.response)
        for request in self._requests:
            assert self._perform is not None
            self._perform(request)

    def failed(self, error: Exception) -> None:
        for reply in self._replies:
            token = cast(ReplyToken, reply.token)
            if not token.done():
                token.set_exception(ProtocolError(ErrorCode.COORDINATOR_NOT_AVAILABLE))
