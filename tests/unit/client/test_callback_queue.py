"""Callbacks that wait for the application's thread."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable

import pytest

from ottla.client.sync.callbacks import CallbackQueue


@pytest.fixture
def queue() -> CallbackQueue:
    return CallbackQueue()


def later(work: Callable[[], object]) -> threading.Timer:
    timer = threading.Timer(0.02, work)
    timer.start()
    return timer


def test_callbacks_run_in_order_and_are_counted(queue: CallbackQueue) -> None:
    seen: list[object] = []
    queue.put(seen.append, 1)
    queue.put_many(lambda: seen.append("many") or 5)  # type: ignore[func-returns-value]
    queue.put(seen.append, 2)
    assert len(queue) == 3
    assert queue.run() == 7
    assert seen == [1, "many", 2]
    assert queue.run() == 0


def test_a_failure_is_raised_once_and_the_others_come_with_the_next_run(
    queue: CallbackQueue,
) -> None:
    seen: list[int] = []

    def fail(reason: str) -> None:
        raise LookupError(reason)

    queue.put(fail, "first")
    queue.put(seen.append, 1)
    queue.put(fail, "second")
    with pytest.raises(LookupError, match="first"):
        queue.run()
    with pytest.raises(LookupError, match="second"):
        queue.run()
    assert seen == [1]
    assert queue.run() == 0


def test_what_a_callback_brings_about_comes_with_the_next_run(queue: CallbackQueue) -> None:
    def again() -> None:
        queue.put(again)

    queue.put(again)
    assert queue.run() == 1
    assert queue.run() == 1


def test_an_interrupt_in_a_callback_stops_the_run_and_loses_nothing(queue: CallbackQueue) -> None:
    seen: list[int] = []

    def interrupt() -> None:
        raise KeyboardInterrupt

    queue.put(interrupt)
    queue.put(seen.append, 1)
    with pytest.raises(KeyboardInterrupt):
        queue.run()
    assert queue.run() == 1
    assert seen == [1]


def test_nothing_to_serve_is_not_waited_for_without_time(queue: CallbackQueue) -> None:
    assert queue.serve(0) == 0
    assert queue.serve(0.01) == 0


@pytest.mark.parametrize("timeout_s", [None, -1, 60])
def test_serving_waits_for_the_first_callback(
    queue: CallbackQueue, timeout_s: float | None
) -> None:
    timer = later(lambda: queue.put(lambda: None))
    assert queue.serve(timeout_s) == 1
    timer.join()


def test_a_notice_ends_a_wait_but_serves_nothing(queue: CallbackQueue) -> None:
    timer = later(queue.notify)
    assert queue.wait(60)
    timer.join()
    assert not queue.wait(0)
    queue.notify()
    assert queue.serve(0.01) == 0


def test_many_threads_wait_for_one_callback(queue: CallbackQueue) -> None:
    counts: list[int] = []
    threads = [threading.Thread(target=lambda: counts.append(queue.serve(0.5))) for _ in range(4)]
    for thread in threads:
        thread.start()
    queue.put(lambda: None)
    for thread in threads:
        thread.join()
    assert sorted(counts) == [0, 0, 0, 1]


def test_ctrl_c_ends_a_wait_at_once(queue: CallbackQueue) -> None:
    timer = later(lambda: signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT))
    began_s = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        queue.serve(60)
    assert time.monotonic() - began_s < 30
    timer.join()


def test_what_is_cleared_is_never_told(queue: CallbackQueue) -> None:
    queue.put(pytest.fail, "told")
    queue.clear()
    assert queue.run() == 0
