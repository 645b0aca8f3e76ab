"""Sequence numbers: nothing doubled, nothing out of order, whatever fails."""

from __future__ import annotations

import random
from typing import Any

import pytest

from ottla.client.core.producing.partition import NOBODY, Identity, precedes, sequence_after
from ottla.client.errors import KafkaError
from ottla.wire.errors import ErrorCode

NOT_LEADER = int(ErrorCode.NOT_LEADER_OR_FOLLOWER)
OUT_OF_ORDER = int(ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER)


def idempotent(bench_of: Any, **settings: float) -> Any:
    return bench_of({0: 1, 1: 2}, is_idempotent=True, **settings)


def test_batches_are_numbered_by_their_records(bench_of: Any) -> None:
    bench = idempotent(bench_of)
    bench.produce("a", "b")
    bench.produce("c")
    bench.produce("d", partition=1)
    assert sorted(bench.numbered(bench.plan())) == [
        (["a", "b"], 0, 0),
        (["c"], 0, 2),
        (["d"], 0, 0),
    ]


def test_nothing_is_sent_without_an_id(bench_of: Any) -> None:
    bench = bench_of({0: 1}, is_idempotent=True)
    bench.sender.identity = NOBODY
    bench.produce("a")
    bench.sender._queues["t", 0].identity = NOBODY
    assert bench.sender.needs_identity
    assert bench.plan() == []
    bench.sender.identify(Identity(9, 0))
    assert bench.numbered(bench.plan()) == [(["a"], 0, 0)]


def test_no_more_than_five_batches_of_a_partition_are_in_flight(bench_of: Any) -> None:
    bench = idempotent(bench_of)
    for value in "abcdefg":
        bench.produce(value)
    assert len(bench.plan()) == 5


def test_a_repetition_has_the_same_number(bench_of: Any) -> None:
    bench = idempotent(bench_of)
    for value in "ab":
        bench.produce(value)
    first, second = bench.plan()
    bench.answer(first, KafkaError._TRANSPORT)
    bench.answer(second, KafkaError._TRANSPORT)
    bench.now_ms += 1_000
    assert bench.numbered(bench.plan()) == [(["a"], 0, 0), (["b"], 0, 1)]


def test_what_the_broker_has_already_is_delivered(bench_of: Any) -> None:
    bench = idempotent(bench_of)
    bench.produce("a")
    (request,) = bench.plan()
    bench.answer(request, int(ErrorCode.DUPLICATE_SEQUENCE_NUMBER))
    assert bench.outcomes() == [(["a"], None)]


def test_followers_of_a_failed_attempt_wait_for_it(bench_of: Any) -> None:
    bench = idempotent(bench_of)
    for value in "abc":
        bench.produce(value)
    first, second, third = bench.plan()
    bench.answer(first, int(ErrorCode.NOT_ENOUGH_REPLICAS))
    bench.answer(second, OUT_OF_ORDER)
    bench.answer(third, OUT_OF_ORDER)
    bench.now_ms += 1_000
    assert bench.numbered(bench.plan()) == [(["a"], 0, 0), (["b"], 0, 1), (["c"], 0, 2)]


def test_a_batch_given_up_raises_the_epoch_of_its_followers(bench_of: Any) -> None:
    bench = idempotent(bench_of)
    for value in "abc":
        bench.produce(value)
    first, second, third = bench.plan()
    bench.answer(first, int(ErrorCode.INVALID_RECORD))
    bench.answer(second, OUT_OF_ORDER)
    assert bench.plan() == []
    bench.answer(third, OUT_OF_ORDER)
    assert bench.numbered(bench.plan()) == [(["b"], 1, 0), (["c"], 1, 1)]


