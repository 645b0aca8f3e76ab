"""ShareAcknowledge (key 79): settle records acquired for a share group's member (KIP-932).

Version 0 was never stable; 2 can renew locks (KIP-1222).
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
class PartitionToAcknowledge:
    """One partition's acknowledgements."""

    partition_index: Int32
    acknowledgement_batches: Array[AcknowledgementBatch]


@struct
class TopicToAcknowledge:
    """One topic's acknowledgements."""

    topic_id: Uuid
    partitions: Array[PartitionToAcknowledge]


@message(key=79, versions="1-2", flexible=0)
class ShareAcknowledgeRequest(Message):
    """The acknowledgements."""

    group_id: String | None = at(default=None)
    member_id: String | None
    share_session_epoch: Int32  # -1: close the session
    is_renew_ack: Bool = at("2+", default=False)  # some acknowledgements renew locks
    topics: Array[TopicToAcknowledge]


@struct
class CurrentLeader:
    """The leader to turn to instead."""

    leader_id: Int32
    leader_epoch: Int32


@struct
class AcknowledgedPartition:
    """What became of one partition's acknowledgements."""

    partition_index: Int32
    error_code: Int16
    error_message: String | None = at(default=None)
    current_leader: CurrentLeader


@struct
class AcknowledgedTopic:
    """What became of one topic's acknowledgements."""

    topic_id: Uuid
    partitions: Array[AcknowledgedPartition]


@struct
class NodeEndpoint:
    """Where a current leader listens."""

    node_id: Int32
    host: String
    port: Int32
    rack: String | None = at(default=None)


@message(key=79, versions="1-2", flexible=0)
class ShareAcknowledgeResponse(Message):
    """Which acknowledgements were taken."""

    throttle_time_ms: Int32 = at(default=0)
    error_code: Int16
    error_message: String | None = at(default=None)
    acquisition_lock_timeout_ms: Int32 = at("2+", default=0, ignorable=True)
    responses: Array[AcknowledgedTopic]
    node_endpoints: Array[NodeEndpoint]
