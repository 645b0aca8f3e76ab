"""Fetch (key 1): read record batches from a leader or follower.

Version 7 brings incremental sessions (KIP-227), 9 fences by leader epoch (KIP-320), 11 lets
consumers read from the nearest replica (KIP-392), 12 finds where logs diverge (KIP-595), 13 speaks
of topics by id (KIP-516), 15 carries the replica's epoch (KIP-903), 16 tells the new leader's
address (KIP-951), 17 the replica's directory (KIP-853) and 18 its high watermark (KIP-1166).
"""

from __future__ import annotations

from ottla.wire.declare import (
    ZERO_UUID,
    Array,
    Int8,
    Int16,
    Int32,
    Int64,
    Message,
    Records,
    String,
    Uuid,
    at,
    message,
    struct,
)


@struct
class ReplicaState:
    """Which replica is asking (KIP-903); consumers leave it out."""

    replica_id: Int32 = at(default=-1)
    replica_epoch: Int64 = at(default=-1)


@struct
class PartitionToFetch:
    """The position to read one partition from."""

    partition: Int32
    current_leader_epoch: Int32 = at("9+", default=-1, ignorable=True)  # -1: don't fence
    fetch_offset: Int64
    last_fetched_epoch: Int32 = at("12+", default=-1)
    log_start_offset: Int64 = at("5+", default=-1, ignorable=True)  # followers only
    partition_max_bytes: Int32
    replica_directory_id: Uuid = at("17+", tag=0, default=ZERO_UUID, ignorable=True)
    high_watermark: Int64 = at("18+", tag=1, default=2**63 - 1, ignorable=True)


@struct
class TopicToFetch:
    """One topic's partitions to read."""

    topic: String = at("4-12", default="", ignorable=True)
    topic_id: Uuid = at("13+", default=ZERO_UUID, ignorable=True)
    partitions: Array[PartitionToFetch]


@struct
class ForgottenTopic:
    """Partitions to drop from the session."""

    topic: String = at("7-12", default="", ignorable=True)
    topic_id: Uuid = at("13+", default=ZERO_UUID, ignorable=True)
    partitions: Array[Int32]


@message(key=1, versions="4-18", flexible=12)
class FetchRequest(Message):
    """Where to read from, how much, and how long to wait for it."""

    # KRaft replicas only.
    cluster_id: String | None = at("12+", tag=0, default=None, ignorable=True)
    replica_id: Int32 = at("4-14", default=-1)  # -1: a consumer
    replica_state: ReplicaState | None = at("15+", tag=1, nullable="none", default=None)
    max_wait_ms: Int32
    min_bytes: Int32
    max_bytes: Int32 = at(default=2**31 - 1)  # the first batch is returned even when larger
    isolation_level: Int8 = at(default=0)  # 0: read uncommitted, 1: read committed
    session_id: Int32 = at("7+", default=0, ignorable=True)  # 0: no session yet (KIP-227)
    # -1: sessionless, 0: open a session.
    session_epoch: Int32 = at("7+", default=-1, ignorable=True)
    topics: Array[TopicToFetch]
    forgotten_topics_data: Array[ForgottenTopic] = at("7+", default=list)
    rack_id: String = at("11+", default="", ignorable=True)


@struct
class EpochEnd:
    """The end of the latest epoch both logs may share (KIP-595)."""

    epoch: Int32 = at(default=-1)
    end_offset: Int64 = at(default=-1)


@struct
class CurrentLeader:
    """The leader to turn to instead (KIP-951)."""

    leader_id: Int32 = at(default=-1)
    leader_epoch: Int32 = at(default=-1)


@struct
class SnapshotId:
    """The snapshot a KRaft follower must load first (KIP-630)."""

    end_offset: Int64 = at(default=-1)
    epoch: Int32 = at(default=-1)


@struct
class AbortedTransaction:
    """A producer's aborted transaction that starts in the fetched range."""

    producer_id: Int64
    first_offset: Int64


@struct
class FetchedPartition:
    """One partition's slice of a fetch."""

    partition_index: Int32
    error_code: Int16
    high_watermark: Int64
    last_stable_offset: Int64 = at(default=-1)
    log_start_offset: Int64 = at("5+", default=-1, ignorable=True)
    # KIP-595: where our logs part.
    diverging_epoch: EpochEnd | None = at("12+", tag=0, nullable="none", default=None)
    current_leader: CurrentLeader | None = at("12+", tag=1, nullable="none", default=None)
    snapshot_id: SnapshotId | None = at("12+", tag=2, nullable="none", default=None)
    # Null when reading uncommitted.
    aborted_transactions: Array[AbortedTransaction] | None = at(default=None)
    preferred_read_replica: Int32 = at("11+", default=-1)  # KIP-392
    records: Records | None


@struct
class FetchedTopic:
    """One topic's slice of a fetch."""

    topic: String = at("4-12", default="", ignorable=True)
    topic_id: Uuid = at("13+", default=ZERO_UUID, ignorable=True)
    partitions: Array[FetchedPartition]


@struct
class NodeEndpoint:
    """Where a current leader listens."""

    node_id: Int32
    host: String
    port: Int32
    rack: String | None = at(default=None)


@message(key=1, versions="4-18", flexible=12)
class FetchResponse(Message):
    """Record batches by topic and partition."""

    throttle_time_ms: Int32 = at(default=0)
    error_code: Int16 = at("7+", default=0, ignorable=True)
    session_id: Int32 = at("7+", default=0)
    responses: Array[FetchedTopic]
    node_endpoints: Array[NodeEndpoint] = at("16+", tag=0, default=list)
