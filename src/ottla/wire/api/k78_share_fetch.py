"""ShareFetch (key 78): acquire records for a share group's member (KIP-932).

Version 0 was never stable. Version 2 can keep strictly to the limit of records (KIP-1206) and renew
locks (KIP-1222).
"""

from __future__ import annotations

from ottla.wire.declare import (
    Array,
    Bool,
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
class AcknowledgementBatch:
    """What to do with a range of acquired offsets."""

    first_offset: Int64
    last_offset: Int64  # inclusive
    acknowledge_types: Array[Int8]  # 0: gap, 1: accept, 2: release, 3: reject, 4: renew


@struct
class SharePartitionToFetch:
    """One partition to read and acknowledge."""

    partition_index: Int32
    acknowledgement_batches: Array[AcknowledgementBatch]


@struct
class ShareTopicToFetch:
    """One topic's partitions to read."""

    topic_id: Uuid
    partitions: Array[SharePartitionToFetch]


@struct
class ForgottenTopic:
    """Partitions to drop from the session."""

    topic_id: Uuid
    partitions: Array[Int32]


@message(key=78, versions="1-2", flexible=0)
class ShareFetchRequest(Message):
    """What to acquire, and acknowledgements of what was acquired before."""

    group_id: String | None = at(default=None)
    member_id: String | None
    share_session_epoch: Int32  # 0: open a session, -1: close it
    max_wait_ms: Int32
    min_bytes: Int32
    max_bytes: Int32 = at(default=2**31 - 1)
    max_records: Int32
    batch_size: Int32
    # 0: whole batches, 1: a strict limit of records.
    share_acquire_mode: Int8 = at("2+", default=0, ignorable=True)
    is_renew_ack: Bool = at("2+", default=False)  # some acknowledgements renew locks
    topics: Array[ShareTopicToFetch]
    forgotten_topics_data: Array[ForgottenTopic]


@struct
class CurrentLeader:
    """The leader to turn to instead."""

    leader_id: Int32
    leader_epoch: Int32


@struct
class AcquiredRange:
    """A range of offsets now locked for the member."""

    first_offset: Int64
    last_offset: Int64  # inclusive
    delivery_count: Int16


@struct
class ShareFetchedPartition:
    """One partition's slice of a share fetch."""

    partition_index: Int32
    error_code: Int16
    error_message: String | None = at(default=None)
    acknowledge_error_code: Int16
    acknowledge_error_message: String | None = at(default=None)
    current_leader: CurrentLeader
    records: Records
    acquired_records: Array[AcquiredRange]


@struct
class ShareFetchedTopic:
    """One topic's slice of a share fetch."""

    topic_id: Uuid
    partitions: Array[ShareFetchedPartition]


@struct
class NodeEndpoint:
    """Where a current leader listens."""

    node_id: Int32
    host: String
    port: Int32
    rack: String | None = at(default=None)


@message(key=78, versions="1-2", flexible=0)
class ShareFetchResponse(Message):
    """Records, and which of them were acquired."""

    throttle_time_ms: Int32 = at(default=0)
    error_code: Int16
    error_message: String | None = at(default=None)
    acquisition_lock_timeout_ms: Int32
    responses: Array[ShareFetchedTopic]
    node_endpoints: Array[NodeEndpoint]
