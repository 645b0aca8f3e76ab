"""``Producer`` as confluent_kafka has it."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ottla.client.appended import APPENDED, QUEUE_FULL, refusal
from ottla.client.backend import active
from ottla.client.configuration.build import configure_producer
from ottla.client.errors import KafkaException
from ottla.client.produced_batch import append_messages, check_messages
from ottla.client.sync.reports import DeliveryReports
from ottla.client.values import TopicPartition

if TYPE_CHECKING:
    from ottla.client._reference_batch import DeliveryCallback
    from ottla.client.admin.clusters import ClusterMetadata

_CLOSED = "Producer has been closed"
# What confluent_kafka says where producers and consumers share the code.
_HANDLE_CLOSED = "Handle has been closed"


class Producer(active.PollingProducerBase):
    """Sends messages to topics, asynchronously: ``produce`` hands over, ``poll`` tells the outcome.

    Takes a dictionary of configuration properties, or the same as keywords. Callbacks (delivery
    reports, ``error_cb``, ``stats_cb``, ...) are called by :meth:`poll`, :meth:`flush`,
    :meth:`close` and the ends of transactions, in the thread that calls these. All methods may be
    called from any thread.

    Raises:
        KafkaException: a property is unknown or its value is not possible.
        TypeError: there is no dictionary, or a callback can't be called.
    """

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        configuration = configure_producer(arguments, keywords)
        # asyncio and all that comes with it: when a producer is made, not when it is imported.
        from ottla.client.sync.producer_engine import ProducerEngine, running_future

        self.is_closed = False
        self._configuration = configuration
        self._reports = DeliveryReports()
        self._engine = ProducerEngine(configuration, self._reports, self._flush)
        super().__init__(
            self._engine.accumulator,
            self._engine.wake,
            configuration.on_delivery,
            running_future,
            self._reports.news,
        )
        self._engine.refuse_through(self)

    # --- messages ---

    def produce_batch(
        self,
        topic: str,
        messages: list[dict[str, Any]],
        partition: int = -1,
        callback: DeliveryCallback | None = None,
        on_delivery: DeliveryCallback | None = None,
    ) -> int:
        """Hand many messages over at once.

        Args:
            topic: where they all go.
            messages: a dictionary for each: ``value``, ``key``, ``headers``, ``partition``,
                ``timestamp`` (in milliseconds) and ``callback``, all optional. One that is refused
                gets the ``KafkaError`` as its ``_error``.
            partition: of those that name none.
            callback: for those that have none.
            on_delivery: the same.

        Returns:
            How many were accepted.

        Raises:
            TypeError: a message that makes no sense; then none of them is accepted.
        """
        check_messages(messages)
        if not messages:
            return 0
        self._check_open()
        self._check_may_produce()
        accepted, wakes = append_messages(
            self._accumulator,
            topic,
            messages,
            partition,
            callback or on_delivery or self._configuration.on_delivery,
        )
        if wakes:
            self._engine.wake()
        return accepted

    def produce_arrow(
        self,
        topic: str,
        table: Any,
        *,
        key: str | None = None,
        value: str | None = "value",
        timestamp: str | None = None,
        partition: str | int = -1,
        on_delivery: DeliveryCallback | None = None,
        timeout: float = -1,
    ) -> int:
        """Produce the rows of a table, without a Python object per row (extra ``arrow``).

        Args:
            topic: where they all go.
            table: a ``pyarrow.Table`` or ``RecordBatch``.
            key: the column of the keys, binary or text; without one there are none.
            value: the column of the values, binary or text; nulls are null values.
            timestamp: a column of timestamps, or of milliseconds; without one it is now.
            partition: a column of partitions, or the partition of all rows; -1: the partitioner
                chooses.
            on_delivery: called for each message with its outcome.
            timeout: how many seconds to wait for room in the queue, serving callbacks meanwhile;
                negative (and by default) without limit.

        Returns:
            How many rows were accepted: all, unless the time was over.

        Raises:
            ImportError: pyarrow is not installed.
            KafkaException: a row is too large, or its partition does not exist.
            KeyError: there is no such column.
            TypeError: it is no table, or a column has a type that can't be produced.
        """
        from ottla.client.produced_arrow import Columns, TableAppender

        seconds = _seconds(timeout)
        self._check_open()
        self._check_may_produce()
        deadline = time.monotonic() + seconds if seconds >= 0 else None
        appender = TableAppender(
            self._accumulator,
            topic,
            table,
            Columns(key, value, timestamp, partition if isinstance(partition, str) else None),
            partition if isinstance(partition, int) else -1,
            on_delivery or self._configuration.on_delivery,
            self._engine.wake,
        )
        while not appender.append():
            left_s = -1.0 if deadline is None else deadline - time.monotonic()
            if deadline is not None and left_s <= 0:
                break
            self._check_open()
            self._reports.wait(left_s)
        return appender.count

    def produce_lines(
        self,
        topic: str,
        text: bytes | bytearray | memoryview,
        *,
        partition: int = -1,
        on_delivery: DeliveryCallback | None = None,
        timeout: float = -1,
    ) -> int:
        r"""Produce each line of a text, without a Python object per line.

        Args:
            topic: where they all go.
            text: lines, each ended by ``\n``, which is no part of the value.
            partition: of all of them; -1: the partitioner chooses.
            on_delivery: called for each message with its outcome.
            timeout: how many seconds to wait for room in the queue, serving callbacks meanwhile;
                negative (and by default) without limit.

        Returns:
            How many bytes of the text were accepted: all up to the end of the last whole line,
            unless the time was over.

        Raises:
            KafkaException: a line is too large, or the partition does not exist.
        """
        seconds = _seconds(timeout)
        self._check_open()
        self._check_may_produce()
        callback = on_delivery or self._configuration.on_delivery
        deadline = time.monotonic() + seconds if seconds >= 0 else None
        position = 0
        while True:
            position, _, wakes, answer = active.append_lines(
                self._accumulator, topic, partition, text, position, callback
            )
            if wakes:
                self._engine.wake()
            if answer == APPENDED:
                return position
            if answer != QUEUE_FULL:
                raise refusal(answer)
            left_s = -1.0 if deadline is None else deadline - time.monotonic()
            if deadline is not None and left_s <= 0:
                return position
            self._check_open()
            self._reports.wait(left_s)

    def _serve(self, timeout: float) -> int:
        seconds = _seconds(timeout)
        self._check_open()
        return self._reports.wait(seconds)

    def flush(self, timeout: float = -1) -> int:
        """Wait until all messages have their outcome; nothing lingers meanwhile.

        Args:
            timeout: how many seconds to wait at most; negative (and by default) without limit.

        Returns:
            How many messages have none yet.

        Raises:
            Exception: what a callback raised.
        """
        seconds = _seconds(timeout)
        self._check_open()
        return self._flush(seconds)

    def _flush(self, timeout_s: float) -> int:
        deadline = time.monotonic() + timeout_s if timeout_s >= 0 else None
        self._engine.begin_flush()
        try:
            while True:
                self._reports.serve()
                if not self._accumulator.message_count:
                    return 0
                left_s = -1.0 if deadline is None else deadline - time.monotonic()
                if deadline is not None and left_s <= 0:
                    return self._accumulator.message_count
                self._reports.wait(left_s)
        finally:
            self._engine.end_flush()

    def purge(self, in_queue: bool = True, in_flight: bool = True, blocking: bool = True) -> None:
        """Give messages up; their callbacks hear ``_PURGE_QUEUE`` or ``_PURGE_INFLIGHT``.

        Args:
            in_queue: those that have not been sent.
            in_flight: those whose answer has not come; they may be delivered all the same.
            blocking: whether to return only when it is done.
        """
        self._check_open()
        self._engine.purge(
            in_queue=bool(in_queue), in_flight=bool(in_flight), is_awaited=bool(blocking)
        )

    def __len__(self) -> int:
        """Messages that wait for their delivery or its callback, and other events to be served."""
        return 0 if self.is_closed else self._accumulator.message_count + len(self._reports)

    def __bool__(self) -> bool:
        return True

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
        """Wait for room in the queue, serving callbacks meanwhile, if there is time for that."""
        seconds = _seconds(timeout)
        deadline = time.monotonic() + seconds if seconds >= 0 else None
        while True:
            answer = self._accumulator.append(
                topic, partition, key, value, headers, timestamp_ms, callback
            )
            left_s = -1.0 if deadline is None else deadline - time.monotonic()
            if answer != QUEUE_FULL or (deadline is not None and left_s <= 0):
                return answer
            self._check_open()
            self._reports.wait(left_s)

    # --- transactions ---

    def init_transactions(self, timeout: float = -1, /) -> None:
        """Get ready for transactions; whoever uses the same ``transactional.id`` is fenced.

        To be called once, before anything else. Each of these calls waits for ``timeout`` seconds
        at most (negative: without limit); when that is over, the call can be made again and goes
        on where it was.

        Raises:
            KafkaException: the error's ``retriable()``, ``txn_requires_abort()`` and ``fatal()``
                tell what can be done: call again, abort, or make another producer.
        """
        seconds = _seconds(timeout)
        self._check_open()
        self._engine.transactions.init(seconds)

    def begin_transaction(self) -> None:
        """Begin a transaction; everything that is produced from now on belongs to it.

        Raises:
            KafkaException: ``_STATE``: there is one already, or ``init_transactions`` is missing.
        """
        self._check_open()
        self._engine.transactions.begin()

    def send_offsets_to_transaction(
        self, positions: list[TopicPartition], group_metadata: bytes, timeout: float = -1, /
    ) -> None:
        """Commit a consumer's offsets if, and only if, the transaction is committed.

        Args:
            positions: the next offsets to consume; those without an offset are left out.
            group_metadata: the consumer's ``consumer_group_metadata()``.
            timeout: as in :meth:`init_transactions`.

        Raises:
            KafkaException: as :meth:`init_transactions` does.
        """
        seconds = _seconds(timeout)
        self._check_open()
        self._engine.transactions.send_offsets(positions, group_metadata, seconds)

    def commit_transaction(self, timeout: float = -1, /) -> None:
        """Wait for the outcome of all messages, serving their callbacks, and commit.

        Raises:
            KafkaException: as :meth:`init_transactions` does. A message that was not delivered
                makes the transaction fail: ``txn_requires_abort()``.
        """
        seconds = _seconds(timeout)
        self._check_open()
        self._engine.transactions.commit(seconds)

    def abort_transaction(self, timeout: float = -1, /) -> None:
        """Give up all messages of the transaction; those that wait fail with ``_PURGE_QUEUE``.

        Raises:
            KafkaException: as :meth:`init_transactions` does.
        """
        seconds = _seconds(timeout)
        self._check_open()
        self._engine.transactions.abort(seconds)

    # --- the cluster ---

    def list_topics(self, topic: str | None = None, timeout: float = -1) -> ClusterMetadata:
        """The brokers, and one topic or all of them.

        Raises:
            KafkaException: no broker answered within ``timeout`` seconds.
        """
        if topic is not None and not isinstance(topic, str):
            raise TypeError(f"topic must be str or None, not {type(topic).__name__}")
        seconds = _seconds(timeout)
        self._check_open(_HANDLE_CLOSED)
        return self._engine.list_topics(topic, seconds)

    def cluster_id(self, timeout: float = -1) -> str | None:
        """The cluster's id.

        Raises:
            KafkaException: no broker answered within ``timeout`` seconds.
        """
        seconds = _seconds(timeout)
        self._check_open(_HANDLE_CLOSED)
        return self._engine.cluster_id(seconds)

    def set_sasl_credentials(self, username: str, password: str) -> None:
        """Authenticate with these from the next connection on (PLAIN and SCRAM)."""
        self._check_open(_HANDLE_CLOSED)
        self._engine.set_sasl_credentials(username, password)

    def wait_connected(self, timeout: float = -1) -> None:
        """Wait until a broker has been reached and has accepted this client.

        Args:
            timeout: how many seconds to wait at most; negative (and by default) without limit.

        Raises:
            KafkaException: no broker was; the text says why.
        """
        seconds = _seconds(timeout)
        self._check_open()
        self._engine.wait_connected(seconds)

    # --- life ---

    def close(self) -> bool:
        """Wait for the outcome of all messages and free everything; may be called again."""
        if self.is_closed:
            return True
        try:
            if self._engine.transactions.is_open:
                self._engine.transactions.abort(-1)
        except KafkaException as exception:
            # What ended the producer has been told; its transaction ends by its timeout.
            if not exception.args[0].fatal():
                raise
        self._flush(-1)
        self._end()
        return True

    def _end(self) -> None:
        self.is_closed = True
        self._refuse(RuntimeError(_CLOSED))
        self._engine.thread.stop()

    def __enter__(self) -> Producer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        # What was not made completely may have no engine.
        engine = self.__dict__.get("_engine")
        if engine is not None:
            engine.thread.stop(0)

    def _check_open(self, refusal: str = _CLOSED) -> None:
        if self.is_closed:
            raise RuntimeError(refusal)
        self._engine.thread.check_process()


def _seconds(timeout: float) -> float:
    if not isinstance(timeout, int | float):
        raise TypeError(f"must be real number, not {type(timeout).__name__}")
    return float(timeout)
