"""Offsets of partitions: where records are, and from where on they are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from ottla.client.admin.offsets import DeletedRecords, ListOffsetsResultInfo, OffsetSpec
from ottla.client.core.admin.call import Call, Operation, Outcomes, ask_all, deferring_refusals
from ottla.client.core.admin.outcomes import invalid, outcome
from ottla.client.core.admin.routes import leaders_of_partitions
from ottla.client.enumerations import IsolationLevel
from ottla.client.errors import KafkaError
from ottla.client.values import TopicPartition
from ottla.wire.api.k02_list_offsets import (
    ListOffsetsRequest,
    ListOffsetsResponse,
    PartitionToList,
    TopicToList,
)
from ottla.wire.api.k21_delete_records import (
    DeleteRecordsRequest,
    DeleteRecordsResponse,
    PartitionToTrim,
    TopicToTrim,
)

T = TypeVar("T")

_NOT_A_REPLICA = -1
# The first versions that know the places in the log below its end and start.
_FIRST_VERSION_WITH = {-3: 7, -4: 8, -5: 9, -6: 11}


def by_topic(
    partitions: Iterable[TopicPartition], make: Callable[[TopicPartition], T]
) -> dict[str, list[T]]:
    """What is made of each partition, by topic."""
    topics: dict[str, list[T]] = {}
    for partition in partitions:
        topics.setdefault(partition.topic, []).append(make(partition))
    return topics


def list_offsets(
    topic_partition_offsets: Mapping[TopicPartition, OffsetSpec],
    *,
    isolation_level: IsolationLevel,
    timeout_ms: int,
) -> Operation[Outcomes[TopicPartition, ListOffsetsResultInfo]]:
    """The offsets that the specifications mean."""
    _check_offsets(topic_partition_offsets)
    if not isinstance(isolation_level, IsolationLevel):
        raise TypeError("isolation_level argument should be an IsolationLevel")
    values = {key: spec._value for key, spec in topic_partition_offsets.items()}

    def to_list(partition: TopicPartition) -> PartitionToList:
        return PartitionToList(partition_index=partition.partition, timestamp=values[partition])

    def request(keys: Sequence[TopicPartition]) -> ListOffsetsRequest:
        return ListOffsetsRequest(
            replica_id=_NOT_A_REPLICA,
            isolation_level=isolation_level.value,
            topics=[
                TopicToList(name=topic, partitions=partitions)
                for topic, partitions in by_topic(keys, to_list).items()
            ],
            timeout_ms=timeout_ms,
        )

    def read(
        answer: ListOffsetsResponse, _: Sequence[TopicPartition]
    ) -> Iterable[tuple[TopicPartition, ListOffsetsResultInfo | KafkaError]]:
        for topic in answer.topics:
            for found in topic.partitions:
                info = ListOffsetsResultInfo(found.offset, found.timestamp, found.leader_epoch)
                key = TopicPartition(topic.name, found.partition_index)
                yield key, outcome(found.error_code, None, info)

    at_least = max((_FIRST_VERSION_WITH.get(value, 0) for value in values.values()), default=0)
    if isolation_level is IsolationLevel.READ_COMMITTED:
        at_least = max(at_least, 2)
    route = leaders_of_partitions()
    return ask_all(Call(values, route, request, ListOffsetsResponse, read, at_least=at_least))


def listed_partition(partition: TopicPartition, spec: OffsetSpec) -> TopicPartition:
    """The key that ``list_offsets`` hands out: the partition with the offset that was asked for."""
    return TopicPartition(partition.topic, partition.partition, spec._value)


def _check_offsets(topic_partition_offsets: Any) -> None:
    if not isinstance(topic_partition_offsets, dict):
        raise TypeError(
            "Expected topic_partition_offsets to be dict of [TopicPartitions,OffsetSpec] for list "
            "offsets request"
        )
    for partition, spec in topic_partition_offsets.items():
        if partition is None:
            raise TypeError("partition cannot be None")
        if not isinstance(partition, TopicPartition):
            raise TypeError("partition must be a TopicPartition")
        if not partition.topic:
            raise ValueError("partition topic name cannot be empty")
        if partition.partition < 0:
            raise ValueError("partition index must be non-negative")
        if spec is None:
            raise TypeError("OffsetSpec cannot be None")
        if not isinstance(spec, OffsetSpec):
            raise TypeError("Value must be a OffsetSpec")


@deferring_refusals
def delete_records(
    topic_partition_offsets: list[TopicPartition], *, timeout_ms: int
) -> Operation[Outcomes[TopicPartition, DeletedRecords]]:
    """Delete the records before each partition's offset; -1: all that are replicated."""
    _check_records(topic_partition_offsets)

    def to_trim(partition: TopicPartition) -> PartitionToTrim:
        return PartitionToTrim(partition_index=partition.partition, offset=partition.offset)

    def request(keys: Sequence[TopicPartition]) -> DeleteRecordsRequest:
        topics = by_topic(keys, to_trim)
        return DeleteRecordsRequest(
            topics=[TopicToTrim(name=t, partitions=p) for t, p in topics.items()],
            timeout_ms=timeout_ms,
        )

    def read(
        answer: DeleteRecordsResponse, _: Sequence[TopicPartition]
    ) -> Iterable[tuple[TopicPartition, DeletedRecords | KafkaError]]:
        for topic in answer.topics:
            for trimmed in topic.partitions:
                key = TopicPartition(topic.name, trimmed.partition_index)
                records = DeletedRecords(trimmed.low_watermark)
                yield key, outcome(trimmed.error_code, None, records)

    route = leaders_of_partitions()
    return ask_all(Call(topic_partition_offsets, route, request, DeleteRecordsResponse, read))


def _check_records(request: Any) -> None:
    if not isinstance(request, list):
        raise TypeError(f"Expected Request to be a list, got '{type(request).__name__}' ")
    for partition in request:
        if not isinstance(partition, TopicPartition):
            raise TypeError(
                "Element of the request list must be of type 'TopicPartition' got "
                f"'{type(partition).__name__}' "
            )
        if partition.partition < 0:
            raise ValueError("'partition' cannot be negative")
    if len(set(request)) != len(request):
        raise invalid("Duplicate partitions not allowed")
