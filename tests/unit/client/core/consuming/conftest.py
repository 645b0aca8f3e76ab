"""A cluster of two brokers, and partitions that are read from it."""

from __future__ import annotations

import uuid

import pytest

from ottla.client.core.cluster import ClusterView
from ottla.client.core.consuming.partition import AssignedPartition, Start
from ottla.wire.api.k03_metadata import (
    DescribedPartition,
    DescribedTopic,
    ListedBroker,
    MetadataResponse,
)

TOPIC_ID = uuid.UUID(int=7)


def metadata(
    leaders: list[int], *, epoch: int = 3, topic_id: uuid.UUID = TOPIC_ID
) -> MetadataResponse:
    """Topic ``t`` with partitions led by these brokers."""
    partitions = [
        DescribedPartition(
            error_code=0, partition_index=number, leader_id=leader, leader_epoch=epoch,
            replica_nodes=[1, 2], isr_nodes=[1, 2], offline_replicas=[],
        )
        for number, leader in enumerate(leaders)
    ]  # fmt: skip
    topic = DescribedTopic(
        error_code=0, name="t", topic_id=topic_id, is_internal=False, partitions=partitions
    )
    return MetadataResponse(
        brokers=[ListedBroker(node_id=b, host=f"h{b}", port=9092, rack=None) for b in (1, 2)],
        cluster_id="c",
        controller_id=1,
        topics=[topic],
    )


@pytest.fixture
def cluster() -> ClusterView:
    """Partitions 0 and 1 led by broker 1, partition 2 by broker 2."""
    view = ClusterView()
    view.update(metadata([1, 1, 2]))
    return view


def assigned(number: int, offset: int = 0, *, stores_offsets: bool = True) -> AssignedPartition:
    return AssignedPartition(Start("t", number, offset), stores_offsets=stores_offsets)
