"""Questions about offsets in partitions, assigned or not: by time, and the first and the last."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from ottla.client.core.consuming.partition import Key
from ottla.client.core.consuming.positions import list_offsets_request
from ottla.client.core.reachability import UNREACHABLE
from ottla.client.engine.engine import Engine
from ottla.client.errors import KafkaError, KafkaException
from ottla.wire.api.k02_list_offsets import ListedPartition, ListOffsetsResponse
from ottla.wire.errors import ErrorCode

_RETRY_MS = 100.0


class OffsetLookup:
    """Asks the leaders of partitions for offsets, until all have answered or the time is over.

    Args:
        engine: of the client.
        is_read_committed: whether the end of a log is its last stable offset.
        timeout_ms: how long all of it may take.
    """

    def __init__(self, engine: Engine, *, is_read_committed: bool, timeout_ms: float) -> None:
        self._engine = engine
        self._isolation_level = 1 if is_read_committed else 0
        self._deadline_ms = engine.now_ms() + timeout_ms

    async def find(self, wanted: Mapping[Key, int]) -> dict[Key, ListedPartition]:
        """The offsets for timestamps, or the names of places in the log that stand for some.

        Raises:
            KafkaException: ``_UNKNOWN_PARTITION``, ``_TIMED_OUT``, or what else is in the way.
        """
        topics = sorted({topic for topic, _ in wanted})
        for topic in topics:
            self._engine.want(topic)
        try:
            return await self._find(wanted)
        except KafkaException as exception:
            if exception.args[0].code() not in UNREACHABLE:
                raise
            is_nobody_there = not self._engine.cluster.brokers
            code = KafkaError._ALL_BROKERS_DOWN if is_nobody_there else KafkaError._TIMED_OUT
            raise KafkaException(KafkaError(code)) from None
        finally:
            for topic in topics:
                self._engine.release(topic)

    async def _find(self, wanted: Mapping[Key, int]) -> dict[Key, ListedPartition]:
        found: dict[Key, ListedPartition] = {}
        while True:
            await self._know_topics(topic for topic, _ in wanted)
            left = {key: timestamp for key, timestamp in wanted.items() if key not in found}
            answers = await asyncio.gather(
                *(self._ask(leader, part) for leader, part in self._by_leader(left).items())
            )
            for answer in answers:
                found |= answer
            if len(found) == len(wanted):
                return found
            self._engine.refresh_metadata()
            await self._wait()

    async def _know_topics(self, topics: Iterable[str]) -> None:
        """Wait until metadata tell of topics, be it that there is no such topic."""
        unknown = set(topics)
        while unknown := {topic for topic in unknown if topic not in self._engine.cluster.topics}:
            try:
                await self._engine.metadata_updated(self._left_ms())
            except KafkaException as exception:
                if exception.args[0].code() not in UNREACHABLE:
                    raise
                await self._wait()

    def _by_leader(self, wanted: Mapping[Key, int]) -> dict[int, dict[Key, int]]:
        by_leader: dict[int, dict[Key, int]] = {}
        for (topic, number), timestamp in wanted.items():
            view = self._engine.cluster.topics[topic]
            if not 0 <= number < len(view.partitions):
                raise KafkaException(KafkaError(KafkaError._UNKNOWN_PARTITION))
            leader = self._engine.cluster.leader(topic, number)
            if leader is not None:
                by_leader.setdefault(leader.broker_id, {})[topic, number] = timestamp
        return by_leader

    async def _ask(self, leader: int, wanted: Mapping[Key, int]) -> dict[Key, ListedPartition]:
        """What this leader knows; partitions with passing errors are left out."""
        request = list_offsets_request(
            ((topic, number, -1, timestamp) for (topic, number), timestamp in wanted.items()),
            self._isolation_level,
        )
        try:
            answer = await self._engine.ask(
                leader, request, ListOffsetsResponse, timeout_ms=self._left_ms()
            )
        except KafkaException as exception:
            if exception.args[0].code() not in UNREACHABLE:
                raise
            return {}
        found: dict[Key, ListedPartition] = {}
        for topic in answer.topics:
            for partition in topic.partitions:
                code = partition.error_code
                key = topic.name, partition.partition_index
                if key not in wanted:
                    continue
                if code == ErrorCode.NONE:
                    found[key] = partition
                elif not _is_passing(code):
                    raise KafkaException(KafkaError(code))
        return found

    async def _wait(self) -> None:
        await asyncio.sleep(min(_RETRY_MS, self._left_ms()) / 1000)

    def _left_ms(self) -> float:
        left_ms = self._deadline_ms - self._engine.now_ms()
        if left_ms <= 0:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        return left_ms


def _is_passing(code: int) -> bool:
    try:
        return ErrorCode(code).retriable
    except ValueError:
        return False
