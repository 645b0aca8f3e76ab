"""A transactional producer's calls, requests and errors, in both versions of the protocol."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ottla.client.core.membership.membership import GroupMetadata
from ottla.client.core.producing.partition import Identity
from ottla.client.core.producing.transaction_errors import Gravity
from ottla.client.core.producing.transaction_requests import GroupOffset
from ottla.client.core.producing.transactions import State, Transactions
from ottla.client.core.reachability import UNREACHABLE
from ottla.client.errors import KafkaError, KafkaException
from ottla.wire.api.k22_init_producer_id import InitProducerIdResponse
from ottla.wire.api.k24_add_partitions_to_txn import (
    AddedPartition,
    AddedTopic,
    AddPartitionsToTxnResponse,
)
from ottla.wire.api.k25_add_offsets_to_txn import AddOffsetsToTxnResponse
from ottla.wire.api.k26_end_txn import EndTxnResponse
from ottla.wire.api.k28_txn_offset_commit import (
    CommittedPartition,
    CommittedTopic,
    TxnOffsetCommitResponse,
)
from ottla.wire.errors import ErrorCode

GROUP = GroupMetadata("g", 3, "member", None)
OFFSETS = [GroupOffset("in", 0, 7)]


class Coordinator:
    """Drives transactions, answering each request as the test says."""

    def __init__(self, *, is_version_2: bool = False) -> None:
        self.now_ms = 0.0
        self.transactions = Transactions("x", 60_000)
        self.is_version_2 = is_version_2
        self.asked: list[Any] = []

    def ask(self) -> Any:
        self.now_ms += 2_000
        ask = self.transactions.plan(self.now_ms)
        if ask is not None:
            self.asked.append(ask)
        return ask

    def answer(self, answer: Any) -> Gravity | None:
        return self.transactions.answered(answer, self.now_ms, 0.5)

    def succeed(self, error: int = 0) -> list[int]:
        """Answer whatever is asked, all with the same outcome; which APIs were asked."""
        keys = []
        while (ask := self.ask()) is not None:
            keys.append(ask.answer.API_KEY)
            self.answer(answer_to(ask, error))
            if error:
                break
        return keys

    def ready(self) -> Transactions:
        self.transactions.begin_init()
        assert self.succeed() == [22]
        return self.transactions

    def begun(self) -> Transactions:
        self.ready().begin(is_version_2=self.is_version_2)
        return self.transactions

    def written(self) -> Transactions:
        """A transaction with one partition in it."""
        transactions = self.begun()
        if not transactions.may_send("t", 0):
            assert self.succeed() == [24]
        assert transactions.may_send("t", 0)
        transactions.wrote()
        return transactions


def answer_to(ask: Any, error: int = 0) -> Any:
    match ask.answer.API_KEY:
        case 22:
            known = ask.request.producer_id
            return InitProducerIdResponse(
                error_code=error,
                producer_id=known if known >= 0 else 9,
                producer_epoch=ask.request.producer_epoch + 1,
            )
        case 24:
            parts = [AddedPartition(partition_index=0, partition_error_code=error)]
            topics = [AddedTopic(name="t", results_by_partition=parts)]
            return AddPartitionsToTxnResponse(results_by_topic_v3_and_below=topics)
        case 25:
            return AddOffsetsToTxnResponse(error_code=error)
        case 26:
            return EndTxnResponse(
                error_code=error,
                producer_id=ask.request.producer_id,
                producer_epoch=ask.request.producer_epoch + 1,
            )
        case _:
            parts_ = [CommittedPartition(partition_index=0, error_code=error)]
            return TxnOffsetCommitResponse(topics=[CommittedTopic(name="in", partitions=parts_)])


def refused(call: Callable[[], object]) -> KafkaError:
    with pytest.raises(KafkaException) as raised:
        call()
    error: KafkaError = raised.value.args[0]
    return error


def test_version_1_adds_partitions_before_they_are_written_to() -> None:
    coordinator = Coordinator()
    transactions = coordinator.written()
    transactions.begin_commit()
    transactions.commit()
    assert coordinator.succeed() == [26]
    assert coordinator.asked[-1].request.committed
    assert transactions.state is State.READY
    assert transactions.identity == Identity(9, 0)


def test_version_2_adds_nothing_and_gets_another_epoch_with_every_end() -> None:
    coordinator = Coordinator(is_version_2=True)
    transactions = coordinator.written()
    transactions.begin_commit()
    transactions.commit()
    assert coordinator.succeed() == [26]
    assert transactions.identity == Identity(9, 1)
    transactions.begin(is_version_2=True)
    transactions.wrote()
    transactions.begin_abort()
    transactions.abort(has_gaps=True)
    assert coordinator.succeed() == [26]
    assert (transactions.state, transactions.identity) == (State.READY, Identity(9, 2))


@pytest.mark.parametrize("is_version_2", [False, True])
def test_a_transaction_without_writes_ends_without_a_request(is_version_2: bool) -> None:
    coordinator = Coordinator(is_version_2=is_version_2)
    transactions = coordinator.begun()
    transactions.begin_commit()
    transactions.commit()
    transactions.begin(is_version_2=is_version_2)
    transactions.begin_abort()
    transactions.abort(has_gaps=False)
    assert coordinator.succeed() == []
    assert transactions.state is State.READY


@pytest.mark.parametrize(("is_version_2", "keys"), [(False, [25, 28]), (True, [28])])
def test_offsets_are_committed_with_the_transaction(is_version_2: bool, keys: list[int]) -> None:
    coordinator = Coordinator(is_version_2=is_version_2)
    transactions = coordinator.begun()
    transactions.send_offsets(GROUP, OFFSETS)
    assert coordinator.succeed() == keys
    assert not transactions.has_offsets_to_send
    ask = coordinator.asked[-1]
    request = ask.request(ask.at_most)
    assert (request.group_id, request.generation_id, request.member_id) == ("g", 3, "member")
    assert (ask.at_least, ask.at_most) == ((5, 5) if is_version_2 else (0, 4))
    # Brokers older than KIP-447 can't be told who it is.
    assert all(ask.request(version).encode(version) for version in range(ask.at_least, 3))
    transactions.begin_commit()
    transactions.commit()
    assert coordinator.succeed() == [26]


def test_calls_out_of_order_are_refused() -> None:
    coordinator = Coordinator()
    transactions = coordinator.transactions
    for call in (
        lambda: transactions.begin(is_version_2=False),
        transactions.begin_commit,
        transactions.begin_abort,
        lambda: transactions.send_offsets(GROUP, OFFSETS),
    ):
        error = refused(call)
        assert error == KafkaError._STATE
        assert error.str() == "Operation not valid in state Init"
    coordinator.begun()
    assert refused(transactions.begin_init).str() == "Operation not valid in state InTransaction"
    assert not Transactions("x", 1).may_send("t", 0)


def test_calls_that_timed_out_can_be_made_again() -> None:
    coordinator = Coordinator()
    transactions = coordinator.transactions
    transactions.begin_init()
    transactions.begin_init()
    coordinator.succeed()
    transactions.begin(is_version_2=False)
    transactions.begin_commit()
    transactions.begin_commit()


@pytest.mark.parametrize(
    "error", [ErrorCode.CONCURRENT_TRANSACTIONS, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION]
)
def test_what_passes_is_asked_again(error: ErrorCode) -> None:
    coordinator = Coordinator()
    transactions = coordinator.begun()
    transactions.may_send("t", 0)
    ask = coordinator.ask()
    assert coordinator.answer(answer_to(ask, error)) is Gravity.RETRY
    assert transactions.plan(coordinator.now_ms) is None
    assert coordinator.succeed() == [24]
    assert transactions.may_send("t", 0)


def test_a_lost_coordinator_is_looked_for() -> None:
    coordinator = Coordinator()
    coordinator.transactions.begin_init()
    ask = coordinator.ask()
    gravity = coordinator.answer(answer_to(ask, ErrorCode.NOT_COORDINATOR))
    assert gravity is Gravity.LOST_COORDINATOR
    assert coordinator.succeed() == [22]


@pytest.mark.parametrize("error", [ErrorCode.PRODUCER_FENCED, ErrorCode.INVALID_PRODUCER_EPOCH])
def test_a_fenced_producer_can_do_nothing_more(error: ErrorCode) -> None:
    coordinator = Coordinator()
    transactions = coordinator.written()
    transactions.begin_commit()
    transactions.commit()
    coordinator.succeed(error)
    for call in (transactions.begin_commit, transactions.begin_abort, transactions.begin_init):
        told = refused(call)
        assert told == KafkaError._FENCED
        assert told.fatal()
    assert not transactions.may_send("t", 0)


def test_a_partition_that_may_not_be_added_makes_the_transaction_abortable() -> None:
    coordinator = Coordinator()
    transactions = coordinator.begun()
    transactions.may_send("t", 0)
    coordinator.succeed(ErrorCode.TOPIC_AUTHORIZATION_FAILED)
    told = refused(transactions.begin_commit)
    assert told == KafkaError.TOPIC_AUTHORIZATION_FAILED
    assert told.txn_requires_abort()
    transactions.begin_abort()
    transactions.abort(has_gaps=False)
    assert coordinator.succeed() == []
    assert transactions.state is State.READY


def test_a_failed_batch_makes_the_transaction_abortable_and_needs_another_epoch() -> None:
    coordinator = Coordinator()
    transactions = coordinator.written()
    transactions.batch_failed(KafkaError(KafkaError._MSG_TIMED_OUT), "a batch")
    assert refused(transactions.begin_commit).txn_requires_abort()
    transactions.begin_abort()
    transactions.abort(has_gaps=True)
    assert coordinator.succeed() == [26, 22]
    assert not coordinator.asked[-2].request.committed
    assert (transactions.state, transactions.identity) == (State.READY, Identity(9, 1))


def test_an_id_that_the_coordinator_forgot_is_replaced() -> None:
    coordinator = Coordinator()
    transactions = coordinator.written()
    transactions.begin_commit()
    transactions.commit()
    coordinator.succeed(ErrorCode.INVALID_PRODUCER_ID_MAPPING)
    assert refused(transactions.begin_commit).txn_requires_abort()
    transactions.begin_abort()
    transactions.abort(has_gaps=False)
    assert coordinator.succeed() == [22]
    assert coordinator.asked[-1].request.producer_id == -1
    assert transactions.state is State.READY


@pytest.mark.parametrize("code", sorted(UNREACHABLE))
def test_a_coordinator_out_of_reach_costs_a_transaction_no_more_than_time(code: int) -> None:
    coordinator = Coordinator()
    transactions = coordinator.begun()
    transactions.may_send("t", 0)
    coordinator.ask()
    coordinator.answer(KafkaError(code))
    assert coordinator.succeed() == [24]
    assert transactions.may_send("t", 0)


def test_what_may_have_been_added_is_certain_before_the_abort() -> None:
    coordinator = Coordinator()
    transactions = coordinator.begun()
    transactions.may_send("t", 0)
    coordinator.ask()
    coordinator.answer(KafkaError(KafkaError._TRANSPORT))
    transactions.begin_abort()
    transactions.abort(has_gaps=False)
    assert coordinator.succeed() == [24, 26]
    assert transactions.state is State.READY


def test_a_group_that_may_have_been_added_is_certain_before_the_abort() -> None:
    coordinator = Coordinator()
    transactions = coordinator.begun()
    transactions.send_offsets(GROUP, OFFSETS)
    coordinator.ask()
    coordinator.answer(KafkaError(KafkaError._TRANSPORT))
    transactions.begin_abort()
    transactions.abort(has_gaps=False)
    assert coordinator.succeed() == [25, 26]
    assert transactions.state is State.READY


def test_the_last_epoch_is_followed_by_another_id() -> None:
    coordinator = Coordinator()
    transactions = coordinator.written()
    transactions.identity = Identity(9, 32767)
    transactions.begin_abort()
    transactions.abort(has_gaps=True)
    assert coordinator.succeed() == [26, 22]
    assert coordinator.asked[-1].request.producer_id == -1


def test_an_init_that_is_refused_for_now_may_be_tried_again() -> None:
    coordinator = Coordinator()
    transactions = coordinator.transactions
    transactions.begin_init()
    coordinator.succeed(ErrorCode.UNKNOWN_SERVER_ERROR)
    assert transactions.error is not None
    assert transactions.error.retriable()
    transactions.begin_init()
    assert coordinator.succeed() == [22]


def test_a_group_member_that_was_replaced_must_abort() -> None:
    coordinator = Coordinator(is_version_2=True)
    transactions = coordinator.begun()
    transactions.send_offsets(GROUP, OFFSETS)
    coordinator.succeed(ErrorCode.ILLEGAL_GENERATION)
    assert refused(transactions.begin_commit) == KafkaError.ILLEGAL_GENERATION
