"""StreamsGroupDescribe (key 89): state, topology and members of streams groups (KIP-1071)."""

from __future__ import annotations

from ottla.wire.declare import (
    Array,
    Bool,
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


@message(key=89, versions="0", flexible=0)
class StreamsGroupDescribeRequest(Message):
    """The groups to describe."""

    group_ids: Array[String]
    include_authorized_operations: Bool


@struct
class KeyValue:
    """One key and its value."""

    key: String
    value: String


@struct
class InternalTopic:
    """A topic the broker created for the application."""

    name: String
    partitions: Int32
    replication_factor: Int16
    topic_configs: Array[KeyValue]


@struct
class DescribedSubtopology:
    """One subtopology and the topics it touches."""

    subtopology_id: String
    source_topics: Array[String]
    repartition_sink_topics: Array[String]
    state_changelog_topics: Array[InternalTopic]
    repartition_source_topics: Array[InternalTopic]


@struct
class DescribedTopology:
    """The group's topology."""

    epoch: Int32
    subtopologies: Array[DescribedSubtopology] | None = at(default=None)


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


@struct
class TaskIds:
    """Tasks of one subtopology, by partition."""

    subtopology_id: String
    partitions: Array[Int32]


@struct
class TaskAssignment:
    """Tasks by the role the member has in them."""

    active_tasks: Array[TaskIds]
    standby_tasks: Array[TaskIds]
    warmup_tasks: Array[TaskIds]


@struct
class DescribedStreamsMember:
    """One member, its tasks and those it shall have."""

    member_id: String
    member_epoch: Int32
    instance_id: String | None = at(default=None)
    rack_id: String | None = at(default=None)
    client_id: String
    client_host: String
    topology_epoch: Int32
    process_id: String
    user_endpoint: UserEndpoint | None = at(default=None)
    client_tags: Array[KeyValue]
    task_offsets: Array[TaskOffset]
    task_end_offsets: Array[TaskOffset]
    assignment: TaskAssignment
    target_assignment: TaskAssignment
    is_classic: Bool


@struct
class DescribedStreamsGroup:
    """One group's state, epochs, topology and members."""

    error_code: Int16
    error_message: String | None = at(default=None)
    group_id: String
    group_state: String
    group_epoch: Int32
    assignment_epoch: Int32
    topology: DescribedTopology | None = at(default=None)
    members: Array[DescribedStreamsMember]
    authorized_operations: Int32 = at(default=-(2**31))  # bit set; the least int32: not asked for


@message(key=89, versions="0", flexible=0)
class StreamsGroupDescribeResponse(Message):
    """The groups described."""

    throttle_time_ms: Int32 = at(default=0)
    groups: Array[DescribedStreamsGroup]
