"""ReadShareGroupStateSummary (key 87): where share partitions start, without details (KIP-932).

Version 1 counts deliveries that are done, for the lag (KIP-1226).
"""

from __future__ import annotations

from ottla.wire.declare import (
    Array,
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
class PartitionToSummarize:
    """One partition, and the reader's leader epoch."""

    partition: Int32
    leader_epoch: Int32


@struct
class TopicToSummarize:
    """One topic's partitions."""

    topic_id: Uuid
    partitions: Array[PartitionToSummarize]


@message(key=87, versions="0-1", flexible=0)
class ReadShareGroupStateSummaryRequest(Message):
    """The group's partitions to read."""

    group_id: String
    topics: Array[TopicToSummarize]


@struct
class SummarizedPartition:
    """One partition's start and epochs."""

    partition: Int32
    error_code: Int16
    error_message: String | None = at(default=None)
    state_epoch: Int32
    leader_epoch: Int32
    start_offset: Int64  # -1: not known yet
    delivery_complete_count: Int32 = at("1+", default=-1, ignorable=True)  # -1: unknown


@struct
class SummarizedTopic:
    """One topic's summaries."""

    topic_id: Uuid
    partitions: Array[SummarizedPartition]


@message(key=87, versions="0-1", flexible=0)
class ReadShareGroupStateSummaryResponse(Message):
    """The summaries."""

    results: Array[SummarizedTopic]
