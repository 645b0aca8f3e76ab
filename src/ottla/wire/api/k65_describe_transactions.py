"""DescribeTransactions (key 65): the state of transactions (KIP-664)."""

from __future__ import annotations

from ottla.wire.declare import Array, Int16, Int32, Int64, Message, String, at, message, struct


@message(key=65, versions="0", flexible=0)
class DescribeTransactionsRequest(Message):
    """The transactional ids to describe."""

    transactional_ids: Array[String]


@struct
class TransactionTopic:
    """One topic's partitions in the transaction."""

    topic: String
    partitions: Array[Int32]


@struct
class DescribedTransaction:
    """One transaction's state and partitions."""

    error_code: Int16
    transactional_id: String
    transaction_state: String
    transaction_timeout_ms: Int32
    transaction_start_time_ms: Int64  # -1: none under way
    producer_id: Int64
    producer_epoch: Int16
    topics: Array[TransactionTopic]


@message(key=65, versions="0", flexible=0)
class DescribeTransactionsResponse(Message):
    """The transactions described."""

    throttle_time_ms: Int32 = at(default=0)
    transaction_states: Array[DescribedTransaction]
