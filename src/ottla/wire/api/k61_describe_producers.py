"""DescribeProducers (key 61): the producers active on partitions (KIP-664)."""

from __future__ import annotations

from ottla.wire.declare import Array, Int16, Int32, Int64, Message, String, at, message, struct


@struct
class TopicToInspect:
    """One topic's partitions to look at."""

    name: String
    partition_indexes: Array[Int32]


@message(key=61, versions="0", flexible=0)
class DescribeProducersRequest(Message):
    """The partitions to look at."""

    topics: Array[TopicToInspect]


@struct
class ActiveProducer:
    """One producer's state in the partition."""

    producer_id: Int64
    producer_epoch: Int32
    last_sequence: Int32 = at(default=-1)
    last_timestamp: Int64 = at(default=-1)
    coordinator_epoch: Int32
    current_txn_start_offset: Int64 = at(default=-1)  # -1: no transaction open


@struct
class InspectedPartition:
    """One partition's producers."""

    partition_index: Int32
    error_code: Int16
    error_message: String | None = at(default=None)
    active_producers: Array[ActiveProducer]


@struct
class InspectedTopic:
    """One topic's producers."""

    name: String
    partitions: Array[InspectedPartition]


@message(key=61, versions="0", flexible=0)
class DescribeProducersResponse(Message):
    """The producers found."""

    throttle_time_ms: Int32 = at(default=0)
    topics: Array[InspectedTopic]
