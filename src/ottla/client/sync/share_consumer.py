"""``ShareConsumer`` as confluent_kafka has it (KIP-932)."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, SupportsIndex, TypeVar

from ottla.client import consumer_arguments as arguments
from ottla.client import share_arguments
from ottla.client.configuration.build import configure_share_consumer
from ottla.client.enumerations import AcknowledgeType
from ottla.client.errors import (
    ConcurrentModificationException,
    IllegalStateException,
    KafkaError,
    KafkaException,
)
from ottla.client.message import Message
from ottla.client.messages import Messages
from ottla.client.sync.callbacks import CallbackQueue
from ottla.client.values import TopicPartition

if TYPE_CHECKING:
    from ottla.client.engine.sharing_inbox import AcknowledgementCommitCallback
    from ottla.client.engine.thread import Waiting

T = TypeVar("T")

_IN_CALLBACK = (
    "Share consumer methods are not accessible from user-defined acknowledgement commit callback"
)


class ShareConsumer:
    """Reads topics as queues: every record goes to one member of the group at a time.

    Takes a dictionary of configuration properties, or the same as keywords; ``group.id`` has to be
    among them. With ``share.acknowledgement.mode=implicit``, the default, a poll or a commit
    accepts what the poll before returned. With ``explicit`` every record is to be acknowledged:
    accepted, released (it is delivered again), rejected (it is not) or renewed (the next poll
    returns it once more). What is not acknowledged when its lock runs out, or when the consumer is
    closed, is delivered again.

    A share consumer is for one thread. Callbacks are called by its methods, in that thread.

    Every method but :meth:`close` raises ``IllegalStateException`` once the consumer is closed, and
    when it is called by the acknowledgement commit callback; and
    ``ConcurrentModificationException`` while another thread is in one.

    Raises:
        KafkaException: a property is unknown or its value is not possible.
        ValueError: there is no ``group.id``, or a property that is not for share consumers.
        TypeError: there is no dictionary, or a callback can't be called.
    """

    def __init__(self, *args: Any, **keywords: Any) -> None:
        configuration = configure_share_consumer(args, keywords)
        self._configuration = configuration
        self._callbacks = CallbackQueue()
        self._busy = threading.RLock()
        self._user: int | None = None
        self._subscription: list[str] = []
        self._is_closed = False
        # With the engine comes asyncio, which takes longer to import than all the rest.
        from ottla.client.sync.sharing_engine import SharingEngine

        engine = SharingEngine(configuration, self._callbacks)
        self._thread = engine.thread
        self._inbox = engine.inbox
        self._sharing = engine.sharing

    # Subscribing

    def subscribe(self, topics: list[str]) -> None:
        """Read these topics, instead of those before; without any, as :meth:`unsubscribe`.

        Raises:
            TypeError: it is no list.
            ValueError: a name is empty, or there twice.
        """
        with self._alone("Failed to subscribe"):
            names = share_arguments.topic_names(topics)
            if names:
                self._call(self._sharing.subscribe, names)
                self._subscription = names
            else:
                self._unsubscribe()

    def unsubscribe(self) -> None:
        """Leave the group. What was returned by the last poll may still be acknowledged."""
        with self._alone("Failed to unsubscribe"):
            self._unsubscribe()

    def _unsubscribe(self) -> None:
        self._subscription = []
        self._call(self._sharing.unsubscribe)
        self._call(self._sharing.give_back, self._inbox.take_delivered())

    def subscription(self) -> list[str]:
        """The topics that are read."""
        with self._alone("Failed to get subscription"):
            return list(self._subscription)

    # Reading

    def poll(self, timeout: float = -1) -> Messages:
        """The next records; there may be errors among them, see ``Message.error()``.

        They are about ``max.poll.records``: more where a batch of the log holds more, never more
        with ``share.acquire.mode=record_limit``.

        Args:
            timeout: how long to wait for them, in seconds; -1 for as long as it takes.

        Raises:
            IllegalStateException: the consumer is not subscribed to anything, or has to
                acknowledge records of the last poll first.
            KafkaException: the group failed, or ``max.poll.interval.ms`` was exceeded.
        """
        with self._alone():
            limit_s = arguments.seconds(timeout)
            if not self._subscription:
                raise IllegalStateException("Consumer is not subscribed to any topics")
            self._inbox.check_poll()
            try:
                messages = self._poll(limit_s)
            except BaseException:
                # A callback failed, or Ctrl-C: what was taken goes back instead of being accepted.
                self._inbox.give_back()
                raise
            return Messages(messages)

    def _poll(self, limit_s: float | None) -> list[Message[Any, Any]]:
        inbox = self._inbox
        deadline = math.inf if limit_s is None else time.monotonic() + limit_s
        self._begin_poll(deadline, wants_records=not inbox.has_records)
        try:
            while True:
                # Callbacks first: one that fails must not take records with it.
                self._callbacks.run()
                inbox.raise_error()
                messages = inbox.collect(self._sharing.engine.now_ms())
                left_s = deadline - time.monotonic()
                if messages or left_s <= 0:
                    return messages
                if inbox.has_collected:
                    # There were only gaps, or what others have by now.
                    self._begin_poll(deadline, wants_records=True)
                self._callbacks.wait(None if left_s == math.inf else left_s)
        finally:
            self._thread.call(self._sharing.end_poll)

    def _begin_poll(self, deadline: float, *, wants_records: bool) -> None:
        decided = self._inbox.decide()
        self._thread.call(self._sharing.begin_poll, decided, deadline * 1000, wants_records)

    def __iter__(self) -> Iterator[Message[Any, Any]]:
        """The messages, one after the other, without end.

        Raises:
            KafkaException: instead of returning a message that stands for an error.
        """
        return self

    def __next__(self) -> Message[Any, Any]:
        while True:
            message = self._inbox.next_unread()
            if message is not None:
                return arguments.raise_error(message)
            self._inbox.keep_unread(self.poll())

    # Acknowledging

    def acknowledge(
        self, message: Message[Any, Any], ack_type: SupportsIndex = AcknowledgeType.ACCEPT
    ) -> None:
        """Say what is to become of a message; the next poll or commit tells the broker.

        Until then something else may be said.

        Args:
            message: one that :meth:`poll` returned.
            ack_type: an ``AcknowledgeType``.

        Raises:
            IllegalStateException: the consumer acknowledges implicitly, or the message was
                acknowledged before.
            ValueError: there is no such type, or the message has no place in a partition.
        """
        with self._alone("Failed to acknowledge message"):
            type_ = share_arguments.acknowledge_type(ack_type)
            self._inbox.acknowledge(share_arguments.message(message), type_)

    def acknowledge_offset(
        self,
        topic: str,
        partition: SupportsIndex,
        offset: SupportsIndex,
        ack_type: SupportsIndex = AcknowledgeType.ACCEPT,
    ) -> None:
        """As :meth:`acknowledge`, for who has no message but knows its place."""
        with self._alone("Failed to acknowledge offset"):
            self._inbox.acknowledge_offset(
                *share_arguments.place(topic, partition, offset),
                share_arguments.acknowledge_type(ack_type),
            )

    def commit_sync(self, timeout: float = 60) -> dict[TopicPartition, KafkaException | None]:
        """Tell the brokers what is acknowledged, and wait until they have taken it.

        Args:
            timeout: how long to wait, in seconds; negative for as long as it takes.

        Returns:
            For each partition None, or why its acknowledgements were not taken. Empty when there
            was nothing to tell.
        """
        with self._alone():
            timeout_ms = share_arguments.milliseconds(timeout)
            decided = self._inbox.decide()
            if not decided:
                self._callbacks.run()
                return {}
            outcomes = self._serve(self._sharing.commit(decided, timeout_ms))
            return share_arguments.committed(outcomes)

    def commit_async(self) -> None:
        """Tell the brokers what is acknowledged; the callback hears what they say."""
        with self._alone():
            decided = self._inbox.decide()
            if decided:
                self._thread.call(self._sharing.acknowledge, decided)
            self._callbacks.run()

    def set_acknowledgement_commit_callback(
        self, callback: AcknowledgementCommitCallback | None
    ) -> None:
        """Have ``callback(offsets, exception)`` called for every partition that was committed.

        Args:
            callback: told the offsets, as a dictionary of one ``TopicPartition`` and its set, and
                the ``KafkaException`` if the broker did not take them. None for no callback.
        """
        with self._alone():
            self._inbox.callback = share_arguments.callback(callback)

    # The consumer

    def acquisition_lock_timeout_ms(self) -> int | None:
        """How long records are locked for this consumer; None before it got the first."""
        with self._alone():
            return self._sharing.lock_timeout_ms

    def memberid(self) -> str:
        """This consumer's id in the group."""
        with self._alone():
            return self._sharing.member_id

    def set_sasl_credentials(self, username: str, password: str) -> None:
        """Authenticate with these from the next connection on (PLAIN and SCRAM)."""
        self._check_open()
        given = share_arguments.texts(username, password)
        self._thread.call(self._sharing.engine.set_sasl_credentials, *given)

    def close(self) -> None:
        """Tell what is acknowledged, give back all other records, leave the group, disconnect.

        The callback is called meanwhile. May be called again.

        Raises:
            BaseException: what the first callback that failed raised; closed it is then.
        """
        if self._is_closed:
            return
        with self._alone():
            decided = self._inbox.decided()
            timeout_ms = self._configuration.socket_timeout_ms
            failures: list[Exception] = []
            try:
                self._serve(self._sharing.close(decided, timeout_ms), failures)
            finally:
                self._is_closed = True
                self._thread.stop()
        if failures:
            raise failures[0]

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

    # One thread, and the engine's

    @contextmanager
    def _alone(self, subject: str | None = None) -> Iterator[None]:
        """The one call that is under way.

        Args:
            subject: what the text of a refusal begins with.
        """
        self._check_open()
        if not self._busy.acquire(blocking=False):
            raise ConcurrentModificationException(
                f"{subject}: {KafkaError(KafkaError._CONFLICT).str()}"
                if subject
                else "Share consumer is not safe for multi-threaded access. currentThread(id: "
                f"{threading.get_ident()}) otherThread(id: {self._user})"
            )
        try:
            if self._inbox.is_telling:
                raise IllegalStateException(
                    f"{subject}: {KafkaError(KafkaError._STATE).str()}" if subject else _IN_CALLBACK
                )
            self._user = threading.get_ident()
            yield
        finally:
            self._busy.release()

    def _check_open(self) -> None:
        if self._is_closed:
            raise IllegalStateException("Share consumer closed")
        self._thread.check_process()

    def _call(self, function: Callable[..., T], *given: Any) -> T:
        """The result of a function called on the engine's loop."""

        async def call() -> T:
            return function(*given)

        return self._thread.run(call())

    def _serve(
        self, coroutine: Coroutine[Any, Any, T], failures: list[Exception] | None = None
    ) -> T:
        """The result of a coroutine run on the engine's loop, calling callbacks meanwhile.

        Args:
            coroutine: what to run.
            failures: where to put what callbacks raise, instead of raising it.
        """
        waiting: Waiting[T] = self._thread.submit(coroutine)
        waiting.add_done_callback(lambda _: self._callbacks.notify())
        is_done = False
        while not is_done:
            is_done = waiting.done()
            try:
                self._callbacks.run()
            except Exception as failure:
                if failures is None:
                    raise
                failures.append(failure)
            if not is_done:
                self._callbacks.wait(None)
        return waiting.wait()
