"""WriteTxnMarkers (key 27): write control records that end transactions (KIP-98).

From a transaction coordinator to partition leaders. Version 2 tells the transaction's version, by
which leaders fence stale markers (KIP-1228).
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
    at,
    message,
    struct,
)


@struct
class TopicToMark:
    """One topic's partitions to mark."""

    name: String
    partition_indexes: Array[Int32]


@struct
class TxnMarker:
    """One producer's marker, and the partitions it goes to."""

    producer_id: Int64
    producer_epoch: Int16
    transaction_result: Bool  # True: commit
    topics: Array[TopicToMark]
    coordinator_epoch: Int32
    transaction_version: Int8 = at("2+", default=0, ignorable=True)


@message(key=27, versions="1-2", flexible=1)
class WriteTxnMarkersRequest(Message):
    """The markers to write."""

    markers: Array[TxnMarker]


@struct
class MarkedPartition:
    """What became of it in one partition."""

    partition_index: Int32
    error_code: Int16


@struct
class MarkedTopic:
    """What became of it in one topic."""

    name: String
    partitions: Array[MarkedPartition]


@struct
class TxnMarkerResult:
    """What became of one producer's marker."""

    producer_id: Int64
    topics: Array[MarkedTopic]


@message(key=27, versions="1-2", flexible=1)
class WriteTxnMarkersResponse(Message):
    """What became of each marker."""

    markers: Array[TxnMarkerResult]
