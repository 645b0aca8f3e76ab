"""Assigned partitions that nobody knows, or that this user may not see."""

from __future__ import annotations

from ottla.client.core.cluster import ClusterView, TopicView
from ottla.client.core.consuming.missing import MissingPartitions
from ottla.client.errors import KafkaError
from ottla.wire.errors import ErrorCode

from .conftest import assigned

PROPAGATION_MAX_MS = 30_000


def codes(
    missing: MissingPartitions, cluster: ClusterView, number: int, now_ms: float
) -> list[int]:
    return [each.error.code() for each in missing.find([assigned(number)], cluster, now_ms)]


def test_a_partition_that_does_not_come_is_told_once(cluster: ClusterView) -> None:
    missing = MissingPartitions(PROPAGATION_MAX_MS)
    assert codes(missing, cluster, 3, 0) == []
    assert codes(missing, cluster, 3, PROPAGATION_MAX_MS) == [KafkaError._UNKNOWN_PARTITION]
    assert codes(missing, cluster, 3, PROPAGATION_MAX_MS + 1) == []


def test_a_topic_that_does_not_come_is_told(cluster: ClusterView) -> None:
    missing = MissingPartitions(PROPAGATION_MAX_MS)
    cluster.topics["t"] = TopicView("t", error_code=ErrorCode.LEADER_NOT_AVAILABLE)
    assert codes(missing, cluster, 0, 0) == []
    assert codes(missing, cluster, 0, PROPAGATION_MAX_MS) == [KafkaError.UNKNOWN_TOPIC_OR_PART]


def test_what_may_not_be_seen_is_told_at_once(cluster: ClusterView) -> None:
    missing = MissingPartitions(PROPAGATION_MAX_MS)
    cluster.topics["t"] = TopicView("t", error_code=ErrorCode.TOPIC_AUTHORIZATION_FAILED)
    assert codes(missing, cluster, 0, 0) == [KafkaError.TOPIC_AUTHORIZATION_FAILED]
    assert codes(missing, cluster, 0, 1) == []


def test_what_was_there_is_told_again(cluster: ClusterView) -> None:
    missing = MissingPartitions(PROPAGATION_MAX_MS)
    seen = cluster.topics["t"]
    hidden = TopicView("t", error_code=ErrorCode.TOPIC_AUTHORIZATION_FAILED)
    cluster.topics["t"] = hidden
    assert codes(missing, cluster, 0, 0)
    cluster.topics["t"] = seen
    assert codes(missing, cluster, 0, 1) == []
    cluster.topics["t"] = hidden
    assert codes(missing, cluster, 0, 2)
