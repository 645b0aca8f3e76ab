"""Where partitions lie: leaders elected, replicas moved to other brokers."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from ottla.client.admin.partitions import PartitionReassignment
from ottla.client.core.admin.call import (
    Call,
    Operation,
    Outcomes,
    ask_all,
    ask_one,
    deferring_refusals,
)
from ottla.client.core.admin.checks import flag
from ottla.client.core.admin.offsets import by_topic
from ottla.client.core.admin.outcomes import error_of, invalid, outcome, raise_for
from ottla.client.core.admin.routes import controller
from ottla.client.enumerations import ElectionType
from ottla.client.errors import KafkaError, KafkaException, describe
from ottla.client.values import TopicPartition, partition_result
from ottla.wire.api.k43_elect_leaders import (
    ElectLeadersRequest,
    ElectLeadersResponse,
    TopicToElect,
)
from ottla.wire.api.k45_alter_partition_reassignments import (
    AlterPartitionReassignmentsRequest,
    AlterPartitionReassignmentsResponse,
    PartitionToReassign,
    TopicToReassign,
)
from ottla.wire.api.k46_list_partition_reassignments import (
    ListPartitionReassignmentsRequest,
    ListPartitionReassignmentsResponse,
    TopicToInspect,
)
from ottla.wire.errors import ErrorCode

Election = dict[TopicPartition, "KafkaError | None"]


@deferring_refusals
def elect_leaders(
    election_type: ElectionType, partitions: list[TopicPartition] | None, *, timeout_ms: int
) -> Operation[Election]:
    """Elect leaders of partitions or of all: which ones have, or why they have not."""
    _check_election(election_type, partitions)

    def request(_: Sequence[None]) -> ElectLeadersRequest:
        topics = None
        if partitions is not None:
            numbers = by_topic(partitions, lambda partition: partition.partition)
            topics = [TopicToElect(topic=t, partitions=n) for t, n in numbers.items()]
        return ElectLeadersRequest(
            election_type=election_type.value, topic_partitions=topics, timeout_ms=timeout_ms
        )

    def read(
        answer: ElectLeadersResponse, _: Sequence[None]
    ) -> Iterable[tuple[None, Election | KafkaError]]:
        if answer.error_code != ErrorCode.NONE:
            text = f"ElectLeaders request failed: {describe(answer.error_code)}"
            raise KafkaException(KafkaError(answer.error_code, text))
        elections = {
            # The offset means nothing here, and is 0 because confluent_kafka's is.
            partition_result(
                topic.topic, elected.partition_id, 0, error=error_of(elected.error_code)
            ): error_of(elected.error_code, elected.error_message)
            for topic in answer.replica_election_results
            for elected in topic.partition_result
        }
        yield None, elections

    at_least = 1 if election_type is ElectionType.UNCLEAN else 0
    call = Call([None], controller(), request, ElectLeadersResponse, read, at_least=at_least)
    return ask_one(call)


def _check_election(election_type: Any, partitions: Any) -> None:
    if not isinstance(election_type, ElectionType):
        raise TypeError("Expected 'election_type' to be of type 'ElectionType'")
    if partitions is None:
        return
    if not isinstance(partitions, list):
        raise TypeError(f"Expected 'partitions' to be a list, got '{type(partitions).__name__}'")
    for partition in partitions:
        if not isinstance(partition, TopicPartition):
            raise TypeError(
                "Element of the 'partitions' list must be of type 'TopicPartition' got "
                f"'{type(partition).__name__}' "
            )
        if partition.partition < 0:
            raise ValueError(
                "Elements of the 'partitions' list must not have negative value for 'partition' "
                "field"
            )
    if len(set(partitions)) != len(partitions):
        raise invalid("Duplicate partitions specified")


def alter_partition_reassignments(
    reassignments: Mapping[TopicPartition, Sequence[int] | None],
    *,
    timeout_ms: int,
    allow_replication_factor_change: bool,
) -> Operation[Outcomes[TopicPartition, None]]:
    """Move partitions to other brokers; None cancels the move that is under way."""
    flag(allow_replication_factor_change, "allow_replication_factor_change")

    def to_reassign(partition: TopicPartition) -> PartitionToReassign:
        brokers = reassignments[partition]
        return PartitionToReassign(
            partition_index=partition.partition,
            replicas=None if brokers is None else list(brokers),
        )

    def request(keys: Sequence[TopicPartition]) -> AlterPartitionReassignmentsRequest:
        topics = by_topic(keys, to_reassign)
        return AlterPartitionReassignmentsRequest(
            timeout_ms=timeout_ms,
            allow_replication_factor_change=allow_replication_factor_change,
            topics=[TopicToReassign(name=t, partitions=p) for t, p in topics.items()],
        )

    def read(
        answer: AlterPartitionReassignmentsResponse, _: Sequence[TopicPartition]
    ) -> Iterable[tuple[TopicPartition, KafkaError | None]]:
        raise_for(answer.error_code, answer.error_message)
        for topic in answer.responses:
            for moved in topic.partitions:
                key = TopicPartition(topic.name, moved.partition_index)
                yield key, outcome(moved.error_code, moved.error_message, None)

    at_least = 0 if allow_replication_factor_change else 1
    response = AlterPartitionReassignmentsResponse
    return ask_all(Call(reassignments, controller(), request, response, read, at_least=at_least))


def list_partition_reassignments(
    partitions: Collection[TopicPartition] | None, *, timeout_ms: int
) -> Operation[dict[TopicPartition, PartitionReassignment]]:
    """The moves under way, of these partitions or of all."""

    def request(_: Sequence[None]) -> ListPartitionReassignmentsRequest:
        topics = None
        if partitions is not None:
            numbers = by_topic(partitions, lambda partition: partition.partition)
            topics = [TopicToInspect(name=t, partition_indexes=n) for t, n in numbers.items()]
        return ListPartitionReassignmentsRequest(timeout_ms=timeout_ms, topics=topics)

    def read(
        answer: ListPartitionReassignmentsResponse, _: Sequence[None]
    ) -> Iterable[tuple[None, dict[TopicPartition, PartitionReassignment] | KafkaError]]:
        raise_for(answer.error_code, answer.error_message)
        moves = {
            TopicPartition(topic.name, moving.partition_index): PartitionReassignment(
                list(moving.replicas), list(moving.adding_replicas), list(moving.removing_replicas)
            )
            for topic in answer.topics
            for moving in topic.partitions
        }
        yield None, moves

    return ask_one(Call([None], controller(), request, ListPartitionReassignmentsResponse, read))
