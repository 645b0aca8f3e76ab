"""The thread on which callbacks of futures run: in order, there when needed, gone when not."""

from __future__ import annotations

import threading
from functools import partial

import pytest

from ottla.client.sync import background
from ottla.testing.waiting import eventually


def named(name: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == name]


def test_calls_are_made_in_order_on_one_thread() -> None:
    made: list[tuple[int, int]] = []

    def note(number: int) -> None:
        made.append((number, threading.get_ident()))

    thread = background.Background("in-order")
    assert named("in-order") == []
    for number in range(500):
        thread.put(partial(note, number))
    eventually(lambda: len(made) == 500, what="all calls")
    assert [number for number, _ in made] == list(range(500))
    assert len({ident for _, ident in made}) == 1
    assert threading.get_ident() not in {ident for _, ident in made}


def test_a_call_may_put_another() -> None:
    made: list[str] = []
    thread = background.Background("another")
    thread.put(lambda: thread.put(lambda: made.append("inner")))
    eventually(lambda: made == ["inner"], what="the inner call")


def test_the_thread_ends_when_idle_and_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "_IDLE_S", 0.01)
    made: list[int] = []
    thread = background.Background("idle")
    for number in range(3):
        thread.put(partial(made.append, number))
        eventually(lambda: not named("idle"), what="the end of the thread")
        assert made == list(range(number + 1))


def test_many_threads_put() -> None:
    made: list[int] = []
    thread = background.Background("many")

    def put_many() -> None:
        for _ in range(200):
            thread.put(lambda: made.append(1))

    putters = [threading.Thread(target=put_many) for _ in range(5)]
    for putter in putters:
        putter.start()
    for putter in putters:
        putter.join()
    eventually(lambda: len(made) == 1000, what="all calls")
    assert len(named("many")) <= 1
