"""Committed offsets of consumer groups: looked up, set, deleted."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from ottla.client.core.admin.call import (
    RETRIED,
    Call,
    Operation,
    Outcomes,
    ask_all,
    ask_one,
    deferring_refusals,
)
from ottla.client.core.admin.checks import flag
from ottla.client.core.admin.outcomes import error_of, invalid, raise_for
from ottla.client.core.admin.routes import NO_RESPONSE, Coordinators
from ottla.client.errors import KafkaError
from ottla.client.values import (
    OFFSET_INVALID,
    ConsumerGroupTopicPartitions,
    TopicPartition,
    partition_result,
)
from ottla.wire.api.k08_offset_commit import (
    OffsetCommitRequest,
    OffsetCommitResponse,
    PartitionToCommit,
    TopicToCommit,
)
from ottla.wire.api.k09_offset_fetch import (
    FoundGroupTopic,
    FoundTopic,
    GroupToLookUp,
    GroupTopicToLookUp,
    OffsetFetchRequest,
    OffsetFetchResponse,
    TopicToLookUp,
)
from ottla.wire.api.k47_offset_delete import (
    OffsetDeleteRequest,
    OffsetDeleteResponse,
    PartitionToForget,
    TopicToForget,
)
from ottla.wire.declare import Message
from ottla.wire.errors import ErrorCode

# From version 10 on topics go by their ids, which the user of these calls does not know.
_LAST_WITH_NAMES = 9
_FIRST_WITH_ALL_TOPICS = 2
_FIRST_WITH_REQUIRE_STABLE = 7
_FIRST_WITH_GROUPS = 8
_NO_OFFSET = -1

T = TypeVar("T")
_Wanted = Mapping[str, Collection[TopicPartition] | None]


@deferring_refusals
def list_consumer_group_offsets(
    request: list[ConsumerGroupTopicPartitions], *, require_stable: bool
) -> Operation[Outcomes[str, ConsumerGroupTopicPartitions]]:
    """What a group has committed, for some partitions or all that it has offsets of."""
    _check_groups(request, "listing")
    flag(require_stable, "require_stable")
    for group in request:
        if group.topic_partitions is not None:
            _check_list(group.topic_partitions, "must be a list or None")
            for partition in group.topic_partitions:
                _check_partition(partition)
                if partition.offset != OFFSET_INVALID:
                    raise ValueError("Element of 'topic_partitions' must not have 'offset' value")
            _refuse_duplicates(group.topic_partitions)
    wanted = {group.group_id: group.topic_partitions for group in request}
    return list_offsets_of_groups(wanted, require_stable=require_stable)


def list_offsets_of_groups(
    wanted: _Wanted, *, require_stable: bool
) -> Operation[Outcomes[str, ConsumerGroupTopicPartitions]]:
    """The same for any number of groups: by id the partitions, None for all."""

    def ask(keys: Sequence[str]) -> Callable[[int], Message]:
        return lambda version: _offset_fetch(version, keys, wanted, require_stable)

    def read(
        answer: OffsetFetchResponse, keys: Sequence[str]
    ) -> Iterable[tuple[str, ConsumerGroupTopicPartitions | KafkaError]]:
        for group in answer.groups:
            yield (
                group.group_id,
                _found(group.group_id, group.error_code, group.topics, wanted),
            )
        if not answer.groups:
            # Up to version 7 an answer is about the one group that was asked about.
            yield keys[0], _found(keys[0], answer.error_code, answer.topics, wanted)

    route = Coordinators(timed_out=NO_RESPONSE)
    at_least = _FIRST_WITH_REQUIRE_STABLE if require_stable else _FIRST_WITH_ALL_TOPICS
    if len(wanted) > 1:
        at_least = _FIRST_WITH_GROUPS
    call = Call(
        wanted, route, ask, OffsetFetchResponse, read, at_least=at_least, at_most=_LAST_WITH_NAMES
    )
    return ask_all(call)


def _offset_fetch(
    version: int, group_ids: Sequence[str], wanted: _Wanted, require_stable: bool
) -> OffsetFetchRequest:
    if version >= _FIRST_WITH_GROUPS:
        groups = [
            GroupToLookUp(
                group_id=group_id,
                topics=_by_topic(
                    wanted[group_id],
                    lambda topic, numbers: GroupTopicToLookUp(
                        name=topic, partition_indexes=numbers
                    ),
                ),
            )
            for group_id in group_ids
        ]
        return OffsetFetchRequest(groups=groups, require_stable=require_stable)
    [group_id] = group_ids
    topics = _by_topic(
        wanted[group_id],
        lambda topic, numbers: TopicToLookUp(name=topic, partition_indexes=numbers),
    )
    return OffsetFetchRequest(group_id=group_id, topics=topics, require_stable=require_stable)


def _by_topic(
    partitions: Iterable[TopicPartition] | None, make: Callable[[str, list[int]], T]
) -> list[T] | None:
    if partitions is None:
        return None
    topics: dict[str, list[int]] = {}
    for partition in partitions:
        topics.setdefault(partition.topic, []).append(partition.partition)
    return [make(topic, numbers) for topic, numbers in topics.items()]


def _found(
    group_id: str, error_code: int, topics: Iterable[FoundTopic | FoundGroupTopic], wanted: _Wanted
) -> ConsumerGroupTopicPartitions | KafkaError:
    """A group's offsets in the order they were asked for, those the answer lacks without any."""
    if error_code != ErrorCode.NONE:
        return KafkaError(error_code)
    found = [
        partition_result(
            topic.name,
            partition.partition_index,
            OFFSET_INVALID
            if partition.committed_offset == _NO_OFFSET
            else partition.committed_offset,
            metadata=partition.metadata or None,
            leader_epoch=partition.committed_leader_epoch,
            error=error_of(partition.error_code),
        )
        for topic in topics
        for partition in topic.partitions
    ]
    partitions = wanted.get(group_id)
    if partitions is not None:
        by_partition = {(p.topic, p.partition): p for p in found}
        found = [
            by_partition.get((p.topic, p.partition)) or partition_result(p.topic, p.partition)
            for p in partitions
        ]
    return ConsumerGroupTopicPartitions(group_id, found)


