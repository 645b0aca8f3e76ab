"""The sync admin client, with the methods of confluent_kafka's."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, overload

from ottla.client.arguments import text
from ottla.client.core import admin as core
from ottla.client.core.admin.checks import broker_id
from ottla.client.enumerations import IsolationLevel
from ottla.client.errors import KafkaError, KafkaException
from ottla.client.sync.cluster_admin import ClusterAdmin
from ottla.client.sync.group_admin import GroupAdmin
from ottla.client.sync.security_admin import SecurityAdmin, TransactionAdmin

if TYPE_CHECKING:
    from concurrent.futures import Future

    from ottla.client.admin.acls import AclBinding, AclBindingFilter
    from ottla.client.admin.clusters import ClusterMetadata, DescribeClusterResult, GroupMetadata
    from ottla.client.admin.configs import ConfigEntry, ConfigResource
    from ottla.client.admin.groups import ConsumerGroupDescription, ListConsumerGroupsResult
    from ottla.client.admin.offsets import DeletedRecords, ListOffsetsResultInfo, OffsetSpec
    from ottla.client.admin.scram import (
        UserScramCredentialAlteration,
        UserScramCredentialsDescription,
    )
    from ottla.client.admin.topics import NewPartitions, NewTopic, TopicDescription
    from ottla.client.enumerations import ConsumerGroupState, ConsumerGroupType, ElectionType
    from ottla.client.values import (
        ConsumerGroupTopicPartitions,
        TopicCollection,
        TopicPartition,
    )

_NO_CLUSTER_ID = "Failed to retrieve cluster id"


class AdminClient(ClusterAdmin, GroupAdmin, TransactionAdmin, SecurityAdmin):
    """Administers a cluster: topics, configuration, groups, offsets, access rules, credentials.

    Methods return at once: a dictionary with a future for each item, or one future. A future that
    fails raises ``KafkaException``. Callbacks added to futures run on a background thread.
    Arguments that can't be meant raise ``TypeError`` or ``ValueError`` at once.

    All take ``request_timeout``, the longest time in seconds until the answer, by default
    ``socket.timeout.ms``; some ``operation_timeout``, how long the broker may wait for the change
    to reach the other brokers.

    Args:
        conf: the configuration, at least ``bootstrap.servers``.
        kwargs: more of it.
    """

    # Topics

    def create_topics(
        self,
        new_topics: list[NewTopic],
        *,
        operation_timeout: float | None = None,
        request_timeout: float | None = None,
        validate_only: bool = False,
    ) -> dict[str, Future[None]]:
        """Make topics.

        Args:
            new_topics: the topics.
            operation_timeout: see the class.
            request_timeout: see the class.
            validate_only: only check whether they could be made.

        Returns:
            By name.
        """
        operation = core.topics.create_topics(
            new_topics,
            timeout_ms=self._operation_timeout_ms(operation_timeout),
            validate_only=validate_only,
        )
        return self._each([t.topic for t in new_topics], operation, request_timeout)

    def delete_topics(
        self,
        topics: list[str],
        *,
        operation_timeout: float | None = None,
        request_timeout: float | None = None,
    ) -> dict[str, Future[None]]:
        """Delete topics.

        Args:
            topics: their names.
            operation_timeout: see the class.
            request_timeout: see the class.

        Returns:
            By name.
        """
        timeout_ms = self._operation_timeout_ms(operation_timeout)
        operation = core.topics.delete_topics(topics, timeout_ms=timeout_ms)
        return self._each(topics, operation, request_timeout)

    def create_partitions(
        self,
        new_partitions: list[NewPartitions],
        *,
        operation_timeout: float | None = None,
        request_timeout: float | None = None,
        validate_only: bool = False,
    ) -> dict[str, Future[None]]:
        """Give topics more partitions.

        Args:
            new_partitions: how many each shall have.
            operation_timeout: see the class.
            request_timeout: see the class.
            validate_only: only check whether they could have them.

        Returns:
            By name of the topic.
        """
        operation = core.topics.create_partitions(
            new_partitions,
            timeout_ms=self._operation_timeout_ms(operation_timeout),
            validate_only=validate_only,
        )
        return self._each([p.topic for p in new_partitions], operation, request_timeout)

    def describe_topics(
        self,
        topics: TopicCollection,
        *,
        include_authorized_operations: bool = False,
        request_timeout: float | None = None,
    ) -> dict[str, Future[TopicDescription]]:
        """Describe topics.

        Args:
            topics: which.
            include_authorized_operations: also tell what this client may do with them.
            request_timeout: see the class.

        Returns:
            By name.
        """
        operation = core.topics.describe_topics(
            topics, include_authorized_operations=include_authorized_operations
        )
        return self._each(topics.topic_names, operation, request_timeout)

    def list_topics(self, topic: str | None = None, timeout: float = -1) -> ClusterMetadata:
        """The cluster's brokers and topics, at once.

        Args:
            topic: only this topic; one that does not exist is listed with an error, unless the
                broker creates topics when they are first asked about.
            timeout: the longest wait in seconds; negative for no limit.

        Raises:
            KafkaException: no broker could be asked in time.
        """
        if topic is not None and not isinstance(topic, str):
            raise TypeError(f"argument 1 must be str or None, not {type(topic).__name__}")
        operation = core.topics.list_topics(topic, may_create=True)
        return self._wait(operation, timeout, "Failed to get metadata")

    def cluster_id(self, timeout: float = -1) -> str | None:
        """The cluster's id, at once.

        Args:
            timeout: the longest wait in seconds; negative for no limit.

        Raises:
            KafkaException: no broker could be asked in time.
        """
        self._check_open()
        known = self._thread.engine.cluster.cluster_id
        if known is not None:
            return known
        try:
            operation = core.clusters.describe_cluster(timed_out=core.routes.TIMED_OUT)
            described = self._wait(operation, timeout, _NO_CLUSTER_ID)
        except KafkaException as exception:
            error = exception.args[0]
            reason = (
                f"{error.str()}. The broker must support KIP-78 (>= 0.10.1) for the cluster id to "
                "be available."
            )
            raise KafkaException(KafkaError(error.code(), reason)) from None
        return described.cluster_id

    def describe_cluster(
        self,
        *,
        include_authorized_operations: bool = False,
        request_timeout: float | None = None,
    ) -> Future[DescribeClusterResult]:
        """Describe the cluster and its live brokers.

        Args:
            include_authorized_operations: also tell what this client may do with the cluster.
            request_timeout: see the class.
        """
        operation = core.clusters.describe_cluster(
            include_authorized_operations=include_authorized_operations
        )
        return self._one(operation, request_timeout)

    # Configuration

    def describe_configs(
        self,
        resources: list[ConfigResource],
        *,
        request_timeout: float | None = None,
        broker: int | None = None,
    ) -> dict[ConfigResource, Future[dict[str, ConfigEntry]]]:
        """Read configurations.

        Args:
            resources: of what; brokers and their loggers are asked themselves.
            request_timeout: see the class.
            broker: the id of the broker to ask about all others, instead of the controller.

        Returns:
            By resource: the entries by name.
        """
        operation = core.configs.describe_configs(resources, broker=broker_id(broker))
        return self._each(resources, operation, request_timeout)

    def alter_configs(
        self,
        resources: list[ConfigResource],
        *,
        validate_only: bool = False,
        request_timeout: float | None = None,
        broker: int | None = None,
    ) -> dict[ConfigResource, Future[None]]:
        """Replace configurations: entries that are not given fall back to their defaults.

        Deprecated: use :meth:`incremental_alter_configs`.

        Args:
            resources: of what, with all entries that shall be set.
            validate_only: only check whether they could be.
            request_timeout: see the class.
            broker: the id of the broker to ask, instead of the controller.

        Returns:
            By resource.
        """
        warnings.warn(
            "alter_configs has been deprecated. Use incremental_alter_configs instead.",
            category=DeprecationWarning,
            stacklevel=2,
        )
        operation = core.configs.alter_configs(
            resources, validate_only=validate_only, broker=broker_id(broker)
        )
        return self._each(resources, operation, request_timeout)

    def incremental_alter_configs(
        self,
        resources: list[ConfigResource],
        *,
        validate_only: bool = False,
        request_timeout: float | None = None,
        broker: int | None = None,
    ) -> dict[ConfigResource, Future[None]]:
        """Change entries of configurations and leave the others as they are.

        Args:
            resources: of what, with ``incremental_configs``.
            validate_only: only check whether they could be changed.
            request_timeout: see the class.
            broker: the id of the broker to ask, instead of the controller.

        Returns:
            By resource.
        """
        operation = core.configs.incremental_alter_configs(
            resources, validate_only=validate_only, broker=broker_id(broker)
        )
        return self._each(resources, operation, request_timeout)

    # Groups and offsets

    def list_consumer_groups(
        self,
        *,
        request_timeout: float | None = None,
        states: set[ConsumerGroupState] | None = None,
        types: set[ConsumerGroupType] | None = None,
    ) -> Future[ListConsumerGroupsResult]:
        """List the consumer groups of all brokers.

        Args:
            request_timeout: see the class.
            states: only groups in these states.
            types: only groups of these types.
        """
        return self._one(core.groups.list_consumer_groups(states, types), request_timeout)

    def list_groups(self, group: str | None = None, timeout: float = -1) -> list[GroupMetadata]:
        """Groups with their members, at once.

        Deprecated: use :meth:`list_consumer_groups` and :meth:`describe_consumer_groups`.

        Args:
            group: only this group.
            timeout: the longest wait in seconds; negative for no limit.

        Raises:
            KafkaException: no broker could be asked in time.
        """
        warnings.warn(
            "list_groups() is deprecated, use list_consumer_groups() and "
            "describe_consumer_groups() instead.",
            category=DeprecationWarning,
            stacklevel=2,
        )
        return self._wait(core.groups.list_groups(group), timeout, "Failed to list groups")

    def describe_consumer_groups(
        self,
        group_ids: list[str],
        *,
        include_authorized_operations: bool = False,
        request_timeout: float | None = None,
    ) -> dict[str, Future[ConsumerGroupDescription]]:
        """Describe consumer groups; one that does not exist is described as dead.

        Args:
            group_ids: which.
            include_authorized_operations: also tell what this client may do with them.
            request_timeout: see the class.

        Returns:
            By id.
        """
        operation = core.groups.describe_consumer_groups(
            group_ids, include_authorized_operations=include_authorized_operations
        )
        return self._each(group_ids, operation, request_timeout)

    def delete_consumer_groups(
        self, group_ids: list[str], *, request_timeout: float | None = None
    ) -> dict[str, Future[None]]:
        """Delete empty groups with their offsets.

        Args:
            group_ids: which.
            request_timeout: see the class.

        Returns:
            By id.
        """
        operation = core.groups.delete_consumer_groups(group_ids)
        return self._each(group_ids, operation, request_timeout)

    def list_consumer_group_offsets(
        self,
        list_consumer_group_offsets_request: list[ConsumerGroupTopicPartitions],
        *,
        require_stable: bool = False,
        request_timeout: float | None = None,
    ) -> dict[str, Future[ConsumerGroupTopicPartitions]]:
        """What a group has committed.

        Args:
            list_consumer_group_offsets_request: one group, with the partitions of interest or None
                for all that it has offsets of.
            require_stable: fail for partitions that an open transaction is about to change.
            request_timeout: see the class.

        Returns:
            By id of the group.
        """
        request = list_consumer_group_offsets_request
        operation = core.group_offsets.list_consumer_group_offsets(
            request, require_stable=require_stable
        )
        return self._each([group.group_id for group in request], operation, request_timeout)

    def alter_consumer_group_offsets(
        self,
        alter_consumer_group_offsets_request: list[ConsumerGroupTopicPartitions],
        *,
        request_timeout: float | None = None,
    ) -> dict[str, Future[ConsumerGroupTopicPartitions]]:
        """Set committed offsets of a group that has no members.

        Args:
            alter_consumer_group_offsets_request: one group, with partitions and offsets.
            request_timeout: see the class.

        Returns:
            By id of the group: the partitions, each with its error if it has one.
        """
        request = alter_consumer_group_offsets_request
        operation = core.group_offsets.alter_consumer_group_offsets(request)
        return self._each([group.group_id for group in request], operation, request_timeout)

    # Records

    def list_offsets(
        self,
        topic_partition_offsets: dict[TopicPartition, OffsetSpec],
        *,
        isolation_level: IsolationLevel = IsolationLevel.READ_UNCOMMITTED,
        request_timeout: float | None = None,
    ) -> dict[TopicPartition, Future[ListOffsetsResultInfo]]:
        """Offsets of partitions: the first, the last, by timestamp.

        Args:
            topic_partition_offsets: which offset of which partition.
            isolation_level: whether records of open transactions count.
            request_timeout: see the class.

        Returns:
            By partition.
        """
        operation = core.offsets.list_offsets(
            topic_partition_offsets,
            isolation_level=isolation_level,
            timeout_ms=self._request_timeout_ms(request_timeout),
        )
        keys = [
            core.offsets.listed_partition(partition, spec)
            for partition, spec in topic_partition_offsets.items()
        ]
        return self._each(keys, operation, request_timeout)

    def delete_records(
        self,
        topic_partition_offsets: list[TopicPartition],
        *,
        operation_timeout: float | None = None,
        request_timeout: float | None = None,
    ) -> dict[TopicPartition, Future[DeletedRecords]]:
        """Delete the records before an offset.

        Args:
            topic_partition_offsets: partitions with the first offset to keep, ``OFFSET_END`` to
                delete all.
            operation_timeout: see the class.
            request_timeout: see the class.

        Returns:
            By partition.
        """
        timeout_ms = self._operation_timeout_ms(operation_timeout)
        operation = core.offsets.delete_records(topic_partition_offsets, timeout_ms=timeout_ms)
        return self._each(topic_partition_offsets, operation, request_timeout)

    def elect_leaders(
        self,
        election_type: ElectionType,
        partitions: list[TopicPartition] | None = None,
        *,
        operation_timeout: float | None = None,
        request_timeout: float | None = None,
    ) -> Future[dict[TopicPartition, KafkaError | None]]:
        """Elect leaders.

        Args:
            election_type: the preferred replicas, or whichever there are.
            partitions: of which partitions; None: of all.
            operation_timeout: see the class.
            request_timeout: see the class.

        Returns:
            By partition: None, or why there was no election.
        """
        timeout_ms = self._operation_timeout_ms(operation_timeout)
        operation = core.partitions.elect_leaders(election_type, partitions, timeout_ms=timeout_ms)
        return self._one(operation, request_timeout)

    # Access

    def create_acls(
        self, acls: list[AclBinding], *, request_timeout: float | None = None
    ) -> dict[AclBinding, Future[None]]:
        """Make access rules.

        Args:
            acls: the rules, each once.
            request_timeout: see the class.

        Returns:
            By rule.
        """
        return self._each(acls, core.acls.create_acls(acls), request_timeout)

    def describe_acls(
        self, acl_binding_filter: AclBindingFilter, *, request_timeout: float | None = None
    ) -> Future[list[AclBinding]]:
        """Find access rules.

        Args:
            acl_binding_filter: which; ``ANY`` and None match everything, the pattern type ``MATCH``
                finds what applies to a resource of this name.
            request_timeout: see the class.
        """
        return self._one(core.acls.describe_acls(acl_binding_filter), request_timeout)

    def delete_acls(
        self, acl_binding_filters: list[AclBindingFilter], *, request_timeout: float | None = None
    ) -> dict[AclBindingFilter, Future[list[AclBinding]]]:
        """Delete access rules.

        Args:
            acl_binding_filters: which, as for :meth:`describe_acls`.
            request_timeout: see the class.

        Returns:
            By filter: the rules deleted.
        """
        operation = core.acls.delete_acls(acl_binding_filters)
        return self._each(acl_binding_filters, operation, request_timeout)

    @overload
    def describe_user_scram_credentials(
        self, users: None = None, *, request_timeout: float | None = None
    ) -> Future[dict[str, UserScramCredentialsDescription]]: ...

    @overload
    def describe_user_scram_credentials(
        self, users: list[str], *, request_timeout: float | None = None
    ) -> dict[str, Future[UserScramCredentialsDescription]]: ...

    def describe_user_scram_credentials(
        self, users: list[str] | None = None, *, request_timeout: float | None = None
    ) -> (
        Future[dict[str, UserScramCredentialsDescription]]
        | dict[str, Future[UserScramCredentialsDescription]]
    ):
        """Describe SCRAM credentials, without their secrets.

        Args:
            users: whose, each once; None: everybody's.
            request_timeout: see the class.

        Returns:
            By user; for everybody one future of all.
        """
        if users is None:
            return self._one(core.scram.describe_all_user_scram_credentials(), request_timeout)
        operation = core.scram.describe_user_scram_credentials(users)
        return self._each(users, operation, request_timeout)

    def alter_user_scram_credentials(
        self,
        alterations: list[UserScramCredentialAlteration],
        *,
        request_timeout: float | None = None,
    ) -> dict[str, Future[None]]:
        """Set and delete SCRAM credentials; passwords do not leave this process.

        Args:
            alterations: the changes, one for each user and mechanism.
            request_timeout: see the class.

        Returns:
            By user.
        """
        from secrets import token_bytes

        operation = core.scram.alter_user_scram_credentials(
            alterations, new_salt=lambda: token_bytes(core.scram.SALT_BYTES)
        )
        users = dict.fromkeys(alteration.user for alteration in alterations)
        return self._each(users, operation, request_timeout)

    def set_sasl_credentials(self, username: str, password: str) -> None:
        """Use other SASL credentials from the next connection on (PLAIN and SCRAM).

        Args:
            username: the user's name.
            password: the password.
        """
        text(username, "username")
        text(password, "password")
        self._check_open()
        self._thread.call(self._thread.engine.set_sasl_credentials, username, password)
