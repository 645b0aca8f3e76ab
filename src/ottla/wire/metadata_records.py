"""The records of ``__cluster_metadata``, Apache Kafka's own (KRaft): what its controllers decide.

A value is a frame version (1), the record's type and its version, unsigned varints all, and then
the fields. Ottla keeps its metadata elsewhere; these are for looking at, and for directories that
Apache Kafka is to start with.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final, TypeVar

from ottla.wire.declare import (
    Array,
    Bool,
    Buffer,
    Bytes,
    Float64,
    Int8,
    Int16,
    Int32,
    Int64,
    Message,
    String,
    Uint16,
    Uuid,
    at,
    message,
    struct,
)
from ottla.wire.errors import Malformed
from ottla.wire.primitives import read_uvarint, uvarint

FRAME_VERSION: Final = 1


class MetadataRecord(Message):
    """A record, without its frame."""

    __slots__ = ()

    #: The number of the record's type, written before it.
    RECORD_TYPE: ClassVar[int]


Record = TypeVar("Record", bound=MetadataRecord)


@struct
class BrokerEndpoint:
    """Where a broker listens."""

    name: String
    host: String
    port: Uint16
    security_protocol: Int16


@struct
class BrokerFeature:
    """The levels of a feature that a broker supports."""

    name: String
    min_supported_version: Int16
    max_supported_version: Int16


@message(key=None, versions="0-4", flexible=0)
class RegisterBrokerRecord(MetadataRecord):
    """A broker has started: where it listens, what it supports, which directories it has."""

    RECORD_TYPE = 0

    broker_id: Int32
    is_migrating_zk_broker: Bool = at("2+", default=False)
    incarnation_id: Uuid
    broker_epoch: Int64
    end_points: Array[BrokerEndpoint]
    features: Array[BrokerFeature]
    rack: String | None
    fenced: Bool = at(default=True)
    in_controlled_shutdown: Bool = at("1+", default=False)
    log_dirs: Array[Uuid] = at("3+", default=list, tag=0)
    cordoned_log_dirs: Array[Uuid] | None = at("4+", default=None, tag=1)


@message(key=None, versions="0", flexible=0)
class UnregisterBrokerRecord(MetadataRecord):
    """A broker is gone for good."""

    RECORD_TYPE = 1

    broker_id: Int32
    broker_epoch: Int64


@message(key=None, versions="0", flexible=0)
class TopicRecord(MetadataRecord):
    """A topic has been created."""

    RECORD_TYPE = 2

    name: String
    topic_id: Uuid


@message(key=None, versions="0-2", flexible=0)
class PartitionRecord(MetadataRecord):
    """A partition, as it is when it is created."""

    RECORD_TYPE = 3

    partition_id: Int32 = at(default=-1)
    topic_id: Uuid
    replicas: Array[Int32]
    isr: Array[Int32]
    removing_replicas: Array[Int32]
    adding_replicas: Array[Int32]
    leader: Int32 = at(default=-1)
    leader_recovery_state: Int8 = at(default=0, tag=0)
    leader_epoch: Int32 = at(default=-1)
    partition_epoch: Int32 = at(default=-1)
    directories: Array[Uuid] = at("1+", default=list)
    eligible_leader_replicas: Array[Int32] | None = at("2+", default=None, tag=1)
    last_known_elr: Array[Int32] | None = at("2+", default=None, tag=2)


@message(key=None, versions="0", flexible=0)
class ConfigRecord(MetadataRecord):
    """A setting of a topic, broker or other resource; without value it is gone."""

    RECORD_TYPE = 4

    resource_type: Int8
    resource_name: String
    name: String
    value: String | None


@message(key=None, versions="0-2", flexible=0)
class PartitionChangeRecord(MetadataRecord):
    """What has changed of a partition; what is null or -2 stays."""

    RECORD_TYPE = 5

    partition_id: Int32 = at(default=-1)
    topic_id: Uuid
    isr: Array[Int32] | None = at(default=None, tag=0)
    leader: Int32 = at(default=-2, tag=1)
    replicas: Array[Int32] | None = at(default=None, tag=2)
    removing_replicas: Array[Int32] | None = at(default=None, tag=3)
    adding_replicas: Array[Int32] | None = at(default=None, tag=4)
    leader_recovery_state: Int8 = at(default=-1, tag=5)
    directories: Array[Uuid] | None = at("1+", default=None, tag=8)
    eligible_leader_replicas: Array[Int32] | None = at("2+", default=None, tag=6)
    last_known_elr: Array[Int32] | None = at("2+", default=None, tag=7)


@message(key=None, versions="0", flexible=0)
class FenceBrokerRecord(MetadataRecord):
    """A broker is fenced: it leads nothing (version 0 and 1 of clusters, before changes)."""

    RECORD_TYPE = 7

    id: Int32
    epoch: Int64


@message(key=None, versions="0", flexible=0)
class UnfenceBrokerRecord(MetadataRecord):
    """A broker is fenced no longer."""

    RECORD_TYPE = 8

    id: Int32
    epoch: Int64


@message(key=None, versions="0", flexible=0)
class RemoveTopicRecord(MetadataRecord):
    """A topic has been deleted with all its partitions."""

    RECORD_TYPE = 9

    topic_id: Uuid


@message(key=None, versions="0", flexible=0)
class DelegationTokenRecord(MetadataRecord):
    """A delegation token."""

    RECORD_TYPE = 10

    owner: String
    requester: String
    renewers: Array[String]
    issue_timestamp: Int64
    max_timestamp: Int64
    expiration_timestamp: Int64
    token_id: String


@message(key=None, versions="0", flexible=0)
class UserScramCredentialRecord(MetadataRecord):
    """What a user proves a password with."""

    RECORD_TYPE = 11

    name: String
    mechanism: Int8
    salt: Bytes
    stored_key: Bytes
    server_key: Bytes
    iterations: Int32


@message(key=None, versions="0", flexible=0)
class FeatureLevelRecord(MetadataRecord):
    """The level of a feature that holds from now on."""

    RECORD_TYPE = 12

    name: String
    feature_level: Int16


@struct
class EntityData:
    """Whose quota it is; without name it is the default."""

    entity_type: String
    entity_name: String | None


@message(key=None, versions="0", flexible=0)
class ClientQuotaRecord(MetadataRecord):
    """A quota of a user, client id or address."""

    RECORD_TYPE = 14

    entity: Array[EntityData]
    key: String
    value: Float64
    remove: Bool


@message(key=None, versions="0", flexible=0)
class ProducerIdsRecord(MetadataRecord):
    """The block of producer ids that a broker has been given."""

    RECORD_TYPE = 15

    broker_id: Int32
    broker_epoch: Int64 = at(default=-1)
    next_producer_id: Int64


@message(key=None, versions="0-3", flexible=0)
class BrokerRegistrationChangeRecord(MetadataRecord):
    """What has changed of a broker; what is null or 0 stays."""

    RECORD_TYPE = 17

    broker_id: Int32
    broker_epoch: Int64
    fenced: Int8 = at(default=0, tag=0)
    in_controlled_shutdown: Int8 = at("1+", default=0, tag=1)
    log_dirs: Array[Uuid] = at("2+", default=list, tag=2)
    cordoned_log_dirs: Array[Uuid] | None = at("3+", default=None, tag=3)


@message(key=None, versions="0", flexible=0)
class AccessControlEntryRecord(MetadataRecord):
    """A rule of access."""

    RECORD_TYPE = 18

    id: Uuid
    resource_type: Int8
    resource_name: String
    pattern_type: Int8
    principal: String
    host: String
    operation: Int8
    permission_type: Int8


@message(key=None, versions="0", flexible=0)
class RemoveAccessControlEntryRecord(MetadataRecord):
    """A rule of access is gone."""

    RECORD_TYPE = 19

    id: Uuid


@message(key=None, versions="0", flexible=0)
class NoOpRecord(MetadataRecord):
    """Nothing: it tells that the controller is alive."""

    RECORD_TYPE = 20


@message(key=None, versions="0", flexible=0)
class ZkMigrationStateRecord(MetadataRecord):
    """How far a migration from ZooKeeper has come."""

    RECORD_TYPE = 21

    zk_migration_state: Int8


@message(key=None, versions="0", flexible=0)
class RemoveUserScramCredentialRecord(MetadataRecord):
    """A user has no such credential any more."""

    RECORD_TYPE = 22

    name: String
    mechanism: Int8


@message(key=None, versions="0", flexible=0)
class BeginTransactionRecord(MetadataRecord):
    """The records up to the end of the transaction belong together."""

    RECORD_TYPE = 23

    name: String | None = at(default=None, tag=0)


@message(key=None, versions="0", flexible=0)
class EndTransactionRecord(MetadataRecord):
    """The records since its beginning hold."""

    RECORD_TYPE = 24


@message(key=None, versions="0", flexible=0)
class AbortTransactionRecord(MetadataRecord):
    """The records since its beginning don't hold."""

    RECORD_TYPE = 25

    reason: String | None = at(default=None, tag=0)


