"""Records of consumer groups (KIP-848).

A group's epoch, its members' subscriptions, the assignment that follows from them, and how far each
member has come towards it are records of their own, so that a change writes little.
"""

from __future__ import annotations

from ottla.wire.declare import (
    Array,
    Bytes,
    Int8,
    Int32,
    Int64,
    String,
    Uuid,
    at,
    message,
    struct,
)
from ottla.wire.group_records.base import GroupRecordKey, GroupRecordValue


@message(key=None, versions="0")
class ConsumerGroupMetadataKey(GroupRecordKey):
    """A consumer group."""

    RECORD_TYPE = 3

    group_id: String


@message(key=None, versions="0", flexible=0)
class ConsumerGroupMetadataValue(GroupRecordValue):
    """The group's epoch, raised by every change of its members, subscriptions or topics."""

    epoch: Int32
    metadata_hash: Int64 = at(tag=0, default=0)  # of the subscribed topics and their partitions


@message(key=None, versions="0")
class ConsumerGroupPartitionMetadataKey(GroupRecordKey):
    """The topics of a group, as Kafka 4.0 recorded them; 4.1 records a hash instead."""

    RECORD_TYPE = 4

    group_id: String


@struct
class PartitionRacks:
    """The racks that hold one partition."""

    partition: Int32
    racks: Array[String]


@struct
class SubscribedTopic:
    """A topic of the group, as large as it was when assigned."""

    topic_id: Uuid
    topic_name: String
    num_partitions: Int32
    partition_metadata: Array[PartitionRacks]


@message(key=None, versions="0", flexible=0)
class ConsumerGroupPartitionMetadataValue(GroupRecordValue):
    """The topics the group's epoch rests on."""

    topics: Array[SubscribedTopic]


@message(key=None, versions="0")
class ConsumerGroupMemberMetadataKey(GroupRecordKey):
    """A member of a consumer group."""

    RECORD_TYPE = 5

    group_id: String
    member_id: String


@struct
class ClassicProtocol:
    """A protocol a classic member can use, with its subscription."""

    name: String
    metadata: Bytes


@struct
class ClassicMemberMetadata:
    """What a member has told that still uses the classic protocol."""

    session_timeout_ms: Int32 = at(default=0)
    supported_protocols: Array[ClassicProtocol] = at(default=list)


@message(key=None, versions="0", flexible=0)
class ConsumerGroupMemberMetadataValue(GroupRecordValue):
    """Who the member is and what it subscribes to."""

    instance_id: String | None
    rack_id: String | None
    client_id: String
    client_host: String
    subscribed_topic_names: Array[String]
    subscribed_topic_regex: String | None
    rebalance_timeout_ms: Int32 = at(default=-1)
    server_assignor: String | None
    # None, sent as an explicit null: the member uses the consumer protocol. Kafka's default, which
    # an absent field means, is an empty struct.
    classic_member_metadata: ClassicMemberMetadata | None = at(tag=0, default=ClassicMemberMetadata)


@message(key=None, versions="0")
class ConsumerGroupTargetAssignmentMetadataKey(GroupRecordKey):
    """The assignment of a consumer group as a whole."""

    RECORD_TYPE = 6

    group_id: String


@message(key=None, versions="0", flexible=0)
class ConsumerGroupTargetAssignmentMetadataValue(GroupRecordValue):
    """The group epoch that the assignment was made for."""

    assignment_epoch: Int32
    assignment_timestamp: Int64 = at(tag=0, default=0)  # when the assignor had finished


@message(key=None, versions="0")
class ConsumerGroupTargetAssignmentMemberKey(GroupRecordKey):
    """A member's part of the assignment."""

    RECORD_TYPE = 7

    group_id: String
    member_id: String


@struct
class TargetTopic:
    """One topic's partitions that the member shall own."""

    topic_id: Uuid
    partitions: Array[Int32]


@message(key=None, versions="0", flexible=0)
class ConsumerGroupTargetAssignmentMemberValue(GroupRecordValue):
    """What the member shall own."""

    topic_partitions: Array[TargetTopic]


@message(key=None, versions="0")
class ConsumerGroupCurrentMemberAssignmentKey(GroupRecordKey):
    """How far a member has come towards its assignment."""

    RECORD_TYPE = 8

    group_id: String
    member_id: String


@struct
class CurrentTopic:
    """One topic's partitions that the member owns, or is giving up."""

    topic_id: Uuid
    partitions: Array[Int32]
    # The epoch each partition was assigned at, to fence late commits of former owners.
    assignment_epochs: Array[Int32] | None = at(tag=0, default=list)


@message(key=None, versions="0", flexible=0)
class ConsumerGroupCurrentMemberAssignmentValue(GroupRecordValue):
    """What the member owns, and at which epoch."""

    member_epoch: Int32
    previous_member_epoch: Int32  # accepted too: the answer with the new one may be lost
    state: Int8  # 0: stable, 1: must revoke partitions, 2: waits for others to release theirs
    assigned_partitions: Array[CurrentTopic]
    partitions_pending_revocation: Array[CurrentTopic]


@message(key=None, versions="0")
class ConsumerGroupRegularExpressionKey(GroupRecordKey):
    """A regular expression members subscribe by."""

    RECORD_TYPE = 16

    group_id: String
    regular_expression: String


@message(key=None, versions="0", flexible=0)
class ConsumerGroupRegularExpressionValue(GroupRecordValue):
    """The topics the expression matched."""

    topics: Array[String]
    version: Int64  # of the cluster metadata it was matched against
    timestamp: Int64  # ms
