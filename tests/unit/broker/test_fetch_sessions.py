"""Incremental fetch sessions (KIP-227): epochs, changes, forgetting, eviction."""

from __future__ import annotations

import itertools

import pytest

from ottla.broker.fetch_sessions import (
    FINAL_EPOCH,
    INITIAL_EPOCH,
    FetchSessions,
    FetchTurn,
    WantedPartition,
)
from ottla.wire.errors import ErrorCode, ProtocolError


def wanted(index: int, offset: int = 0) -> WantedPartition:
    return WantedPartition(("orders", index), offset, 1024, -1, -1)


class Broker:
    def __init__(self, slots: int = 10) -> None:
        ids = itertools.count(100)
        self.sessions = FetchSessions(slots, lambda: next(ids))
        self.now_ms = 0

    def fetch(
        self,
        session_id: int,
        epoch: int,
        *partitions: WantedPartition,
        forget: tuple[int, ...] = (),
        uses_topic_ids: bool = False,
    ) -> FetchTurn:
        return self.sessions.begin(
            session_id,
            epoch,
            list(partitions),
            [("orders", index) for index in forget],
            now_ms=self.now_ms,
            uses_topic_ids=uses_topic_ids,
        )


def indexes(turn: FetchTurn) -> list[int]:
    return [each.key[1] for each in turn.wanted]


def test_a_session_remembers_its_partitions_and_takes_changes() -> None:
    broker = Broker()
    first = broker.fetch(0, INITIAL_EPOCH, wanted(0), wanted(1))
    assert (first.session_id, first.is_incremental) == (100, False)
    second = broker.fetch(100, 1, wanted(1, offset=5), wanted(2), forget=(0,))
    assert indexes(second) == [1, 2]
    assert second.wanted[0].fetch_offset == 5
    assert second.is_incremental
    assert indexes(broker.fetch(100, 2)) == [1, 2]


def test_served_partitions_queue_up_behind_the_others() -> None:
    broker = Broker()
    turn = broker.fetch(0, INITIAL_EPOCH, wanted(0), wanted(1), wanted(2))
    assert turn.session is not None
    turn.session.served([("orders", 0)])
    assert indexes(broker.fetch(100, 1)) == [1, 2, 0]


def test_a_sessionless_fetch_leaves_nothing_behind() -> None:
    broker = Broker()
    turn = broker.fetch(0, FINAL_EPOCH, wanted(0))
    assert (turn.session_id, indexes(turn), len(broker.sessions)) == (0, [0], 0)


def test_the_final_epoch_closes_the_session() -> None:
    broker = Broker()
    broker.fetch(0, INITIAL_EPOCH, wanted(0))
    broker.fetch(100, FINAL_EPOCH)
    with pytest.raises(ProtocolError) as refusal:
        broker.fetch(100, 1)
    assert refusal.value.code is ErrorCode.FETCH_SESSION_ID_NOT_FOUND


def test_a_repeated_epoch_is_invalid_fetch_session_epoch() -> None:
    broker = Broker()
    broker.fetch(0, INITIAL_EPOCH, wanted(0))
    broker.fetch(100, 1)
    with pytest.raises(ProtocolError) as refusal:
        broker.fetch(100, 1)
    assert refusal.value.code is ErrorCode.INVALID_FETCH_SESSION_EPOCH


def test_names_in_a_session_of_ids_are_fetch_session_topic_id_error() -> None:
    broker = Broker()
    broker.fetch(0, INITIAL_EPOCH, wanted(0), uses_topic_ids=True)
    with pytest.raises(ProtocolError) as refusal:
        broker.fetch(100, 1)
    assert refusal.value.code is ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR


def test_full_slots_give_no_session_until_one_has_rested_long_enough() -> None:
    broker = Broker(slots=1)
    broker.fetch(0, INITIAL_EPOCH, wanted(0))
    assert broker.fetch(0, INITIAL_EPOCH, wanted(0)).session_id == 0
    broker.now_ms = 121_000
    assert broker.fetch(0, INITIAL_EPOCH, wanted(0)).session_id == 101
    assert len(broker.sessions) == 1


def test_epochs_wrap_to_one() -> None:
    broker = Broker()
    turn = broker.fetch(0, INITIAL_EPOCH, wanted(0))
    assert turn.session is not None
    turn.session.epoch = 2**31 - 1
    broker.fetch(100, 2**31 - 1)
    assert indexes(broker.fetch(100, 1)) == [0]
