"""Incremental fetch sessions (KIP-227): a client names its partitions once, then only what changes.

The broker remembers per session which partitions are fetched from which offset and what the client
was last told of each, and answers only with partitions that have news.
"""

from __future__ import annotations

import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator

from ottla.wire.errors import ErrorCode, ProtocolError

NO_SESSION = 0
# Epochs of a request: the first of a session, and one that wants none (any more).
INITIAL_EPOCH = 0
FINAL_EPOCH = -1
_MAX_EPOCH = 2**31 - 1
# A session untouched for this long may be evicted for a new one, as in Kafka.
_EVICTABLE_AFTER_MS = 120_000

# The topic's id from Fetch v13 on, its name before.
TopicKey = uuid.UUID | str
PartitionKey = tuple[TopicKey, int]


class WantedPartition:
    """What a client wants of one partition, and what it was last told of it."""

    __slots__ = (
        "current_leader_epoch",
        "fetch_offset",
        "key",
        "last_fetched_epoch",
        "max_bytes",
        "told_high_watermark",
        "told_log_start_offset",
    )

    def __init__(
        self,
        key: PartitionKey,
        fetch_offset: int,
        max_bytes: int,
        current_leader_epoch: int,
        last_fetched_epoch: int,
    ) -> None:
        self.key = key
        self.fetch_offset = fetch_offset
        self.max_bytes = max_bytes
        self.current_leader_epoch = current_leader_epoch
        self.last_fetched_epoch = last_fetched_epoch
        self.told_high_watermark = -1
        self.told_log_start_offset = -1

    def update(self, newer: WantedPartition) -> None:
        """Take over what a request says of a partition already in the session."""
        self.fetch_offset = newer.fetch_offset
        self.max_bytes = newer.max_bytes
        self.current_leader_epoch = newer.current_leader_epoch
        self.last_fetched_epoch = newer.last_fetched_epoch


class FetchSession:
    """The partitions of one client, in the order in which they are served."""

    __slots__ = ("epoch", "id", "last_used_ms", "partitions", "uses_topic_ids")

    def __init__(self, session_id: int, now_ms: int, *, uses_topic_ids: bool) -> None:
        self.id = session_id
        self.epoch = 1
        self.last_used_ms = now_ms
        self.uses_topic_ids = uses_topic_ids
        self.partitions: OrderedDict[PartitionKey, WantedPartition] = OrderedDict()

    def update(self, wanted: Iterable[WantedPartition], forgotten: Iterable[PartitionKey]) -> None:
        """Add, change and forget partitions as a request says."""
        for each in wanted:
            known = self.partitions.get(each.key)
            if known is None:
                self.partitions[each.key] = each
            else:
                known.update(each)
        for key in forgotten:
            self.partitions.pop(key, None)

    def served(self, keys: Iterable[PartitionKey]) -> None:
        """Partitions that filled a reply queue up behind the others: none may starve."""
        for key in keys:
            if key in self.partitions:
                self.partitions.move_to_end(key)


class FetchTurn:
    """What one request fetches, and the session (if any) it belongs to."""

    __slots__ = ("is_incremental", "session", "wanted")

    def __init__(
        self,
        session: FetchSession | None,
        wanted: list[WantedPartition],
        *,
        is_incremental: bool,
    ) -> None:
        self.session = session
        self.wanted = wanted
        self.is_incremental = is_incremental

    @property
    def session_id(self) -> int:
        return self.session.id if self.session is not None else NO_SESSION


class FetchSessions:
    """All sessions of the broker, at most ``slots`` of them.

    Args:
        slots: ``max.incremental.fetch.session.cache.slots``.
        random_id: draws session ids, which must not be guessable from each other.
    """

    def __init__(self, slots: int, random_id: Callable[[], int]) -> None:
        self._slots = slots
        self._random_id = random_id
        self._sessions: OrderedDict[int, FetchSession] = OrderedDict()

    def __len__(self) -> int:
        return len(self._sessions)

    def __iter__(self) -> Iterator[FetchSession]:
        return iter(self._sessions.values())

    def begin(
        self,
        session_id: int,
        epoch: int,
        wanted: list[WantedPartition],
        forgotten: Iterable[PartitionKey],
        *,
        now_ms: int,
        uses_topic_ids: bool,
    ) -> FetchTurn:
        """Which partitions a request fetches.

        Raises:
            ProtocolError: the session is unknown, out of step, or of the other kind of topic key.
        """
        if epoch == FINAL_EPOCH:
            self._sessions.pop(session_id, None)
            return FetchTurn(None, wanted, is_incremental=False)
        if epoch == INITIAL_EPOCH:
            self._sessions.pop(session_id, None)
            session = self._create(now_ms, uses_topic_ids=uses_topic_ids) if wanted else None
            if session is not None:
                session.update(wanted, ())
            return FetchTurn(session, wanted, is_incremental=False)
        session = self._continue(session_id, epoch, uses_topic_ids=uses_topic_ids)
        session.last_used_ms = now_ms
        self._sessions.move_to_end(session_id)
        session.epoch = 1 if session.epoch == _MAX_EPOCH else session.epoch + 1
        session.update(wanted, forgotten)
        if not session.partitions:
            del self._sessions[session_id]
            return FetchTurn(None, [], is_incremental=False)
        return FetchTurn(session, list(session.partitions.values()), is_incremental=True)

    def _continue(self, session_id: int, epoch: int, *, uses_topic_ids: bool) -> FetchSession:
        session = self._sessions.get(session_id)
        if session is None:
            raise ProtocolError(ErrorCode.FETCH_SESSION_ID_NOT_FOUND)
        if session.uses_topic_ids != uses_topic_ids:
            raise ProtocolError(ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR)
        if session.epoch != epoch:
            raise ProtocolError(ErrorCode.INVALID_FETCH_SESSION_EPOCH)
        return session

    def _create(self, now_ms: int, *, uses_topic_ids: bool) -> FetchSession | None:
        """A new session, or ``None`` when all slots are in use and none is evictable."""
        if self._slots <= 0:
            return None
        if len(self._sessions) >= self._slots:
            oldest = next(iter(self._sessions.values()))
            if now_ms - oldest.last_used_ms < _EVICTABLE_AFTER_MS:
                return None
            del self._sessions[oldest.id]
        session_id = self._random_id()
        while session_id in self._sessions or session_id == NO_SESSION:
            session_id = self._random_id()
        session = FetchSession(session_id, now_ms, uses_topic_ids=uses_topic_ids)
        self._sessions[session_id] = session
        return session