def test_deliveries_are_told_in_order_though_the_broker_took_too_long_for_one(
    bench_of: Any,
) -> None:
    bench = idempotent(bench_of)
    for value in "abcd":
        bench.produce(value)
    first, second, third, fourth = bench.plan()
    bench.answer(first, int(ErrorCode.REQUEST_TIMED_OUT))
    bench.answer(second, int(ErrorCode.REQUEST_TIMED_OUT))
    bench.answer(fourth)
    bench.answer(third)
    assert bench.outcomes() == []
    bench.now_ms += 1_000
    first, second = bench.plan()
    bench.answer(second)
    assert bench.outcomes() == []
    bench.answer(first)
    assert bench.outcomes() == [(["a"], None), (["b"], None), (["c"], None), (["d"], None)]


def test_a_delivery_waits_no_longer_than_the_batches_before_it(bench_of: Any) -> None:
    bench = idempotent(bench_of, delivery_timeout_ms=5_000)
    for value in "ab":
        bench.produce(value)
    first, second = bench.plan()
    bench.answer(first, int(ErrorCode.REQUEST_TIMED_OUT))
    bench.answer(second)
    bench.now_ms += 6_000
    bench.sender.expire(bench.now_ms)
    assert bench.outcomes() == [(["a"], KafkaError._MSG_TIMED_OUT), (["b"], None)]


def test_other_partitions_change_their_epoch_when_none_of_theirs_is_in_flight(
    bench_of: Any,
) -> None:
    bench = idempotent(bench_of)
    bench.produce("x", partition=1)
    (other,) = bench.plan()
    bench.produce("a")
    (request,) = bench.plan()
    bench.answer(request, int(ErrorCode.INVALID_RECORD))
    bench.produce("y", partition=1)
    assert bench.numbered(bench.plan()) == [(["y"], 0, 1)]
    bench.answer(other)
    bench.produce("b")
    assert bench.numbered(bench.plan()) == [(["b"], 1, 0)]


def test_after_a_timeout_the_follower_shows_whether_the_batch_was_appended(bench_of: Any) -> None:
    for was_appended in (True, False):
        bench = idempotent(bench_of, delivery_timeout_ms=1_000)
        bench.produce("a")
        bench.now_ms += 500
        bench.produce("b")
        first, second = bench.plan()
        bench.answer(first, KafkaError._TRANSPORT)
        bench.answer(second, KafkaError._TRANSPORT)
        bench.now_ms += 500
        bench.sender.expire(bench.now_ms)
        assert bench.outcomes() == [(["a"], KafkaError._MSG_TIMED_OUT)]
        (again,) = bench.plan()
        assert bench.numbered([again]) == [(["b"], 0, 1)]
        if was_appended:
            bench.answer(again)
            bench.produce("c")
            assert bench.numbered(bench.plan()) == [(["c"], 0, 2)]
        else:
            bench.answer(again, OUT_OF_ORDER)
            assert bench.numbered(bench.plan()) == [(["b"], 1, 0)]


def test_a_broker_that_forgot_the_producer_is_begun_with_anew(bench_of: Any) -> None:
    bench = idempotent(bench_of)
    bench.produce("a")
    (request,) = bench.plan()
    bench.answer(request)
    bench.produce("b")
    (request,) = bench.plan()
    bench.answer(request, int(ErrorCode.UNKNOWN_PRODUCER_ID))
    assert bench.numbered(bench.plan()) == [(["b"], 1, 0)]


def test_after_the_last_epoch_another_id_is_needed(bench_of: Any) -> None:
    bench = idempotent(bench_of)
    bench.sender.identify(Identity(7, 32767))
    bench.produce("a")
    bench.produce("b")
    first, second = bench.plan()
    bench.answer(first, int(ErrorCode.INVALID_RECORD))
    bench.answer(second, OUT_OF_ORDER)
    assert bench.sender.needs_identity
    assert bench.plan() == []
    bench.sender.identify(Identity(8, 0))
    assert bench.numbered(bench.plan()) == [(["b"], 0, 0)]


