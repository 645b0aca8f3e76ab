"""One partition that is assigned to a consumer: where it is read, and how far that has come."""

from __future__ import annotations

from enum import Enum
from typing import Any, NamedTuple, Protocol, TypeAlias

from ottla.client.errors import KafkaError
from ottla.client.values import OFFSET_BEGINNING, OFFSET_INVALID, OFFSET_STORED
from ottla.records.errors import RecordsError
from ottla.wire.declare import ZERO_UUID

Key: TypeAlias = tuple[str, int]
"""What a partition is known by: its topic's name and its number."""

NO_EPOCH = -1
NO_REPLICA = -1
# Names of places in the log, as ListOffsets takes them for timestamps.
EARLIEST_TIMESTAMP = -2
LATEST_TIMESTAMP = -1


class Stage(Enum):
    """What has to happen before a partition can be fetched."""

    COMMITTED = "the group's committed offset is to be looked up"
    RESET = "auto.offset.reset decides where to go on"
    LISTED = "the offset of a timestamp, of the log's start or of its end is to be looked up"
    VALIDATED = "the position is to be compared with the new leader's log (KIP-320)"
    FETCHED = "nothing: it can be fetched"
    STOPPED = "somebody has to seek: there is no offset to go on from"


class Start(NamedTuple):
    """Where to begin reading a partition; the offset may be one of the ``OFFSET_`` constants."""

    topic: str
    partition: int
    offset: int = OFFSET_INVALID
    leader_epoch: int = NO_EPOCH


class Cursor(Protocol):
    """The part of ``MessageCursor`` that says how far the application has come."""

    consumed: int
    """Offset after the last message handed out, ``OFFSET_INVALID`` before the first."""
    consumed_epoch: int
    position: int
    end_offset: int
    end_epoch: int
    record_count: int
    buffered_bytes: int
    damaged_offset: int
    resume_offset: int
    error: RecordsError | None

    def prepare(self, most_bytes: int, /) -> None: ...

    def next(self) -> Any: ...

    def take(self, limit: int, /) -> list[Any]: ...


class Stored(NamedTuple):
    """An offset to commit: of the record to go on with."""

    offset: int
    leader_epoch: int = NO_EPOCH
    metadata: str | None = None


NO_POSITION = Stored(OFFSET_INVALID)


