"""AddPartitionsToTxn (key 24): make partitions part of a transaction (KIP-98).

Clients use versions up to 3, for one transaction; brokers use 4 and higher, for several, to verify
that a partition belongs to the transaction (KIP-890).
"""

from __future__ import annotations

from ottla.wire.declare import (
    Array,
    Bool,
    Int16,
    Int32,
    Int64,
    Message,
    String,
    at,
    message,
    struct,
)


@struct
class TopicToAdd:
    """One topic's partitions."""

    name: String
    partitions: Array[Int32]


@struct
class TransactionToExtend:
    """One transaction and the partitions to add or verify."""

    transactional_id: String
    producer_id: Int64
    producer_epoch: Int16
    verify_only: Bool = at(default=False)  # only check that they are part of it
    topics: Array[TopicToAdd]


@message(key=24, versions="0-5", flexible=3)
class AddPartitionsToTxnRequest(Message):
    """The transactions and their partitions."""

    transactions: Array[TransactionToExtend] = at("4+", default=list)
    v3_and_below_transactional_id: String = at("0-3", default="")
    v3_and_below_producer_id: Int64 = at("0-3", default=0)
    v3_and_below_producer_epoch: Int16 = at("0-3", default=0)
    v3_and_below_topics: Array[TopicToAdd] = at("0-3", default=list)


@struct
class AddedPartition:
    """What became of one partition."""

    partition_index: Int32
    partition_error_code: Int16


@struct
class AddedTopic:
    """What became of one topic's partitions."""

    name: String
    results_by_partition: Array[AddedPartition]


@struct
class ExtendedTransaction:
    """What became of one transaction's partitions."""

    transactional_id: String
    topic_results: Array[AddedTopic]


@message(key=24, versions="0-5", flexible=3)
class AddPartitionsToTxnResponse(Message):
    """What became of each partition."""

    throttle_time_ms: Int32 = at(default=0)
    error_code: Int16 = at("4+", default=0, ignorable=True)
    results_by_transaction: Array[ExtendedTransaction] = at("4+", default=list)
    results_by_topic_v3_and_below: Array[AddedTopic] = at("0-3", default=list)
