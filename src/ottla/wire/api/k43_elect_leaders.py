"""ElectLeaders (key 43): elect preferred, or if need be unclean, leaders (KIP-183, KIP-460)."""

from __future__ import annotations

from ottla.wire.declare import Array, Int8, Int16, Int32, Message, String, at, message, struct


@struct
class TopicToElect:
    """One topic's partitions."""

    topic: String
    partitions: Array[Int32]


@message(key=43, versions="0-2", flexible=2)
class ElectLeadersRequest(Message):
    """The partitions and the kind of election."""

    election_type: Int8 = at("1+", default=0)  # 0: preferred, 1: unclean
    topic_partitions: Array[TopicToElect] | None  # null: all
    timeout_ms: Int32 = at(default=60000)


@struct
class ElectedPartition:
    """What became of one partition's election."""

    partition_id: Int32
    error_code: Int16
    error_message: String | None


@struct
class ElectedTopic:
    """What became of one topic's elections."""

    topic: String
    partition_result: Array[ElectedPartition]


@message(key=43, versions="0-2", flexible=2)
class ElectLeadersResponse(Message):
    """What became of each election."""

    throttle_time_ms: Int32 = at(default=0)
    error_code: Int16 = at("1+", default=0)
    replica_election_results: Array[ElectedTopic]
