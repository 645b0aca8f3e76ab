"""The admin client's names, as in ``confluent_kafka.admin``."""

from __future__ import annotations

from ottla.client.admin.acls import AclBinding, AclBindingFilter
from ottla.client.admin.clusters import (
    BrokerMetadata,
    ClusterMetadata,
    DescribeClusterResult,
    GroupMember,
    GroupMetadata,
    PartitionMetadata,
    TopicMetadata,
)
from ottla.client.admin.configs import ConfigEntry, ConfigResource
from ottla.client.admin.failures import AdminException
from ottla.client.admin.features import (
    ApiVersionRange,
    EndpointType,
    FeatureMetadata,
    FeatureUpdate,
    LevelRange,
    UpgradeType,
)
from ottla.client.admin.groups import (
    ConsumerGroupDescription,
    ConsumerGroupListing,
    GroupListing,
    ListConsumerGroupsResult,
    MemberAssignment,
    MemberDescription,
    MemberToRemove,
)
from ottla.client.admin.log_dirs import LogDirDescription, ReplicaInfo, TopicPartitionReplica
from ottla.client.admin.offsets import DeletedRecords, ListOffsetsResultInfo, OffsetSpec
from ottla.client.admin.partitions import (
    PartitionDescription,
    PartitionReassignment,
    TopicPartitionsDescription,
)
from ottla.client.admin.quorum import QuorumInfo, QuorumListener, QuorumReplica
from ottla.client.admin.quotas import (
    ClientQuotaAlteration,
    ClientQuotaEntity,
    ClientQuotaFilter,
    quota_entity,
)
from ottla.client.admin.scram import (
    ScramCredentialInfo,
    UserScramCredentialAlteration,
    UserScramCredentialDeletion,
    UserScramCredentialsDescription,
    UserScramCredentialUpsertion,
)
from ottla.client.admin.share_groups import (
    ShareGroupDescription,
    ShareMemberDescription,
    SharePartitionOffset,
)
from ottla.client.admin.streams_groups import (
    StreamsAssignment,
    StreamsGroupDescription,
    StreamsMemberDescription,
    StreamsSubtopology,
    StreamsTask,
)
from ottla.client.admin.tokens import DelegationToken, KafkaPrincipal
from ottla.client.admin.topics import NewPartitions, NewTopic, TopicDescription
from ottla.client.admin.transactions import (
    AbortTransactionSpec,
    FencedProducer,
    ProducerState,
    TransactionDescription,
    TransactionListing,
)
from ottla.client.enumerations import (
    AclOperation,
    AclPermissionType,
    AlterConfigOpType,
    ConfigSource,
    ResourcePatternType,
    ResourceType,
    ScramMechanism,
)
from ottla.client.errors import KafkaError, KafkaException
from ottla.client.sync.admin import AdminClient
from ottla.client.values import OFFSET_INVALID

CONFIG_SOURCE_UNKNOWN_CONFIG: int = ConfigSource.UNKNOWN_CONFIG.value
CONFIG_SOURCE_DYNAMIC_TOPIC_CONFIG: int = ConfigSource.DYNAMIC_TOPIC_CONFIG.value
CONFIG_SOURCE_DYNAMIC_BROKER_CONFIG: int = ConfigSource.DYNAMIC_BROKER_CONFIG.value
CONFIG_SOURCE_DYNAMIC_DEFAULT_BROKER_CONFIG: int = ConfigSource.DYNAMIC_DEFAULT_BROKER_CONFIG.value
CONFIG_SOURCE_STATIC_BROKER_CONFIG: int = ConfigSource.STATIC_BROKER_CONFIG.value
CONFIG_SOURCE_DEFAULT_CONFIG: int = ConfigSource.DEFAULT_CONFIG.value
CONFIG_SOURCE_GROUP_CONFIG: int = ConfigSource.GROUP_CONFIG.value
RESOURCE_UNKNOWN: int = ResourceType.UNKNOWN.value
RESOURCE_ANY: int = ResourceType.ANY.value
RESOURCE_TOPIC: int = ResourceType.TOPIC.value
RESOURCE_GROUP: int = ResourceType.GROUP.value
RESOURCE_BROKER: int = ResourceType.BROKER.value
RESOURCE_TRANSACTIONAL_ID: int = ResourceType.TRANSACTIONAL_ID.value

__all__ = [
    "CONFIG_SOURCE_DEFAULT_CONFIG",
    "CONFIG_SOURCE_DYNAMIC_BROKER_CONFIG",
    "CONFIG_SOURCE_DYNAMIC_DEFAULT_BROKER_CONFIG",
    "CONFIG_SOURCE_DYNAMIC_TOPIC_CONFIG",
    "CONFIG_SOURCE_GROUP_CONFIG",
    "CONFIG_SOURCE_STATIC_BROKER_CONFIG",
    "CONFIG_SOURCE_UNKNOWN_CONFIG",
    "OFFSET_INVALID",
    "RESOURCE_ANY",
    "RESOURCE_BROKER",
    "RESOURCE_GROUP",
    "RESOURCE_TOPIC",
    "RESOURCE_TRANSACTIONAL_ID",
    "RESOURCE_UNKNOWN",
    "AbortTransactionSpec",
    "AclBinding",
    "AclBindingFilter",
    "AclOperation",
    "AclPermissionType",
    "AdminClient",
    "AdminException",
    "AlterConfigOpType",
    "ApiVersionRange",
    "BrokerMetadata",
    "ClientQuotaAlteration",
    "ClientQuotaEntity",
    "ClientQuotaFilter",
    "ClusterMetadata",
    "ConfigEntry",
    "ConfigResource",
    "ConfigSource",
    "ConsumerGroupDescription",
    "ConsumerGroupListing",
    "DelegationToken",
    "DeletedRecords",
    "DescribeClusterResult",
    "EndpointType",
    "FeatureMetadata",
    "FeatureUpdate",
    "FencedProducer",
    "GroupListing",
    "GroupMember",
    "GroupMetadata",
    "KafkaError",
    "KafkaException",
    "KafkaPrincipal",
    "LevelRange",
    "ListConsumerGroupsResult",
    "ListOffsetsResultInfo",
    "LogDirDescription",
    "MemberAssignment",
    "MemberDescription",
    "MemberToRemove",
    "NewPartitions",
    "NewTopic",
    "OffsetSpec",
    "PartitionDescription",
    "PartitionMetadata",
    "PartitionReassignment",
    "ProducerState",
    "QuorumInfo",
    "QuorumListener",
    "QuorumReplica",
    "ReplicaInfo",
    "ResourcePatternType",
    "ResourceType",
    "ScramCredentialInfo",
    "ScramMechanism",
    "ShareGroupDescription",
    "ShareMemberDescription",
    "SharePartitionOffset",
    "StreamsAssignment",
    "StreamsGroupDescription",
    "StreamsMemberDescription",
    "StreamsSubtopology",
    "StreamsTask",
    "TopicDescription",
    "TopicMetadata",
    "TopicPartitionReplica",
    "TopicPartitionsDescription",
    "TransactionDescription",
    "TransactionListing",
    "UpgradeType",
    "UserScramCredentialAlteration",
    "UserScramCredentialDeletion",
    "UserScramCredentialUpsertion",
    "UserScramCredentialsDescription",
    "quota_entity",
]
