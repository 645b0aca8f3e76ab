"""What the asyncio admin client can do beyond confluent_kafka's with the cluster and its topics."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from ottla.client.aio.admin_calls import AdminCalls
from ottla.client.core import admin as core

if TYPE_CHECKING:
    from ottla.client.admin.clusters import DescribeClusterResult
    from ottla.client.admin.configs import ConfigResource
    from ottla.client.admin.features import (
        ApiVersionRange,
        EndpointType,
        FeatureMetadata,
        FeatureUpdate,
    )
    from ottla.client.admin.log_dirs import LogDirDescription, TopicPartitionReplica
    from ottla.client.admin.partitions import PartitionReassignment, TopicPartitionsDescription
    from ottla.client.admin.quorum import QuorumInfo, QuorumListener
    from ottla.client.enumerations import ResourceType
    from ottla.client.values import TopicPartition

PARTITIONS_PER_REQUEST = 2000


class ClusterAdmin(AdminCalls):
    """Calls about the cluster that confluent_kafka does not have."""

    async def describe_nodes(
        self,
        endpoint_type: EndpointType,
        *,
        include_fenced_brokers: bool = False,
        include_authorized_operations: bool = False,
        request_timeout: float | None = None,
    ) -> DescribeClusterResult:
        """Describe the cluster with its controllers (KIP-919) or all its brokers (KIP-1073).

        See :meth:`ottla.AdminClient.describe_nodes`.
        """
        operation = core.clusters.describe_nodes(
            endpoint_type=endpoint_type,
            include_fenced_brokers=include_fenced_brokers,
            include_authorized_operations=include_authorized_operations,
        )
        return await self._one(operation, request_timeout)

    async def describe_topic_partitions(
        self,
        topics: Collection[str],
        *,
        partitions_per_request: int = PARTITIONS_PER_REQUEST,
        request_timeout: float | None = None,
    ) -> dict[str, TopicPartitionsDescription]:
        """Describe partitions with the replicas that may be elected (KIP-966).

        See :meth:`ottla.AdminClient.describe_topic_partitions`.
        """
        operation = core.topic_partitions.describe_topic_partitions(
            topics, partitions_per_request=partitions_per_request
        )
        return await self._each(operation, request_timeout)

    async def list_config_resources(
        self,
        types: Collection[ResourceType] | None = None,
        *,
        request_timeout: float | None = None,
    ) -> list[ConfigResource]:
        """List the resources that have a configuration (KIP-1142).

        See :meth:`ottla.AdminClient.list_config_resources`.
        """
        return await self._one(core.configs.list_config_resources(types), request_timeout)

    async def describe_log_dirs(
        self,
        broker_ids: Collection[int],
        partitions: Collection[TopicPartition] | None = None,
        *,
        request_timeout: float | None = None,
    ) -> dict[int, dict[str, LogDirDescription]]:
        """Describe brokers' log directories; see :meth:`ottla.AdminClient.describe_log_dirs`."""
        operation = core.log_dirs.describe_log_dirs(broker_ids, partitions)
        return await self._each(operation, request_timeout)

    async def alter_replica_log_dirs(
        self,
        assignment: Mapping[TopicPartitionReplica, str],
        *,
        request_timeout: float | None = None,
    ) -> dict[TopicPartitionReplica, None]:
        """Move replicas to other log directories of their brokers.

        See :meth:`ottla.AdminClient.alter_replica_log_dirs`.
        """
        operation = core.log_dirs.alter_replica_log_dirs(assignment)
        return await self._each(operation, request_timeout)

    async def alter_partition_reassignments(
        self,
        reassignments: Mapping[TopicPartition, Sequence[int] | None],
        *,
        allow_replication_factor_change: bool = True,
        operation_timeout: float | None = None,
        request_timeout: float | None = None,
    ) -> dict[TopicPartition, None]:
        """Move partitions to other brokers, or cancel moves.

        See :meth:`ottla.AdminClient.alter_partition_reassignments`.
        """
        operation = core.partitions.alter_partition_reassignments(
            reassignments,
            timeout_ms=self._operation_timeout_ms(operation_timeout),
            allow_replication_factor_change=allow_replication_factor_change,
        )
        return await self._each(operation, request_timeout)

    async def list_partition_reassignments(
        self,
        partitions: Collection[TopicPartition] | None = None,
        *,
        operation_timeout: float | None = None,
        request_timeout: float | None = None,
    ) -> dict[TopicPartition, PartitionReassignment]:
        """List the moves of partitions that are under way.

        See :meth:`ottla.AdminClient.list_partition_reassignments`.
        """
        operation = core.partitions.list_partition_reassignments(
            partitions, timeout_ms=self._operation_timeout_ms(operation_timeout)
        )
        return await self._one(operation, request_timeout)

    async def describe_metadata_quorum(self, *, request_timeout: float | None = None) -> QuorumInfo:
        """Describe the quorum of the metadata log.

        See :meth:`ottla.AdminClient.describe_metadata_quorum`.
        """
        return await self._one(core.clusters.describe_metadata_quorum(), request_timeout)

    async def add_raft_voter(
        self,
        voter_id: int,
        directory_id: uuid.UUID,
        listeners: Collection[QuorumListener],
        *,
        cluster_id: str | None = None,
        operation_timeout: float | None = None,
        request_timeout: float | None = None,
    ) -> None:
        """Let a controller vote (KIP-853); see :meth:`ottla.AdminClient.add_raft_voter`."""
        operation = core.clusters.add_raft_voter(
            voter_id,
            directory_id,
            listeners,
            cluster_id=cluster_id,
            timeout_ms=self._operation_timeout_ms(operation_timeout),
        )
        return await self._one(operation, request_timeout)

    async def remove_raft_voter(
        self,
        voter_id: int,
        directory_id: uuid.UUID,
        *,
        cluster_id: str | None = None,
        request_timeout: float | None = None,
    ) -> None:
        """Let a controller vote no longer (KIP-853).

        See :meth:`ottla.AdminClient.remove_raft_voter`.
        """
        operation = core.clusters.remove_raft_voter(voter_id, directory_id, cluster_id=cluster_id)
        return await self._one(operation, request_timeout)

    async def unregister_broker(
        self, broker_id: int, *, request_timeout: float | None = None
    ) -> None:
        """Forget a broker that will not come back.

        See :meth:`ottla.AdminClient.unregister_broker`.
        """
        return await self._one(core.clusters.unregister_broker(broker_id), request_timeout)

    async def describe_features(
        self, broker_id: int | None = None, *, request_timeout: float | None = None
    ) -> FeatureMetadata:
        """Describe the levels of features (KIP-584).

        See :meth:`ottla.AdminClient.describe_features`.
        """
        return await self._one(core.clusters.describe_features(broker_id), request_timeout)

    async def update_features(
        self,
        updates: Mapping[str, FeatureUpdate],
        *,
        validate_only: bool = False,
        operation_timeout: float | None = None,
        request_timeout: float | None = None,
    ) -> dict[str, None]:
        """Change the levels of features, of all or of none.

        See :meth:`ottla.AdminClient.update_features`.
        """
        operation = core.clusters.update_features(
            updates,
            timeout_ms=self._operation_timeout_ms(operation_timeout),
            validate_only=validate_only,
        )
        return await self._each(operation, request_timeout)

    async def describe_api_versions(
        self, broker_ids: Collection[int], *, request_timeout: float | None = None
    ) -> dict[int, list[ApiVersionRange]]:
        """List the APIs that brokers offer, with their versions.

        See :meth:`ottla.AdminClient.describe_api_versions`.
        """
        operation = core.clusters.describe_api_versions(broker_ids)
        return await self._each(operation, request_timeout)
