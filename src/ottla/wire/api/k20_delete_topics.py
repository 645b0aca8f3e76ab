"""DeleteTopics (key 20): delete topics.

Version 5 may be throttled (KIP-599), and 6 speaks of topics by name or id (KIP-516).
"""

from __future__ import annotations

from ottla.wire.declare import (
    ZERO_UUID,
    Array,
    Int16,
    Int32,
    Message,
    String,
    Uuid,
    at,
    message,
    struct,
)


@struct
class TopicToDelete:
    """A topic, by name or by id."""

    name: String | None = at(default=None)
    topic_id: Uuid


@message(key=20, versions="1-6", flexible=4)
class DeleteTopicsRequest(Message):
    """The topics to delete."""

    topics: Array[TopicToDelete] = at("6+", default=list)
    topic_names: Array[String] = at("1-5", default=list, ignorable=True)
    timeout_ms: Int32


@struct
class DeletedTopic:
    """What became of one topic."""

    name: String | None = at(nullable="6+")
    topic_id: Uuid = at("6+", default=ZERO_UUID, ignorable=True)
    error_code: Int16
    error_message: String | None = at("5+", default=None, ignorable=True)


@message(key=20, versions="1-6", flexible=4)
class DeleteTopicsResponse(Message):
    """The topics deleted."""

    throttle_time_ms: Int32 = at(default=0)
    responses: Array[DeletedTopic]
