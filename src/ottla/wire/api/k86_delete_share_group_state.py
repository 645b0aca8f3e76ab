"""DeleteShareGroupState (key 86): forget the state kept for share partitions (KIP-932)."""

from __future__ import annotations

from ottla.wire.declare import Array, Int16, Int32, Message, String, Uuid, at, message, struct


@struct
class PartitionToDelete:
    """One partition."""

    partition: Int32


@struct
class TopicToDelete:
    """One topic's partitions."""

    topic_id: Uuid
    partitions: Array[PartitionToDelete]


@message(key=86, versions="0", flexible=0)
class DeleteShareGroupStateRequest(Message):
    """The group's partitions to forget."""

    group_id: String
    topics: Array[TopicToDelete]


@struct
class DeletedPartition:
    """What became of one partition."""

    partition: Int32
    error_code: Int16
    error_message: String | None = at(default=None)


@struct
class DeletedTopic:
    """What became of one topic's partitions."""

    topic_id: Uuid
    partitions: Array[DeletedPartition]


@message(key=86, versions="0", flexible=0)
class DeleteShareGroupStateResponse(Message):
    """What became of each partition."""

    results: Array[DeletedTopic]
