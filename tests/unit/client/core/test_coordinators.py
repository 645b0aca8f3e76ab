"""Which coordinators are known, and how those that aren't are asked for."""

from __future__ import annotations

import pytest

from ottla.client.core.coordinators import CoordinatorCache
from ottla.client.core.targets import Coordinator, KeyType
from ottla.wire.api.k10_find_coordinator import Coordinator as AnsweredCoordinator
from ottla.wire.api.k10_find_coordinator import FindCoordinatorResponse
from ottla.wire.errors import ErrorCode

A, B, T = (
    Coordinator(KeyType.GROUP, "a"),
    Coordinator(KeyType.GROUP, "b"),
    Coordinator(KeyType.TRANSACTION, "t"),
)


def answer(*entries: tuple[str, int, int]) -> FindCoordinatorResponse:
    return FindCoordinatorResponse(
        coordinators=[
            AnsweredCoordinator(key=key, node_id=broker, host="h", port=9, error_code=code)
            for key, broker, code in entries
        ]
    )


def test_one_request_for_all_keys_of_a_type() -> None:
    cache = CoordinatorCache()
    for key in (A, T, B, A):
        cache.want(key)
    plan = [(request.key_type, request.coordinator_keys, keys) for request, keys in cache.plan(4)]
    assert plan == [(0, ["a", "b"], [A, B]), (1, ["t"], [T])]
    assert cache.plan(4) == []


def test_one_request_per_key_for_brokers_before_kafka_3() -> None:
    cache = CoordinatorCache()
    cache.want(A)
    cache.want(T)
    plan = cache.plan(3)
    assert [(request.key, request.key_type, keys) for request, keys in plan] == [
        ("a", 0, [A]), ("t", 1, [T]),
    ]  # fmt: skip
    response = FindCoordinatorResponse(node_id=3, host="h", port=9)
    assert [each.broker_id for each in cache.answered([A], response, 3)] == [3]
    assert cache.lookup(A) == 3


def test_what_is_known_is_not_asked_for_until_it_is_forgotten() -> None:
    cache = CoordinatorCache()
    cache.answered([A, B], answer(("a", 1, 0), ("b", 2, 0)), 4)
    cache.want(A)
    assert cache.plan(4) == []
    cache.forget(A)
    assert cache.lookup(A) is None
    cache.want(A)
    assert len(cache.plan(4)) == 1
    cache.forget_broker(2)
    assert cache.lookup(B) is None


@pytest.mark.parametrize(
    ("code", "is_passing"),
    [
        (ErrorCode.COORDINATOR_NOT_AVAILABLE, True),
        (ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, True),
        (ErrorCode.GROUP_AUTHORIZATION_FAILED, False),
        (ErrorCode.INVALID_GROUP_ID, False),
    ],
)
def test_errors_that_pass_and_errors_that_stay(code: ErrorCode, is_passing: bool) -> None:
    cache = CoordinatorCache()
    [found] = cache.answered([A], answer(("a", 1, code)), 4)
    assert found.is_passing is is_passing
    assert cache.lookup(A) is None


def test_an_answer_without_a_broker_is_none() -> None:
    cache = CoordinatorCache()
    nowhere = answer(("a", 1, 0))
    for port in (-1, 0, 65_536):
        nowhere.coordinators[0].port = port
        assert cache.answered([A], nowhere, 4)[0].is_passing
    [found] = cache.answered([A], answer(("a", -1, 0)), 4)
    assert found.is_passing
    assert cache.lookup(A) is None


def test_keys_that_the_answer_leaves_out_or_adds() -> None:
    cache = CoordinatorCache()
    [found] = cache.answered([A], answer(("other", 1, 0)), 4)
    assert found.is_passing
    assert cache.lookup(Coordinator(KeyType.GROUP, "other")) is None
