"""Produce (key 0): append record batches to the logs of partitions.

Version 7 allows zstd (KIP-110), 8 names the records that spoilt a batch (KIP-467), 10 tells the
new leader beside an error (KIP-951), 12 adds partitions to the transaction by producing to them
(KIP-890), and 13 speaks of topics by id (KIP-516). Versions 0 to 2 are gone, yet brokers list them
in ApiVersions: librdkafka would refuse to produce otherwise (KAFKA-18659).
"""

from __future__ import annotations

from ottla.wire.declare import (
    ZERO_UUID,
    Array,
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
class PartitionToProduce:
    """The batch to append to one partition."""

    index: Int32
    records: Records | None


@struct
class TopicToProduce:
    """What to append to one topic."""

    name: String = at("3-12", default="", ignorable=True)
    topic_id: Uuid = at("13+", default=ZERO_UUID, ignorable=True)
    partition_data: Array[PartitionToProduce]


@message(key=0, versions="3-13", flexible=9)
class ProduceRequest(Message):
    """Batches to append, by topic and partition, and how durable they must be."""

    transactional_id: String | None = at(default=None)  # null outside a transaction
    acks: Int16  # 0: no answer, 1: the leader's log, -1: all in-sync replicas
    timeout_ms: Int32
    topic_data: Array[TopicToProduce]


@struct
class RecordError:
    """One record that made the whole batch fail (KIP-467)."""

    batch_index: Int32  # of the record in its batch
    batch_index_error_message: String | None = at(default=None)


@struct
class CurrentLeader:
    """The leader to turn to instead (KIP-951)."""

    leader_id: Int32 = at(default=-1)
    leader_epoch: Int32 = at(default=-1)


@struct
class ProducedPartition:
    """What became of one partition's batch."""

    index: Int32
    error_code: Int16
    base_offset: Int64
    log_append_time_ms: Int64 = at(default=-1)  # -1 when the topic keeps create times
    log_start_offset: Int64 = at("5+", default=-1, ignorable=True)
    record_errors: Array[RecordError] = at("8+", default=list, ignorable=True)
    error_message: String | None = at("8+", default=None, ignorable=True)
    current_leader: CurrentLeader | None = at("10+", tag=0, nullable="none", default=None)


@struct
class ProducedTopic:
    """What became of one topic's batches."""

    name: String = at("3-12", default="", ignorable=True)
    topic_id: Uuid = at("13+", default=ZERO_UUID, ignorable=True)
    partition_responses: Array[ProducedPartition]


@struct
class NodeEndpoint:
    """Where a current leader listens."""

    node_id: Int32
    host: String
    port: Int32
    rack: String | None = at(default=None)


@message(key=0, versions="3-13", flexible=9)
class ProduceResponse(Message):
    """Where each batch was put, or why it was refused."""

    responses: Array[ProducedTopic]
    throttle_time_ms: Int32 = at(default=0)
    node_endpoints: Array[NodeEndpoint] = at("10+", tag=0, default=list)
