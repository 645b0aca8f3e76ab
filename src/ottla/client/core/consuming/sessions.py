"""Fetch sessions (KIP-227): a broker remembers what is fetched from it; only changes are told."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ottla.client.core.consuming.partition import Key
from ottla.wire.api.k01_fetch import ForgottenTopic, PartitionToFetch, TopicToFetch

# Session epochs with a meaning.
OPEN = 0
SESSIONLESS = -1
NO_SESSION = 0
_MAX_EPOCH = 2**31 - 1
# The first versions of Fetch that know sessions, and that speak of topics by id.
SESSION_VERSION = 7
TOPIC_ID_VERSION = 13


class Topic(NamedTuple):
    """A topic as requests have to name it: by id from version 13 on, before that by name."""

    name: str
    topic_id: uuid.UUID


class Wanted(NamedTuple):
    """A partition to fetch, and how."""

    topic: Topic
    partition: int
    fetch_offset: int
    current_leader_epoch: int
    max_bytes: int


class SessionRequest(NamedTuple):
    """The part of a FetchRequest that depends on the session."""

    session_id: int
    session_epoch: int
    topics: list[TopicToFetch]
    forgotten: list[ForgottenTopic]


class FetchSession:
    """The session with one broker. One request is under way at a time."""

    __slots__ = ("_epoch", "_known", "_session_id", "_uses_ids")

    def __init__(self) -> None:
        self._session_id = NO_SESSION
        self._epoch = OPEN
        self._known: dict[Key, Wanted] = {}
        self._uses_ids = False

    def request(self, wanted: Mapping[Key, Wanted], version: int) -> SessionRequest:
        """What to ask in order to fetch these partitions, and no others.

        Args:
            wanted: the partitions, in the order in which they are to get room in the answer.
            version: of Fetch.
        """
        uses_ids = version >= TOPIC_ID_VERSION
        if uses_ids != self._uses_ids:
            # A session speaks of all topics in one way.
            self.reset()
            self._uses_ids = uses_ids
        if version < SESSION_VERSION:
            return SessionRequest(NO_SESSION, SESSIONLESS, _to_fetch(wanted.values()), [])
        before, self._known = self._known, dict(wanted)
        if self._epoch == OPEN:
            return SessionRequest(self._session_id, OPEN, _to_fetch(wanted.values()), [])
        changed = (want for key, want in wanted.items() if before.get(key) != want)
        # A topic made anew under its name is another one: the session has to forget the old.
        gone = (
            want
            for key, want in before.items()
            if key not in wanted or (uses_ids and wanted[key].topic != want.topic)
        )
        return SessionRequest(self._session_id, self._epoch, _to_fetch(changed), _to_forget(gone))

    def answered(self, session_id: int) -> None:
        """A request was answered without an error."""
        if session_id == NO_SESSION:
            # The broker keeps no session for us, perhaps because it has too many.
            self.reset()
            return
        self._session_id = session_id
        self._epoch = 1 if self._epoch == _MAX_EPOCH else self._epoch + 1

    def failed(self) -> None:
        """The request got no answer, or an error: replace the session by a new one."""
        # The old id, together with OPEN, closes the old session.
        self._epoch = OPEN
        self._known = {}

    def reset(self) -> None:
        """The broker has no such session (any more): open one."""
        self._session_id = NO_SESSION
        self.failed()

    def final_request(self) -> SessionRequest | None:
        """What to tell the broker when nothing more will be fetched from it; None: nothing."""
        if self._session_id == NO_SESSION:
            return None
        session_id = self._session_id
        self.reset()
        return SessionRequest(session_id, SESSIONLESS, [], [])


def _to_fetch(wanted: Iterable[Wanted]) -> list[TopicToFetch]:
    """Grouped by topic; a topic may stand there twice, so that partitions keep their order."""
    topics: list[TopicToFetch] = []
    last: Topic | None = None
    for want in wanted:
        if want.topic != last:
            last = want.topic
            topics.append(TopicToFetch(topic=last.name, topic_id=last.topic_id, partitions=[]))
        topics[-1].partitions.append(
            PartitionToFetch(
                partition=want.partition,
                current_leader_epoch=want.current_leader_epoch,
                fetch_offset=want.fetch_offset,
                partition_max_bytes=want.max_bytes,
            )
        )
    return topics


def _to_forget(gone: Iterable[Wanted]) -> list[ForgottenTopic]:
    by_topic: dict[Topic, list[int]] = {}
    for want in gone:
        by_topic.setdefault(want.topic, []).append(want.partition)
    return [
        ForgottenTopic(topic=topic.name, topic_id=topic.topic_id, partitions=partitions)
        for topic, partitions in by_topic.items()
    ]
