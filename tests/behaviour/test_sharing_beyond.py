"""Share consumers where they go further than confluent_kafka's."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ottla import (
    AcknowledgeType,
    AdminClient,
    ConcurrentModificationException,
    IllegalStateException,
    Producer,
    ShareConsumer,
    aio,
)
from ottla.admin import AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic, ResourceType

_names = itertools.count(1)
PATIENCE_S = 20


class Shared:
    """A topic and a share group that begins where it begins."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        number = f"{os.getpid()}-{next(_names)}"
        self.topic, self.group = f"beyond-{number}", f"sharing-{number}"
        with AdminClient({"bootstrap.servers": bootstrap}) as admin:
            admin.create_topics([NewTopic(self.topic, 1, 1)])[self.topic].result()
            entry = ConfigEntry(
                "share.auto.offset.reset", "earliest", incremental_operation=AlterConfigOpType.SET
            )
            group = ConfigResource(ResourceType.GROUP, self.group, incremental_configs=[entry])
            admin.incremental_alter_configs([group])[group].result()

    def fill(self, count: int, first: int = 0) -> None:
        with Producer({"bootstrap.servers": self.bootstrap}) as producer:
            for number in range(first, first + count):
                producer.produce(self.topic, b"%d" % number)
            assert producer.flush(PATIENCE_S) == 0

    def settings(self, **more: Any) -> dict[str, Any]:
        given = {name.replace("_", "."): value for name, value in more.items()}
        return {"bootstrap.servers": self.bootstrap, "group.id": self.group, "log_level": 0} | given

    @contextlib.contextmanager
    def consumer(self, **more: Any) -> Iterator[ShareConsumer]:
        with ShareConsumer(self.settings(**more)) as consumer:
            consumer.subscribe([self.topic])
            yield consumer


@pytest.fixture
def shared(bootstrap: str) -> Shared:
    return Shared(bootstrap)


def offsets(messages: Any) -> list[int]:
    return [message.offset() for message in messages]


def test_iteration_accepts_only_what_it_handed_out(shared: Shared) -> None:
    shared.fill(5)
    with shared.consumer() as consumer:
        assert offsets(itertools.islice(consumer, 2)) == [0, 1]
        assert list(consumer.commit_sync().values()) == [None]
        assert offsets(itertools.islice(consumer, 1)) == [2]
    with shared.consumer() as consumer:
        again = consumer.poll(PATIENCE_S)
        assert [(each.offset(), each.delivery_count()) for each in again] == [
            (2, 2),
            (3, 2),
            (4, 2),
        ]


def test_a_poll_returns_what_iteration_left(shared: Shared) -> None:
    shared.fill(3)
    with shared.consumer(share_acknowledgement_mode="explicit") as consumer:
        [first] = itertools.islice(consumer, 1)
        rest = consumer.poll(PATIENCE_S)
        assert offsets([first, *rest]) == [0, 1, 2]
        with pytest.raises(IllegalStateException, match="3 records"):
            consumer.poll(0)


def test_renewed_records_are_returned_once_more(shared: Shared) -> None:
    shared.fill(2)
    with shared.consumer(share_acknowledgement_mode="explicit") as consumer:
        assert consumer.acquisition_lock_timeout_ms() is None
        messages = consumer.poll(PATIENCE_S)
        assert consumer.acquisition_lock_timeout_ms() == 30_000
        consumer.acknowledge(messages[0], AcknowledgeType.RENEW)
        consumer.acknowledge(messages[1])
        assert list(consumer.commit_sync().values()) == [None]
        [again] = consumer.poll(PATIENCE_S)
        assert (again.offset(), again.delivery_count()) == (0, 1)
        consumer.acknowledge(again)
        assert list(consumer.commit_sync().values()) == [None]
        assert consumer.poll(0.3).is_empty()


def test_a_limit_of_records_is_kept_to(shared: Shared) -> None:
    shared.fill(10)
    with shared.consumer(max_poll_records=3, share_acquire_mode="record_limit") as consumer:
        polled = [offsets(consumer.poll(PATIENCE_S)) for _ in range(4)]
    assert polled == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9]]


def test_a_callback_that_fails_costs_no_record(shared: Shared) -> None:
    shared.fill(1)
    with shared.consumer() as consumer:
        assert offsets(consumer.poll(PATIENCE_S)) == [0]

        def fail(*_: Any) -> None:
            consumer_failures.append(1)
            raise ZeroDivisionError

        consumer_failures: list[int] = []
        consumer.set_acknowledgement_commit_callback(fail)
        shared.fill(1, first=1)
        got: list[int] = []
        for _ in range(50):
            try:
                got += offsets(consumer.poll(0.2))
            except ZeroDivisionError:
                continue
            if got:
                break
        assert (got, consumer_failures) == ([1], [1])
        consumer.set_acknowledgement_commit_callback(None)


def run(main: Callable[[], Any]) -> None:
    asyncio.run(main())


def test_asyncio(shared: Shared) -> None:
    shared.fill(3)

    async def main() -> None:
        told: list[Any] = []
        is_told = asyncio.Event()

        async def on_commit(committed: Any, failure: Any) -> None:
            await asyncio.sleep(0)
            told.append((list(committed.values()), failure))
            is_told.set()

        async with aio.ShareConsumer(shared.settings()) as consumer:
            await consumer.set_acknowledgement_commit_callback(on_commit)
            await consumer.subscribe([shared.topic])
            got: list[int] = []
            async for message in consumer:
                got.append(message.offset() or 0)
                if len(got) == 3:
                    break
            assert got == [0, 1, 2]
            assert list((await consumer.commit_sync()).values()) == [None]
            assert (await consumer.poll(0)).is_empty()
            await is_told.wait()
            assert told == [([{0, 1, 2}], None)]
        with pytest.raises(IllegalStateException, match="closed"):
            await consumer.poll(0)

    run(main)


def test_a_poll_that_is_cancelled_loses_nothing(shared: Shared) -> None:
    async def main() -> None:
        async with aio.ShareConsumer(shared.settings()) as consumer:
            await consumer.subscribe([shared.topic])
            polling = asyncio.ensure_future(consumer.poll())
            await asyncio.sleep(0.1)
            with pytest.raises(ConcurrentModificationException):
                await consumer.poll(0)
            polling.cancel()
            with pytest.raises(asyncio.CancelledError):
                await polling
            await asyncio.to_thread(shared.fill, 2)
            got: list[int] = []
            while len(got) < 2:
                messages = await consumer.poll(PATIENCE_S)
                assert all(message.delivery_count() == 1 for message in messages)
                got += offsets(messages)
            assert got == [0, 1]
            waiting = asyncio.ensure_future(consumer.poll())
            await asyncio.sleep(0.1)
        with pytest.raises(IllegalStateException, match="closed"):
            await waiting

    run(main)


def test_other_tasks_acknowledge_while_one_polls(shared: Shared) -> None:
    shared.fill(2)

    async def main() -> None:
        settings = shared.settings(share_acknowledgement_mode="explicit")
        async with aio.ShareConsumer(settings) as consumer:
            await consumer.subscribe([shared.topic])
            messages = await consumer.poll(PATIENCE_S)
            await asyncio.gather(*(consumer.acknowledge(each) for each in messages))
            polling = asyncio.ensure_future(consumer.poll(0.5))
            assert list((await consumer.commit_sync()).values()) in ([None], [])
            assert (await polling).is_empty()

    run(main)
