"""Which batch goes where, and what becomes of it."""

from __future__ import annotations

from typing import Any

import pytest

from ottla.client.core.cluster import Broker
from ottla.client.errors import KafkaError
from ottla.wire.errors import ErrorCode

NOT_LEADER = int(ErrorCode.NOT_LEADER_OR_FOLLOWER)


def test_one_request_per_broker_carries_all_its_partitions(bench_of: Any) -> None:
    bench = bench_of({0: 1, 1: 2, 2: 1})
    for partition in range(3):
        bench.produce(f"v{partition}", partition=partition)
    first, second = bench.plan()
    assert (first.broker_id, bench.sent(first)) == (1, {0: ["v0"], 2: ["v2"]})
    assert (second.broker_id, bench.sent(second)) == (2, {1: ["v1"]})
    bench.answer(first)
    bench.answer(second)
    assert bench.outcomes() == [(["v0"], None), (["v2"], None), (["v1"], None)]
    assert bench.sender.is_idle


def test_requests_are_pipelined_and_no_larger_than_allowed(bench_of: Any) -> None:
    bench = bench_of({0: 1, 1: 1}, max_request_bytes=200)
    for value in ("a" * 100, "b" * 100):
        bench.produce(value, partition=0)
        bench.produce(value, partition=1)
    assert [list(bench.sent(request)) for request in bench.plan()] == [[0], [1], [0], [1]]


def test_no_more_requests_are_under_way_than_allowed(bench_of: Any) -> None:
    bench = bench_of({0: 1}, max_in_flight=2)
    for value in "abc":
        bench.produce(value)
    requests = bench.plan()
    assert [bench.sent(request) for request in requests] == [{0: ["a"]}, {0: ["b"]}]
    bench.answer(requests[0])
    assert [bench.sent(request) for request in bench.plan()] == [{0: ["c"]}]


def test_a_batch_is_only_wanted_when_it_could_be_sent_at_once(bench_of: Any) -> None:
    bench = bench_of({0: 1}, max_in_flight=1)
    ready = bench.ready.__contains__
    assert bench.sender.wants("t", 0, bench.now_ms, ready)
    bench.produce("a")
    assert not bench.sender.wants("t", 0, bench.now_ms, ready)
    bench.plan()
    assert not bench.sender.wants("t", 0, bench.now_ms, ready)


def test_what_sending_waits_for_is_told(bench_of: Any) -> None:
    bench = bench_of({0: 1, 1: -1})
    bench.ready = set()
    bench.produce("a", partition=0)
    assert bench.plan() == []
    assert bench.sender.brokers_needed == {1}
    assert not bench.sender.needs_metadata
    bench.produce("b", partition=1)
    assert bench.plan() == []
    assert bench.sender.needs_metadata


def test_a_retriable_error_is_tried_again_after_a_pause_in_order(bench_of: Any) -> None:
    bench = bench_of({0: 1})
    for value in "abc":
        bench.produce(value)
    requests = bench.plan()
    for request in requests:
        bench.answer(request, int(ErrorCode.NOT_ENOUGH_REPLICAS))
    assert bench.plan() == []
    deadline_ms = bench.sender.next_deadline_ms(bench.now_ms)
    assert deadline_ms == bench.now_ms + 100
    bench.now_ms = deadline_ms
    assert [bench.sent(request) for request in bench.plan()] == [{0: ["a"]}, {0: ["b"]}, {0: ["c"]}]


def test_retries_are_counted_unless_only_the_leader_moved(bench_of: Any) -> None:
    bench = bench_of({0: 1}, retries=1)
    bench.produce("a")
    for error in (NOT_LEADER, NOT_LEADER, NOT_LEADER):
        (request,) = bench.plan()
        bench.answer(request, error)
        bench.now_ms += 1_000
    assert bench.outcomes() == []
    bench = bench_of({0: 1}, retries=1)
    bench.produce("a")
    for _ in range(2):
        (request,) = bench.plan()
        bench.answer(request, int(ErrorCode.NOT_ENOUGH_REPLICAS))
        bench.now_ms += 1_000
    assert bench.outcomes() == [(["a"], ErrorCode.NOT_ENOUGH_REPLICAS)]


