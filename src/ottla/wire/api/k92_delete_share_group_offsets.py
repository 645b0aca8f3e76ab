"""DeleteShareGroupOffsets (key 92): make an empty share group forget topics (KIP-932)."""

from __future__ import annotations

from ottla.wire.declare import Array, Int16, Int32, Message, String, Uuid, at, message, struct


@struct
class TopicToForget:
    """One topic to forget."""

    topic_name: String


@message(key=92, versions="0", flexible=0)
class DeleteShareGroupOffsetsRequest(Message):
    """The group and the topics to forget."""

    group_id: String
    topics: Array[TopicToForget]


@struct
class ForgottenTopic:
    """What became of one topic."""

    topic_name: String
    topic_id: Uuid
    error_code: Int16
    error_message: String | None = at(default=None)


@message(key=92, versions="0", flexible=0)
class DeleteShareGroupOffsetsResponse(Message):
    """What became of each topic."""

    throttle_time_ms: Int32 = at(default=0)
    error_code: Int16
    error_message: String | None = at(default=None)
    responses: Array[ForgottenTopic]
