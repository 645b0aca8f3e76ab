"""Futures of deliveries: what asyncio does with its own futures, it does with these."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import gc
from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any

import pytest

from ottla.client.errors import KafkaError, KafkaException

PLACE = contextvars.ContextVar("place", default="nowhere")


class Sending:
    """A producer whose batches the test delivers."""

    def __init__(self, twin: ModuleType, make_future: Any = None, **limits: Any) -> None:
        self.twin = twin
        self.accumulator = twin.Accumulator(**limits)
        self.accumulator.set_partition_count("t", 1)
        self.producer = twin.ProducerBase(self.accumulator, lambda: None, None, make_future)
        if make_future is None:
            self.producer._make_futures_on(asyncio.get_running_loop())
            self.future_type = twin.DeliveryFuture

    def send(self, value: str) -> Any:
        return self.producer.send("t", value)

    def deliver(self, error: KafkaError | None = None, future_type: Any = None) -> int:
        batch = self.accumulator.take("t", 0)
        left: int = batch.deliveries(7, -1, error).resolve(future_type or self.future_type)
        return left


def played(test: Callable[[Sending], Awaitable[None]], twin: ModuleType) -> None:
    async def main() -> None:
        await test(Sending(twin))

    asyncio.run(main())


def test_awaiting_gives_the_message(twin: ModuleType) -> None:
    async def scene(sending: Sending) -> None:
        first, second = sending.send("a"), sending.send("b")
        assert asyncio.isfuture(first)
        assert not first.done()
        with pytest.raises(asyncio.InvalidStateError):
            first.result()
        loop = asyncio.get_running_loop()
        assert first.get_loop() is loop
        loop.call_soon(sending.deliver)
        message = await first
        assert (message.value(), message.offset()) == (b"a", 7)
        assert second.done()
        assert (await second).offset() == 8
        assert second.exception() is None
        assert len(sending.accumulator) == 0

    played(scene, twin)


def test_many_are_gathered_in_order(twin: ModuleType) -> None:
    async def scene(sending: Sending) -> None:
        futures = [sending.send(str(number)) for number in range(50)]
        asyncio.get_running_loop().call_soon(sending.deliver)
        messages = await asyncio.gather(*futures)
        assert [message.value() for message in messages] == [b"%d" % n for n in range(50)]
        assert len((await asyncio.wait(futures))[0]) == 50

    played(scene, twin)


def test_what_was_not_delivered_is_raised(twin: ModuleType) -> None:
    async def scene(sending: Sending) -> None:
        future = sending.send("a")
        sending.deliver(KafkaError(KafkaError._MSG_TIMED_OUT))
        with pytest.raises(KafkaException) as raised:
            await future
        assert raised.value.args[0] == KafkaError._MSG_TIMED_OUT
        assert future.exception() is raised.value

    played(scene, twin)


def test_a_wait_that_is_given_up_is_not_told(twin: ModuleType) -> None:
    async def scene(sending: Sending) -> None:
        future = sending.send("a")
        told: list[Any] = []
        future.add_done_callback(told.append)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(future, 0.001)
        assert future.cancelled()
        assert not future.cancel()
        assert sending.deliver() == 0
        await asyncio.sleep(0)
        assert told == [future]
        with pytest.raises(asyncio.CancelledError):
            await future
        shielded = sending.send("b")
        task = asyncio.ensure_future(asyncio.shield(shielded))
        await asyncio.sleep(0)
        task.cancel()
        sending.deliver()
        assert (await shielded).value() == b"b"

    played(scene, twin)


def test_callbacks_run_in_their_context_and_may_raise(twin: ModuleType) -> None:
    async def scene(sending: Sending) -> None:
        loop = asyncio.get_running_loop()
        faults: list[Any] = []
        loop.set_exception_handler(lambda _, context: faults.append(context["exception"]))
        seen: list[str] = []

        def fail(_: Any) -> None:
            raise ValueError("bug")

        def forgotten(_: Any) -> None:
            seen.append("never")

        future = sending.send("a")
        PLACE.set("here")
        future.add_done_callback(fail)
        future.add_done_callback(lambda _: seen.append(PLACE.get()))
        future.add_done_callback(forgotten)
        assert future.remove_done_callback(forgotten) == 1
        PLACE.set("elsewhere")
        sending.deliver()
        assert seen == []
        await asyncio.sleep(0)
        future.add_done_callback(lambda _: seen.append(PLACE.get()))
        await asyncio.sleep(0)
        assert seen == ["here", "elsewhere"]
        assert [str(fault) for fault in faults] == ["bug"]

    played(scene, twin)


@pytest.mark.parametrize("whole", [True, False])
def test_gathered_futures_are_cancelled_together_and_alone(twin: ModuleType, whole: bool) -> None:
    async def scene(sending: Sending) -> None:
        futures = [sending.send("a"), sending.send("b")]
        gathered = asyncio.gather(*futures, return_exceptions=not whole)
        await asyncio.sleep(0)
        if whole:
            gathered.cancel("enough")
            with pytest.raises(asyncio.CancelledError):
                await asyncio.wait_for(gathered, 5)
            return
        futures[0].cancel("enough")
        sending.deliver()
        given_up, message = await asyncio.wait_for(gathered, 5)
        assert isinstance(given_up, asyncio.CancelledError)
        assert message.offset() == 8

    played(scene, twin)


def test_a_failure_that_nobody_looked_at_is_reported(twin: ModuleType) -> None:
    async def scene(sending: Sending) -> None:
        faults: list[Any] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: faults.append(context["exception"]))
        future = sending.send("a")
        sending.deliver(KafkaError(KafkaError._PURGE_QUEUE))
        del future
        gc.collect()
        assert [fault.args[0] for fault in faults] == [KafkaError._PURGE_QUEUE]

    played(scene, twin)


def test_futures_of_threads_and_callbacks_may_share_a_batch(twin: ModuleType) -> None:
    sending = Sending(twin, concurrent.futures.Future)
    told: list[Any] = []
    future = sending.send("a")
    sending.producer.produce("t", "b", on_delivery=lambda error, message: told.append(message))
    batch = sending.accumulator.take("t", 0)
    deliveries = batch.deliveries(7)
    assert deliveries.resolve(concurrent.futures.Future) == 1
    assert future.result(0).offset() == 7
    assert len(sending.accumulator) == 1
    assert deliveries.serve() == 1
    assert [message.offset() for message in told] == [8]
    assert len(sending.accumulator) == 0


def test_a_full_queue_refuses_unless_the_producer_can_wait(twin: ModuleType) -> None:
    sending = Sending(twin, concurrent.futures.Future, max_messages=1)
    sending.send("a")
    assert sending.accumulator.is_full
    with pytest.raises(BufferError):
        sending.send("b")