def test_a_new_leader_named_in_the_answer_gets_the_batch_at_once(bench_of: Any) -> None:
    bench = bench_of({0: 1})
    bench.produce("a")
    (request,) = bench.plan()
    assert bench.cluster.learn_leader("t", 0, 2, 1, [Broker(2, "b2", 9092)])
    bench.answer(request, NOT_LEADER, knows_leader=True)
    assert not bench.sender.needs_metadata
    (again,) = bench.plan()
    assert (again.broker_id, bench.sent(again)) == (2, {0: ["a"]})


def test_a_leader_that_moved_is_asked_for(bench_of: Any) -> None:
    bench = bench_of({0: 1})
    bench.produce("a")
    (request,) = bench.plan()
    bench.answer(request, NOT_LEADER)
    assert bench.sender.needs_metadata
    bench.move_leader({0: 2}, epoch=1)
    bench.now_ms += 1_000
    assert [request.broker_id for request in bench.plan()] == [2]


def test_an_error_for_good_is_told_at_once(bench_of: Any) -> None:
    bench = bench_of({0: 1})
    bench.produce("a")
    (request,) = bench.plan()
    bench.answer(request, int(ErrorCode.INVALID_RECORD))
    assert bench.outcomes() == [(["a"], ErrorCode.INVALID_RECORD)]


def test_a_batch_that_is_too_large_is_split_until_each_record_stands_alone(bench_of: Any) -> None:
    bench = bench_of({0: 1})
    bench.produce("a", "b", "c")
    bench.produce("d")
    done: list[list[str]] = []
    for _ in range(10):
        for request in bench.plan():
            (values,) = bench.sent(request).values()
            too_large = len(values) > 1 or values == ["b"]
            bench.answer(request, int(ErrorCode.MESSAGE_TOO_LARGE) if too_large else 0)
            done += [] if too_large else [values]
    assert done == [["d"], ["a"], ["c"]]
    assert (["b"], ErrorCode.MESSAGE_TOO_LARGE) in bench.outcomes()
    assert bench.sender.is_idle


@pytest.mark.parametrize("is_in_flight", [False, True])
def test_what_waits_too_long_is_given_up(bench_of: Any, is_in_flight: bool) -> None:
    bench = bench_of({0: 1}, delivery_timeout_ms=500)
    bench.produce("a")
    requests = bench.plan() if is_in_flight else []
    bench.now_ms += 499
    bench.sender.expire(bench.now_ms)
    assert bench.outcomes() == []
    bench.now_ms += 1
    bench.sender.expire(bench.now_ms)
    assert bench.outcomes() == [(["a"], KafkaError._MSG_TIMED_OUT)]
    for request in requests:
        bench.answer(request)
    assert bench.outcomes() == []
    assert bench.sender.is_idle


def test_a_request_that_timed_out_is_told_as_the_message_s_timeout(bench_of: Any) -> None:
    bench = bench_of({0: 1}, retries=0)
    bench.produce("a")
    (request,) = bench.plan()
    bench.answer(request, KafkaError._TIMED_OUT)
    assert bench.outcomes() == [(["a"], KafkaError._MSG_TIMED_OUT)]


def test_an_answer_without_the_partition_makes_no_sense_and_is_tried_again(bench_of: Any) -> None:
    bench = bench_of({0: 1}, retries=0)
    bench.produce("a")
    (request,) = bench.plan()
    bench.sender.answered(request, {}, bench.now_ms, 0.5)
    assert bench.outcomes() == [(["a"], KafkaError._BAD_MSG)]


def test_purging_gives_up_what_waits_or_what_is_in_flight(bench_of: Any) -> None:
    bench = bench_of({0: 1}, max_in_flight=1)
    bench.produce("a")
    bench.produce("b")
    (request,) = bench.plan()
    bench.sender.purge(in_queue=True, in_flight=False)
    assert bench.outcomes() == [(["b"], KafkaError._PURGE_QUEUE)]
    bench.sender.purge(in_queue=False, in_flight=True)
    assert bench.outcomes() == [(["a"], KafkaError._PURGE_INFLIGHT)]
    bench.answer(request)
    assert bench.outcomes() == []


def test_a_topic_that_is_gone_takes_its_batches_along(bench_of: Any) -> None:
    bench = bench_of({0: -1})
    bench.produce("a")
    bench.plan()
    bench.sender.fail_topic("t", KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION))
    assert bench.outcomes() == [(["a"], ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)]