@deferring_refusals
def alter_consumer_group_offsets(
    request: list[ConsumerGroupTopicPartitions],
) -> Operation[Outcomes[str, ConsumerGroupTopicPartitions]]:
    """Set committed offsets of a group that has no members."""
    _check_groups(request, "altering")
    for group in request:
        partitions = group.topic_partitions
        if partitions is None:
            raise ValueError("'topic_partitions' cannot be null")
        _check_list(partitions, "must be a list")
        for partition in partitions:
            _check_partition(partition, value=" value for 'partition' field")
            if partition.offset < 0:
                raise ValueError(
                    "Element of 'topic_partitions' must not have negative value for 'offset' field"
                )
        _refuse_duplicates(partitions)
    wanted = {group.group_id: group.topic_partitions or [] for group in request}

    def ask(keys: Sequence[str]) -> OffsetCommitRequest:
        [group_id] = keys
        topics: dict[str, list[PartitionToCommit]] = {}
        for partition in wanted[group_id]:
            topics.setdefault(partition.topic, []).append(_to_commit(partition))
        return OffsetCommitRequest(
            group_id=group_id,
            topics=[TopicToCommit(name=t, partitions=p) for t, p in topics.items()],
        )

    def read(
        answer: OffsetCommitResponse, keys: Sequence[str]
    ) -> Iterable[tuple[str, ConsumerGroupTopicPartitions | KafkaError]]:
        [group_id] = keys
        yield group_id, _committed(group_id, answer, wanted[group_id])

    route = Coordinators(timed_out=NO_RESPONSE, is_batched=False)
    call = Call(wanted, route, ask, OffsetCommitResponse, read, at_most=_LAST_WITH_NAMES)
    return ask_all(call)


def _to_commit(partition: TopicPartition) -> PartitionToCommit:
    epoch = partition.leader_epoch
    return PartitionToCommit(
        partition_index=partition.partition,
        committed_offset=partition.offset,
        committed_leader_epoch=-1 if epoch is None else epoch,
        committed_metadata=partition.metadata,
    )


