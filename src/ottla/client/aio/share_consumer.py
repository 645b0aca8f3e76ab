"""``ottla.aio.ShareConsumer``: a share consumer on the event loop that runs (KIP-932)."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, SupportsIndex

from ottla.client import consumer_arguments as arguments
from ottla.client import share_arguments
from ottla.client.aio.callbacks import UserCallbacks
from ottla.client.configuration.build import configure_share_consumer
from ottla.client.engine.engine import Engine
from ottla.client.engine.sharing import Sharing
from ottla.client.engine.sharing_inbox import SharingInbox
from ottla.client.enumerations import AcknowledgeType
from ottla.client.errors import (
    ConcurrentModificationException,
    IllegalStateException,
    KafkaException,
)
from ottla.client.message import Message
from ottla.client.messages import Messages
from ottla.client.values import TopicPartition

if TYPE_CHECKING:
    from ottla.client.engine.sharing_inbox import AcknowledgementCommitCallback


class ShareConsumer:
    """Reads topics as queues: every record goes to one member of the group at a time.

        async with ShareConsumer({"bootstrap.servers": ..., "group.id": ...}) as consumer:
            await consumer.subscribe(["orders"])
            async for message in consumer:
                ...

    Takes what :class:`ottla.ShareConsumer` takes and does what that does. It belongs to the event
    loop on which it is used first. Callbacks may be coroutine functions, and are called whenever
    there is something to tell. One task polls; others may acknowledge and commit meanwhile.

    A poll that is cancelled loses nothing: what it would have returned comes next.

    Every method but :meth:`close` raises ``IllegalStateException`` once the consumer is closed.

    Raises:
        KafkaException: a property is unknown or its value is not possible.
        ValueError: there is no ``group.id``, or a property that is not for share consumers.
        TypeError: there is no dictionary, or a callback can't be called.
    """

    def __init__(self, *args: Any, **keywords: Any) -> None:
        self._configuration = configure_share_consumer(args, keywords)
        self._news = asyncio.Event()
        self._callbacks = UserCallbacks(self._callback_failed)
        self._inbox = SharingInbox(
            self._configuration, notify=self._news.set, call_user=self._call_user
        )
        self._subscription: list[str] = []
        self._engine: Engine | None = None
        self._sharing: Sharing
        self._is_polling = False
        self._is_closed = False
        self._closing: asyncio.Future[None] | None = None

    def _begin(self) -> Sharing:
        """Begin at the first use, when the loop is known."""
        if self._is_closed or self._closing is not None:
            raise IllegalStateException("Share consumer closed")
        if self._engine is None:
            self._engine = Engine(self._configuration, "consumer", call_user=self._callbacks.call)
            self._sharing = Sharing(self._engine, self._configuration, self._inbox)
            self._engine.start()
        return self._sharing

    def _call_user(self, callback: Any, *given: Any) -> None:
        """The inbox's: nothing of the engine's may end because a callback failed."""
        try:
            self._callbacks.call(callback, *given)
        except Exception as error:
            self._callback_failed(error)

    def _callback_failed(self, error: BaseException) -> None:
        if self._engine is not None:
            self._engine.log.failure("a callback raised", error)

    # Subscribing

    async def subscribe(self, topics: list[str]) -> None:
        """Read these topics, instead of those before; without any, as :meth:`unsubscribe`.

        Raises:
            TypeError: it is no list.
            ValueError: a name is empty, or there twice.
        """
        sharing = self._begin()
        names = share_arguments.topic_names(topics)
        if not names:
            await self.unsubscribe()
            return
        sharing.subscribe(names)
        self._subscription = names

    async def unsubscribe(self) -> None:
        """Leave the group. What was returned by the last poll may still be acknowledged."""
        sharing = self._begin()
        self._subscription = []
        sharing.unsubscribe()
        sharing.give_back(self._inbox.take_delivered())

    async def subscription(self) -> list[str]:
        """The topics that are read."""
        self._begin()
        return list(self._subscription)

    # Reading

    async def poll(
        self,
        timeout: float = -1,  # noqa: ASYNC109 - the name that confluent_kafka gave it
    ) -> Messages:
        """The next records; there may be errors among them, see ``Message.error()``.

        Args:
            timeout: how long to wait for them, in seconds; -1 for as long as it takes.

        Raises:
            IllegalStateException: the consumer is not subscribed to anything, or has to
                acknowledge records of the last poll first.
            KafkaException: the group failed, or ``max.poll.interval.ms`` was exceeded.
            ConcurrentModificationException: another task is polling.
        """
        sharing = self._begin()
        limit_s = arguments.seconds(timeout)
        if not self._subscription:
            raise IllegalStateException("Consumer is not subscribed to any topics")
        self._inbox.check_poll()
        with self._polling(sharing):
            return Messages(await self._poll(sharing, limit_s))

    async def _poll(self, sharing: Sharing, limit_s: float | None) -> list[Message[Any, Any]]:
        inbox = self._inbox
        now_ms = sharing.engine.now_ms
        deadline_ms = math.inf if limit_s is None else now_ms() + limit_s * 1000
        sharing.begin_poll(inbox.decide(), deadline_ms, not inbox.has_records)
        while True:
            self._news.clear()
            inbox.raise_error()
            messages = inbox.collect(now_ms())
            left_ms = deadline_ms - now_ms()
            if messages or left_ms <= 0:
                return messages
            if inbox.has_collected:
                # There were only gaps, or what others have by now.
                sharing.begin_poll(inbox.decide(), deadline_ms, True)
            try:
                async with asyncio.timeout(None if left_ms == math.inf else left_ms / 1000):
                    await self._news.wait()
            except TimeoutError:
                continue
            self._begin()

    @contextmanager
    def _polling(self, sharing: Sharing) -> Iterator[None]:
        if self._is_polling:
            raise ConcurrentModificationException("another task is polling this share consumer")
        self._is_polling = True
        try:
            yield
        finally:
            self._is_polling = False
            sharing.end_poll()

    def __aiter__(self) -> Self:
        """The messages, one after the other, without end.

        Raises:
            KafkaException: instead of returning a message that stands for an error.
        """
        return self

    async def __anext__(self) -> Message[Any, Any]:
        while True:
            message = self._inbox.next_unread()
            if message is not None:
                return arguments.raise_error(message)
            self._inbox.keep_unread(await self.poll())

    # Acknowledging

    async def acknowledge(
        self, message: Message[Any, Any], ack_type: SupportsIndex = AcknowledgeType.ACCEPT
    ) -> None:
        """Say what is to become of a message; the next poll or commit tells the broker.

        Args:
            message: one that :meth:`poll` returned.
            ack_type: an ``AcknowledgeType``.

        Raises:
            IllegalStateException: the consumer acknowledges implicitly, or the message was
                acknowledged before.
            ValueError: there is no such type, or the message has no place in a partition.
        """
        self._begin()
        type_ = share_arguments.acknowledge_type(ack_type)
        self._inbox.acknowledge(share_arguments.message(message), type_)

    async def acknowledge_offset(
        self,
        topic: str,
        partition: SupportsIndex,
        offset: SupportsIndex,
        ack_type: SupportsIndex = AcknowledgeType.ACCEPT,
    ) -> None:
        """As :meth:`acknowledge`, for who has no message but knows its place."""
        self._begin()
        self._inbox.acknowledge_offset(
            *share_arguments.place(topic, partition, offset),
            share_arguments.acknowledge_type(ack_type),
        )

    async def commit_sync(
        self,
        timeout: float = 60,  # noqa: ASYNC109 - as above
    ) -> dict[TopicPartition, KafkaException | None]:
        """Tell the brokers what is acknowledged, and wait until they have taken it.

        Args:
            timeout: how long to wait, in seconds; negative for as long as it takes.

        Returns:
            For each partition None, or why its acknowledgements were not taken. Empty when there
            was nothing to tell.
        """
        sharing = self._begin()
        timeout_ms = share_arguments.milliseconds(timeout)
        return share_arguments.committed(await sharing.commit(self._inbox.decide(), timeout_ms))

    async def commit_async(self) -> None:
        """Tell the brokers what is acknowledged; the callback hears what they say."""
        self._begin().acknowledge(self._inbox.decide())

    async def set_acknowledgement_commit_callback(
        self, callback: AcknowledgementCommitCallback | None
    ) -> None:
        """Have ``callback(offsets, exception)`` called for every partition that was committed.

        Args:
            callback: a function or coroutine function, told the offsets, as a dictionary of one
                ``TopicPartition`` and its set, and the ``KafkaException`` if the broker did not
                take them. None for no callback.
        """
        self._begin()
        self._inbox.callback = share_arguments.callback(callback)

    # The consumer

    async def acquisition_lock_timeout_ms(self) -> int | None:
        """How long records are locked for this consumer; None before it got the first."""
        return self._begin().lock_timeout_ms

    async def memberid(self) -> str:
        """This consumer's id in the group."""
        return self._begin().member_id

    async def set_sasl_credentials(self, username: str, password: str) -> None:
        """Authenticate with these from the next connection on (PLAIN and SCRAM)."""
        engine = self._begin().engine
        engine.set_sasl_credentials(*share_arguments.texts(username, password))

    async def close(self) -> None:
        """Tell what is acknowledged, give back all other records, leave the group, disconnect.

        May be called again.
        """
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        if self._engine is not None:
            timeout_ms = self._configuration.socket_timeout_ms
            await self._sharing.close(self._inbox.decided(), timeout_ms)
            self._is_closed = True
            await self._engine.close()
        self._is_closed = True
        # Who waits for messages is to hear that there will be none.
        self._news.set()

    async def __aenter__(self) -> Self:
        self._begin()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()
