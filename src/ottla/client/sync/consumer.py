"""``Consumer`` as confluent_kafka has it."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from ottla.client import consumer_arguments as arguments
from ottla.client.backend import active
from ottla.client.configuration.build import configure_consumer
from ottla.client.core.consuming.partition import Start
from ottla.client.engine.thread import EngineThread
from ottla.client.errors import KafkaError, KafkaException
from ottla.client.group_metadata import encode_group_metadata
from ottla.client.message import Message
from ottla.client.sync.callbacks import CallbackQueue
from ottla.client.values import OFFSET_END, TopicPartition, partition_result

if TYPE_CHECKING:
    from ottla.client.admin.clusters import ClusterMetadata
    from ottla.client.engine.consuming import Consuming
    from ottla.client.engine.consuming_group import Rebalance
    from ottla.client.engine.engine import Engine

T = TypeVar("T")
_NO_LIMIT_MS = 1e12
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

    _consuming: Consuming

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__()
        from ottla.client.engine.inbox import Inbox

        self._configuration = configure_consumer(args, keywords)
        self._callbacks = CallbackQueue()
        self._lock = threading.RLock()
        self._rebalance_callbacks: dict[str, Callable[..., Any]] = {}
        self._has_assigned = False
        self._is_closed = False
        self._inbox = Inbox(
            self,
            notify=self._callbacks.notify,
            call_engine=self._call_engine,
            call_user=self._callbacks.put,
            rebalance=lambda event: self._callbacks.put(self._serve_rebalance, event),
        )
        self._thread = EngineThread(self._make_engine, self._configuration.client_id)

    def _make_engine(self) -> Engine:
        from ottla.client.engine.consuming import Consuming
        from ottla.client.engine.engine import Engine

        engine = Engine(self._configuration, "consumer", call_user=self._inbox.call_user)
        self._consuming = Consuming(engine, self._configuration, self._inbox)
        self._inbox.consuming = self._consuming
        return engine

    def _call_engine(self, callback: Callable[..., object], *given: Any) -> None:
        self._thread.call(callback, *given)

    # Reading

    def _poll(self, timeout: float) -> Message[Any, Any] | None:
        limit_s = arguments.seconds(timeout)
        with self._lock:
            self._check_open()
            self._begin_polling()
            try:
                return self._next_message(limit_s)
            finally:
                self._end_polling()

    def _next_message(self, limit_s: float | None) -> Message[Any, Any] | None:
        deadline: float | None = None
        while True:
            self._serve()
            message = self._inbox.next_message()
            if message is not None or limit_s == 0:
                return message
            if deadline is None and limit_s is not None:
                deadline = time.monotonic() + limit_s
            left_s = None if deadline is None else deadline - time.monotonic()
            if (left_s is not None and left_s <= 0) or not self._callbacks.wait(left_s):
                return None

    def consume(self, num_messages: int = 1, timeout: float = -1) -> list[Message[Any, Any]]:
        """As many messages as there are until the time is over, ``num_messages`` at most.

        Errors are among them, see ``Message.error()``. Callbacks run within this call.

        Args:
            num_messages: how many at most; 0 returns at once.
            timeout: how long to wait for all of them, in seconds; -1 for as long as it takes.

        Raises:
            ValueError: ``num_messages`` is negative or more than a million.
        """
        limit_s = arguments.seconds(timeout)
        count = arguments.message_count(num_messages)
        with self._lock:
            self._check_open()
            if count == 0:
                return []
            self._begin_polling()
            try:
                return self._take(count, limit_s)
            finally:
                self._end_polling()

    def _take(self, count: int, limit_s: float | None) -> list[Message[Any, Any]]:
        messages: list[Message[Any, Any]] = []
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
            self._give_back(messages)
            raise

    def _give_back(self, messages: list[Message[Any, Any]]) -> None:
        if messages:
            self._inbox.leave()
            self._run(self._consuming.rewind(arguments.first_offsets(messages)))

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
        self._inbox.leave()
        is_lost = event.kind == "lost" or (event.kind == "revoke" and self._consuming.group.is_lost)
        names = ("on_lost", "on_revoke") if is_lost else (f"on_{event.kind}",)
        callback = next(
            (self._rebalance_callbacks[n] for n in names if n in self._rebalance_callbacks), None
        )
        self._has_assigned = False
        try:
            if callback is not None:
                callback(self, [TopicPartition(*key) for key in event.partitions])
        finally:
            if not self._has_assigned:
                self._carry_out(event)
            self._run(self._consuming.group.rebalanced(event))

    def _carry_out(self, event: Rebalance) -> None:
        if event.kind == "assign":
            starts = [Start(*key) for key in event.partitions]
            if event.is_incremental:
                self._call(self._consuming.incremental_assign, starts)
            else:
                self._call(self._consuming.assign, starts)
        elif event.is_incremental:
            read = self._consuming.assignment
            self._call(self._consuming.unassign, [k for k in event.partitions if k in read])
        else:
            self._call(self._consuming.unassign)

    # Assigning

    def assign(self, partitions: list[TopicPartition], /) -> None:
        """Read these partitions and no others, from the offsets they have.

        Without an offset, a partition is read from the group's committed one.
        """
        self._change_assignment(self._consuming.assign, arguments.starts(partitions))

    def unassign(self) -> None:
        """Read nothing any more."""
        self._change_assignment(self._consuming.unassign)

    def incremental_assign(self, partitions: list[TopicPartition], /) -> None:
        """Read these partitions besides those that are read.

        Raises:
            KafkaException: ``_CONFLICT``: one of them is read already.
        """
        self._change_assignment(self._consuming.incremental_assign, arguments.starts(partitions))

    def incremental_unassign(self, partitions: list[TopicPartition], /) -> None:
        """Stop reading these partitions.

        Raises:
            KafkaException: ``_INVALID_ARG``: one of them is not read.
        """
        self._change_assignment(self._consuming.unassign, arguments.keys(partitions))

    def _change_assignment(self, change: Callable[..., None], *given: Any) -> None:
        with self._lock:
            self._check_open()
            self._inbox.leave()
            self._has_assigned = True
            self._call(change, *given)

    def assignment(self) -> list[TopicPartition]:
        """The partitions that are read."""
        self._check_open()
        return arguments.assigned(self._consuming.assignment)

    # Positions

    def seek(self, partition: TopicPartition) -> None:
        """Go on reading a partition at another offset.

        Raises:
            KafkaException: ``_UNKNOWN_PARTITION``: it is not assigned.
        """
        start = arguments.start(arguments.topic_partition(partition))
        with self._lock:
            self._check_open()
            self._inbox.leave()
            self._call(self._consuming.seek, start)

    def pause(self, partitions: list[TopicPartition]) -> None:
        """Hand out nothing more of these partitions until they are resumed."""
        keys = arguments.keys(partitions)
        with self._lock:
            self._check_open()
            self._inbox.leave()
            self._call(self._consuming.pause, keys)

    def resume(self, partitions: list[TopicPartition]) -> None:
        """Go on with partitions that were paused."""
        self._check_open()
        self._call(self._consuming.resume, arguments.keys(partitions))

    def position(self, partitions: list[TopicPartition]) -> list[TopicPartition]:
        """For each partition the offset after the last message that was handed out.

        ``OFFSET_INVALID`` when there was none since it was assigned, or since the last seek.
        """
        self._check_open()
        assignment = self._consuming.assignment
        return [
            arguments.position_of(partition, assignment)
            for partition in arguments.topic_partitions(partitions)
        ]

    # Offsets of the group

    def store_offsets(
        self,
        message: Message[Any, Any] | None = None,
        offsets: list[TopicPartition] | None = None,
    ) -> list[TopicPartition] | None:
        """Store what is to be committed next; only with ``enable.auto.offset.store=false``.

        Raises:
            KafkaException: ``_INVALID_ARG``: the client stores offsets itself; ``_STATE``: the
                partition is not assigned.
            ValueError: both or none of the arguments are given.
        """
        self._check_open()
        if message is not None and offsets is not None:
            raise ValueError("message and offsets are mutually exclusive")
        if message is None and offsets is None:
            raise ValueError("expected either message or offsets")
        if self._configuration.enable_auto_offset_store:
            raise arguments.failure("StoreOffsets failed", KafkaError(KafkaError._INVALID_ARG))
        assignment = self._consuming.assignment
        if message is not None:
            arguments.store(assignment, [arguments.after(message, "StoreOffsets failed")])
            return None
        given = arguments.topic_partitions(offsets)
        arguments.store(assignment, [((p.topic, p.partition), arguments.stored(p)) for p in given])
        return None

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
        to_commit = arguments.to_commit(message, offsets)
        if asynchronous:
            self._thread.call(self._consuming.offsets.commit_soon, to_commit)
            return None
        commit = self._run(self._consuming.offsets.commit(to_commit))
        if commit.error is not None:
            raise arguments.failure("Commit failed", commit.error)
        return commit.offsets

    def committed(
        self, partitions: list[TopicPartition], timeout: float = -1
    ) -> list[TopicPartition]:
        """The group's committed offsets, ``OFFSET_INVALID`` where there is none.

        Raises:
            KafkaException: ``_TIMED_OUT`` after so many seconds, or what the broker says.
        """
        self._check_open()
        keys = arguments.keys(partitions)
        limit_s = arguments.seconds(timeout)
        try:
            found = self._run(self._consuming.offsets.look_up(keys, _milliseconds(limit_s)))
        except KafkaException as exception:
            arguments.fail("Failed to get committed offsets", exception)
        return [arguments.found_offset(key, found[key]) for key in keys]

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
        key = (arguments.topic_partition(partition).topic, partition.partition)
        limit_s = arguments.seconds(timeout)
        if cached:
            return arguments.cached_watermarks(self._consuming.assignment.get(key))
        try:
            return self._run(self._consuming.watermarks(key, _milliseconds(limit_s)))
        except KafkaException as exception:
            arguments.fail("Failed to get watermark offsets", exception)

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
        limit_s = arguments.seconds(timeout)
        wanted = {(p.topic, p.partition): p.offset for p in arguments.topic_partitions(partitions)}
        subject = "Failed to get offsets"
        if not wanted:
            raise arguments.failure(subject, KafkaError(KafkaError._INVALID_ARG))
        try:
            found = self._run(self._consuming.offsets_for_times(wanted, _milliseconds(limit_s)))
        except KafkaException as exception:
            arguments.fail(subject, exception)
        return [
            partition_result(p.topic, p.partition, found.get((p.topic, p.partition), OFFSET_END))
            for p in partitions
        ]

    # The group

    def memberid(self) -> str | None:
        """This consumer's id in the group, None while it is in none."""
        self._check_open()
        return self._consuming.group.metadata.member_id or None

    def consumer_group_metadata(self) -> bytes:
        """Who this consumer is for its group, for ``Producer.send_offsets_to_transaction``."""
        self._check_open()
        return encode_group_metadata(self._consuming.group.metadata)

    # The cluster

    def list_topics(self, topic: str | None = None, timeout: float = -1) -> ClusterMetadata:
        """The cluster's brokers and topics, or only one topic.

        Raises:
            KafkaException: no broker could be asked for so many seconds.
        """
        self._check_open("Handle has been closed")
        from ottla.client.engine.cluster_queries import list_topics

        limit_ms = _milliseconds(arguments.seconds(timeout))
        return self._run(list_topics(self._consuming.engine, topic, limit_ms))

    def cluster_id(self, timeout: float = -1) -> str | None:
        """The cluster's id; raises as :meth:`list_topics` does."""
        self._check_open("Handle has been closed")
        from ottla.client.engine.cluster_queries import cluster_id

        limit_ms = _milliseconds(arguments.seconds(timeout))
        return self._run(cluster_id(self._consuming.engine, limit_ms))

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
        limit_ms = _milliseconds(arguments.seconds(timeout))
        self._run(self._consuming.engine.wait_connected(limit_ms))

    # The end

    def close(self) -> None:
        """Commit what is stored (if that is automatic), leave the group, disconnect.

        ``on_revoke`` and ``on_commit`` are called meanwhile. May be called again.

        Raises:
            BaseException: what the first callback that failed raised; closed it is then.
        """
        with self._lock:
            if self._is_closed:
                return
            self._inbox.leave()
            failures = self._serve_until_left()
            self._is_closed = True
            self._thread.stop()
            self._cursor = None
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


def _milliseconds(limit_s: float | None) -> float:
    return _NO_LIMIT_MS if limit_s is None else limit_s * 1000
