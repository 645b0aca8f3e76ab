"""Every state of a transaction against every request, in both transaction versions.

The producer of the transactional id is (9, 5). ``last`` is the epoch before, ``next`` the one
after; ``other`` is a producer id the coordinator has not given.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from ottla.coordination.transactions.commands import (
    MarkersWritten,
    ProducerGranted,
    ProducerIdAndEpoch,
)
from ottla.coordination.transactions.transaction import Transaction, TransactionState
from ottla.wire.errors import ErrorCode as E

ID = "mover"
TIMEOUT_MS = 60_000
T0 = ("t", 0)
S = TransactionState
EMPTY, ONGOING = S.EMPTY, S.ONGOING
PREPARE_COMMIT, PREPARE_ABORT = S.PREPARE_COMMIT, S.PREPARE_ABORT
COMPLETE_COMMIT, COMPLETE_ABORT = S.COMPLETE_COMMIT, S.COMPLETE_ABORT
STATES = (EMPTY, ONGOING, PREPARE_COMMIT, PREPARE_ABORT, COMPLETE_COMMIT, COMPLETE_ABORT)
PRODUCERS = {"current": (9, 5), "last": (9, 4), "next": (9, 6), "other": (8, 5)}

Cell = tuple[E, TransactionState | None, int]  # error, state afterwards, epoch afterwards
OK = E.NONE
FENCED, INVALID = E.PRODUCER_FENCED, E.INVALID_TXN_STATE
UNKNOWN, LATER = E.INVALID_PRODUCER_ID_MAPPING, E.CONCURRENT_TRANSACTIONS


class Row(NamedTuple):
    """What each state makes of a request, in the order of `STATES`."""

    request: str
    who: str
    cells: tuple[E | tuple[E, TransactionState, int], ...]


def same(error: E) -> tuple[E, ...]:
    return (error,) * len(STATES)


def begun() -> tuple[E | tuple[E, TransactionState, int], ...]:
    on = (OK, ONGOING, 5)
    return (on, on, LATER, LATER, on, on)


def bump(epoch: int = 6) -> tuple[E, TransactionState, int]:
    return (OK, EMPTY, epoch)


TABLE = [
    # KIP-98: a new producer fences the one before; an open transaction is aborted first.
    Row("init", "anew", (bump(), (LATER, PREPARE_ABORT, 6), LATER, LATER, bump(), bump())),
    # KIP-360: a producer recovers with the epoch it has, but not with an older one.
    Row("init", "current", (bump(), (LATER, PREPARE_ABORT, 6), LATER, LATER, bump(), bump())),
    Row("init", "next", (FENCED, (LATER, PREPARE_ABORT, 6), LATER, LATER, FENCED, FENCED)),
    Row("init", "last", (FENCED, (LATER, PREPARE_ABORT, 6), LATER, LATER, FENCED, FENCED)),
    Row("init", "other", same(FENCED)),
    Row("add", "current", begun()),
    Row("add", "last", same(FENCED)),
    Row("add", "next", same(FENCED)),
    Row("add", "other", same(UNKNOWN)),
    # Transaction versions 0 and 1: the epoch stays.
    Row(
        "commit v1",
        "current",
        (INVALID, (OK, PREPARE_COMMIT, 5), LATER, INVALID, OK, INVALID),
    ),
    Row(
        "abort v1",
        "current",
        (INVALID, (OK, PREPARE_ABORT, 5), INVALID, LATER, INVALID, OK),
    ),
    Row("commit v1", "last", same(FENCED)),
    Row("abort v1", "last", same(FENCED)),
    Row("commit v1", "next", same(FENCED)),
    Row("commit v1", "other", same(UNKNOWN)),
    Row("abort v1", "other", same(UNKNOWN)),
    # Transaction version 2: each end bumps the epoch, and the epoch before marks a retry.
    Row(
        "commit v2",
        "current",
        (INVALID, (OK, PREPARE_COMMIT, 6), FENCED, FENCED, INVALID, INVALID),
    ),
    Row(
        "abort v2",
        "current",
        (
            (OK, COMPLETE_ABORT, 6),
            (OK, PREPARE_ABORT, 6),
            FENCED,
            FENCED,
            (OK, COMPLETE_ABORT, 6),
            (OK, COMPLETE_ABORT, 6),
        ),
    ),
    Row("commit v2", "last", (FENCED, FENCED, LATER, INVALID, OK, INVALID)),
    Row("abort v2", "last", (FENCED, FENCED, INVALID, LATER, INVALID, OK)),
    Row("commit v2", "next", same(FENCED)),
    Row("abort v2", "next", same(FENCED)),
    Row("commit v2", "other", same(UNKNOWN)),
    Row("abort v2", "other", same(UNKNOWN)),
]

CASES = [
    pytest.param(row, state, cell, id=f"{row.request}-{row.who}-{state.name.lower()}")
    for row in TABLE
    for state, cell in zip(STATES, row.cells, strict=True)
]


def in_state(state: TransactionState, client_version: int = 2) -> Transaction:
    is_open = state in (ONGOING, PREPARE_COMMIT, PREPARE_ABORT)
    return Transaction(
        ID,
        9,
        5,
        TIMEOUT_MS,
        1_000_000,
        state,
        partitions=frozenset({T0}) if is_open else frozenset(),
        started_ms=-1 if state is EMPTY else 999_000,
        client_version=client_version,
    )


def ask(desk: Any, request: str, who: str) -> E:
    producer = PRODUCERS.get(who, (-1, -1))
    if request == "init":
        answer = desk.init(None if who == "anew" else producer)
    elif request == "add":
        answer = desk.add(producer, T0)
    else:
        verb, version = request.split(" v")
        answer = desk.end(producer, verb == "commit", int(version))
    return answer.error if isinstance(answer, ProducerGranted) else E(answer)


@pytest.mark.parametrize(("row", "state", "cell"), CASES)
def test_the_table(desk: Any, row: Row, state: TransactionState, cell: object) -> None:
    before = in_state(state)
    desk.put(before)
    error, after, epoch = cell if isinstance(cell, tuple) else (cell, state, 5)
    assert ask(desk, row.request, row.who) is error
    assert (desk.transaction.state, desk.transaction.producer_epoch) == (after, epoch)
    if after is state and epoch == 5 and row.request != "add":
        assert desk.transaction == before, "what is refused, or done already, changes nothing"
    begins_ending = desk.transaction.is_ending and not before.is_ending
    assert len(desk.requests) == begins_ending, "markers are written for each end decided"


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("verb", ["commit", "abort"])
def test_a_fenced_producer_does_not_retry_what_its_successor_ended(
    desk: Any, state: TransactionState, verb: str
) -> None:
    """Its successor speaks version 1: its end did not bump the epoch, so it was no retry's."""
    desk.put(in_state(state, client_version=0))
    assert ask(desk, f"{verb} v2", "last") is FENCED


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("who", PRODUCERS)
def test_what_may_be_written_to(desk: Any, state: TransactionState, who: str) -> None:
    desk.put(in_state(state))
    expected = {
        "other": UNKNOWN,
        "last": FENCED,
        "next": FENCED,
        "current": LATER
        if state in (PREPARE_COMMIT, PREPARE_ABORT)
        else (OK if state is ONGOING else E.TRANSACTION_ABORTABLE),
    }[who]
    assert desk.verify(PRODUCERS[who], T0) == {T0: expected}


