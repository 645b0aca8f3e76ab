"""OffsetFetch (key 9): a group's committed offsets.

Version 5 adds the leader epoch (KIP-320), 7 waits for open transactions to end (KIP-447), 8 asks
for several groups at once (KIP-709), 9 checks the member of a consumer group, and 10 speaks of
topics by id (both KIP-848).
"""

from __future__ import annotations

from ottla.wire.declare import (
    ZERO_UUID,
    Array,
    Bool,
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
class TopicToLookUp:
    """One topic's partitions to look up, up to version 7."""

    name: String
    partition_indexes: Array[Int32]


@struct
class GroupTopicToLookUp:
    """One topic's partitions to look up in a group."""

    name: String = at("8-9", default="", ignorable=True)
    topic_id: Uuid = at("10+", default=ZERO_UUID, ignorable=True)
    partition_indexes: Array[Int32]


@struct
class GroupToLookUp:
    """One group's offsets to look up."""

    group_id: String
    member_id: String | None = at("9+", default=None, ignorable=True)
    member_epoch: Int32 = at("9+", default=-1, ignorable=True)
    topics: Array[GroupTopicToLookUp] | None  # null: all


@message(key=9, versions="1-10", flexible=6)
class OffsetFetchRequest(Message):
    """Whose offsets to fetch."""

    group_id: String = at("1-7", default="")
    topics: Array[TopicToLookUp] | None = at("1-7", nullable="2+", default=list)  # null: all
    groups: Array[GroupToLookUp] = at("8+", default=list)
    require_stable: Bool = at("7+", default=False)  # fail while a transaction is open on an offset


@struct
class FoundPartition:
    """The committed offset of one partition, up to version 7."""

    partition_index: Int32
    committed_offset: Int64  # -1: none
    committed_leader_epoch: Int32 = at("5+", default=-1, ignorable=True)
    metadata: String | None
    error_code: Int16


@struct
class FoundTopic:
    """One topic's committed offsets, up to version 7."""

    name: String
    partitions: Array[FoundPartition]


@struct
class FoundGroupPartition:
    """The committed offset of one partition in a group."""

    partition_index: Int32
    committed_offset: Int64  # -1: none
    committed_leader_epoch: Int32 = at(default=-1)
    metadata: String | None
    error_code: Int16


@struct
class FoundGroupTopic:
    """One topic's committed offsets in a group."""

    name: String = at("8-9", default="", ignorable=True)
    topic_id: Uuid = at("10+", default=ZERO_UUID, ignorable=True)
    partitions: Array[FoundGroupPartition]


@struct
class FoundGroup:
    """One group's committed offsets."""

    group_id: String
    topics: Array[FoundGroupTopic]
    error_code: Int16 = at(default=0)


@message(key=9, versions="1-10", flexible=6)
class OffsetFetchResponse(Message):
    """The committed offsets found."""

    throttle_time_ms: Int32 = at("3+", default=0, ignorable=True)
    topics: Array[FoundTopic] = at("1-7", default=list)
    error_code: Int16 = at("2-7", default=0, ignorable=True)
    groups: Array[FoundGroup] = at("8+", default=list)