@message(key=None, versions="0", flexible=0)
class RemoveDelegationTokenRecord(MetadataRecord):
    """A delegation token is gone."""

    RECORD_TYPE = 26

    token_id: String


@struct
class ControllerEndpoint:
    """Where a controller listens."""

    name: String
    host: String
    port: Uint16
    security_protocol: Int16


@struct
class ControllerFeature:
    """The levels of a feature that a controller supports."""

    name: String
    min_supported_version: Int16
    max_supported_version: Int16


@message(key=None, versions="0", flexible=0)
class RegisterControllerRecord(MetadataRecord):
    """A controller has started."""

    RECORD_TYPE = 27

    controller_id: Int32
    incarnation_id: Uuid
    zk_migration_ready: Bool
    end_points: Array[ControllerEndpoint]
    features: Array[ControllerFeature]


@message(key=None, versions="0", flexible=0)
class ClearElrRecord(MetadataRecord):
    """A topic, or all of them, has no eligible leader replicas any more (KIP-966)."""

    RECORD_TYPE = 28

    topic_name: String


_BY_TYPE: Final[Mapping[int, type[MetadataRecord]]] = {
    kind.RECORD_TYPE: kind
    for kind in (
        RegisterBrokerRecord,
        UnregisterBrokerRecord,
        TopicRecord,
        PartitionRecord,
        ConfigRecord,
        PartitionChangeRecord,
        FenceBrokerRecord,
        UnfenceBrokerRecord,
        RemoveTopicRecord,
        DelegationTokenRecord,
        UserScramCredentialRecord,
        FeatureLevelRecord,
        ClientQuotaRecord,
        ProducerIdsRecord,
        BrokerRegistrationChangeRecord,
        AccessControlEntryRecord,
        RemoveAccessControlEntryRecord,
        NoOpRecord,
        ZkMigrationStateRecord,
        RemoveUserScramCredentialRecord,
        BeginTransactionRecord,
        EndTransactionRecord,
        AbortTransactionRecord,
        RemoveDelegationTokenRecord,
        RegisterControllerRecord,
        ClearElrRecord,
    )
}


def decode_record(data: Buffer) -> tuple[int, MetadataRecord]:
    """A value's version and what it says.

    Raises:
        Truncated: it ends early.
        Malformed: it is of no known type or version, or goes on after its end.
    """
    return decode_framed(data, _BY_TYPE)


def decode_framed(data: Buffer, by_type: Mapping[int, type[Record]]) -> tuple[int, Record]:
    """As ``decode_record``, of other records with such a frame."""
    frame_version, position = read_uvarint(data, 0)
    if frame_version != FRAME_VERSION:
        raise Malformed(f"records have frame version 1 here, not {frame_version}")
    kind, position = read_uvarint(data, position)
    version, position = read_uvarint(data, position)
    found = by_type.get(kind)
    if found is None or version not in found.VERSIONS:
        raise Malformed(f"there is no record of type {kind}, version {version}")
    return version, found.decode(data, version, position)


def encode_record(record: MetadataRecord, version: int) -> bytes:
    """A value as it stands in the log."""
    frame = b"".join(map(uvarint, (FRAME_VERSION, record.RECORD_TYPE, version)))
    return frame + record.encode(version)
