"""DescribeTopicPartitions (key 75): partitions, page by page, with eligible leaders (KIP-966)."""

from __future__ import annotations

from ottla.wire.declare import (
    ZERO_UUID,
    Array,
    Bool,
    Int16,
    Int32,
    Message,
    String,
    Uuid,
    at,
    message,
    struct,
)


@struct
class TopicToDescribe:
    """A topic, by name."""

    name: String


@struct
class Cursor:
    """The first partition of a page."""

    topic_name: String
    partition_index: Int32


@message(key=75, versions="0", flexible=0)
class DescribeTopicPartitionsRequest(Message):
    """The topics, and where to go on."""

    topics: Array[TopicToDescribe]  # none: all
    response_partition_limit: Int32 = at(default=2000)
    cursor: Cursor | None = at(default=None)


@struct
class DescribedPartition:
    """A partition's leader and replicas."""

    error_code: Int16
    partition_index: Int32
    leader_id: Int32  # -1: none
    leader_epoch: Int32 = at(default=-1)
    replica_nodes: Array[Int32]
    isr_nodes: Array[Int32]
    eligible_leader_replicas: Array[Int32] | None = at(default=None)
    last_known_elr: Array[Int32] | None = at(default=None)
    offline_replicas: Array[Int32] = at(default=list)


@struct
class DescribedTopic:
    """A topic and its partitions, or why it can't be told."""

    error_code: Int16
    name: String | None
    topic_id: Uuid = at(default=ZERO_UUID)
    is_internal: Bool = at(default=False)
    partitions: Array[DescribedPartition]
    topic_authorized_operations: Int32 = at(default=-(2**31))  # bit set


@message(key=75, versions="0", flexible=0)
class DescribeTopicPartitionsResponse(Message):
    """One page of partitions."""

    throttle_time_ms: Int32 = at(default=0)
    topics: Array[DescribedTopic]
    next_cursor: Cursor | None = at(default=None)  # null: that was the last page
