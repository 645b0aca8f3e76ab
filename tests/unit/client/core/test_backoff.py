"""Backoff: longer after every failure, never in step, never too long."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ottla.client.core.backoff import Backoff, backoff_ms

MIDDLE = 0.5


def test_waits_double_up_to_the_limit() -> None:
    waits = [backoff_ms(n, first_ms=100, max_ms=1000, randomness=MIDDLE) for n in range(7)]
    assert waits == [0, 100, 200, 400, 800, 1000, 1000]


@given(st.integers(1, 10**6), st.floats(0, 1, exclude_max=True))
def test_a_wait_stays_within_a_fifth_and_the_limit(failures: int, randomness: float) -> None:
    wait = backoff_ms(failures, first_ms=100, max_ms=10_000, randomness=randomness)
    assert 80 <= wait <= 10_000
    if failures == 1:
        assert wait <= 120


def test_a_limit_below_the_first_wait_makes_every_wait_the_limit() -> None:
    for failures in (1, 2, 9):
        assert backoff_ms(failures, first_ms=500, max_ms=100, randomness=0.0) == 100


def test_success_begins_anew() -> None:
    backoff = Backoff(100, 1000)
    assert backoff.is_ready(0)
    backoff.failed(50, MIDDLE)
    assert (backoff.ready_at_ms, backoff.is_ready(149), backoff.is_ready(150)) == (150, False, True)
    backoff.failed(150, MIDDLE)
    assert backoff.ready_at_ms == 350
    backoff.succeeded()
    assert backoff.is_ready(150)
    backoff.failed(400, MIDDLE)
    assert (backoff.failures, backoff.ready_at_ms) == (1, 500)
