"""The asyncio admin client: what the sync one does, awaited on the running loop."""

from __future__ import annotations

from secrets import token_bytes
from typing import TYPE_CHECKING

from ottla.client.aio.cluster_admin import ClusterAdmin
from ottla.client.aio.group_admin import GroupAdmin
from ottla.client.aio.security_admin import SecurityAdmin, TransactionAdmin
from ottla.client.core import admin as core
from ottla.client.core.admin.checks import broker_id
from ottla.client.enumerations import IsolationLevel

if TYPE_CHECKING:
    from ottla.client.admin.acls import AclBinding, AclBindingFilter
    from ottla.client.admin.clusters import ClusterMetadata, DescribeClusterResult
    from ottla.client.admin.configs import ConfigEntry, ConfigResource
    from ottla.client.admin.groups import ConsumerGroupDescription, ListConsumerGroupsResult
    from ottla.client.admin.offsets import DeletedRecords, ListOffsetsResultInfo, OffsetSpec
    from ottla.client.admin.scram import (
        UserScramCredentialAlteration,
        UserScramCredentialsDescription,
    )
    from ottla.client.admin.topics import NewPartitions, NewTopic, TopicDescription
    from ottla.client.enumerations import ConsumerGroupState, ConsumerGroupType, ElectionType
    from ottla.client.errors import KafkaError
    from ottla.client.values import (
        ConsumerGroupTopicPartitions,
        TopicCollection,
        TopicPartition,
    )


