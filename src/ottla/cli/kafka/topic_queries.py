"""Questions about topics that several tools ask."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence

from ottla.cli.kafka.cluster import CONTROLLER, Cluster
from ottla.cli.kafka.errors import KafkaFailure, check
from ottla.cli.kafka.topic_description import Move, PartitionView, Setting, TopicView
from ottla.wire.api.k03_metadata import MetadataRequest, MetadataResponse
from ottla.wire.api.k03_metadata import TopicToDescribe as NamedTopic
from ottla.wire.api.k32_describe_configs import DescribeConfigsRequest, ResourceToDescribe
from ottla.wire.errors import ErrorCode

TOPIC = 2
"""The resource type of topics in requests about configurations."""


async def metadata(
    cluster: Cluster, topics: Iterable[str] | None = None, *, only_brokers: bool = False
) -> MetadataResponse:
    """What a broker knows of the cluster: all topics unless some are named."""
    named = None if topics is None else [NamedTopic(name=name) for name in topics]
    request = MetadataRequest(topics=[] if only_brokers else named, allow_auto_topic_creation=False)
    answer: MetadataResponse = await cluster.ask(request)
    return answer


async def list_topics(cluster: Cluster, *, with_internal: bool = True) -> dict[str, uuid.UUID]:
    """All topics by name, in the order of their names, with their ids."""
    answer = await metadata(cluster)
    found = {
        topic.name: topic.topic_id
        for topic in answer.topics
        if topic.name is not None and (with_internal or not topic.is_internal)
    }
    return dict(sorted(found.items()))


async def live_brokers(cluster: Cluster) -> frozenset[int]:
    """The ids of the brokers that are there now."""
    answer = await metadata(cluster, only_brokers=True)
    return frozenset(broker.node_id for broker in answer.brokers)


async def describe_topics(
    cluster: Cluster, topics: Mapping[str, uuid.UUID], at_once: int = 2000
) -> list[TopicView]:
    """The partitions of topics, in the order given.

    Raises:
        KafkaFailure: a topic is gone, or can't be described.
    """
    try:
        return await _describe_in_pages(cluster, topics, at_once)
    except KafkaFailure as failure:
        if failure.code != ErrorCode.UNSUPPORTED_VERSION:
            raise
    views = []
    for topic in (await metadata(cluster, topics)).topics:
        check(topic.error_code)
        partitions = [
            PartitionView(each.partition_index, each.leader_id, each.replica_nodes, each.isr_nodes)
            for each in topic.partitions
        ]
        views.append(TopicView(topic.name or "", topic.topic_id, sorted(partitions)))
    return views


async def _describe_in_pages(
    cluster: Cluster, topics: Iterable[str], at_once: int
) -> list[TopicView]:
    from ottla.wire.api.k75_describe_topic_partitions import (
        DescribeTopicPartitionsRequest,
        TopicToDescribe,
    )

    found: dict[str, tuple[uuid.UUID, list[PartitionView]]] = {}
    wanted = [TopicToDescribe(name=name) for name in topics]
    cursor = None
    while True:
        request = DescribeTopicPartitionsRequest(
            topics=wanted, response_partition_limit=at_once, cursor=cursor
        )
        answer = await cluster.ask(request)
        for topic in answer.topics:
            check(topic.error_code)
            _, partitions = found.setdefault(topic.name or "", (topic.topic_id, []))
            partitions += [
                PartitionView(
                    each.partition_index,
                    each.leader_id,
                    each.replica_nodes,
                    each.isr_nodes,
                    each.eligible_leader_replicas,
                    each.last_known_elr,
                )
                for each in topic.partitions
            ]
        cursor = answer.next_cursor
        if cursor is None:
            break
        wanted = [each for each in wanted if each.name >= cursor.topic_name]
    return [TopicView(name, *found[name]) for name in topics]


async def describe_configs(cluster: Cluster, topics: Sequence[str]) -> dict[str, list[Setting]]:
    """The settings of topics by name; raises ``KafkaFailure`` for a topic that is gone."""
    resources = [
        ResourceToDescribe(resource_type=TOPIC, resource_name=name, configuration_keys=None)
        for name in topics
    ]
    answer = await cluster.ask(DescribeConfigsRequest(resources=resources))
    found = {}
    for result in answer.results:
        check(result.error_code, result.error_message)
        found[result.resource_name] = [
            Setting(each.name, each.value, each.config_source) for each in result.configs
        ]
    return found


async def list_reassignments(
    cluster: Cluster, topics: Iterable[TopicView] | None = None
) -> dict[tuple[str, int], Move]:
    """The partitions that are moving; none where the broker can't or mayn't tell."""
    from ottla.wire.api.k46_list_partition_reassignments import (
        ListPartitionReassignmentsRequest,
        TopicToInspect,
    )

    wanted = None
    if topics is not None:
        wanted = [
            TopicToInspect(name=each.name, partition_indexes=[p.number for p in each.partitions])
            for each in topics
        ]
    request = ListPartitionReassignmentsRequest(topics=wanted, timeout_ms=int(cluster.timeout_ms))
    try:
        answer = await cluster.ask(request, CONTROLLER)
        check(answer.error_code, answer.error_message)
    except KafkaFailure as failure:
        silent = ErrorCode.UNSUPPORTED_VERSION, ErrorCode.CLUSTER_AUTHORIZATION_FAILED
        if failure.code in silent and topics is not None:
            return {}
        raise
    return {
        (topic.name, each.partition_index): Move(
            each.replicas, each.adding_replicas, each.removing_replicas
        )
        for topic in answer.topics
        for each in topic.partitions
    }
