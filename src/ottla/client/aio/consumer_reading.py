"""How an asyncio consumer begins, and how it hands out messages."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable
from typing import Any, Self

from ottla.client import consumer_arguments as arguments
from ottla.client.aio.callbacks import UserCallbacks
from ottla.client.backend import active
from ottla.client.configuration.build import configure_consumer
from ottla.client.engine.consumer_calls import ConsumerCalls
from ottla.client.engine.consuming import Consuming
from ottla.client.engine.consuming_group import Rebalance
from ottla.client.engine.engine import Engine
from ottla.client.engine.inbox import Inbox
from ottla.client.errors import KafkaException
from ottla.client.message import Message

# After so many messages without any wait the other tasks get their turn.
_MESSAGES_PER_TURN = 500


class ConsumerReading:
    """The part of :class:`ottla.aio.Consumer` that reads."""

    _consuming: Consuming
    _calls: ConsumerCalls
    _engine: Engine

    def __init__(self, *args: Any, **keywords: Any) -> None:
        self._configuration = configure_consumer(args, keywords)
        self._reader = active.ConsumerBase()
        self._news = asyncio.Event()
        self._rebalances: deque[Rebalance] = deque()
        self._rebalancing: asyncio.Task[None] | None = None
        self._rebalance_callbacks: dict[str, Callable[..., Any]] = {}
        self._callbacks = UserCallbacks(self._callback_failed)
        self._has_assigned = False
        self._is_started = False
        self._is_closed = False
        self._pollers = 0
        self._left_of_turn = _MESSAGES_PER_TURN
        self._closing: asyncio.Future[None] | None = None
        self._inbox = Inbox(
            lambda: self._reader,
            notify=self._news.set,
            call_engine=self._call_soon,
            call_user=self._callbacks.call,
            rebalance=self._rebalances.append,
        )

    def _check_open(self) -> None:
        """Begin at the first use, when the loop is known."""
        if self._is_closed:
            raise RuntimeError("Consumer closed")
        if not self._is_started:
            self._engine = Engine(self._configuration, "consumer", call_user=self._callbacks.call)
            self._consuming = Consuming(self._engine, self._configuration, self._inbox)
            self._calls = ConsumerCalls(self._consuming)
            self._inbox.consuming = self._consuming
            self._is_started = True
            self._engine.start()

    def _call_soon(self, callback: Callable[..., object], *given: Any) -> None:
        asyncio.get_running_loop().call_soon(callback, *given)

    def _callback_failed(self, error: BaseException) -> None:
        self._engine.log.failure("a callback raised", error)

    # Reading

    async def poll(
        self,
        timeout: float = -1,  # noqa: ASYNC109 - the name that confluent_kafka gave it
    ) -> Message[Any, Any] | None:
        """The next message, or what happened instead of it: see ``Message.error()``.

        Args:
            timeout: how long to wait for it, in seconds; -1 for as long as it takes.

        Returns:
            None when the time was over.
        """
        limit_s = arguments.seconds(timeout)
        message = self._next_at_once()
        if message is not None:
            return message
        self._check_open()
        await self._take_turns()
        self._begin_polling()
        try:
            deadline = self._deadline(limit_s)
            while True:
                message = self._inbox.next_error()
                if message is not None:
                    return message
                await self._serve()
                message = self._inbox.next_message()
                if message is not None or not await self._something(deadline):
                    return message
        finally:
            self._end_polling()

    async def consume(
        self,
        num_messages: int = 1,
        timeout: float = -1,  # noqa: ASYNC109 - as above
    ) -> list[Message[Any, Any]]:
        """As many messages as there are until the time is over, ``num_messages`` at most.

        Errors are among them, see ``Message.error()``.

        Args:
            num_messages: how many at most; 0 returns at once.
            timeout: how long to wait for all of them, in seconds; -1 for as long as it takes.

        Raises:
            ValueError: ``num_messages`` is negative or more than a million.
        """
        limit_s = arguments.seconds(timeout)
        count = arguments.message_count(num_messages)
        self._check_open()
        if count == 0:
            return []
        self._left_of_turn -= count
        await self._take_turns()
        self._begin_polling()
        messages: list[Message[Any, Any]] = []
        try:
            deadline = self._deadline(limit_s)
            while True:
                await self._serve()
                messages += self._inbox.take(count - len(messages))
                if len(messages) == count or not await self._something(deadline):
                    return messages
        except BaseException:
            # Cancelled, or a callback failed: what was taken is read again instead of lost.
            self._consuming.rewind(arguments.first_offsets(messages))
            self._inbox.leave_void()
            raise
        finally:
            self._end_polling()

    async def consume_arrow(
        self,
        num_messages: int = 1_000_000,
        timeout: float = -1,  # noqa: ASYNC109 - as above
    ) -> Any:
        """As :meth:`consume`, as a ``pyarrow.RecordBatch`` and without a Python object per record.

        Its columns are topic, partition, offset, timestamp, key, value and headers (a list of key
        and value). Ends of partitions are left out.

        Args:
            num_messages: how many records at most.
            timeout: how long to wait for all of them, in seconds; -1 for as long as it takes.

        Raises:
            KafkaException: instead of an error message, when no record came before it.
            ImportError: pyarrow is not installed (extra ``arrow``).
        """
        from ottla.client.arrow import load_pyarrow, record_batch

        load_pyarrow()
        limit_s = arguments.seconds(timeout)
        count = arguments.message_count(num_messages)
        self._check_open()
        columns = active.RecordColumns()
        self._begin_polling()
        try:
            await self._take_columns(columns, count, self._deadline(limit_s))
        except BaseException:
            self._consuming.rewind(arguments.first_of_runs(columns.runs))
            self._inbox.leave_void()
            raise
        finally:
            self._end_polling()
        return record_batch(columns)

    async def _take_columns(
        self, columns: active.RecordColumns, count: int, deadline: float | None
    ) -> None:
        while True:
            await self._serve()
            error = self._inbox.next_error() or self._inbox.take_columns(columns, count)
            if error is not None:
                if columns.count:
                    self._inbox.put_back_error(error)
                    return
                raise KafkaException(error.error())
            if columns.count == count or columns.is_full or not await self._something(deadline):
                return

    def __aiter__(self) -> Self:
        """The messages, one after the other, without end.

        Raises:
            KafkaException: instead of returning a message that stands for an error, except the
                end of a partition, which one has to ask for (``enable.partition.eof``).
        """
        return self

    async def __anext__(self) -> Message[Any, Any]:
        message = self._next_at_once()
        return await self._next() if message is None else message

    def _next_at_once(self) -> Message[Any, Any] | None:
        """The next message of the cursor, if that is all there is to do."""
        reader = self._reader
        cursor = reader._cursor
        if cursor is None or reader._has_news or self._left_of_turn <= 0:
            return None
        self._left_of_turn -= 1
        reader._has_polled = True
        return cursor.next()

    async def _next(self) -> Message[Any, Any]:
        message = await self.poll()
        while message is None:
            message = await self.poll()
        return arguments.raise_error(message)

    def _deadline(self, limit_s: float | None) -> float | None:
        return None if limit_s is None else asyncio.get_running_loop().time() + limit_s

    async def _take_turns(self) -> None:
        """Let other tasks run now and then, also when messages never run out."""
        if self._left_of_turn <= 0:
            self._left_of_turn = _MESSAGES_PER_TURN
            await asyncio.sleep(0)

    async def _something(self, deadline: float | None) -> bool:
        """Wait for something to come; False when the time is over."""
        self._news.clear()
        if self._is_closed:
            raise RuntimeError("Consumer closed")
        if deadline is None:
            await self._news.wait()
            return True
        if deadline <= asyncio.get_running_loop().time():
            return False
        try:
            async with asyncio.timeout_at(deadline):
                await self._news.wait()
        except TimeoutError:
            return self._news.is_set()
        return True

    def _begin_polling(self) -> None:
        self._pollers += 1
        self._inbox.is_polling = True
        member = self._consuming.group.member
        if member is not None:
            member.last_poll_ms = math.inf
            if member.awaits_poll:
                member.polled()

    def _end_polling(self) -> None:
        self._pollers -= 1
        if self._pollers:
            return
        self._inbox.is_polling = False
        member = self._consuming.group.member
        if member is not None:
            member.last_poll_ms = self._engine.now_ms()

    async def _serve(self) -> None:
        """Have the application hear of changes of the assignment.

        Whoever waits for that may be cancelled; the change takes place all the same.
        """
        self._reader._has_news = False
        while self._rebalances or self._rebalancing is not None:
            if self._rebalancing is None:
                event = self._rebalances.popleft()
                self._rebalancing = asyncio.ensure_future(self._serve_rebalance(event))
            serving = self._rebalancing
            try:
                await asyncio.shield(serving)
            finally:
                if serving.done() and self._rebalancing is serving:
                    self._rebalancing = None

    async def _serve_rebalance(self, event: Rebalance) -> None:
        """Have the application hear of a change, and see to it that it takes place."""
        raise NotImplementedError
