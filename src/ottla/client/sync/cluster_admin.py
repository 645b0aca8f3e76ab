"""What the sync admin client can do beyond confluent_kafka's with the cluster and its topics."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from ottla.client.core import admin as core
from ottla.client.sync.admin_futures import AdminFutures

if TYPE_CHECKING:
    from concurrent.futures import Future

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


class ClusterAdmin(AdminFutures):
    """Calls about the cluster that confluent_kafka does not have."""

    def describe_nodes(
        self,
        endpoint_type: EndpointType,
        *,
        include_fenced_brokers: bool = False,
        include_authorized_operations: bool = False,
        request_timeout: float | None = None,
    ) -> Future[DescribeClusterResult]:
        """Describe the cluster with its controllers (KIP-919) or all its brokers (KIP-1073).

        Args:
            endpoint_type: which nodes; controllers only tell when they are asked themselves.
            include_fenced_brokers: also brokers that do not take part at the moment.
            include_authorized_operations: also tell what this client may do with the cluster.
            request_timeout: the longest time in seconds until the answer.
        """
        operation = core.clusters.describe_nodes(
            endpoint_type=endpoint_type,
            include_fenced_brokers=include_fenced_brokers,
            include_authorized_operations=include_authorized_operations,
        )
        return self._one(operation, request_timeout)

    def describe_topic_partitions(
        self,
        topics: Collection[str],
        *,
        partitions_per_request: int = PARTITIONS_PER_REQUEST,
        request_timeout: float | None = None,
    ) -> dict[str, Future[TopicPartitionsDescription]]:
        """Describe partitions with the replicas that may be elected (KIP-966).

        Args:
            topics: of which topics.
            partitions_per_request: how many a broker may answer at once.
            request_timeout: the longest time in seconds until all answers.

        Returns:
            By topic.
        """
        operation = core.topic_partitions.describe_topic_partitions(
            topics, partitions_per_request=partitions_per_request
        )
        return self._each(topics, operation, request_timeout)

    def list_config_resources(
        self,
        types: Collection[ResourceType] | None = None,
        *,
        request_timeout: float | None = None,
    ) -> Future[list[ConfigResource]]:
        """List the resources that have a configuration (KIP-1142).

        Args:
            types: of these types; None: of all.
            request_timeout: the longest time in seconds until the answer.
        """
        return self._one(core.configs.list_config_resources(types), request_timeout)

    def describe_log_dirs(
        self,
        broker_ids: Collection[int],
        partitions: Collection[TopicPartition] | None = None,
        *,
        request_timeout: float | None = None,
    ) -> dict[int, Future[dict[str, LogDirDescription]]]:
        """Describe brokers' log directories.

        Args:
            broker_ids: of which brokers.
            partitions: with which replicas; None: with all.
            request_timeout: the longest time in seconds until the answer.

        Returns:
            By broker: the directories by path.
        """
        operation = core.log_dirs.describe_log_dirs(broker_ids, partitions)
        return self._each(broker_ids, operation, request_timeout)

    def alter_replica_log_dirs(
        self,
        assignment: Mapping[TopicPartitionReplica, str],
        *,
        request_timeout: float | None = None,
    ) -> dict[TopicPartitionReplica, Future[None]]:
        """Move replicas to other log directories of their brokers.

        Args:
            assignment: by replica the path of the directory. A broker without the replica answers
                REPLICA_NOT_AVAILABLE and will put it there as soon as it has it.
            request_timeout: the longest time in seconds until the answer.

        Returns:
            By replica.
        """
        operation = core.log_dirs.alter_replica_log_dirs(assignment)
        return self._each(assignment, operation, request_timeout)

    def alter_partition_reassignments(
        self,
        reassignments: Mapping[TopicPartition, Sequence[int] | None],
        *,
        allow_replication_factor_change: bool = True,
        operation_timeout: float | None = None,
        request_timeout: float | None = None,
    ) -> dict[TopicPartition, Future[None]]:
        """Move partitions to other brokers, or cancel moves.

        Args:
            reassignments: by partition the ids of the brokers that shall hold it, the preferred
                leader first; None: cancel the move under way.
            allow_replication_factor_change: whether their number may change (KIP-860).
            operation_timeout: how long in seconds the broker may take.
            request_timeout: the longest time in seconds until the answer.

        Returns:
            By partition.
        """
        operation = core.partitions.alter_partition_reassignments(
            reassignments,
            timeout_ms=self._operation_timeout_ms(operation_timeout),
            allow_replication_factor_change=allow_replication_factor_change,
        )
        return self._each(reassignments, operation, request_timeout)

    def list_partition_reassignments(
        self,
        partitions: Collection[TopicPartition] | None = None,
        *,
        operation_timeout: float | None = None,
        request_timeout: float | None = None,
    ) -> Future[dict[TopicPartition, PartitionReassignment]]:
        """List the moves of partitions that are under way.

        Args:
            partitions: of which partitions; None: of all.
            operation_timeout: how long in seconds the broker may take.
            request_timeout: the longest time in seconds until the answer.
        """
        operation = core.partitions.list_partition_reassignments(
            partitions, timeout_ms=self._operation_timeout_ms(operation_timeout)
        )
        return self._one(operation, request_timeout)

    def describe_metadata_quorum(
        self, *, request_timeout: float | None = None
    ) -> Future[QuorumInfo]:
        """Describe the quorum of the metadata log.

        Args:
            request_timeout: the longest time in seconds until the answer.
        """
        return self._one(core.clusters.describe_metadata_quorum(), request_timeout)

    def add_raft_voter(
        self,
        voter_id: int,
        directory_id: uuid.UUID,
        listeners: Collection[QuorumListener],
        *,
        cluster_id: str | None = None,
        operation_timeout: float | None = None,
        request_timeout: float | None = None,
    ) -> Future[None]:
        """Let a controller vote (KIP-853).

        Args:
            voter_id: its id.
            directory_id: the id of its metadata directory.
            listeners: where it listens.
            cluster_id: refuse if this is another cluster.
            operation_timeout: how long in seconds the broker may take.
            request_timeout: the longest time in seconds until the answer.
        """
        operation = core.clusters.add_raft_voter(
            voter_id,
            directory_id,
            listeners,
            cluster_id=cluster_id,
            timeout_ms=self._operation_timeout_ms(operation_timeout),
        )
        return self._one(operation, request_timeout)

    def remove_raft_voter(
        self,
        voter_id: int,
        directory_id: uuid.UUID,
        *,
        cluster_id: str | None = None,
        request_timeout: float | None = None,
    ) -> Future[None]:
        """Let a controller vote no longer (KIP-853).

        Args:
            voter_id: its id.
            directory_id: the id of its metadata directory.
            cluster_id: refuse if this is another cluster.
            request_timeout: the longest time in seconds until the answer.
        """
        operation = core.clusters.remove_raft_voter(voter_id, directory_id, cluster_id=cluster_id)
        return self._one(operation, request_timeout)

    def unregister_broker(
        self, broker_id: int, *, request_timeout: float | None = None
    ) -> Future[None]:
        """Forget a broker that will not come back.

        Args:
            broker_id: its id.
            request_timeout: the longest time in seconds until the answer.
        """
        return self._one(core.clusters.unregister_broker(broker_id), request_timeout)

    def describe_features(
        self, broker_id: int | None = None, *, request_timeout: float | None = None
    ) -> Future[FeatureMetadata]:
        """Describe the levels of features (KIP-584).

        Args:
            broker_id: as which broker knows them; None: any.
            request_timeout: the longest time in seconds until the answer.
        """
        return self._one(core.clusters.describe_features(broker_id), request_timeout)

    def update_features(
        self,
        updates: Mapping[str, FeatureUpdate],
        *,
        validate_only: bool = False,
        operation_timeout: float | None = None,
        request_timeout: float | None = None,
    ) -> dict[str, Future[None]]:
        """Change the levels of features, of all or of none.

        Args:
            updates: by feature its new level.
            validate_only: only check whether they could be changed.
            operation_timeout: how long in seconds the broker may take.
            request_timeout: the longest time in seconds until the answer.

        Returns:
            By feature.
        """
        operation = core.clusters.update_features(
            updates,
            timeout_ms=self._operation_timeout_ms(operation_timeout),
            validate_only=validate_only,
        )
        return self._each(updates, operation, request_timeout)

    def describe_api_versions(
        self, broker_ids: Collection[int], *, request_timeout: float | None = None
    ) -> dict[int, Future[list[ApiVersionRange]]]:
        """List the APIs that brokers offer, with their versions.

        Args:
            broker_ids: which brokers.
            request_timeout: the longest time in seconds until the answer.

        Returns:
            By broker.
        """
        operation = core.clusters.describe_api_versions(broker_ids)
        return self._each(broker_ids, operation, request_timeout)