@pytest.mark.parametrize("state", STATES)
def test_only_what_is_open_has_markers_after_a_restart(desk: Any, state: TransactionState) -> None:
    desk.put(in_state(state))
    desk.restart()
    assert desk.transaction == in_state(state)
    resumed = [request.partitions for request in desk.requests]
    is_ending = state in (PREPARE_COMMIT, PREPARE_ABORT)
    assert resumed == ([frozenset({T0})] if is_ending else [])
    desk.write_markers()
    assert not desk.transaction.is_ending


@pytest.mark.parametrize("state", STATES)
def test_markers_complete_what_is_ending_and_nothing_else(
    desk: Any, state: TransactionState
) -> None:
    desk.put(in_state(state))
    late = MarkersWritten(ID, ProducerIdAndEpoch(9, 4))
    desk.runtime.submit(late)
    assert desk.transaction == in_state(state)
    desk.runtime.submit(MarkersWritten(ID, ProducerIdAndEpoch(9, 5)))
    completed = {PREPARE_COMMIT: COMPLETE_COMMIT, PREPARE_ABORT: COMPLETE_ABORT}
    assert desk.transaction.state is completed.get(state, state)


@pytest.mark.parametrize("request_", ["add", "commit v1", "abort v2"])
def test_an_unknown_id_has_no_producer(desk: Any, request_: str) -> None:
    assert ask(desk, request_, "current") is UNKNOWN
    assert desk.verify((9, 5)) == {T0: UNKNOWN}
