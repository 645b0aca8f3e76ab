"""Fetch sessions: what a broker is told, and what it remembers."""

from __future__ import annotations

import uuid

from ottla.client.core.consuming.partition import Key
from ottla.client.core.consuming.sessions import (
    NO_SESSION,
    OPEN,
    SESSIONLESS,
    FetchSession,
    SessionRequest,
    Topic,
    Wanted,
)

T = Topic("t", uuid.UUID(int=7))
VERSION = 17


def want(number: int, offset: int = 0, topic: Topic = T) -> dict[Key, Wanted]:
    return {(topic.name, number): Wanted(topic, number, offset, 3, 1000)}


def told(request: SessionRequest) -> list[tuple[str, int, int]]:
    return [(t.topic, p.partition, p.fetch_offset) for t in request.topics for p in t.partitions]


def forgotten(request: SessionRequest) -> list[tuple[uuid.UUID, list[int]]]:
    return [(t.topic_id, t.partitions) for t in request.forgotten]


def opened(wanted: dict[Key, Wanted], session_id: int = 9) -> FetchSession:
    session = FetchSession()
    session.request(wanted, VERSION)
    session.answered(session_id)
    return session


def test_a_session_is_opened_with_all_and_goes_on_with_changes() -> None:
    session = FetchSession()
    first = session.request(want(0) | want(1), VERSION)
    assert (first.session_id, first.session_epoch) == (NO_SESSION, OPEN)
    assert told(first) == [("t", 0, 0), ("t", 1, 0)]
    session.answered(9)
    second = session.request(want(0, 5) | want(1), VERSION)
    assert (second.session_id, second.session_epoch, told(second)) == (9, 1, [("t", 0, 5)])
    session.answered(9)
    third = session.request(want(0, 5), VERSION)
    assert (third.session_epoch, told(third)) == (2, [])
    assert forgotten(third) == [(T.topic_id, [1])]


def test_a_topic_made_anew_is_forgotten_and_told() -> None:
    session = opened(want(0))
    again = Topic("t", uuid.UUID(int=8))
    request = session.request(want(0, 0, again), VERSION)
    assert forgotten(request) == [(T.topic_id, [0])]
    assert [t.topic_id for t in request.topics] == [again.topic_id]


def test_a_lost_answer_replaces_the_session_and_closes_the_old_one() -> None:
    session = opened(want(0))
    session.request(want(0, 5), VERSION)
    session.failed()
    request = session.request(want(0, 5), VERSION)
    assert (request.session_id, request.session_epoch) == (9, OPEN)
    assert told(request) == [("t", 0, 5)]


def test_a_broker_without_sessions_is_told_everything_every_time() -> None:
    session = opened(want(0) | want(1), session_id=NO_SESSION)
    request = session.request(want(0) | want(1), VERSION)
    assert (request.session_id, request.session_epoch) == (NO_SESSION, OPEN)
    assert len(told(request)) == 2


def test_versions_without_sessions_and_the_change_from_names_to_ids() -> None:
    session = opened(want(0))
    old = session.request(want(0), 6)
    assert (old.session_id, old.session_epoch, len(told(old))) == (NO_SESSION, SESSIONLESS, 1)
    by_name = session.request(want(0), 12)
    assert (by_name.session_id, by_name.session_epoch) == (NO_SESSION, OPEN)


def test_a_session_is_closed_once() -> None:
    session = opened(want(0))
    last = session.final_request()
    assert last is not None
    assert (last.session_id, last.session_epoch, told(last)) == (9, SESSIONLESS, [])
    assert session.final_request() is None


def test_epochs_begin_again_after_the_last() -> None:
    session = opened(want(0))
    session._epoch = 2**31 - 1
    session.answered(9)
    assert session.request(want(0), VERSION).session_epoch == 1
