"""Metadata, DescribeCluster, DescribeTopicPartitions (keys 3, 60, 75), every version."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from ottla.testing.protocol import Connection
from ottla.testing.waiting import eventually
from ottla.wire.api.k03_metadata import MetadataRequest, TopicToDescribe
from ottla.wire.api.k60_describe_cluster import DescribeClusterRequest
from ottla.wire.api.k75_describe_topic_partitions import (
    Cursor,
    DescribeTopicPartitionsRequest,
)
from ottla.wire.api.k75_describe_topic_partitions import (
    TopicToDescribe as TopicToPage,
)
from ottla.wire.apis import APIS
from ottla.wire.errors import ErrorCode

NewTopic = Callable[..., str]
NOT_ASKED_FOR = -(2**31)


@pytest.mark.parametrize("version", APIS[3].versions)
def test_every_version_describes_topics_and_brokers(
    version: int, connection: Connection, new_topic: NewTopic, target: Any
) -> None:
    name = new_topic(3)
    response = connection.ask(MetadataRequest(topics=[TopicToDescribe(name=name)]), version)
    [broker] = response.brokers
    assert (broker.host, broker.port) == (target.host, target.port)
    assert response.controller_id == (broker.node_id if version >= 1 else -1)
    assert bool(response.cluster_id) == (version >= 2)
    [topic] = response.topics
    assert (topic.error_code, topic.name, topic.is_internal) == (ErrorCode.NONE, name, False)
    assert (topic.topic_id.int != 0) == (version >= 10)
    assert topic.topic_authorized_operations == NOT_ASKED_FOR
    assert sorted(partition.partition_index for partition in topic.partitions) == [0, 1, 2]
    for partition in topic.partitions:
        assert partition.error_code == ErrorCode.NONE
        assert partition.leader_id == broker.node_id
        assert partition.replica_nodes == partition.isr_nodes == [broker.node_id]
        assert partition.offline_replicas == []


@pytest.mark.parametrize("version", APIS[3].versions)
def test_every_version_lists_all_topics(
    version: int, connection: Connection, new_topic: NewTopic
) -> None:
    name = new_topic()
    everything = MetadataRequest(topics=[] if version == 0 else None)
    listed = connection.ask(everything, version).topics
    assert name in {topic.name for topic in listed}
    if version >= 1:
        assert connection.ask(MetadataRequest(topics=[]), version).topics == []


def test_topics_are_created_only_when_allowed(
    connection: Connection, unique: Callable[[str], str]
) -> None:
    name = unique("created")

    def ask(allowed: bool) -> ErrorCode:
        request = MetadataRequest(
            topics=[TopicToDescribe(name=name)], allow_auto_topic_creation=allowed
        )
        [topic] = connection.ask(request, 12).topics
        return ErrorCode(topic.error_code)

    assert ask(False) == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert ask(True) in (
        ErrorCode.NONE,
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode.LEADER_NOT_AVAILABLE,
    )
    eventually(lambda: ask(False) == ErrorCode.NONE, what="it is there")


def test_topics_by_id_and_bad_names(
    connection: Connection, new_topic: NewTopic, topic_id: Callable[[str], uuid.UUID]
) -> None:
    name = new_topic()
    wanted = [
        TopicToDescribe(topic_id=topic_id(name), name=None),
        TopicToDescribe(topic_id=uuid.uuid4(), name=None),
    ]
    by_id = connection.ask(MetadataRequest(topics=wanted), 12).topics
    assert {(topic.error_code, topic.name) for topic in by_id} == {
        (ErrorCode.NONE, name),
        (ErrorCode.UNKNOWN_TOPIC_ID, None),
    }
    request = MetadataRequest(topics=[TopicToDescribe(name="no/such?name")])
    [bad] = connection.ask(request, 12).topics
    assert bad.error_code == ErrorCode.INVALID_TOPIC_EXCEPTION


@pytest.mark.parametrize("version", APIS[60].versions)
def test_the_cluster(version: int, connection: Connection, target: Any) -> None:
    request = DescribeClusterRequest(include_cluster_authorized_operations=False)
    response = connection.ask(request, version)
    assert response.error_code == ErrorCode.NONE
    [broker] = response.brokers
    assert (broker.host, broker.port) == (target.host, target.port)
    assert response.controller_id == broker.broker_id
    assert response.cluster_authorized_operations == NOT_ASKED_FOR


def test_partitions_page_by_page(
    connection: Connection, new_topic: NewTopic, unique: Callable[[str], str]
) -> None:
    name = new_topic(5)
    pages, cursor = [], None
    while True:
        request = DescribeTopicPartitionsRequest(
            topics=[TopicToPage(name=name)], response_partition_limit=2, cursor=cursor
        )
        response = connection.ask(request, 0)
        [topic] = response.topics
        assert topic.error_code == ErrorCode.NONE
        pages.append([partition.partition_index for partition in topic.partitions])
        if response.next_cursor is None:
            break
        following = response.next_cursor
        cursor = Cursor(topic_name=following.topic_name, partition_index=following.partition_index)
    assert pages == [[0, 1], [2, 3], [4]]
    missing = DescribeTopicPartitionsRequest(topics=[TopicToPage(name=unique("nowhere"))])
    [topic] = connection.ask(missing, 0).topics
    assert topic.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
