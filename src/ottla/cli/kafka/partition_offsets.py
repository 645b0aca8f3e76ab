"""Offsets of partitions: the first, the last, the one at a time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from ottla.cli.kafka.cluster import Cluster, in_order
from ottla.cli.kafka.errors import KafkaFailure
from ottla.cli.kafka.topic_queries import metadata
from ottla.wire.api.k02_list_offsets import ListOffsetsRequest, PartitionToList, TopicToList
from ottla.wire.api.k03_metadata import DescribedTopic
from ottla.wire.errors import ErrorCode

Partition = tuple[str, int]

LATEST: Final = -1
EARLIEST: Final = -2
MAX_TIMESTAMP: Final = -3
EARLIEST_LOCAL: Final = -4
LATEST_TIERED: Final = -5
EARLIEST_PENDING_UPLOAD: Final = -6
# The first version of ListOffsets that knows what is asked for.
_AT_LEAST = {MAX_TIMESTAMP: 7, EARLIEST_LOCAL: 8, LATEST_TIERED: 9, EARLIEST_PENDING_UPLOAD: 11}
_RETRIES = 20


class FoundOffset(NamedTuple):
    """An offset (-1: there is none), its record's time and its leader epoch."""

    offset: int
    timestamp_ms: int
    leader_epoch: int


class Leaders(dict[Partition, int]):
    """The leader of each partition, -1 where there is none, and what is wrong with other topics."""

    def __init__(self) -> None:
        super().__init__()
        self._failures: dict[str, KafkaFailure] = {}

    def add(self, topic: DescribedTopic) -> None:
        """Take what metadata says of a topic."""
        name = topic.name or ""
        if topic.error_code:
            self._failures[name] = KafkaFailure(topic.error_code)
            return
        for each in topic.partitions:
            self[name, each.partition_index] = each.leader_id

    def failure(self, partition: Partition) -> KafkaFailure:
        """Why a partition isn't here."""
        missing = KafkaFailure(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        return self._failures.get(partition[0], missing)


async def leaders(cluster: Cluster, topics: Iterable[str]) -> Leaders:
    """The leaders of all partitions of topics."""
    found = Leaders()
    for topic in (await metadata(cluster, sorted(set(topics)))).topics:
        found.add(topic)
    return found


async def list_offsets(
    cluster: Cluster, wanted: Mapping[Partition, int], *, isolation_level: int = 0
) -> dict[Partition, FoundOffset | KafkaFailure]:
    """Look up offsets by time (or a special value such as ``LATEST``), each at its leader.

    Leaders that have just moved are asked again at the new place.
    """
    found: dict[Partition, FoundOffset | KafkaFailure] = {}
    rest = dict(wanted)
    for attempt in range(_RETRIES):
        if attempt:
            await cluster.pause()
        led = await leaders(cluster, (topic for topic, _ in rest))
        by_leader: dict[int, dict[Partition, int]] = defaultdict(dict)
        for partition, timestamp in rest.items():
            leader = led.get(partition)
            if leader is None:
                found[partition] = led.failure(partition)
            elif leader < 0:
                found[partition] = KafkaFailure(ErrorCode.LEADER_NOT_AVAILABLE)
            else:
                by_leader[leader][partition] = timestamp
        answers = await in_order(
            _ask(cluster, leader, part, isolation_level) for leader, part in by_leader.items()
        )
        for answer in answers:
            found |= answer
        rest = {each: wanted[each] for each in rest if _is_worth_another_try(found[each])}
        if not rest:
            break
    return {partition: found[partition] for partition in wanted}


def _is_worth_another_try(found: FoundOffset | KafkaFailure) -> bool:
    return isinstance(found, KafkaFailure) and found.code in {
        ErrorCode.NOT_LEADER_OR_FOLLOWER,
        ErrorCode.LEADER_NOT_AVAILABLE,
        ErrorCode.OFFSET_NOT_AVAILABLE,
        ErrorCode.UNKNOWN_LEADER_EPOCH,
        ErrorCode.FENCED_LEADER_EPOCH,
    }


async def _ask(
    cluster: Cluster, leader: int, wanted: Mapping[Partition, int], isolation_level: int
) -> dict[Partition, FoundOffset | KafkaFailure]:
    topics: dict[str, list[PartitionToList]] = defaultdict(list)
    for (topic, index), timestamp in wanted.items():
        topics[topic].append(PartitionToList(partition_index=index, timestamp=timestamp))
    request = ListOffsetsRequest(
        replica_id=-1,
        isolation_level=isolation_level,
        topics=[TopicToList(name=name, partitions=asked) for name, asked in topics.items()],
        timeout_ms=int(cluster.timeout_ms),
    )
    at_least = max(_AT_LEAST.get(timestamp, 1) for timestamp in wanted.values())
    answer = await cluster.ask(request, leader, at_least=at_least)
    return {
        (topic.name, each.partition_index): KafkaFailure(each.error_code)
        if each.error_code
        else FoundOffset(each.offset, each.timestamp, each.leader_epoch)
        for topic in answer.topics
        for each in topic.partitions
    }
