"""StreamsGroupHeartbeat (key 88): membership of a streams group in one call (KIP-1071).

What is null has not changed since the last heartbeat.
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
    Uint16,
    at,
    message,
    struct,
)


@struct
class KeyValue:
    """One key and its value."""

    key: String
    value: String


@struct
class InternalTopic:
    """A topic the broker creates for the application."""

    name: String
    partitions: Int32  # 0: as many as its sources have
    replication_factor: Int16  # 0: the broker's default
    topic_configs: Array[KeyValue]


@struct
class CopartitionGroup:
    """Topics that must have equally many partitions, as indexes into the lists."""

    source_topics: Array[Int16]
    source_topic_regex: Array[Int16]
    repartition_source_topics: Array[Int16]


@struct
class HeartbeatSubtopology:
    """One subtopology and the topics it touches."""

    subtopology_id: String
    source_topics: Array[String]
    source_topic_regex: Array[String]
    state_changelog_topics: Array[InternalTopic]
    repartition_sink_topics: Array[String]
    repartition_source_topics: Array[InternalTopic]
    copartition_groups: Array[CopartitionGroup]


@struct
class HeartbeatTopology:
    """The application's topology, sent when joining."""

    epoch: Int32
    subtopologies: Array[HeartbeatSubtopology]


@struct
class TaskIds:
    """Tasks of one subtopology, by partition."""

    subtopology_id: String
    partitions: Array[Int32]


@struct
class UserEndpoint:
    """Where a member serves interactive queries."""

    host: String
    port: Uint16


@struct
class TaskOffset:
    """How far a task's changelog is restored."""

    subtopology_id: String
    partition: Int32
    offset: Int64


@message(key=88, versions="0", flexible=0)
class StreamsGroupHeartbeatRequest(Message):
    """A member, its topology and its tasks."""

    group_id: String
    member_id: String
    member_epoch: Int32  # 0: join, -1: leave, -2: a static member pauses
    endpoint_information_epoch: Int32
    instance_id: String | None = at(default=None)
    rack_id: String | None = at(default=None)
    rebalance_timeout_ms: Int32 = at(default=-1)
    topology: HeartbeatTopology | None = at(default=None)
    active_tasks: Array[TaskIds] | None = at(default=None)
    standby_tasks: Array[TaskIds] | None = at(default=None)
    warmup_tasks: Array[TaskIds] | None = at(default=None)
    process_id: String | None = at(default=None)
    user_endpoint: UserEndpoint | None = at(default=None)
    client_tags: Array[KeyValue] | None = at(default=None)
    task_offsets: Array[TaskOffset] | None = at(default=None)
    task_end_offsets: Array[TaskOffset] | None = at(default=None)
    shutdown_application: Bool = at(default=False)


@struct
class StreamsStatus:
    """A condition of the group, as code and details."""

    status_code: Int8
    status_detail: String


@struct
class EndpointTopic:
    """One topic's partitions."""

    topic: String
    partitions: Array[Int32]


@struct
class EndpointPartitions:
    """The partitions whose state one endpoint can answer for."""

    user_endpoint: UserEndpoint
    active_partitions: Array[EndpointTopic]
    standby_partitions: Array[EndpointTopic]


@message(key=88, versions="0", flexible=0)
class StreamsGroupHeartbeatResponse(Message):
    """The member's epoch, its tasks when they changed, and the group's state."""

    throttle_time_ms: Int32 = at(default=0)
    error_code: Int16
    error_message: String | None = at(default=None)
    member_id: String
    member_epoch: Int32
    heartbeat_interval_ms: Int32
    acceptable_recovery_lag: Int32
    task_offset_interval_ms: Int32
    status: Array[StreamsStatus] | None
    active_tasks: Array[TaskIds] | None = at(default=None)
    standby_tasks: Array[TaskIds] | None = at(default=None)
    warmup_tasks: Array[TaskIds] | None = at(default=None)
    endpoint_information_epoch: Int32
    partitions_by_user_endpoint: Array[EndpointPartitions] | None = at(default=None)
