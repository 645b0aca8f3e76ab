"""``ottla.aio.Consumer``: a consumer on the event loop that runs, with no thread of its own."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ottla.client import consumer_arguments as arguments
from ottla.client.aio.consumer_reading import ConsumerReading
from ottla.client.engine.consuming_group import Rebalance
from ottla.client.errors import KafkaException
from ottla.client.message import Message
from ottla.client.values import TopicPartition

if TYPE_CHECKING:
    from ottla.client.admin.clusters import ClusterMetadata

RebalanceCallback = Callable[["Consumer", list[TopicPartition]], Any]


class Consumer(ConsumerReading):
    """Reads topics, alone (:meth:`assign`) or sharing them with its group (:meth:`subscribe`).

        async with Consumer({"bootstrap.servers": ..., "group.id": ...}) as consumer:
            await consumer.subscribe(["orders"])
            async for message in consumer:
                ...

    Takes a dictionary of configuration properties, or the same as keywords, as :class:`ottla.
    Consumer` does. It belongs to the event loop on which it is used first. Callbacks may be
    coroutine functions; those of ``subscribe`` run within :meth:`poll`, :meth:`consume`, the
    iteration and :meth:`close`, the others whenever there is something to tell.

    A call that is cancelled loses nothing: what it would have returned comes next.

    Every method raises ``RuntimeError`` once the consumer is closed.

    Raises:
        KafkaException: a property is unknown or its value is not possible.
        ValueError: there is no ``group.id``.
        TypeError: there is no dictionary, or a callback can't be called.
    """

    # Subscribing

    async def subscribe(self, topics: list[str], **listeners: RebalanceCallback) -> None:
        """Read topics together with the other members of the group.

        Replaces what was subscribed to before. Names that begin with ``^`` are patterns.

        Args:
            topics: names and patterns.
            listeners: ``on_assign``, ``on_revoke`` and ``on_lost``, functions or coroutine
                functions, called with the consumer and the partitions that come or go. ``on_lost``
                stands in for ``on_revoke`` when others may read the partitions already. They may
                call :meth:`assign`, :meth:`unassign` and the incremental ones, with other offsets,
                say; if they don't, that is done for them.

        Raises:
            KafkaException: ``_INVALID_ARG``: there is no topic, or a pattern makes no sense.
        """
        self._check_open()
        names = arguments.topic_names(topics)
        self._rebalance_callbacks = arguments.callbacks(listeners)
        try:
            self._consuming.group.subscribe(names)
        except KafkaException as exception:
            arguments.fail("Failed to set subscription", exception)

    async def unsubscribe(self) -> None:
        """Leave the group; ``on_revoke`` is called by the next :meth:`poll`."""
        self._check_open()
        self._consuming.group.unsubscribe()

    async def _serve_rebalance(self, event: Rebalance) -> None:
        callback = self._consuming.group.callback_for(event, self._rebalance_callbacks)
        self._has_assigned = False
        try:
            if callback is not None:
                result = callback(self, [TopicPartition(*key) for key in event.partitions])
                if inspect.isawaitable(result):
                    await result
        finally:
            if not self._has_assigned:
                self._consuming.carry_out(event)
                self._inbox.leave_void()
            await self._consuming.group.rebalanced(event)

    # Assigning

    async def assign(self, partitions: list[TopicPartition], /) -> None:
        """Read these partitions and no others, from the offsets they have.

        Without an offset, a partition is read from the group's committed one.
        """
        self._change_assignment("Failed to set assignment")
        self._consuming.assign(arguments.starts(partitions))
        self._inbox.leave_void()

    async def unassign(self) -> None:
        """Read nothing any more."""
        self._change_assignment("Failed to remove assignment")
        self._consuming.unassign()
        self._inbox.leave_void()

    async def incremental_assign(self, partitions: list[TopicPartition], /) -> None:
        """Read these partitions besides those that are read.

        Raises:
            KafkaException: ``_CONFLICT``: one of them is read already.
        """
        self._change_assignment(None)
        self._consuming.incremental_assign(arguments.starts(partitions))
        self._inbox.leave_void()

    async def incremental_unassign(self, partitions: list[TopicPartition], /) -> None:
        """Stop reading these partitions.

        Raises:
            KafkaException: ``_INVALID_ARG``: one of them is not read.
        """
        self._change_assignment(None)
        self._consuming.unassign(arguments.keys(partitions))
        self._inbox.leave_void()

    def _change_assignment(self, subject: str | None) -> None:
        self._check_open()
        # Also when it fails: then the application is to see to it.
        self._has_assigned = True
        self._calls.check_protocol(subject)

    async def assignment(self) -> list[TopicPartition]:
        """The partitions that are read."""
        self._check_open()
        return self._calls.assignment()

    # Positions

    async def seek(self, partition: TopicPartition) -> None:
        """Go on reading a partition at another offset.

        Raises:
            KafkaException: ``_UNKNOWN_PARTITION``: it is not assigned.
        """
        self._check_open()
        start = arguments.start(arguments.topic_partition(partition))
        self._consuming.seek(start)
        self._inbox.leave_void()

    async def pause(self, partitions: list[TopicPartition]) -> None:
        """Hand out nothing more of these partitions until they are resumed."""
        self._check_open()
        keys = arguments.keys(partitions)
        self._consuming.pause(keys)
        self._inbox.leave_void()

    async def resume(self, partitions: list[TopicPartition]) -> None:
        """Go on with partitions that were paused."""
        self._check_open()
        self._consuming.resume(arguments.keys(partitions))

    async def position(self, partitions: list[TopicPartition]) -> list[TopicPartition]:
        """For each partition the offset after the last message that was handed out.

        ``OFFSET_INVALID`` when there was none since it was assigned, or since the last seek.
        """
        self._check_open()
        return self._calls.position(partitions)

    # Offsets of the group

    async def store_offsets(
        self,
        message: Message[Any, Any] | None = None,
        offsets: list[TopicPartition] | None = None,
    ) -> None:
        """Store what is to be committed next; only with ``enable.auto.offset.store=false``.

        Raises:
            KafkaException: ``_INVALID_ARG``: the client stores offsets itself; ``_STATE``: none of
                the partitions is assigned.
            ValueError: both or none of the arguments are given.
        """
        self._check_open()
        self._calls.store_offsets(message, offsets)

    async def commit(
        self,
        message: Message[Any, Any] | None = None,
        offsets: list[TopicPartition] | None = None,
        asynchronous: bool = True,
    ) -> list[TopicPartition] | None:
        """Commit offsets for the group.

        Args:
            message: commit the offset after this one.
            offsets: commit these; without either, what is stored of all assigned partitions.
            asynchronous: don't wait for the outcome; ``on_commit`` will be told.

        Returns:
            The offsets committed, None when asynchronous.

        Raises:
            KafkaException: the commit failed; ``_NO_OFFSET``: there is nothing to commit.
            ValueError: both ``message`` and ``offsets`` are given.
        """
        self._check_open()
        if asynchronous:
            self._consuming.offsets.commit_soon(arguments.to_commit(message, offsets))
            return None
        return await self._calls.commit(message, offsets)

    async def committed(
        self,
        partitions: list[TopicPartition],
        timeout: float = -1,  # noqa: ASYNC109 - as above
    ) -> list[TopicPartition]:
        """The group's committed offsets, ``OFFSET_INVALID`` where there is none.

        Raises:
            KafkaException: ``_TIMED_OUT`` after so many seconds, or what the broker says.
        """
        self._check_open()
        return await self._calls.committed(partitions, timeout)

    # Offsets of partitions

    async def get_watermark_offsets(
        self,
        partition: TopicPartition,
        timeout: float = -1,  # noqa: ASYNC109 - as above
        cached: bool = False,
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
        return await self._calls.get_watermark_offsets(partition, timeout, cached)

    async def offsets_for_times(
        self,
        partitions: list[TopicPartition],
        timeout: float = -1,  # noqa: ASYNC109 - as above
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
        return await self._calls.offsets_for_times(partitions, timeout)

    # The group

    async def memberid(self) -> str | None:
        """This consumer's id in the group, None while it is in none."""
        self._check_open()
        return self._calls.memberid()

    async def consumer_group_metadata(self) -> bytes:
        """Who this consumer is for its group, for ``Producer.send_offsets_to_transaction``."""
        self._check_open()
        return self._calls.consumer_group_metadata()

    # The cluster

    async def list_topics(
        self,
        topic: str | None = None,
        timeout: float = -1,  # noqa: ASYNC109 - as above
    ) -> ClusterMetadata:
        """The cluster's brokers and topics, or only one topic.

        Raises:
            KafkaException: no broker could be asked for so many seconds.
        """
        self._check_open()
        return await self._calls.list_topics(topic, timeout)

    async def cluster_id(
        self,
        timeout: float = -1,  # noqa: ASYNC109 - as above
    ) -> str | None:
        """The cluster's id; raises as :meth:`list_topics` does."""
        self._check_open()
        return await self._calls.cluster_id(timeout)

    async def set_sasl_credentials(self, username: str, password: str) -> None:
        """Authenticate with these from the next connection on (PLAIN and SCRAM)."""
        self._check_open()
        self._engine.set_sasl_credentials(username, password)

    async def wait_connected(
        self,
        timeout: float = -1,  # noqa: ASYNC109 - as above
    ) -> None:
        """Return as soon as a broker has accepted this client.

        Raises:
            KafkaException: none did for so many seconds; the error says why.
        """
        self._check_open()
        await self._calls.wait_connected(timeout)

    # The end

    async def close(self) -> None:
        """Commit what is stored (if that is automatic), leave the group, disconnect.

        ``on_revoke`` is called meanwhile. May be called again.

        Raises:
            Exception: what the first callback that failed raised; closed it is then.
        """
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        if not self._is_started:
            self._is_closed = True
            return
        failures: list[BaseException] = []
        leaving = asyncio.ensure_future(
            self._consuming.close(self._configuration.socket_timeout_ms)
        )
        leaving.add_done_callback(lambda _: self._news.set())
        while True:
            is_done = leaving.done()
            self._news.clear()
            try:
                await self._serve()
            except Exception as failure:
                failures.append(failure)
            if is_done:
                break
            await self._news.wait()
        failures += filter(None, [leaving.exception()])
        self._is_closed = True
        self._inbox.clear()
        await self._engine.close()
        # Who waits for messages is to hear that there will be none.
        self._news.set()
        if failures:
            raise failures[0]

    async def __aenter__(self) -> Self:
        self._check_open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()