def _committed(
    group_id: str, answer: OffsetCommitResponse, wanted: Iterable[TopicPartition]
) -> ConsumerGroupTopicPartitions | KafkaError:
    """What became of each partition; what befell all of them is the group's error."""
    codes = {
        (topic.name, partition.partition_index): partition.error_code
        for topic in answer.topics
        for partition in topic.partitions
    }
    for code in codes.values():
        if code in RETRIED:
            return KafkaError(code)
    return ConsumerGroupTopicPartitions(
        group_id,
        [
            partition_result(
                partition.topic,
                partition.partition,
                partition.offset,
                metadata=partition.metadata,
                leader_epoch=-1 if partition.leader_epoch is None else partition.leader_epoch,
                error=error_of(codes.get((partition.topic, partition.partition), 0)),
            )
            for partition in wanted
        ],
    )


@deferring_refusals
def delete_consumer_group_offsets(
    group_id: str, partitions: Sequence[TopicPartition]
) -> Operation[Outcomes[TopicPartition, None]]:
    """Delete committed offsets of a group for topics that no member reads."""
    _check_group_id(group_id)
    for partition in partitions:
        _check_partition(partition)
    _refuse_duplicates(partitions)

    def ask(_: Sequence[str]) -> OffsetDeleteRequest:
        topics = _by_topic(
            partitions,
            lambda topic, numbers: TopicToForget(
                name=topic, partitions=[PartitionToForget(partition_index=n) for n in numbers]
            ),
        )
        return OffsetDeleteRequest(group_id=group_id, topics=topics or [])

    def read(
        answer: OffsetDeleteResponse, keys: Sequence[str]
    ) -> Iterable[tuple[str, dict[tuple[str, int], int] | KafkaError]]:
        raise_for(answer.error_code)
        yield (
            keys[0],
            {
                (topic.name, partition.partition_index): partition.error_code
                for topic in answer.topics
                for partition in topic.partitions
            },
        )

    return _deleted(Call([group_id], Coordinators(), ask, OffsetDeleteResponse, read), partitions)


def _deleted(
    call: Call[str, dict[tuple[str, int], int]], partitions: Sequence[TopicPartition]
) -> Operation[Outcomes[TopicPartition, None]]:
    codes = yield from ask_one(call)
    return {p: error_of(codes.get((p.topic, p.partition), 0)) for p in partitions}


def _check_groups(request: Any, doing: str) -> None:
    if request is None:
        raise TypeError("request cannot be None")
    if not isinstance(request, list):
        raise TypeError("request must be a list")
    if len(request) != 1:
        raise ValueError(f"Currently we support {doing} offsets for a single consumer group only")
    for group in request:
        if not isinstance(group, ConsumerGroupTopicPartitions):
            raise TypeError("Expected list of 'ConsumerGroupTopicPartitions'")
        _check_group_id(group.group_id)


def _check_group_id(group_id: Any) -> None:
    if group_id is None:
        raise TypeError("'group_id' cannot be None")
    if not isinstance(group_id, str):
        raise TypeError("'group_id' must be a string")
    if not group_id:
        raise ValueError("'group_id' cannot be empty")


def _check_list(partitions: Any, must_be: str) -> None:
    if not isinstance(partitions, list):
        raise TypeError(f"'topic_partitions' {must_be}")
    if not partitions:
        raise ValueError("'topic_partitions' cannot be empty")


def _check_partition(partition: Any, value: str = " 'partition' value") -> None:
    element = "Element of 'topic_partitions'"
    if partition is None:
        raise ValueError(f"{element} cannot be None")
    if not isinstance(partition, TopicPartition):
        raise TypeError(f"{element} must be of type TopicPartition")
    if not partition.topic:
        raise ValueError(f"{element} must not have 'topic' attribute as Empty")
    if partition.partition < 0:
        raise ValueError(f"{element} must not have negative{value}")


def _refuse_duplicates(partitions: Sequence[TopicPartition]) -> None:
    if len(set(partitions)) != len(partitions):
        raise invalid("Duplicate partitions not allowed")
