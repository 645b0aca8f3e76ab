"""``ottla.aio.Producer``: a producer on the event loop that runs, with no thread of its own."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ottla.client.aio.callbacks import UserCallbacks
from ottla.client.appended import APPENDED, QUEUE_FULL, WAKE, refusal
from ottla.client.backend import active
from ottla.client.configuration.build import configure_producer
from ottla.client.engine.engine import Engine
from ottla.client.engine.producing import Producing, accumulator_for
from ottla.client.engine.producing_transactions import TIMED_OUT, Transacting
from ottla.client.errors import KafkaError, KafkaException
from ottla.client.group_metadata import decode_group_metadata
from ottla.client.group_offsets import group_offsets
from ottla.client.produced_batch import append_messages, check_messages

if TYPE_CHECKING:
    from ottla.client._reference_accumulator import Headers
    from ottla.client._reference_batch import Deliveries, DeliveryCallback
    from ottla.client.admin.clusters import ClusterMetadata
    from ottla.client.message import Message
    from ottla.client.values import TopicPartition

_CLOSED = "Producer has been closed"
_FOREVER_MS = 1e12
_LINGER_NAMES = frozenset({"linger.ms", "queue.buffering.max.ms"})


class Producer(active.ProducerBase):
    """Sends messages to topics.

        async with Producer({"bootstrap.servers": ...}) as producer:
            message = await producer.send("orders", b"...", key=b"...")

    Takes a dictionary of configuration properties, or the same as keywords, as
    :class:`ottla.Producer` does. It belongs to the event loop on which it is used first. Callbacks
    may be coroutine functions. ``linger.ms`` is 0 unless it is set: what is sent within one round
    of the loop goes out together anyway.

    A message that was handed over is delivered whether or not awaiting it is cancelled.

    Every method raises ``RuntimeError`` once the producer is closed.

    Raises:
        KafkaException: a property is unknown or its value is not possible.
        TypeError: there is no dictionary, or a callback can't be called.
    """

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        self._configuration = configure_producer(arguments, keywords)
        accumulator = accumulator_for(self._configuration)
        given = {**(arguments[0] if arguments else {}), **keywords}
        if _LINGER_NAMES.isdisjoint(given):
            accumulator.linger_ms = 0
        super().__init__(
            accumulator,
            self._wake_engine,
            self._configuration.on_delivery,
            self._make_first_future,
        )
        self._engine: Engine | None = None
        self._parked: deque[tuple[Any, ...]] = deque()
        self._has_room = asyncio.Event()
        self._callbacks = UserCallbacks(self._callback_failed)
        self._is_closed = False
        self._closing: asyncio.Future[None] | None = None
        if self._configuration.transactional_id is not None:
            text = "Unable to produce message: Local: Erroneous state"
            self._refuse(KafkaException(KafkaError(KafkaError._STATE, text)))

    # --- messages ---

    if TYPE_CHECKING:

        def send(
            self,
            topic: str,
            value: bytes | str | None = None,
            key: bytes | str | None = None,
            partition: int = -1,
            timestamp: int = 0,
            headers: Headers = None,
            *,
            timeout: float = 0,
        ) -> asyncio.Future[Message[Any, Any]]:
            """Hand a message over; awaiting the result waits for its delivery.

            When the queue is full, the message waits here for room, behind those that wait already.

            Returns:
                A future of the message as it was delivered; its exception is a ``KafkaException``.

            Raises:
                KafkaException: too large, no such partition, no such topic.
                TypeError: a value that can't be sent.
            """

    async def enqueue(
        self,
        topic: str,
        value: bytes | str | None = None,
        key: bytes | str | None = None,
        partition: int = -1,
        timestamp: int = 0,
        headers: Headers = None,
    ) -> asyncio.Future[Message[Any, Any]]:
        """As :meth:`send`, but wait for room in the queue first: back-pressure by awaiting.

        Returns:
            The future of the delivery.
        """
        self._start()
        while self._is_parking or self._accumulator.is_full:
            self._has_room.clear()
            await self._has_room.wait()
        return self.send(topic, value, key, partition, timestamp, headers)

    async def produce_batch(
        self,
        topic: str,
        messages: list[dict[str, Any]],
        partition: int = -1,
        callback: DeliveryCallback | None = None,
        on_delivery: DeliveryCallback | None = None,
    ) -> int:
        """Hand many messages over at once, as :meth:`ottla.Producer.produce_batch` does."""
        check_messages(messages)
        self._start()
        self._check_may_produce()
        accepted, wakes = append_messages(
            self._accumulator,
            topic,
            messages,
            partition,
            callback or on_delivery or self._configuration.on_delivery,
        )
        if wakes:
            self._producing.wake()
        return accepted

    async def produce_arrow(
        self,
        topic: str,
        table: Any,
        *,
        key: str | None = None,
        value: str | None = "value",
        timestamp: str | None = None,
        partition: str | int = -1,
        on_delivery: DeliveryCallback | None = None,
    ) -> int:
        """Produce a table's rows as :meth:`ottla.Producer.produce_arrow` does, awaiting room."""
        from ottla.client.produced_arrow import Columns, TableAppender

        self._start()
        self._check_may_produce()
        appender = TableAppender(
            self._accumulator,
            topic,
            table,
            Columns(key, value, timestamp, partition if isinstance(partition, str) else None),
            partition if isinstance(partition, int) else -1,
            on_delivery or self._configuration.on_delivery,
            self._producing.wake,
        )
        while not appender.append():
            self._has_room.clear()
            await self._has_room.wait()
        return appender.count

    async def flush(self, timeout: float = -1) -> int:  # noqa: ASYNC109 - confluent_kafka's name
        """Wait until all messages have their outcome; nothing lingers meanwhile.

        Args:
            timeout: how many seconds to wait at most; negative (and by default) without limit.

        Returns:
            How many messages have none yet.
        """
        self._start()
        self._producing.begin_flush()
        try:
            async with asyncio.timeout(_seconds_or_none(timeout)):
                while len(self):
                    await self._producing.emptied()
        except TimeoutError:
            pass
        finally:
            self._producing.end_flush()
        return len(self)

    def purge(self, in_queue: bool = True, in_flight: bool = True) -> None:
        """Give messages up; they fail with ``_PURGE_QUEUE`` or ``_PURGE_INFLIGHT``.

        Args:
            in_queue: those that have not been sent.
            in_flight: those whose answer has not come; they may be delivered all the same.
        """
        self._start()
        if in_queue:
            self._fail_parked(KafkaException(KafkaError(KafkaError._PURGE_QUEUE)))
        self._producing.purge(in_queue=in_queue, in_flight=in_flight)

    def __len__(self) -> int:
        """Messages that have no outcome yet."""
        return 0 if self._is_closed else self._accumulator.message_count + len(self._parked)

    def __bool__(self) -> bool:
        return True

    # --- transactions ---

    async def init_transactions(self, timeout: float = -1) -> None:  # noqa: ASYNC109
        """Get ready for transactions; whoever uses the same ``transactional.id`` is fenced.

        To be called once, before anything else. A call that timed out or was cancelled can be made
        again and goes on where it was; so can those that end a transaction.

        Raises:
            KafkaException: the error's ``retriable()``, ``txn_requires_abort()`` and ``fatal()``
                tell what can be done: call again, abort, or make another producer.
        """
        await _within(timeout, self._transacting().init())

    async def begin_transaction(self) -> None:
        """Begin a transaction; everything that is sent from now on belongs to it.

        Raises:
            KafkaException: ``_STATE``: there is one already, or ``init_transactions`` is missing.
        """
        self._transacting().begin()

    async def send_offsets_to_transaction(
        self,
        positions: list[TopicPartition],
        group_metadata: bytes,
        timeout: float = -1,  # noqa: ASYNC109
    ) -> None:
        """Commit a consumer's offsets if, and only if, the transaction is committed.

        Args:
            positions: the next offsets to consume; those without an offset are left out.
            group_metadata: the consumer's ``consumer_group_metadata()``.
            timeout: how many seconds to wait at most; negative (and by default) without limit.

        Raises:
            KafkaException: as :meth:`init_transactions` does.
        """
        offsets = group_offsets(positions)
        transacting = self._transacting()
        group = decode_group_metadata(group_metadata)
        await _within(timeout, transacting.send_offsets(group, offsets))

    async def commit_transaction(self, timeout: float = -1) -> None:  # noqa: ASYNC109
        """Wait for the outcome of all messages and commit.

        Raises:
            KafkaException: as :meth:`init_transactions` does. A message that was not delivered
                makes the transaction fail: ``txn_requires_abort()``.
        """
        transacting = self._transacting()
        transacting.begin_commit()
        await _within(timeout, self._end(transacting.commit))

    async def abort_transaction(self, timeout: float = -1) -> None:  # noqa: ASYNC109
        """Give up all messages of the transaction; those that wait fail with ``_PURGE_QUEUE``.

        Raises:
            KafkaException: as :meth:`init_transactions` does.
        """
        transacting = self._transacting()
        transacting.begin_abort()
        self._fail_parked(KafkaException(KafkaError(KafkaError._PURGE_QUEUE)))
        await _within(timeout, self._end(transacting.abort))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Self]:
        """A transaction around a block: committed at its end, aborted when it raises."""
        await self.begin_transaction()
        try:
            yield self
            await self.commit_transaction()
        except BaseException:
            if self._transacting().is_open:
                await self.abort_transaction()
            raise

    async def _end(self, finish: Callable[[], Coroutine[Any, Any, None]]) -> None:
        await self.flush()
        await finish()

    def _transacting(self) -> Transacting:
        self._start()
        return self._producing.configured_transacting()

    # --- the cluster ---

    async def list_topics(
        self,
        topic: str | None = None,
        timeout: float = -1,  # noqa: ASYNC109
    ) -> ClusterMetadata:
        """The brokers, and one topic or all of them.

        Raises:
            KafkaException: no broker answered within ``timeout`` seconds.
        """
        from ottla.client.engine.cluster_queries import list_topics

        engine = self._start()
        return await list_topics(engine, topic, _milliseconds(timeout), may_create=True)

    async def cluster_id(self, timeout: float = -1) -> str | None:  # noqa: ASYNC109
        """The cluster's id; raises as :meth:`list_topics` does."""
        from ottla.client.engine.cluster_queries import cluster_id

        return await cluster_id(self._start(), _milliseconds(timeout))

    async def wait_connected(self, timeout: float = -1) -> None:  # noqa: ASYNC109
        """Wait until a broker has been reached and has accepted this client.

        Raises:
            KafkaException: none was within ``timeout`` seconds; the text says why.
        """
        await self._start().wait_connected(_milliseconds(timeout))

    def set_sasl_credentials(self, username: str, password: str) -> None:
        """Authenticate with these from the next connection on (PLAIN and SCRAM)."""
        self._start().set_sasl_credentials(username, password)

    # --- life ---

    async def close(self) -> None:
        """Abort an open transaction, wait for the outcome of all messages, free everything.

        May be called again; when it is cancelled, it goes on by itself.
        """
        if self._is_closed:
            return
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        engine = self._engine
        if engine is not None:
            transacting = self._producing.transacting
            if transacting is not None and transacting.is_open:
                await self.abort_transaction()
            await self.flush()
            self._is_closed = True
            await engine.close()
        self._is_closed = True
        self._refuse(RuntimeError(_CLOSED))

    async def __aenter__(self) -> Self:
        self._start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def _start(self) -> Engine:
        """The engine, which begins at the first use, when the loop is known."""
        if self._is_closed:
            raise RuntimeError(_CLOSED)
        if self._engine is None:
            engine = Engine(self._configuration, "producer", call_user=self._callbacks.call)
            self._producing = Producing(
                engine,
                self._configuration,
                self._accumulator,
                self._deliver,
                lambda records: self._unpark(),
            )
            self._producing.on_refusal = self._refused_for_good
            if self._producing.transacting is not None:
                self._producing.transacting.on_refusal = self._refuse
            engine.statistics.append(self._producing.statistics)
            self._engine = engine
            engine.start()
        return self._engine

    def _wake_engine(self) -> None:
        self._start()
        self._producing.wake()

    def _make_first_future(self) -> asyncio.Future[Any]:
        self._start()
        loop = asyncio.get_running_loop()
        self._make_futures_on(loop)
        return active.DeliveryFuture(loop)

    # --- outcomes ---

    def _deliver(self, deliveries: Deliveries) -> None:
        error = deliveries.error
        only_errors = self._configuration.delivery_report_only_error
        left = not self._accumulator.has_futures or deliveries.resolve(active.DeliveryFuture)
        if left and only_errors and error is None:
            deliveries.batch.release()
        elif left:
            for callback, message in deliveries:
                try:
                    self._callbacks.call(callback, error, message)
                except Exception as exception:
                    self._callback_failed(exception)
        self._unpark()

    def _callback_failed(self, error: BaseException) -> None:
        asyncio.get_running_loop().call_exception_handler(
            {"message": "a callback of the producer raised", "exception": error}
        )

    # --- room in the queue ---

    def _append_with_room(
        self,
        timeout: float,
        topic: str,
        partition: int,
        key: bytes | str | None,
        value: bytes | str | None,
        headers: Any,
        timestamp_ms: int,
        callback: Any,
    ) -> int:
        """Park what is sent until there is room; what is produced with a callback is refused."""
        if not isinstance(callback, active.DeliveryFuture):
            return QUEUE_FULL
        self._parked.append((topic, partition, key, value, headers, timestamp_ms, callback))
        self._is_parking = True
        return APPENDED

    def _unpark(self) -> None:
        """There may be room again."""
        self._has_room.set()
        wakes = False
        while self._parked:
            try:
                answer = self._accumulator.append(*self._parked[0])
            except TypeError as error:
                _fail(self._parked[0][-1], error)
                self._parked.popleft()
                continue
            if answer == QUEUE_FULL:
                break
            future = self._parked.popleft()[-1]
            if answer not in (APPENDED, WAKE):
                _fail(future, refusal(answer))
            wakes = wakes or answer == WAKE
        self._is_parking = bool(self._parked)
        if wakes:
            self._producing.wake()

    def _refused_for_good(self, exception: KafkaException | None) -> None:
        self._refuse(exception)
        if exception is not None:
            self._fail_parked(exception)

    def _fail_parked(self, exception: Exception) -> None:
        parked, self._parked = self._parked, deque()
        self._is_parking = False
        for *_, future in parked:
            _fail(future, exception)


def _fail(future: asyncio.Future[Any], exception: Exception) -> None:
    if not future.done():
        future.set_exception(exception)


def _milliseconds(timeout: float) -> float:
    return timeout * 1000 if timeout >= 0 else _FOREVER_MS


def _seconds_or_none(timeout: float) -> float | None:
    return timeout if timeout >= 0 else None


async def _within(timeout: float, coroutine: Coroutine[Any, Any, None]) -> None:  # noqa: ASYNC109
    try:
        async with asyncio.timeout(_seconds_or_none(timeout)):
            await coroutine
    except TimeoutError:
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT, TIMED_OUT, retriable=True)) from None
