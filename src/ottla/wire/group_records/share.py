"""Records of share groups (KIP-932).

A member is assigned what its group's target assignment says, at once: records are not owned, so
nobody has to give up a partition before another reads it too.
"""

from __future__ import annotations

from ottla.wire.declare import Array, Int8, Int32, Int64, String, Uuid, at, message, struct
from ottla.wire.group_records.base import GroupRecordKey, GroupRecordValue


@message(key=None, versions="0")
class ShareGroupMemberMetadataKey(GroupRecordKey):
    """A member of a share group."""

    RECORD_TYPE = 10

    group_id: String
    member_id: String


@message(key=None, versions="0", flexible=0)
class ShareGroupMemberMetadataValue(GroupRecordValue):
    """Who the member is and what it subscribes to."""

    rack_id: String | None
    client_id: String
    client_host: String
    subscribed_topic_names: Array[String]


@message(key=None, versions="0")
class ShareGroupMetadataKey(GroupRecordKey):
    """A share group."""

    RECORD_TYPE = 11

    group_id: String


@message(key=None, versions="0", flexible=0)
class ShareGroupMetadataValue(GroupRecordValue):
    """The group's epoch, raised by every change of its members, subscriptions or topics."""

    epoch: Int32
    metadata_hash: Int64  # of the subscribed topics and their partitions


@message(key=None, versions="0")
class ShareGroupTargetAssignmentMetadataKey(GroupRecordKey):
    """The assignment of a share group as a whole."""

    RECORD_TYPE = 12

    group_id: String


@message(key=None, versions="0", flexible=0)
class ShareGroupTargetAssignmentMetadataValue(GroupRecordValue):
    """The group epoch that the assignment was made for."""

    assignment_epoch: Int32
    assignment_timestamp: Int64 = at(tag=0, default=0, ignorable=True)  # when it was finished


@message(key=None, versions="0")
class ShareGroupTargetAssignmentMemberKey(GroupRecordKey):
    """A member's part of the assignment."""

    RECORD_TYPE = 13

    group_id: String
    member_id: String


@struct
class ShareTargetTopic:
    """One topic's partitions that the member shall read."""

    topic_id: Uuid
    partitions: Array[Int32]


@message(key=None, versions="0", flexible=0)
class ShareGroupTargetAssignmentMemberValue(GroupRecordValue):
    """What the member shall read."""

    topic_partitions: Array[ShareTargetTopic]


@message(key=None, versions="0")
class ShareGroupCurrentMemberAssignmentKey(GroupRecordKey):
    """What a member has been told to read."""

    RECORD_TYPE = 14

    group_id: String
    member_id: String


@struct
class ShareCurrentTopic:
    """One topic's partitions that the member reads."""

    topic_id: Uuid
    partitions: Array[Int32]


@message(key=None, versions="0", flexible=0)
class ShareGroupCurrentMemberAssignmentValue(GroupRecordValue):
    """What the member reads, and at which epoch."""

    member_epoch: Int32
    previous_member_epoch: Int32  # accepted too: the answer with the new one may be lost
    state: Int8  # 0: stable; there is no other for members of share groups
    assigned_partitions: Array[ShareCurrentTopic]


@message(key=None, versions="0")
class ShareGroupStatePartitionMetadataKey(GroupRecordKey):
    """The partitions that share coordinators keep state of for the group."""

    RECORD_TYPE = 15

    group_id: String


@struct
class ShareStateTopic:
    """Partitions of one topic."""

    topic_id: Uuid
    topic_name: String
    partitions: Array[Int32]


@struct
class ShareDeletingTopic:
    """A topic whose state is being deleted."""

    topic_id: Uuid
    topic_name: String


@message(key=None, versions="0", flexible=0)
class ShareGroupStatePartitionMetadataValue(GroupRecordValue):
    """How far the state of each partition has come."""

    initializing_topics: Array[ShareStateTopic]
    initialized_topics: Array[ShareStateTopic]
    deleting_topics: Array[ShareDeletingTopic]