class AssignedPartition:
    """What a consumer knows of one of its partitions.

    ``fetch_offset`` runs ahead of ``position``: the records between them are fetched and wait for
    the application. Whenever somebody sets the position, ``version`` changes, and what was asked or
    fetched before is void.

    The application's thread sets ``cursor`` and moves it; everything else happens on the engine's.

    Args:
        start: the partition and where to begin.
        stores_offsets: whether what was handed out counts as stored (enable.auto.offset.store).
    """

    __slots__ = (
        "_position", "_resume", "_stored", "_stores_offsets", "backoff_until_ms", "broken_version",
        "committed", "cursor", "damaged_offset", "eof_offset", "failures", "fetch_epoch",
        "fetch_offset", "fetched_turn", "high_watermark", "is_asking", "is_paused", "is_revoked",
        "last_stable_offset", "leader_epoch", "list_timestamp", "log_start_offset", "number",
        "preferred_replica", "preferred_until_ms", "queued_messages", "received_bytes",
        "received_messages", "reported_error", "reset_reason", "stage", "start_offset", "topic",
        "topic_id", "version",
    )  # fmt: skip

    def __init__(self, start: Start, *, stores_offsets: bool = True) -> None:
        self.topic = start.topic
        self.number = start.partition
        self.start_offset = OFFSET_STORED if start.offset == OFFSET_INVALID else start.offset
        self.topic_id = ZERO_UUID
        """The topic's id as it was first seen: another one is another log under the same name."""
        self.received_messages = 0
        self.received_bytes = 0
        self.version = 0
        self.is_paused = False
        self.is_revoked = False
        """Whether the group takes it away: nothing more is fetched until the application knows."""
        self.is_asking = False
        """Whether a question about its position is under way."""
        self.backoff_until_ms = 0.0
        self.failures = 0
        self.leader_epoch = NO_EPOCH
        """Epoch of the leader against whose log the position was validated."""
        self.high_watermark = OFFSET_INVALID
        self.last_stable_offset = OFFSET_INVALID
        self.log_start_offset = OFFSET_INVALID
        self.preferred_replica = NO_REPLICA
        self.preferred_until_ms = 0.0
        self.queued_messages = 0
        self.fetched_turn = 0
        """When it last gave records, counted in answers: those that waited longer go first."""
        self.reported_error = 0
        """The code that the application was told last, so as not to tell it with every retry."""
        self.reset_reason: KafkaError | None = None
        self.cursor: Cursor | None = None
        """What the application is reading at the moment."""
        self.committed = NO_POSITION
        """What was committed or looked up last."""
        self.damaged_offset = OFFSET_INVALID
        """Where a batch began whose checksum was wrong when it was last fetched."""
        self.broken_version = -1
        """The version of which the application met records that it could not read: it hands out
        nothing more of it. Set by its thread; the engine sets the position, and a new version."""
        self._stores_offsets = stores_offsets
        self._stored: Stored | None = None
        self._begin(start.offset, start.leader_epoch)

    @property
    def key(self) -> Key:
        """Topic and number."""
        return self.topic, self.number

    # Where it is read

    def begin_at(self, offset: int, leader_epoch: int = NO_EPOCH) -> None:
        """Read from an offset, or from what one of the ``OFFSET_`` constants stands for."""
        self.settle()
        self._begin(offset, leader_epoch)

    def _begin(self, offset: int, leader_epoch: int) -> None:
        self._forget_fetched()
        self._position = NO_POSITION
        self._resume = Stored(offset, leader_epoch)
        self.fetch_offset = offset
        self.fetch_epoch = leader_epoch
        self.list_timestamp = LATEST_TIMESTAMP
        if offset >= 0:
            self.stage = Stage.VALIDATED if leader_epoch >= 0 else Stage.FETCHED
        elif offset in (OFFSET_STORED, OFFSET_INVALID):
            self.stage = Stage.COMMITTED
        else:
            self.list_at(EARLIEST_TIMESTAMP if offset == OFFSET_BEGINNING else LATEST_TIMESTAMP)

    def reset(self, reason: KafkaError) -> None:
        """There is no offset to go on from: let the configured policy decide."""
        self.stage = Stage.RESET
        self.reset_reason = reason
        self.succeeded()

    def list_at(self, timestamp_ms: int) -> None:
        """Read from what ListOffsets answers for a timestamp."""
        self.stage = Stage.LISTED
        self.list_timestamp = timestamp_ms

    def found(self, offset: int, leader_epoch: int) -> None:
        """Where to read has been found out."""
        self._resume = Stored(offset, leader_epoch)
        self.fetch_offset = offset
        self.fetch_epoch = leader_epoch
        self.stage = Stage.VALIDATED if leader_epoch >= 0 else Stage.FETCHED
        self.succeeded()

    def stop(self) -> None:
        """Read nothing more until somebody seeks; what is fetched is still handed out."""
        self.stage = Stage.STOPPED

    def refetch(self) -> None:
        """Forget what is fetched and not handed out yet, and fetch it again."""
        self.settle()
        self._forget_fetched()
        if self.stage in (Stage.FETCHED, Stage.VALIDATED):
            self.fetch_offset, self.fetch_epoch, _ = self._resume

    def rewind(self, offset: int, leader_epoch: int) -> None:
        """Take back messages that were handed out and never reached the user."""
        self.settle()
        self._position = self._resume = Stored(offset, leader_epoch)
        if self._stores_offsets:
            self._stored = self._position
        self.refetch()

    def pause(self) -> None:
        """Fetch nothing, and forget what is fetched: it would take room from others."""
        if not self.is_paused:
            self.is_paused = True
            self.refetch()

    def resume(self) -> None:
        """Fetch again."""
        self.is_paused = False

    def is_current(self, version: int) -> bool:
        """Whether what was fetched under a version of the position may be handed out."""
        return version == self.version and version != self.broken_version

    def _forget_fetched(self) -> None:
        self.version += 1
        self.eof_offset = OFFSET_INVALID
        self.is_asking = False
        self.succeeded()

    # How far the application has come

    @property
    def position(self) -> Stored:
        """After the last message handed out; ``OFFSET_INVALID`` since the last seek if none was."""
        cursor = self.cursor
        if cursor is not None and cursor.consumed >= 0:
            return Stored(cursor.consumed, cursor.consumed_epoch)
        return self._position

    @property
    def stored(self) -> Stored | None:
        """What a commit without arguments commits."""
        position = self.position
        if self._stores_offsets and position.offset >= 0:
            return position
        return self._stored

    def store(self, stored: Stored) -> None:
        """Have it committed next (``store_offsets``)."""
        self._stored = stored

    @property
    def uncommitted(self) -> Stored | None:
        """What is stored and not committed yet."""
        stored = self.stored
        return stored if stored is not None and _is_later(stored, self.committed) else None

    @property
    def committed_offset(self) -> int:
        """The offset of what was committed or looked up last, ``OFFSET_INVALID`` without any."""
        return self.committed.offset

    def cut(self, end_offset: int, leader_epoch: int) -> None:
        """The log was cut there: what was read and stored beyond is not in it any more."""
        self.settle()
        if self._stored is not None and self._stored.offset > end_offset:
            self._stored = Stored(end_offset, leader_epoch)
        self._position = NO_POSITION

    def forget_offsets(self) -> None:
        """It is another log under the same name: nothing that was read of the old one counts."""
        self.settle()
        self._position = NO_POSITION
        self._stored = None
        self.committed = NO_POSITION

    def settle(self) -> None:
        """The application has done with the cursor, or is stopped from going on with it."""
        cursor = self.cursor
        if cursor is not None:
            if cursor.consumed >= 0:
                self._position = Stored(cursor.consumed, cursor.consumed_epoch)
                self._resume = Stored(cursor.position, cursor.consumed_epoch)
            else:
                self._resume = self._resume._replace(offset=cursor.position)
            self.cursor = None
        if self._stores_offsets and self._position.offset >= 0:
            self._stored = self._position

    # Failures

    def failed(self, now_ms: float, wait_ms: float) -> None:
        """Leave it alone for a while."""
        self.failures += 1
        self.is_asking = False
        self.backoff_until_ms = now_ms + wait_ms

    def succeeded(self) -> None:
        """The next failure counts as the first."""
        self.failures = 0
        self.is_asking = False
        self.backoff_until_ms = 0.0

    def is_ready(self, now_ms: float) -> bool:
        """Whether something may be asked about it now."""
        return not self.is_asking and now_ms >= self.backoff_until_ms


def _is_later(stored: Stored, committed: Stored) -> bool:
    """Whether to commit it. In a log that was cut, a lower offset of a later epoch is later."""
    if stored.leader_epoch >= 0 and committed.leader_epoch not in (NO_EPOCH, stored.leader_epoch):
        return stored.leader_epoch > committed.leader_epoch
    return stored.offset > committed.offset


class PartitionError(NamedTuple):
    """Something to tell the application about a partition, in order with its records."""

    partition: AssignedPartition
    version: int
    error: KafkaError
    offset: int
