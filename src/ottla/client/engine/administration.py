"""Admin calls carried out: their cores plan and read, the engine asks."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from ottla.client.core.admin.call import Ask, Call, Operation, Outcomes, Progress
from ottla.client.core.targets import Target
from ottla.client.engine.engine import Engine
from ottla.client.errors import KafkaException

T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")

_SLACK_MS = 1000


async def perform(engine: Engine, operation: Operation[T], timeout_ms: float) -> T:
    """The result of an operation.

    Args:
        engine: whom to ask through.
        operation: a generator from ``ottla.client.core.admin``.
        timeout_ms: how long all its calls may take together; what has no outcome then fails with
            ``_TIMED_OUT``.

    Raises:
        KafkaException: the operation as a whole failed.
    """
    deadline_ms = engine.now_ms() + timeout_ms
    outcomes: Outcomes[Any, Any] | None = None
    while True:
        try:
            call = operation.send(outcomes)
        except StopIteration as end:
            result: T = end.value
            return result
        outcomes = await _settle(engine, call, deadline_ms)


async def _settle(engine: Engine, call: Call[K, V], deadline_ms: float) -> Outcomes[K, V]:
    """Ask until each item of a call has its outcome, or the time is over."""
    configuration = engine.configuration
    progress = Progress(call, configuration.retry_backoff_ms, configuration.retry_backoff_max_ms)
    tasks: set[asyncio.Task[None]] = set()
    try:
        while not progress.is_done:
            now_ms = engine.now_ms()
            if now_ms >= deadline_ms:
                progress.give_up(lambda target: _is_known(engine, target))
                break
            for ask in progress.plan(now_ms):
                tasks.add(_start(_ask(engine, progress, ask, deadline_ms)))
            wake_ms = min(progress.next_deadline_ms() or deadline_ms, deadline_ms)
            tasks = await _any_of(tasks, max(0.0, wake_ms - engine.now_ms()) / 1000)
            if progress.is_misrouted:
                progress.is_misrouted = False
                engine.refresh_metadata()
        return progress.results
    finally:
        for task in tasks:
            task.cancel()


def _is_known(engine: Engine, target: Target) -> bool:
    brokers = engine.cluster.brokers
    return target in brokers if isinstance(target, int) else bool(brokers)


def _start(coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    return asyncio.get_running_loop().create_task(coroutine)


async def _any_of(tasks: set[asyncio.Task[None]], timeout_s: float) -> set[asyncio.Task[None]]:
    """Wait until a task is done or the time is over; returns the tasks that are not done."""
    if not tasks:
        await asyncio.sleep(timeout_s)
        return tasks
    done, pending = await asyncio.wait(
        tasks, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
    )
    for task in done:
        task.result()
    return pending


async def _ask(engine: Engine, progress: Progress[K, V], ask: Ask, deadline_ms: float) -> None:
    try:
        if isinstance(ask.target, int) and ask.target not in engine.cluster.brokers:
            # Found before the cluster is known: a moment later its address will be.
            engine.refresh_metadata()
            await engine.metadata_updated(max(0.0, deadline_ms - engine.now_ms()))
        answer = await engine.ask(
            ask.target,
            ask.request,
            ask.answer,
            # Giving up at the deadline is the call's business.
            timeout_ms=max(0.0, deadline_ms - engine.now_ms()) + _SLACK_MS,
            at_least=ask.at_least,
            at_most=ask.at_most,
        )
    except KafkaException as exception:
        progress.failed(ask, exception.args[0], engine.now_ms(), engine.randomness())
    else:
        progress.answered(ask, answer, engine.now_ms(), engine.randomness())
