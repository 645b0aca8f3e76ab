"""CreatePartitions: a topic can only grow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from ottla.metadata.config.resolve import ConfigResolver
from ottla.metadata.controller.assignment import (
    check_manual_assignment,
    check_partition_limits,
    new_manual_partition,
    new_partition,
    registered_brokers,
)
from ottla.metadata.controller.decision import Decision, RecordBudget
from ottla.metadata.image import ClusterImage, PartitionImage, TopicImage
from ottla.metadata.placement import place_replicas
from ottla.metadata.records import PartitionChanged
from ottla.wire.errors import ErrorCode, ProtocolError

if TYPE_CHECKING:
    from ottla.ports.entropy import Entropy


class NewPartitions(NamedTuple):
    """A topic and how many partitions it is to have in all.

    ``assignments`` are the replicas of the new ones by hand; None leaves them to placement.
    """

    topic: str
    total_count: int
    assignments: tuple[tuple[int, ...], ...] | None = None


CreatePartitionsReply = list[tuple[str, ProtocolError | None]]


def decide_create_partitions(
    image: ClusterImage,
    resolver: ConfigResolver,
    requests: Sequence[NewPartitions],
    entropy: Entropy,
    *,
    validate_only: bool = False,
) -> Decision[CreatePartitionsReply]:
    """Add what can be added.

    Returns:
        For each topic, in the order of the request, None or why not. A topic that was given
        several times is answered once, with INVALID_REQUEST.
    """
    counts = Counter(request.topic for request in requests)
    budget = RecordBudget()
    total = image.partition_count
    records: list[PartitionChanged] = []
    reply: CreatePartitionsReply = []
    for request in {each.topic: each for each in requests}.values():
        try:
            if counts[request.topic] > 1:
                raise ProtocolError(ErrorCode.INVALID_REQUEST, "Duplicate topic name.")
            topic = _growing_topic(image, request)
            additional = request.total_count - len(topic.partitions)
            broker = resolver.broker(image)
            check_partition_limits(broker, request.total_count, total + additional)
            budget.take(additional)
            created = _new_partitions(image, topic, request, entropy)
        except ProtocolError as error:
            reply.append((request.topic, error))
            continue
        total += additional
        records.extend(
            PartitionChanged(topic.topic_id, len(topic.partitions) + step, partition)
            for step, partition in enumerate(created)
        )
        reply.append((request.topic, None))
    return Decision(() if validate_only else tuple(records), reply)


def _growing_topic(image: ClusterImage, request: NewPartitions) -> TopicImage:
    topic = image.topics.get(request.topic)
    if topic is None:
        raise ProtocolError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    count = len(topic.partitions)
    if request.total_count == count:
        raise ProtocolError(
            ErrorCode.INVALID_PARTITIONS, f"Topic already has {count} partition(s)."
        )
    if request.total_count < count:
        raise ProtocolError(
            ErrorCode.INVALID_PARTITIONS,
            f"The topic {topic.name} currently has {count} partition(s); "
            f"{request.total_count} would not be an increase.",
        )
    additional = request.total_count - count
    if request.assignments is not None and len(request.assignments) != additional:
        raise ProtocolError(
            ErrorCode.INVALID_REPLICA_ASSIGNMENT,
            f"Attempted to add {additional} additional partition(s), but only "
            f"{len(request.assignments)} assignment(s) were specified.",
        )
    return topic


def _new_partitions(
    image: ClusterImage, topic: TopicImage, request: NewPartitions, entropy: Entropy
) -> list[PartitionImage]:
    count = len(topic.partitions)
    factor = len(topic.partitions[0].replicas)
    if request.assignments is not None:
        for replicas in request.assignments:
            check_manual_assignment(image, replicas, factor)
        return [
            new_manual_partition(image, count + step, replicas)
            for step, replicas in enumerate(request.assignments)
        ]
    active = {broker.broker_id for broker in image.active_brokers()}
    placed = place_replicas(registered_brokers(image), request.total_count - count, factor, entropy)
    return [new_partition(replicas, active) for replicas in placed]
