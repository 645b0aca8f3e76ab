"""The engine's thread: calls, waits, forks, and the program's end."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator

import pytest

from ottla.client.configuration.build import configure_admin
from ottla.client.engine.engine import Engine
from ottla.client.engine.thread import EngineThread
from ottla.client.errors import KafkaError, KafkaException


def make_engine() -> Engine:
    # Nobody is to be reached, and nothing to be said about it.
    conf = {"bootstrap.servers": "127.0.0.1:1", "error_cb": lambda error: None}
    return Engine(configure_admin((conf,), {}), "admin")


@pytest.fixture
def thread() -> Iterator[EngineThread]:
    running = EngineThread(make_engine)
    yield running
    running.stop()


async def own_thread() -> int | None:
    return threading.current_thread().ident


def test_coroutines_run_on_the_engines_thread(thread: EngineThread) -> None:
    ident = thread.run(own_thread())
    assert ident not in (None, threading.current_thread().ident)
    assert not thread.engine.is_closed


def test_what_a_coroutine_raises_is_raised_where_it_is_waited_for(thread: EngineThread) -> None:
    async def fail() -> None:
        raise LookupError("lost")

    with pytest.raises(LookupError, match="lost"):
        thread.run(fail())


def test_calls_come_in_order(thread: EngineThread) -> None:
    seen: list[int] = []
    for number in range(1000):
        thread.call(seen.append, number)
    thread.run(own_thread())
    assert seen == list(range(1000))


def test_a_burst_of_calls_wakes_the_thread_once(thread: EngineThread) -> None:
    blocked, go = threading.Event(), threading.Event()
    rounds: list[int] = []

    def block() -> None:
        blocked.set()
        go.wait(10)

    thread.call(block)
    assert blocked.wait(10)
    for number in range(1000):
        thread.call(rounds.append, number)
    # All of them lie in one queue, for one look at it.
    assert len(thread._calls) == 1000
    go.set()
    thread.run(own_thread())
    assert rounds == list(range(1000))


def test_a_call_that_fails_costs_the_others_nothing(thread: EngineThread) -> None:
    thread.run(_expect_failures())
    seen: list[int] = []
    thread.call(lambda: 1 // 0)
    thread.call(seen.append, 1)
    thread.run(own_thread())
    assert seen == [1]


async def _expect_failures() -> None:
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)


def test_a_wait_that_is_too_long_leaves_the_coroutine_alone(thread: EngineThread) -> None:
    gate = thread.run(_event())

    async def wait() -> str:
        await gate.wait()
        return "done"

    waiting = thread.submit(wait())
    with pytest.raises(TimeoutError):
        waiting.wait(0.01)
    thread.call(gate.set)
    assert waiting.wait(10) == "done"
    assert waiting.done()


async def _event() -> asyncio.Event:
    return asyncio.Event()


def test_a_run_that_is_too_long_is_cancelled(thread: EngineThread) -> None:
    cancelled = threading.Event()

    async def wait() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    with pytest.raises(TimeoutError):
        thread.run(wait(), 0.01)
    assert cancelled.wait(10)


def test_ctrl_c_interrupts_a_wait_and_cancels_the_coroutine(thread: EngineThread) -> None:
    cancelled = threading.Event()

    async def wait() -> None:
        # A signal to the process may go to any thread; the one of the terminal goes to the first.
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    with pytest.raises(KeyboardInterrupt):
        thread.run(wait())
    assert cancelled.wait(10)


def test_stopping_ends_what_runs_and_refuses_what_comes(thread: EngineThread) -> None:
    waiting = thread.submit(asyncio.sleep(60))
    thread.stop()
    thread.stop()
    assert thread.engine.is_closed
    with pytest.raises(KafkaException, match="_DESTROY"):
        waiting.wait()
    with pytest.raises(KafkaException, match="_DESTROY"):
        thread.run(own_thread())
    thread.call(pytest.fail, "called")


def test_an_engine_that_cannot_be_made_is_said_at_once() -> None:
    def fail() -> Engine:
        raise KafkaException(KafkaError(KafkaError._INVALID_ARG, "no such certificate"))

    with pytest.raises(KafkaException, match="no such certificate"):
        EngineThread(fail)


def run_program(text: str) -> subprocess.CompletedProcess[str]:
    """A program of its own with an engine, which has to end by itself."""
    start = """
    import os, sys, threading
    sys.path.insert(0, sys.argv[1])
    from test_thread import make_engine
    from ottla.client.engine.thread import EngineThread
    thread = EngineThread(make_engine)
    """
    program = textwrap.dedent(start) + textwrap.dedent(text)
    return subprocess.run(
        [sys.executable, "-c", program, os.path.dirname(__file__)],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip


def test_a_forked_child_is_told_and_can_make_its_own() -> None:
    ended = run_program("""
    child = os.fork()
    if child == 0:
        assert thread.is_forked
        for use in (thread.check_process, lambda: thread.call(print)):
            try:
                use()
            except RuntimeError as error:
                assert "os.fork()" in str(error)
            else:
                os._exit(1)
        thread.stop()
        own = EngineThread(make_engine)
        own.check_process()
        own.stop()
        sys.exit(7)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 7, status
    thread.check_process()
    thread.stop()
    print("fine")
    """)
    assert (ended.stdout, ended.stderr) == ("fine\n", "")


def test_nothing_is_left_to_import_for_the_first_connection() -> None:
    """Else a child forked at that moment could not connect: it has the module half imported."""
    ended = run_program("""
    import asyncio
    before = set(sys.modules)
    thread.run(asyncio.sleep(0.2))
    print(sorted(name for name in set(sys.modules) - before if name.startswith("encodings")))
    thread.stop()
    """)
    assert (ended.stdout, ended.stderr) == ("[]\n", "")


@pytest.mark.parametrize("end", ["", "sys.exit(3)", "raise KeyboardInterrupt", "thread.stop()"])
def test_a_program_ends_though_nobody_closed_the_client(end: str) -> None:
    ended = run_program(f"""
    import asyncio
    thread.submit(asyncio.sleep(1000))
    print("last words", flush=True)
    {end}
    """)
    assert ended.stdout == "last words\n"
    assert ended.stderr == "" or "KeyboardInterrupt" in ended.stderr
    assert "Fatal" not in ended.stderr
