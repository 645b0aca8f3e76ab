"""When to ask for metadata, about what, and when to give up on all known brokers.

``plan`` says what to ask now, the engine asks it and tells how that went. One question is under way
at a time: what comes up meanwhile is asked afterwards.
"""

from __future__ import annotations

from typing import NamedTuple

from ottla.client.core.backoff import Backoff


class RefreshSettings(NamedTuple):
    """The settings of the configuration that decide on it; -1 as interval: not by the clock."""

    refresh_interval_ms: int = 300_000
    retry_backoff_ms: int = 100
    retry_backoff_max_ms: int = 1_000
    propagation_max_ms: int = 30_000
    # None: never begin again with the bootstrap servers (metadata.recovery.strategy=none).
    rebootstrap_trigger_ms: int | None = 300_000


class Query(NamedTuple):
    """A Metadata request to send to any broker: these topics, or all of them (None)."""

    topics: frozenset[str] | None


class MetadataRefresh:
    """Decides when the view of the cluster is to be refreshed."""

    __slots__ = (
        "_asked_ms", "_asking", "_backoff", "_failing_since_ms", "_is_due", "_missing_since_ms",
        "_new_topics", "_settings", "_topics", "_wants_all",
    )  # fmt: skip

    def __init__(self, settings: RefreshSettings) -> None:
        self._settings = settings
        self._backoff = Backoff(settings.retry_backoff_ms, settings.retry_backoff_max_ms)
        self._topics: set[str] = set()
        self._new_topics: set[str] = set()
        self._wants_all = False
        self._is_due = True
        self._asking: Query | None = None
        self._asked_ms: float | None = None
        self._failing_since_ms: float | None = None
        # Since when a wanted topic has not been found.
        self._missing_since_ms: dict[str, float] = {}

    def want(self, topic: str) -> None:
        """Somebody uses a topic: keep its metadata fresh, and ask for it soon if it is new."""
        if topic not in self._topics:
            self._topics.add(topic)
            self._new_topics.add(topic)

    def release(self, topic: str) -> None:
        """Nobody uses the topic any more."""
        self._topics.discard(topic)
        self._new_topics.discard(topic)
        self._missing_since_ms.pop(topic, None)

    def want_all(self, wants_all: bool) -> None:
        """Somebody subscribes by pattern: keep the metadata of all topics fresh."""
        if wants_all and not self._wants_all:
            self._is_due = True
        self._wants_all = wants_all

    def request(self) -> None:
        """A request showed that what is known is out of date: ask soon."""
        self._is_due = True

    def plan(self, now_ms: float) -> Query | None:
        """What to ask now, None for nothing. The question then counts as asked."""
        deadline_ms = self.next_deadline_ms()
        if deadline_ms is None or now_ms < deadline_ms:
            return None
        if self._is_due or not self._new_topics or self._wants_all or self._is_overdue(now_ms):
            query = Query(None if self._wants_all else frozenset(self._topics))
            self._is_due = False
            self._asked_ms = now_ms
        else:
            query = Query(frozenset(self._new_topics))
        self._new_topics.clear()
        self._asking = query
        return query

    def _is_overdue(self, now_ms: float) -> bool:
        interval_ms = self._settings.refresh_interval_ms
        return (
            interval_ms > 0
            and self._asked_ms is not None
            and now_ms >= self._asked_ms + interval_ms
        )

    def next_deadline_ms(self) -> float | None:
        """When to call :meth:`plan` again, None for not before something happens."""
        if self._asking is not None:
            return None
        if self._is_due or self._new_topics:
            return self._backoff.ready_at_ms
        interval_ms = self._settings.refresh_interval_ms
        if interval_ms <= 0 or self._asked_ms is None:
            return None
        return max(self._asked_ms + interval_ms, self._backoff.ready_at_ms)

    def answered(
        self, now_ms: float, randomness: float, *, found: frozenset[str], unsettled: bool = False
    ) -> None:
        """The question was answered.

        Args:
            now_ms: the time.
            randomness: from 0 up to 1.
            found: the topics that exist.
            unsettled: a partition has no leader, or a broker could not tell: ask again soon.
        """
        asked, self._asking = self._asking, None
        self._failing_since_ms = None
        wanted = self._topics if asked is None or asked.topics is None else asked.topics
        missing = {topic for topic in wanted if topic not in found and topic in self._topics}
        for topic in found:
            self._missing_since_ms.pop(topic, None)
        for topic in missing:
            self._missing_since_ms.setdefault(topic, now_ms)
        hopeful = {topic for topic in missing if not self.is_given_up(topic, now_ms)}
        if unsettled or hopeful:
            # A topic just made takes a while to be known everywhere.
            self._backoff.failed(now_ms, randomness)
            self._new_topics |= hopeful
            self._is_due = self._is_due or unsettled
        else:
            self._backoff.succeeded()

    def failed(self, now_ms: float, randomness: float) -> None:
        """The question got no answer, or no broker could be asked."""
        self._asking = None
        self._is_due = True
        if self._failing_since_ms is None:
            self._failing_since_ms = now_ms
        self._backoff.failed(now_ms, randomness)

    def is_given_up(self, topic: str, now_ms: float) -> bool:
        """Whether a topic has been missing for so long that it does not exist (for producers)."""
        since_ms = self._missing_since_ms.get(topic)
        return since_ms is not None and now_ms - since_ms >= self._settings.propagation_max_ms

    def should_rebootstrap(
        self, now_ms: float, *, can_ask_any: bool, is_told: bool = False
    ) -> bool:
        """Whether to forget the brokers and begin again with the bootstrap servers.

        Args:
            now_ms: the time.
            can_ask_any: some known broker may still be reachable (KIP-899 asks for none).
            is_told: a broker answered REBOOTSTRAP_REQUIRED (KIP-1102).
        """
        trigger_ms = self._settings.rebootstrap_trigger_ms
        if trigger_ms is None:
            return False
        since_ms = self._failing_since_ms
        has_failed_for_long = since_ms is not None and now_ms - since_ms >= trigger_ms
        return is_told or not can_ask_any or has_failed_for_long

    def rebootstrapped(self) -> None:
        """The view was emptied: everything is to be asked again, at once."""
        self._asking = None
        self._is_due = True
        self._failing_since_ms = None
        self._backoff.succeeded()
