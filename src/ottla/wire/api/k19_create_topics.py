"""CreateTopics (key 19): create topics.

Version 4 lets the broker choose partitions and replicas (KIP-464), 5 answers with the configuration
(KIP-525), 6 may be throttled (KIP-599), and 7 answers with the topic's id (KIP-516).
"""

from __future__ import annotations

from ottla.wire.declare import (
    ZERO_UUID,
    Array,
    Bool,
    Int8,
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
class ReplicaAssignment:
    """The brokers to hold one partition, the preferred leader first."""

    partition_index: Int32
    broker_ids: Array[Int32]


@struct
class ConfigToSet:
    """A configuration value to start with."""

    name: String
    value: String | None


@struct
class TopicToCreate:
    """A topic's name, shape and configuration."""

    name: String
    num_partitions: Int32  # -1: the broker's default, or by assignment
    replication_factor: Int16  # -1: the broker's default, or by assignment
    assignments: Array[ReplicaAssignment]
    configs: Array[ConfigToSet]


@message(key=19, versions="2-7", flexible=5)
class CreateTopicsRequest(Message):
    """The topics to create, or only to check."""

    topics: Array[TopicToCreate]
    timeout_ms: Int32 = at(default=60000)
    validate_only: Bool = at(default=False)


@struct
class CreatedTopicConfig:
    """One configuration value of the new topic."""

    name: String
    value: String | None  # null when sensitive
    read_only: Bool
    config_source: Int8 = at(default=-1)
    is_sensitive: Bool


@struct
class CreatedTopic:
    """One new topic, or why there is none."""

    name: String
    topic_id: Uuid = at("7+", default=ZERO_UUID, ignorable=True)
    error_code: Int16
    error_message: String | None = at(default="")
    # Set when the asker may not see configs.
    topic_config_error_code: Int16 = at("5+", tag=0, default=0, ignorable=True)
    num_partitions: Int32 = at("5+", default=-1, ignorable=True)
    replication_factor: Int16 = at("5+", default=-1, ignorable=True)
    configs: Array[CreatedTopicConfig] | None = at("5+", default=list, ignorable=True)


@message(key=19, versions="2-7", flexible=5)
class CreateTopicsResponse(Message):
    """The topics created."""

    throttle_time_ms: Int32 = at(default=0)
    topics: Array[CreatedTopic]