class AdminClient(ClusterAdmin, GroupAdmin, TransactionAdmin, SecurityAdmin):
    """Administers a cluster from the event loop that runs, with no thread of its own.

        async with AdminClient({"bootstrap.servers": "localhost:9092"}) as admin:
            await admin.create_topics([NewTopic("orders", 3)])

    Its methods, and what they are given and return, are those of :class:`ottla.AdminClient`, but
    awaited: instead of futures they return the results. They raise ``KafkaException`` when a call
    fails, and :class:`ottla.admin.AdminException` when it fails for some of its items: that has the
    results of the others. What is deprecated there is left out here.

    Args:
        conf: the configuration, at least ``bootstrap.servers``.
        kwargs: more of it.
    """

    # Topics

    async def create_topics(
        self,
        new_topics: list[NewTopic],
        *,
        operation_timeout: float | None = None,
        request_timeout: float | None = None,
        validate_only: bool = False,
    ) -> dict[str, None]:
        """Make topics; see :meth:`ottla.AdminClient.create_topics`."""
        operation = core.topics.create_topics(
            new_topics,
            timeout_ms=self._operation_timeout_ms(operation_timeout),
            validate_only=validate_only,
        )
        return await self._each(operation, request_timeout)

    async def delete_topics(
        self,
        topics: list[str],
        *,
        operation_timeout: float | None = None,
        request_timeout: float | None = None,
    ) -> dict[str, None]:
        """Delete topics; see :meth:`ottla.AdminClient.delete_topics`."""
        timeout_ms = self._operation_timeout_ms(operation_timeout)
        operation = core.topics.delete_topics(topics, timeout_ms=timeout_ms)
        return await self._each(operation, request_timeout)

    async def create_partitions(
        self,
        new_partitions: list[NewPartitions],
        *,
        operation_timeout: float | None = None,
        request_timeout: float | None = None,
        validate_only: bool = False,
    ) -> dict[str, None]:
        """Give topics more partitions; see :meth:`ottla.AdminClient.create_partitions`."""
        operation = core.topics.create_partitions(
            new_partitions,
            timeout_ms=self._operation_timeout_ms(operation_timeout),
            validate_only=validate_only,
        )
        return await self._each(operation, request_timeout)

    async def describe_topics(
        self,
        topics: TopicCollection,
        *,
        include_authorized_operations: bool = False,
        request_timeout: float | None = None,
    ) -> dict[str, TopicDescription]:
        """Describe topics; see :meth:`ottla.AdminClient.describe_topics`."""
        operation = core.topics.describe_topics(
            topics, include_authorized_operations=include_authorized_operations
        )
        return await self._each(operation, request_timeout)

    async def list_topics(
        self,
        topic: str | None = None,
        timeout: float = -1,  # noqa: ASYNC109 - confluent_kafka's name
    ) -> ClusterMetadata:
        """The cluster's brokers and topics, or one topic, which is not created by asking.

        Args:
            topic: only this topic.
            timeout: the longest wait in seconds; negative for as long as other calls wait.
        """
        operation = core.topics.list_topics(topic, may_create=False)
        return await self._one(operation, timeout if timeout >= 0 else None)

    async def cluster_id(self, timeout: float = -1) -> str | None:  # noqa: ASYNC109
        """The cluster's id; ``timeout`` as for :meth:`list_topics`."""
        operation = core.clusters.describe_cluster()
        described = await self._one(operation, timeout if timeout >= 0 else None)
        return described.cluster_id

    async def describe_cluster(
        self,
        *,
        include_authorized_operations: bool = False,
        request_timeout: float | None = None,
    ) -> DescribeClusterResult:
        """Describe the cluster and its live brokers.

        See :meth:`ottla.AdminClient.describe_cluster`.
        """
        operation = core.clusters.describe_cluster(
            include_authorized_operations=include_authorized_operations
        )
        return await self._one(operation, request_timeout)

    # Configuration

    async def describe_configs(
        self,
        resources: list[ConfigResource],
        *,
        request_timeout: float | None = None,
        broker: int | None = None,
    ) -> dict[ConfigResource, dict[str, ConfigEntry]]:
        """Read configurations; see :meth:`ottla.AdminClient.describe_configs`."""
        operation = core.configs.describe_configs(resources, broker=broker_id(broker))
        return await self._each(operation, request_timeout)

    async def incremental_alter_configs(
        self,
        resources: list[ConfigResource],
        *,
        validate_only: bool = False,
        request_timeout: float | None = None,
        broker: int | None = None,
    ) -> dict[ConfigResource, None]:
        """Change entries of configurations and leave the others as they are.

        See :meth:`ottla.AdminClient.incremental_alter_configs`.
        """
        operation = core.configs.incremental_alter_configs(
            resources, validate_only=validate_only, broker=broker_id(broker)
        )
        return await self._each(operation, request_timeout)

    # Groups and offsets

    async def list_consumer_groups(
        self,
        *,
        request_timeout: float | None = None,
        states: set[ConsumerGroupState] | None = None,
        types: set[ConsumerGroupType] | None = None,
    ) -> ListConsumerGroupsResult:
        """List the consumer groups of all brokers.

        See :meth:`ottla.AdminClient.list_consumer_groups`.
        """
        return await self._one(core.groups.list_consumer_groups(states, types), request_timeout)

    async def describe_consumer_groups(
        self,
        group_ids: list[str],
        *,
        include_authorized_operations: bool = False,
        request_timeout: float | None = None,
    ) -> dict[str, ConsumerGroupDescription]:
        """Describe consumer groups; one that does not exist is described as dead.

        See :meth:`ottla.AdminClient.describe_consumer_groups`.
        """
        operation = core.groups.describe_consumer_groups(
            group_ids, include_authorized_operations=include_authorized_operations
        )
        return await self._each(operation, request_timeout)

    async def delete_consumer_groups(
        self, group_ids: list[str], *, request_timeout: float | None = None
    ) -> dict[str, None]:
        """Delete empty groups with their offsets.

        See :meth:`ottla.AdminClient.delete_consumer_groups`.
        """
        operation = core.groups.delete_consumer_groups(group_ids)
        return await self._each(operation, request_timeout)

    async def list_consumer_group_offsets(
        self,
        list_consumer_group_offsets_request: list[ConsumerGroupTopicPartitions],
        *,
        require_stable: bool = False,
        request_timeout: float | None = None,
    ) -> dict[str, ConsumerGroupTopicPartitions]:
        """What a group has committed; see :meth:`ottla.AdminClient.list_consumer_group_offsets`."""
        request = list_consumer_group_offsets_request
        operation = core.group_offsets.list_consumer_group_offsets(
            request, require_stable=require_stable
        )
        return await self._each(operation, request_timeout)

    async def alter_consumer_group_offsets(
        self,
        alter_consumer_group_offsets_request: list[ConsumerGroupTopicPartitions],
        *,
        request_timeout: float | None = None,
    ) -> dict[str, ConsumerGroupTopicPartitions]:
        """Set committed offsets of a group that has no members.

        See :meth:`ottla.AdminClient.alter_consumer_group_offsets`.
        """
        request = alter_consumer_group_offsets_request
        operation = core.group_offsets.alter_consumer_group_offsets(request)
        return await self._each(operation, request_timeout)

    # Records

    async def list_offsets(
        self,
        topic_partition_offsets: dict[TopicPartition, OffsetSpec],
        *,
        isolation_level: IsolationLevel = IsolationLevel.READ_UNCOMMITTED,
        request_timeout: float | None = None,
    ) -> dict[TopicPartition, ListOffsetsResultInfo]:
        """Offsets of partitions: the first, the last, by timestamp.

        See :meth:`ottla.AdminClient.list_offsets`.
        """
        operation = core.offsets.list_offsets(
            topic_partition_offsets,
            isolation_level=isolation_level,
            timeout_ms=self._request_timeout_ms(request_timeout),
        )
        return await self._each(operation, request_timeout)

    async def delete_records(
        self,
        topic_partition_offsets: list[TopicPartition],
        *,
        operation_timeout: float | None = None,
        request_timeout: float | None = None,
    ) -> dict[TopicPartition, DeletedRecords]:
        """Delete the records before an offset; see :meth:`ottla.AdminClient.delete_records`."""
        timeout_ms = self._operation_timeout_ms(operation_timeout)
        operation = core.offsets.delete_records(topic_partition_offsets, timeout_ms=timeout_ms)
        return await self._each(operation, request_timeout)

    async def elect_leaders(
        self,
        election_type: ElectionType,
        partitions: list[TopicPartition] | None = None,
        *,
        operation_timeout: float | None = None,
        request_timeout: float | None = None,
    ) -> dict[TopicPartition, KafkaError | None]:
        """Elect leaders; see :meth:`ottla.AdminClient.elect_leaders`."""
        timeout_ms = self._operation_timeout_ms(operation_timeout)
        operation = core.partitions.elect_leaders(election_type, partitions, timeout_ms=timeout_ms)
        return await self._one(operation, request_timeout)

    # Access

    async def create_acls(
        self, acls: list[AclBinding], *, request_timeout: float | None = None
    ) -> dict[AclBinding, None]:
        """Make access rules; see :meth:`ottla.AdminClient.create_acls`."""
        return await self._each(core.acls.create_acls(acls), request_timeout)

    async def describe_acls(
        self, acl_binding_filter: AclBindingFilter, *, request_timeout: float | None = None
    ) -> list[AclBinding]:
        """Find access rules; see :meth:`ottla.AdminClient.describe_acls`."""
        return await self._one(core.acls.describe_acls(acl_binding_filter), request_timeout)

    async def delete_acls(
        self, acl_binding_filters: list[AclBindingFilter], *, request_timeout: float | None = None
    ) -> dict[AclBindingFilter, list[AclBinding]]:
        """Delete access rules; see :meth:`ottla.AdminClient.delete_acls`."""
        operation = core.acls.delete_acls(acl_binding_filters)
        return await self._each(operation, request_timeout)

    async def describe_user_scram_credentials(
        self, users: list[str] | None = None, *, request_timeout: float | None = None
    ) -> dict[str, UserScramCredentialsDescription]:
        """Describe SCRAM credentials of users, or of all (None), without their secrets."""
        if users is None:
            everybodys = core.scram.describe_all_user_scram_credentials()
            return await self._one(everybodys, request_timeout)
        operation = core.scram.describe_user_scram_credentials(users)
        return await self._each(operation, request_timeout)

    async def alter_user_scram_credentials(
        self,
        alterations: list[UserScramCredentialAlteration],
        *,
        request_timeout: float | None = None,
    ) -> dict[str, None]:
        """Set and delete SCRAM credentials; passwords do not leave this process.

        See :meth:`ottla.AdminClient.alter_user_scram_credentials`.
        """
        operation = core.scram.alter_user_scram_credentials(
            alterations, new_salt=lambda: token_bytes(core.scram.SALT_BYTES)
        )
        return await self._each(operation, request_timeout)
