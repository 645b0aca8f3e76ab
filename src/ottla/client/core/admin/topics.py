"""Topics: made, deleted, grown, described, listed."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ottla.client.admin.clusters import (
    BrokerMetadata,
    ClusterMetadata,
    PartitionMetadata,
    TopicMetadata,
)
from ottla.client.admin.topics import NewPartitions, NewTopic, TopicDescription
from ottla.client.core.admin.brokers import METADATA_WITHOUT_CREATION, nodes_of
from ottla.client.core.admin.call import (
    Call,
    Operation,
    Outcomes,
    ask_all,
    ask_one,
    deferring_refusals,
)
from ottla.client.core.admin.checks import flag, non_empty_list, refuse_duplicates
from ottla.client.core.admin.outcomes import error_of, operations, outcome, raise_for
from ottla.client.core.admin.routes import NO_TRANSPORT, Request, any_broker, controller
from ottla.client.errors import KafkaError
from ottla.client.values import Node, TopicCollection, TopicPartitionInfo, Uuid
from ottla.wire.api.k03_metadata import (
    DescribedPartition,
    DescribedTopic,
    MetadataRequest,
    MetadataResponse,
    TopicToDescribe,
)
from ottla.wire.api.k19_create_topics import (
    ConfigToSet,
    CreateTopicsRequest,
    CreateTopicsResponse,
    ReplicaAssignment,
    TopicToCreate,
)
from ottla.wire.api.k20_delete_topics import (
    DeleteTopicsRequest,
    DeleteTopicsResponse,
    TopicToDelete,
)
from ottla.wire.api.k37_create_partitions import (
    CreatePartitionsRequest,
    CreatePartitionsResponse,
    NewPartitionAssignment,
    TopicToGrow,
)
from ottla.wire.declare import Message

# The first version that tells what this client may do with a topic.
METADATA_WITH_OPERATIONS = 8
MAX_PARTITIONS = 100_000
MAX_REPLICATION_FACTOR = 10_000


def create_topics(
    new_topics: list[NewTopic], *, timeout_ms: int, validate_only: bool
) -> Operation[Outcomes[str, None]]:
    """Make topics, or only check whether they could be made."""
    names = [topic.topic for topic in new_topics]
    non_empty_list(new_topics, "NewTopic objects")
    flag(validate_only, "validate_only")
    wanted = {topic.topic: _topic_to_create(topic) for topic in new_topics}

    def request(keys: Sequence[str]) -> CreateTopicsRequest:
        return CreateTopicsRequest(
            topics=[wanted[key] for key in keys],
            timeout_ms=timeout_ms,
            validate_only=validate_only,
        )

    def read(
        answer: CreateTopicsResponse, _: Sequence[str]
    ) -> Iterable[tuple[str, KafkaError | None]]:
        return ((t.name, outcome(t.error_code, t.error_message, None)) for t in answer.topics)

    return ask_all(Call(names, controller(), request, CreateTopicsResponse, read))


def _topic_to_create(topic: Any) -> TopicToCreate:
    if not isinstance(topic, NewTopic):
        raise ValueError("Expected list of NewTopic objects")
    partitions, replicas = topic.num_partitions, topic.replication_factor
    if not -1 <= partitions <= MAX_PARTITIONS:
        raise ValueError(
            f"Invalid NewTopic({topic.topic}): num_partitions out of expected range "
            f"1..{MAX_PARTITIONS} or -1 for broker default"
        )
    if not -1 <= replicas <= MAX_REPLICATION_FACTOR:
        raise ValueError(
            f"Invalid NewTopic({topic.topic}): replication_factor out of expected range "
            f"-1..{MAX_REPLICATION_FACTOR}"
        )
    assignment = topic.replica_assignment
    if assignment:
        if replicas != -1:
            raise ValueError("replication_factor and replica_assignment are mutually exclusive")
        count = partitions if partitions != -1 else len(assignment)
        _check_assignment(assignment, count, count, "num_partitions")
        # Kafka wants neither number when it is told where the replicas go.
        partitions = -1
    config: Mapping[Any, Any] = topic.config or {}
    return TopicToCreate(
        name=topic.topic,
        num_partitions=partitions,
        replication_factor=replicas,
        assignments=[
            ReplicaAssignment(partition_index=number, broker_ids=list(brokers))
            for number, brokers in enumerate(assignment or ())
        ],
        configs=[ConfigToSet(name=str(key), value=str(config[key])) for key in config],
    )


def _check_assignment(assignment: Any, least: int, most: int, count: str) -> None:
    if (
        not isinstance(assignment, list)
        or not least <= len(assignment) <= most
        or not all(isinstance(brokers, list) and brokers for brokers in assignment)
        or not all(isinstance(broker, int) for brokers in assignment for broker in brokers)
    ):
        raise ValueError(
            f"replica_assignment must be a list of int lists with an outer size of {count}"
        )


def delete_topics(topics: list[str], *, timeout_ms: int) -> Operation[Outcomes[str, None]]:
    """Delete topics."""
    if not isinstance(topics, list):
        raise TypeError(f"argument 1 must be list, not {type(topics).__name__}")
    non_empty_list(topics, "topic strings")
    for topic in topics:
        if topic is None:
            raise ValueError("Expected list of topic strings, not NoneType")

    def request(keys: Sequence[str]) -> Any:
        def make(version: int) -> Message:
            if version >= 6:
                named = [TopicToDelete(name=str(key), topic_id=uuid.UUID(int=0)) for key in keys]
                return DeleteTopicsRequest(topics=named, timeout_ms=timeout_ms)
            return DeleteTopicsRequest(
                topic_names=[str(key) for key in keys], timeout_ms=timeout_ms
            )

        return make

    def read(
        answer: DeleteTopicsResponse, _: Sequence[str]
    ) -> Iterable[tuple[str, KafkaError | None]]:
        return (
            (topic.name or "", outcome(topic.error_code, None, None)) for topic in answer.responses
        )

    return ask_all(Call(topics, controller(), request, DeleteTopicsResponse, read))


def create_partitions(
    new_partitions: list[NewPartitions], *, timeout_ms: int, validate_only: bool
) -> Operation[Outcomes[str, None]]:
    """Give topics more partitions, or only check whether they could have them."""
    names = [partitions.topic for partitions in new_partitions]
    non_empty_list(new_partitions, "NewPartitions objects")
    flag(validate_only, "validate_only")
    wanted = {partitions.topic: _topic_to_grow(partitions) for partitions in new_partitions}

    def request(keys: Sequence[str]) -> CreatePartitionsRequest:
        return CreatePartitionsRequest(
            topics=[wanted[key] for key in keys],
            timeout_ms=timeout_ms,
            validate_only=validate_only,
        )

    def read(
        answer: CreatePartitionsResponse, _: Sequence[str]
    ) -> Iterable[tuple[str, KafkaError | None]]:
        return ((t.name, outcome(t.error_code, t.error_message, None)) for t in answer.results)

    return ask_all(Call(names, controller(), request, CreatePartitionsResponse, read))


def _topic_to_grow(partitions: Any) -> TopicToGrow:
    if not isinstance(partitions, NewPartitions):
        raise ValueError("Expected list of NewPartitions objects")
    count, assignment = partitions.new_total_count, partitions.replica_assignment
    if not 1 <= count <= MAX_PARTITIONS:
        raise ValueError(
            f"Invalid NewPartitions({partitions.topic}): new_total_cnt out of expected range "
            f"1..{MAX_PARTITIONS}"
        )
    if assignment is not None:
        _check_assignment(assignment, 1, count, "new_total_count - existing partition count")
    return TopicToGrow(
        name=partitions.topic,
        count=count,
        assignments=None
        if assignment is None
        else [NewPartitionAssignment(broker_ids=list(brokers)) for brokers in assignment],
    )


@deferring_refusals
def describe_topics(
    topics: TopicCollection, *, include_authorized_operations: bool
) -> Operation[Outcomes[str, TopicDescription]]:
    """Describe topics; an old broker says nothing of rights."""
    if not isinstance(topics, TopicCollection):
        raise TypeError("Expected input to be instance of TopicCollection")
    names = topics.topic_names
    if not isinstance(names, list):
        raise TypeError("Expected list of topic names to be described")
    flag(include_authorized_operations, "include_authorized_operations")
    for number, name in enumerate(names):
        if not isinstance(name, str):
            raise TypeError(f"Expected list of topics strings, not {type(name).__name__}")
        if not name:
            raise ValueError(f"Empty topic name at index {number} isn't allowed")
    refuse_duplicates(names, "topics")

    def request(keys: Sequence[str]) -> Request:
        return lambda version: _metadata_request(
            keys, include_authorized_operations and version >= METADATA_WITH_OPERATIONS
        )

    def read(
        answer: MetadataResponse, _: Sequence[str]
    ) -> Iterable[tuple[str, TopicDescription | KafkaError]]:
        nodes = nodes_of(answer)
        for topic in answer.topics:
            yield (
                topic.name or "",
                outcome(topic.error_code, None, _description(topic, nodes)),
            )

    at_least = METADATA_WITHOUT_CREATION
    return ask_all(Call(names, any_broker(), request, MetadataResponse, read, at_least=at_least))


def _metadata_request(
    names: Sequence[str] | None, include_authorized_operations: bool = False
) -> MetadataRequest:
    return MetadataRequest(
        topics=None if names is None else [TopicToDescribe(name=name) for name in names],
        allow_auto_topic_creation=False,
        include_topic_authorized_operations=include_authorized_operations,
    )


def node(nodes: Mapping[int, Node], broker_id: int) -> Node:
    """A broker; of one that is down only the id is known."""
    return nodes.get(broker_id) or Node(broker_id, "", -1)


def _description(topic: DescribedTopic, nodes: Mapping[int, Node]) -> TopicDescription:
    return TopicDescription(
        topic.name or "",
        uuid_of(topic.topic_id),
        topic.is_internal,
        [
            TopicPartitionInfo(
                partition.partition_index,
                node(nodes, partition.leader_id),
                [node(nodes, replica) for replica in partition.replica_nodes],
                [node(nodes, replica) for replica in partition.isr_nodes],
            )
            for partition in sorted(topic.partitions, key=lambda p: p.partition_index)
        ],
        operations(topic.topic_authorized_operations),
    )


def uuid_of(value: uuid.UUID) -> Uuid:
    """An id of the wire as users see it."""
    halves = value.bytes
    return Uuid(int.from_bytes(halves[:8], signed=True), int.from_bytes(halves[8:], signed=True))


def list_topics(topic: str | None, *, may_create: bool) -> Operation[ClusterMetadata]:
    """What ``list_topics`` answers: the brokers, and this topic or all of them.

    Args:
        topic: the topic's name, None for all.
        may_create: let a broker that creates topics when they are first used create it.
    """
    names = None if topic is None else [topic]

    def request(_: Sequence[None]) -> MetadataRequest:
        request = _metadata_request(names)
        request.allow_auto_topic_creation = may_create
        return request

    def read(
        answer: MetadataResponse, _: Sequence[None]
    ) -> Iterable[tuple[None, ClusterMetadata | KafkaError]]:
        raise_for(answer.error_code)
        yield None, cluster_metadata(answer)

    call = Call(
        [None],
        any_broker(NO_TRANSPORT),
        request,
        MetadataResponse,
        read,
        at_least=METADATA_WITHOUT_CREATION,
    )
    return ask_one(call)


def cluster_metadata(answer: MetadataResponse) -> ClusterMetadata:
    """An answer as users see it."""
    cluster = ClusterMetadata()
    cluster.cluster_id = answer.cluster_id
    cluster.controller_id = answer.controller_id
    for listed in answer.brokers:
        broker = BrokerMetadata()
        broker.id, broker.host, broker.port = listed.node_id, listed.host, listed.port
        cluster.brokers[broker.id] = broker
    if len(cluster.brokers) == 1:
        # Of several it isn't known which one answered.
        [answered] = cluster.brokers.values()
        cluster.orig_broker_id, cluster.orig_broker_name = answered.id, str(answered)
    for described in answer.topics:
        topic = TopicMetadata()
        topic.topic = described.name
        topic.error = error_of(described.error_code)
        topic.partitions = {p.partition_index: _partition(p) for p in described.partitions}
        cluster.topics[described.name or ""] = topic
    return cluster


def _partition(described: DescribedPartition) -> PartitionMetadata:
    partition = PartitionMetadata()
    partition.id, partition.leader = described.partition_index, described.leader_id
    partition.replicas = list(described.replica_nodes)
    partition.isrs = list(described.isr_nodes)
    partition.error = error_of(described.error_code)
    return partition
