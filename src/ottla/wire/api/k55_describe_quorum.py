"""DescribeQuorum (key 55): the metadata quorum's leader, voters and observers (KIP-595).

Version 1 tells when replicas last fetched and caught up (KIP-836), 2 their directories and the
voters' addresses (KIP-853).
"""

from __future__ import annotations

from ottla.wire.declare import (
    ZERO_UUID,
    Array,
    Int16,
    Int32,
    Int64,
    Message,
    String,
    Uint16,
    Uuid,
    at,
    message,
    struct,
)


@struct
class QuorumPartition:
    """One partition to describe."""

    partition_index: Int32


@struct
class QuorumTopic:
    """One topic's partitions to describe."""

    topic_name: String
    partitions: Array[QuorumPartition]


@message(key=55, versions="0-2", flexible=0)
class DescribeQuorumRequest(Message):
    """The Raft partitions to describe."""

    topics: Array[QuorumTopic]


@struct
class QuorumReplica:
    """How far a voter or observer is."""

    replica_id: Int32
    replica_directory_id: Uuid = at("2+", default=ZERO_UUID)
    log_end_offset: Int64
    last_fetch_timestamp: Int64 = at("1+", default=-1, ignorable=True)  # -1: unknown
    last_caught_up_timestamp: Int64 = at("1+", default=-1, ignorable=True)


@struct
class DescribedPartition:
    """One partition's quorum."""

    partition_index: Int32
    error_code: Int16
    error_message: String | None = at("2+", default="", ignorable=True)
    leader_id: Int32
    leader_epoch: Int32
    high_watermark: Int64
    current_voters: Array[QuorumReplica]
    observers: Array[QuorumReplica]


@struct
class DescribedTopic:
    """One topic's quorums."""

    topic_name: String
    partitions: Array[DescribedPartition]


@struct
class QuorumListener:
    """One address of a voter."""

    name: String
    host: String
    port: Uint16


@struct
class QuorumNode:
    """A voter's addresses."""

    node_id: Int32
    listeners: Array[QuorumListener]


@message(key=55, versions="0-2", flexible=0)
class DescribeQuorumResponse(Message):
    """The quorums described."""

    error_code: Int16
    error_message: String | None = at("2+", default="", ignorable=True)
    topics: Array[DescribedTopic]
    nodes: Array[QuorumNode] = at("2+", default=list)