def test_halves_of_a_batch_share_its_numbers(bench_of: Any) -> None:
    bench = idempotent(bench_of)
    bench.produce("a", "b", "c")
    bench.produce("d")
    first, second = bench.plan()
    bench.answer(first, int(ErrorCode.MESSAGE_TOO_LARGE))
    bench.answer(second, OUT_OF_ORDER)
    bench.now_ms += 1_000
    sequences = [(values, sequence) for values, _, sequence in bench.numbered(bench.plan())]
    assert sequences in (
        [(["a"], 0), (["b", "c"], 1), (["d"], 3)],
        [(["a", "b"], 0), (["c"], 2), (["d"], 3)],
        [(["a"], 0), (["b"], 1), (["c"], 2), (["d"], 3)],
    )


def test_sequence_numbers_begin_again_after_the_largest() -> None:
    assert sequence_after(2**31 - 2, 3) == 1
    assert precedes(2**31 - 1, 0)
    assert not precedes(0, 2**31 - 1)
    assert not precedes(5, 5)


class Log:
    """A partition's log as brokers keep it: sequence numbers checked, the newest five known."""

    def __init__(self) -> None:
        self.values: list[str] = []
        self.identity = NOBODY
        self.newest: list[tuple[int, int]] = []

    def append(self, pending: object) -> int:
        batch, identity = pending.batch, pending.identity  # type: ignore[attr-defined]
        base = pending.base_sequence  # type: ignore[attr-defined]
        if identity.epoch < self.identity.epoch:
            return int(ErrorCode.INVALID_PRODUCER_EPOCH)
        if identity != self.identity:
            if base != 0:
                return OUT_OF_ORDER
            self.newest = []
        elif (base, batch.record_count) in self.newest:
            return int(ErrorCode.DUPLICATE_SEQUENCE_NUMBER)
        elif self.newest and base != sequence_after(*self.newest[-1]):
            return OUT_OF_ORDER
        self.identity = identity
        self.newest = [*self.newest, (base, batch.record_count)][-5:]
        self.values += [record.value.decode() for record, _ in batch.entries()]
        return 0


@pytest.mark.parametrize("seed", range(50))
def test_whatever_fails_the_log_has_everything_once_and_in_order(bench_of: Any, seed: int) -> None:
    """Answers get lost before and after the append, requests are refused, batches time out."""
    chance = random.Random(seed)
    bench = idempotent(bench_of, delivery_timeout_ms=chance.choice([0, 400, 3_000]))
    log = Log()
    under_way: list[object] = []
    produced = 0
    outcomes: list[tuple[list[str], int | None]] = []
    for _ in range(600):
        bench.now_ms += chance.uniform(0, 30)
        if produced < 60 and chance.random() < 0.5:
            count = chance.randint(1, 3)
            bench.produce(*(str(produced + number) for number in range(count)))
            produced += count
        under_way += bench.plan()
        if under_way and chance.random() < 0.7:
            request = under_way.pop(0)
            ((_, attempt),) = request.attempts.items()  # type: ignore[attr-defined]
            dice = chance.random()
            if produced < 60 and dice < 0.15:
                error = KafkaError._TRANSPORT
            elif produced < 60 and dice < 0.3:
                error = int(ErrorCode.NOT_ENOUGH_REPLICAS)
            elif produced < 60 and dice < 0.33 and attempt.pending.attempts == 1:
                error = int(ErrorCode.INVALID_RECORD)
            else:
                error = log.append(attempt.pending)
                if produced < 60 and chance.random() < 0.2:
                    error = KafkaError._TRANSPORT
            bench.answer(request, error)
        bench.sender.expire(bench.now_ms)
        outcomes += bench.outcomes()
    assert bench.sender.is_idle
    told = [value for values, _ in outcomes for value in values]
    assert sorted(told, key=int) == [str(number) for number in range(produced)]
    acknowledged = [value for values, error in outcomes if error is None for value in values]
    assert set(acknowledged) <= set(log.values)
    assert log.values == sorted(set(log.values), key=int)


def test_not_leader_keeps_the_numbers(bench_of: Any) -> None:
    bench = idempotent(bench_of)
    bench.produce("a")
    (request,) = bench.plan()
    bench.answer(request, NOT_LEADER)
    bench.now_ms += 1_000
    assert bench.numbered(bench.plan()) == [(["a"], 0, 0)]
