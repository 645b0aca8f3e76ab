"""Metadata (key 3): brokers, topics, partitions and their leaders.

Version 7 adds leader epochs (KIP-320), 8 the operations the asker is allowed (KIP-430), 10 topic
ids and 12 asking by them (KIP-516); 11 leaves the cluster's operations to DescribeCluster
(KIP-700), and 13 can tell a client to bootstrap again (KIP-1102).
"""

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
    """A topic, by name or (from version 12) by id."""

    topic_id: Uuid = at("10+", default=ZERO_UUID, ignorable=True)
    name: String | None = at(nullable="10+")


@message(key=3, versions="0-13", flexible=9)
class MetadataRequest(Message):
    """The topics to describe: null for all, none for the brokers only."""

    # Version 0 says "all" with an empty array.
    topics: Array[TopicToDescribe] | None = at(nullable="1+")
    allow_auto_topic_creation: Bool = at("4+", default=True)
    include_cluster_authorized_operations: Bool = at("8-10", default=False)
    include_topic_authorized_operations: Bool = at("8+", default=False)


@struct
class ListedBroker:
    """A live broker and its address on the asked listener."""

    node_id: Int32
    host: String
    port: Int32
    rack: String | None = at("1+", default=None, ignorable=True)


@struct
class DescribedPartition:
    """A partition's leader and replicas."""

    error_code: Int16
    partition_index: Int32
    leader_id: Int32  # -1: none
    leader_epoch: Int32 = at("7+", default=-1, ignorable=True)
    replica_nodes: Array[Int32]
    isr_nodes: Array[Int32]
    offline_replicas: Array[Int32] = at("5+", default=list, ignorable=True)


@struct
class DescribedTopic:
    """A topic and its partitions, or why it can't be told."""

    error_code: Int16
    name: String | None = at(nullable="12+")
    topic_id: Uuid = at("10+", default=ZERO_UUID, ignorable=True)
    is_internal: Bool = at("1+", default=False, ignorable=True)
    partitions: Array[DescribedPartition]
    # Bit set; the least int32: not asked for.
    topic_authorized_operations: Int32 = at("8+", default=-(2**31))


@message(key=3, versions="0-13", flexible=9)
class MetadataResponse(Message):
    """The cluster as one broker sees it."""

    throttle_time_ms: Int32 = at("3+", default=0, ignorable=True)
    brokers: Array[ListedBroker]
    cluster_id: String | None = at("2+", default=None, ignorable=True)
    controller_id: Int32 = at("1+", default=-1, ignorable=True)
    topics: Array[DescribedTopic]
    # Bit set; the least int32: not asked for.
    cluster_authorized_operations: Int32 = at("8-10", default=-(2**31))
    error_code: Int16 = at("13+", default=0, ignorable=True)
