"""The calls of a consumer that ask or change something, from users' arguments to users' results.

Sync and aio consumers differ in how they wait for these, and in nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ottla.client import consumer_arguments as arguments
from ottla.client.errors import KafkaError, KafkaException
from ottla.client.group_metadata import encode_group_metadata
from ottla.client.values import OFFSET_END, TopicPartition, partition_result

if TYPE_CHECKING:
    from ottla.client.admin.clusters import ClusterMetadata
    from ottla.client.engine.consuming import Consuming

_NO_LIMIT_MS = 1e12


class ConsumerCalls:
    """The calls. Coroutines run on the engine's loop, the other methods in any thread.

    A ``limit`` is how long to wait, in seconds; negative for as long as it takes.
    """

    def __init__(self, consuming: Consuming) -> None:
        self._consuming = consuming

    # Positions

    def check_protocol(self, subject: str | None) -> None:
        """Whether the application may change its assignment in this way.

        Args:
            subject: what an error's text begins with; None for the incremental ways.

        Raises:
            KafkaException: ``_STATE``: its group rebalances in the other way.
        """
        try:
            self._consuming.group.check_protocol(is_incremental=subject is None)
        except KafkaException:
            if subject is None:
                raise
            raise arguments.failure(subject, KafkaError(KafkaError._STATE)) from None

    def assignment(self) -> list[TopicPartition]:
        """The partitions that are read, in order."""
        return arguments.assigned(self._consuming.assignment)

    def position(self, partitions: Any) -> list[TopicPartition]:
        """How far the application has come in each of the partitions."""
        assignment = self._consuming.assignment
        return [
            arguments.position_of(partition, assignment)
            for partition in arguments.topic_partitions(partitions)
        ]

    # Offsets of the group

    def store_offsets(self, message: Any, offsets: Any) -> None:
        """Store what is to be committed next.

        Raises:
            KafkaException: ``_INVALID_ARG``: the client stores offsets itself; ``_STATE``: none of
                the partitions is assigned.
            ValueError: both or none of the arguments are given.
        """
        if message is not None and offsets is not None:
            raise ValueError("message and offsets are mutually exclusive")
        if message is None and offsets is None:
            raise ValueError("expected either message or offsets")
        if message is not None:
            to_store = [arguments.after(message, "store")]
        else:
            given = arguments.topic_partitions(offsets)
            to_store = [((p.topic, p.partition), arguments.stored(p)) for p in given]
        if self._consuming.configuration.enable_auto_offset_store:
            raise arguments.failure("StoreOffsets failed", KafkaError(KafkaError._INVALID_ARG))
        arguments.store(self._consuming.assignment, to_store)

    async def commit(self, message: Any, offsets: Any) -> list[TopicPartition]:
        """Commit, and say what was committed.

        Raises:
            KafkaException: it failed; ``_NO_OFFSET``: there is nothing to commit.
            ValueError: both arguments are given.
        """
        if self._consuming.fatal_error is not None:
            raise arguments.failure("Commit failed", KafkaError(KafkaError._FATAL))
        commit = await self._consuming.offsets.commit(arguments.to_commit(message, offsets))
        if commit.error is not None:
            raise arguments.failure("Commit failed", commit.error)
        return commit.offsets

    async def committed(self, partitions: Any, limit: Any) -> list[TopicPartition]:
        """The group's committed offsets, ``OFFSET_INVALID`` where there is none.

        Raises:
            KafkaException: ``_TIMED_OUT``, or what the broker says.
        """
        keys = arguments.keys(partitions)
        limit_ms = milliseconds(limit)
        subject = "Failed to get committed offsets"
        try:
            found = await self._consuming.offsets.look_up(keys, limit_ms)
        except KafkaException as exception:
            if exception.args[0] == KafkaError._TIMED_OUT:
                raise arguments.failure(subject, KafkaError(KafkaError._TIMED_OUT)) from None
            arguments.fail(subject, exception)
        return [arguments.found_offset(key, found[key]) for key in keys]

    # Offsets of partitions

    async def get_watermark_offsets(
        self, partition: Any, limit: Any, cached: Any
    ) -> tuple[int, int]:
        """The offset of the first message, and the offset after the last one.

        Raises:
            KafkaException: ``_UNKNOWN_PARTITION``, ``_TIMED_OUT``, or what the broker says.
        """
        key = (arguments.topic_partition(partition).topic, partition.partition)
        limit_ms = milliseconds(limit)
        if cached:
            return arguments.cached_watermarks(self._consuming.assignment.get(key))
        try:
            return await self._consuming.watermarks(key, limit_ms)
        except KafkaException as exception:
            arguments.fail("Failed to get watermark offsets", exception)

    async def offsets_for_times(self, partitions: Any, limit: Any) -> list[TopicPartition]:
        """For each partition the first message at or after the time that stands for its offset.

        Raises:
            KafkaException: ``_UNKNOWN_PARTITION``, ``_TIMED_OUT``, or what the broker says.
        """
        limit_ms = milliseconds(limit)
        given = arguments.topic_partitions(partitions)
        subject = "Failed to get offsets"
        if not given:
            raise arguments.failure(subject, KafkaError(KafkaError._INVALID_ARG))
        wanted = {(p.topic, p.partition): p.offset for p in given}
        try:
            found = await self._consuming.offsets_for_times(wanted, limit_ms)
        except KafkaException as exception:
            arguments.fail(subject, exception)
        return [
            partition_result(p.topic, p.partition, found.get((p.topic, p.partition), OFFSET_END))
            for p in given
        ]

    # The group

    def memberid(self) -> str | None:
        """This consumer's id in the group, None while it is in none."""
        return self._consuming.group.metadata.member_id or None

    def consumer_group_metadata(self) -> bytes:
        """Who this consumer is for its group."""
        return encode_group_metadata(self._consuming.group.metadata)

    # The cluster

    async def list_topics(self, topic: Any, limit: Any) -> ClusterMetadata:
        """The cluster's brokers and topics, or only one topic."""
        from ottla.client.engine.cluster_queries import list_topics

        engine = self._consuming.engine
        may_create = engine.configuration.allow_auto_create_topics
        return await list_topics(engine, topic, milliseconds(limit), may_create=may_create)

    async def cluster_id(self, limit: Any) -> str | None:
        """The cluster's id."""
        from ottla.client.engine.cluster_queries import cluster_id

        return await cluster_id(self._consuming.engine, milliseconds(limit))

    async def wait_connected(self, limit: Any) -> None:
        """Return as soon as a broker has accepted this client."""
        await self._consuming.engine.wait_connected(milliseconds(limit))


def milliseconds(timeout: Any) -> float:
    """A timeout in seconds, negative for no limit, in milliseconds.

    Raises:
        TypeError: it is no number.
    """
    limit_s = arguments.seconds(timeout)
    return _NO_LIMIT_MS if limit_s is None else limit_s * 1000
