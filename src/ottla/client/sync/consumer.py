"""``Consumer`` as confluent_kafka has it."""

from __future__ import annotations

import math
import threading
import time
import weakref
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from ottla.client import consumer_arguments as arguments
from ottla.client.backend import active
from ottla.client.configuration.build import configure_consumer
from ottla.client.core.consuming.partition import Stored
from ottla.client.errors import KafkaException
from ottla.client.message import Message
from ottla.client.sync.callbacks import CallbackQueue
from ottla.client.sync.column_reading import read_columns
from ottla.client.values import TopicPartition

if TYPE_CHECKING:
    from ottla.client.admin.clusters import ClusterMetadata
    from ottla.client.engine.consuming_group import Rebalance

T = TypeVar("T")
RebalanceCallback = Callable[["Consumer", list[TopicPartition]], Any]


class Consumer(active.ConsumerBase):
    """Reads topics, alone (:meth:`assign`) or sharing them with its group (:meth:`subscribe`).

    Takes a dictionary of configuration properties, or the same as keywords; ``group.id`` has to be
    among them. Callbacks (of ``subscribe``, ``on_commit``, ``error_cb``, ...) are called by
    :meth:`poll`, :meth:`consume` and :meth:`close`, in the thread that calls these. Methods may be
    called from any thread; those that wait, wait for one another.

    Every method raises ``RuntimeError`` once the consumer is closed.

    Raises:
        KafkaException: a property is unknown or its value is not possible.
        ValueError: there is no ``group.id``.
        TypeError: there is no dictionary, or a callback can't be called.
    """

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__()
        configuration = configure_consumer(args, keywords)
        self._configuration = configuration
        self._callbacks = CallbackQueue()
        self._lock = threading.RLock()
        self._rebalance_callbacks: dict[str, Callable[..., Any]] = {}
        self._has_assigned = False
        self._is_closed = False
        # With the engine comes asyncio, which takes longer to import than all the rest.
        from ottla.client.sync.consumer_engine import ConsumerEngine

        engine = ConsumerEngine(configuration, self._callbacks, weakref.ref(self))
        self._thread = engine.thread
        self._inbox = engine.inbox
        self._consuming = engine.consuming
        self._calls = engine.calls

    # Reading

    def _poll(self, timeout: float) -> Message[Any, Any] | None:
        limit_s = arguments.seconds(timeout)
        with self._opened():
            self._begin_polling()
            try:
                return self._next_message(limit_s)
            finally:
                self._end_polling()

    def _next_message(self, limit_s: float | None) -> Message[Any, Any] | None:
        deadline: float | None = None
        while True:
            message = self._inbox.next_error()
            if message is not None:
                return message
            self._serve()
            message = self._inbox.next_message()
            if message is not None or limit_s == 0:
                return message
            if deadline is None and limit_s is not None:
                deadline = time.monotonic() + limit_s
            left_s = None if deadline is None else deadline - time.monotonic()
            if (left_s is not None and left_s <= 0) or not self._callbacks.wait(left_s):
                return None

    def _consume(
        self, num_messages: int, timeout: float, messages: list[Message[Any, Any]]
    ) -> list[Message[Any, Any]]:
        limit_s = arguments.seconds(timeout)
        count = arguments.message_count(num_messages)
        with self._opened():
            if count == 0:
                return []
            self._begin_polling()
            try:
                return self._take(count, limit_s, messages)
            finally:
                self._end_polling()

    def _take(
        self, count: int, limit_s: float | None, messages: list[Message[Any, Any]]
    ) -> list[Message[Any, Any]]:
        deadline: float | None = None
        try:
            while True:
                self._serve()
                messages += self._inbox.take(count - len(messages))
                if len(messages) == count or limit_s == 0:
                    return messages
                if deadline is None and limit_s is not None:
                    deadline = time.monotonic() + limit_s
                left_s = None if deadline is None else deadline - time.monotonic()
                if (left_s is not None and left_s <= 0) or not self._callbacks.wait(left_s):
                    return messages
        except BaseException:
            # A callback failed, or Ctrl-C: what was taken is read again instead of lost.
            self._give_back(arguments.first_offsets(messages))
            raise

    def consume_arrow(self, num_messages: int = 1_000_000, timeout: float = -1) -> Any:
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
        columns = active.RecordColumns()
        read_columns(self, columns, num_messages, timeout)
        return record_batch(columns)

    def consume_lines(
        self,
        num_messages: int = 1_000_000,
        timeout: float = -1,
        *,
        separator: bytes = b"\n",
        null: bytes = b"null",
    ) -> tuple[int, memoryview]:
        """The values of records as text, without a Python object per record.

        Unlike :meth:`consume` it waits only until there is anything, and hands out about a mebibyte
        at a time. Ends of partitions are left out.

        Args:
            num_messages: how many records at most.
            timeout: how long to wait, in seconds; -1 for as long as it takes.
            separator: what follows each value.
            null: what stands for a value that is null.

        Returns:
            How many records, and their values.

        Raises:
            KafkaException: instead of an error message, when no record came before it.
        """
        lines = active.RecordLines(separator, null)
        read_columns(self, lines, num_messages, timeout, is_hasty=True)
        return lines.count, memoryview(lines.data)

    def _give_back(self, offsets: dict[tuple[str, int], Stored]) -> None:
        """Read again what was taken and never reached the user."""
        if offsets:
            self._call(self._consuming.rewind, offsets)
            self._inbox.leave_void()

    def __iter__(self) -> Iterator[Message[Any, Any]]:
        """The messages, one after the other, without end.

        Raises:
            KafkaException: instead of returning a message that stands for an error, except the
                end of a partition, which one has to ask for (``enable.partition.eof``).
        """
        return self

    def __next__(self) -> Message[Any, Any]:
        message = self.poll()
        while message is None:
            message = self.poll()
        return arguments.raise_error(message)

    def _begin_polling(self) -> None:
        self._inbox.is_polling = True
        member = self._consuming.group.member
        if member is not None:
            member.last_poll_ms = math.inf
            if member.awaits_poll:
                self._thread.call(member.polled)

    def _end_polling(self) -> None:
        self._inbox.is_polling = False
        member = self._consuming.group.member
        if member is not None:
            member.last_poll_ms = self._consuming.engine.now_ms()

    def _serve(self) -> None:
        """Call the callbacks that wait."""
        self._has_news = False
        if self._callbacks:
            self._callbacks.run()

    # Subscribing

    def subscribe(self, topics: list[str], **listeners: RebalanceCallback) -> None:
        """Read topics together with the other members of the group.

        Replaces what was subscribed to before. Names that begin with ``^`` are patterns.

        Args:
            topics: names and patterns.
            listeners: ``on_assign``, ``on_revoke`` and ``on_lost``, called with the consumer and
                the partitions that come or go, when it polls or is closed. ``on_lost`` stands in
                for ``on_revoke`` when others may read the partitions already. They may call
                :meth:`assign`, :meth:`unassign` and the incremental ones, with other offsets, say;
                if they don't, that is done for them.

        Raises:
            KafkaException: ``_INVALID_ARG``: there is no topic, or a pattern makes no sense.
        """
        self._check_open()
        unknown = set(listeners) - {"on_assign", "on_revoke", "on_lost"}
        if unknown:
            raise TypeError(f"subscribe() got an unexpected keyword argument {min(unknown)!r}")
        names = arguments.topic_names(topics)
        self._rebalance_callbacks = arguments.callbacks(listeners)
        try:
            self._call(self._consuming.group.subscribe, names)
        except KafkaException as exception:
            arguments.fail("Failed to set subscription", exception)

    def unsubscribe(self) -> None:
        """Leave the group; ``on_revoke`` is called by the next :meth:`poll`."""
        self._check_open()
        self._call(self._consuming.group.unsubscribe)

    def _serve_rebalance(self, event: Rebalance) -> None:
        """Let the application hear of a change, then see to it that it takes place."""
        callback = self._consuming.group.callback_for(event, self._rebalance_callbacks)
        self._has_assigned = False
        try:
            if callback is not None:
                callback(self, [TopicPartition(*key) for key in event.partitions])
        finally:
            if not self._has_assigned:
                self._call(self._consuming.carry_out, event)
                self._inbox.leave_void()
            self._run(self._consuming.group.rebalanced(event))

    # Assigning

    def assign(self, partitions: list[TopicPartition], /) -> None:
        """Read these partitions and no others, from the offsets they have.

        Without an offset, a partition is read from the group's committed one.
        """
        self._change_assignment(
            "Failed to set assignment", self._consuming.assign, arguments.starts(partitions)
        )

    def unassign(self) -> None:
        """Read nothing any more."""
        self._change_assignment("Failed to remove assignment", self._consuming.unassign)

    def incremental_assign(self, partitions: list[TopicPartition], /) -> None:
        """Read these partitions besides those that are read.

        Raises:
            KafkaException: ``_CONFLICT``: one of them is read already.
        """
        self._change_assignment(
            None, self._consuming.incremental_assign, arguments.starts(partitions)
        )

    def incremental_unassign(self, partitions: list[TopicPartition], /) -> None:
        """Stop reading these partitions.

        Raises:
            KafkaException: ``_INVALID_ARG``: one of them is not read.
        """
        self._change_assignment(None, self._consuming.unassign, arguments.keys(partitions))

    def _change_assignment(
        self, subject: str | None, change: Callable[..., None], *given: Any
    ) -> None:
        with self._opened():
            # Also when it fails: then the application is to see to it.
            self._has_assigned = True
            self._calls.check_protocol(subject)
            self._call(change, *given)
            self._inbox.leave_void()

    def assignment(self) -> list[TopicPartition]:
        """The partitions that are read."""
        self._check_open()
        return self._calls.assignment()

    # Positions

    def seek(self, partition: TopicPartition) -> None:
        """Go on reading a partition at another offset.

        Raises:
            KafkaException: ``_UNKNOWN_PARTITION``: it is not assigned.
        """
        start = arguments.start(arguments.topic_partition(partition))
        with self._opened():
            self._call(self._consuming.seek, start)
            self._inbox.leave_void()

    def pause(self, partitions: list[TopicPartition]) -> None:
        """Hand out nothing more of these partitions until they are resumed."""
        keys = arguments.keys(partitions)
        with self._opened():
            self._call(self._consuming.pause, keys)
            self._inbox.leave_void()

    def resume(self, partitions: list[TopicPartition]) -> None:
        """Go on with partitions that were paused."""
        self._check_open()
        self._call(self._consuming.resume, arguments.keys(partitions))

    def position(self, partitions: list[TopicPartition]) -> list[TopicPartition]:
        """For each partition the offset after the last message that was handed out.

        ``OFFSET_INVALID`` when there was none since it was assigned, or since the last seek.
        """
        self._check_open()
        return self._calls.position(partitions)

    # Offsets of the group

    def store_offsets(
        self,
        message: Message[Any, Any] | None = None,
        offsets: list[TopicPartition] | None = None,
    ) -> None:
        """Store what is to be committed next; only with ``enable.auto.offset.store=false``.

        Raises:
            KafkaException: ``_INVALID_ARG``: the client stores offsets itself; ``_STATE``: the
                partition is not assigned.
            ValueError: both or none of the arguments are given.
        """
        self._check_open()
        self._calls.store_offsets(message, offsets)

    def commit(
        self,
        message: Message[Any, Any] | None = None,
        offsets: list[TopicPartition] | None = None,
        asynchronous: bool = True,
        **keywords: Any,
    ) -> list[TopicPartition] | None:
        """Commit offsets for the group.

        Args:
            message: commit the offset after this one.
            offsets: commit these; without either, what is stored of all assigned partitions.
            asynchronous: return at once; ``on_commit`` will be told. ``async`` is another name.

        Returns:
            The offsets committed, None when asynchronous.

        Raises:
            KafkaException: the commit failed; ``_NO_OFFSET``: there is nothing to commit.
            ValueError: both ``message`` and ``offsets`` are given.
        """
        self._check_open()
        asynchronous = bool(keywords.pop("async", asynchronous))
        if keywords:
            raise TypeError(f"commit() got an unexpected keyword argument {min(keywords)!r}")
        if asynchronous:
            to_commit = arguments.to_commit(message, offsets)
            self._thread.call(self._consuming.offsets.commit_soon, to_commit)
            return None
        return self._run(self._calls.commit(message, offsets))

    def committed(
        self, partitions: list[TopicPartition], timeout: float = -1
    ) -> list[TopicPartition]:
        """The group's committed offsets, ``OFFSET_INVALID`` where there is none.

        Raises:
            KafkaException: ``_TIMED_OUT`` after so many seconds, or what the broker says.
        """
        self._check_open()
        return self._run(self._calls.committed(partitions, timeout))

    # Offsets of partitions

    def get_watermark_offsets(
        self, partition: TopicPartition, timeout: float = -1, cached: bool = False
    ) -> tuple[int, int]:
        """The offset of the first message, and the offset after the last one.

        Args:
            partition: any partition.
            timeout: in seconds.
            cached: don't ask, tell what the last fetch told; ``OFFSET_INVALID`` when unknown.

        Raises:
            KafkaException: ``_UNKNOWN_PARTITION``, ``_TIMED_OUT`` or what the broker says.
        """
        self._check_open()
        return self._run(self._calls.get_watermark_offsets(partition, timeout, cached))

    def offsets_for_times(
        self, partitions: list[TopicPartition], timeout: float = -1
    ) -> list[TopicPartition]:
        """For each partition the first message at or after a time.

        Args:
            partitions: with milliseconds since the epoch in place of offsets.
            timeout: in seconds.

        Returns:
            The partitions with their offsets, ``OFFSET_END`` where all messages are older.

        Raises:
            KafkaException: ``_UNKNOWN_PARTITION``, ``_TIMED_OUT`` or what the broker says.
        """
        self._check_open()
        return self._run(self._calls.offsets_for_times(partitions, timeout))

    # The group

    def memberid(self) -> str | None:
        """This consumer's id in the group, None while it is in none."""
        self._check_open()
        return self._calls.memberid()

    def consumer_group_metadata(self) -> bytes:
        """Who this consumer is for its group, for ``Producer.send_offsets_to_transaction``."""
        self._check_open()
        return self._calls.consumer_group_metadata()

    # The cluster

    def list_topics(self, topic: str | None = None, timeout: float = -1) -> ClusterMetadata:
        """The cluster's brokers and topics, or only one topic.

        Raises:
            KafkaException: no broker could be asked for so many seconds.
        """
        self._check_open("Handle has been closed")
        return self._run(self._calls.list_topics(topic, timeout))

    def cluster_id(self, timeout: float = -1) -> str | None:
        """The cluster's id; raises as :meth:`list_topics` does."""
        self._check_open("Handle has been closed")
        return self._run(self._calls.cluster_id(timeout))

    def set_sasl_credentials(self, username: str, password: str) -> None:
        """Authenticate with these from the next connection on (PLAIN and SCRAM)."""
        self._check_open("Handle has been closed")
        self._thread.call(self._consuming.engine.set_sasl_credentials, username, password)

    def wait_connected(self, timeout: float = -1) -> None:
        """Return as soon as a broker has accepted this client.

        Raises:
            KafkaException: none did for so many seconds; the error says why.
        """
        self._check_open()
        self._run(self._calls.wait_connected(timeout))

    # The end

    def close(self) -> None:
        """Commit what is stored (if that is automatic), leave the group, disconnect.

        ``on_revoke`` and ``on_commit`` are called meanwhile. May be called again.

        Raises:
            BaseException: what the first callback that failed raised; closed it is then.
        """
        self._thread.check_process()
        with self._lock:
            if self._is_closed:
                return
            failures = self._serve_until_left()
            self._is_closed = True
            self._thread.stop()
            self._inbox.clear()
        if failures:
            raise failures[0]

    def _serve_until_left(self) -> list[BaseException]:
        """Leave the group and commit, calling back the application as long as that takes."""
        failures: list[BaseException] = []
        leaving = self._thread.submit(self._consuming.close(self._configuration.socket_timeout_ms))
        leaving.add_done_callback(lambda _: self._callbacks.notify())
        is_done = False
        while not is_done:
            is_done = leaving.done()
            try:
                self._serve()
            except Exception as failure:
                failures.append(failure)
            if not is_done:
                self._callbacks.wait(None)
        try:
            leaving.wait()
        except Exception as failure:
            failures.append(failure)
        return failures

    def __del__(self) -> None:
        # Only what was made completely has a thread. Who forgets to close leaves no group.
        thread = self.__dict__.get("_thread")
        if thread is not None:
            thread.stop(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # The engine's thread

    @contextmanager
    def _opened(self) -> Iterator[None]:
        """The one call that is under way; a forked child must not wait for its parent's."""
        self._check_open()
        with self._lock:
            self._check_open()
            yield

    def _check_open(self, refusal: str = "Consumer closed") -> None:
        if self._is_closed:
            raise RuntimeError(refusal)
        self._thread.check_process()

    def _call(self, function: Callable[..., T], *given: Any) -> T:
        """The result of a function called on the engine's loop."""

        async def call() -> T:
            return function(*given)

        return self._thread.run(call())

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """The result of a coroutine run on the engine's loop."""
        return self._thread.run(coroutine)
