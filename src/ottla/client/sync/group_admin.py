"""What the sync admin client knows beyond confluent_kafka's of groups, share groups included."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from ottla.client.core import admin as core
from ottla.client.sync.admin_futures import AdminFutures

if TYPE_CHECKING:
    from concurrent.futures import Future

    from ottla.client.admin.clusters import GroupMetadata
    from ottla.client.admin.groups import GroupListing, MemberToRemove
    from ottla.client.admin.share_groups import ShareGroupDescription, SharePartitionOffset
    from ottla.client.admin.streams_groups import StreamsGroupDescription
    from ottla.client.values import ConsumerGroupTopicPartitions, TopicPartition


class GroupAdmin(AdminFutures):
    """Calls about groups that confluent_kafka does not have."""

    def list_all_groups(
        self,
        *,
        states: Collection[str] = (),
        types: Collection[str] = (),
        protocol_types: Collection[str] = (),
        request_timeout: float | None = None,
    ) -> Future[list[GroupListing]]:
        """List groups of every kind.

        Args:
            states: only groups in these states, as the broker names them.
            types: only groups of these types (``consumer``, ``classic``, ``share``, ``streams``).
            protocol_types: only groups of these protocol types.
            request_timeout: the longest time in seconds until the answer.
        """
        operation = core.groups.list_all_groups(states, types, protocol_types)
        return self._one(operation, request_timeout)

    def describe_classic_groups(
        self, group_ids: Collection[str], *, request_timeout: float | None = None
    ) -> dict[str, Future[GroupMetadata]]:
        """Describe groups of the classic protocol, also those of other programs than consumers.

        Args:
            group_ids: which; one that does not exist is described as dead.
            request_timeout: the longest time in seconds until the answer.

        Returns:
            By id; metadata and assignments of members are undecoded bytes.
        """
        operation = core.groups.describe_classic_groups(group_ids)
        return self._each(group_ids, operation, request_timeout)

    def list_group_offsets(
        self,
        groups: Mapping[str, Collection[TopicPartition] | None],
        *,
        require_stable: bool = False,
        request_timeout: float | None = None,
    ) -> dict[str, Future[ConsumerGroupTopicPartitions]]:
        """What any number of groups have committed.

        Args:
            groups: by id the partitions of interest; None: all that the group has offsets of.
            require_stable: fail for partitions that an open transaction is about to change.
            request_timeout: the longest time in seconds until the answer.

        Returns:
            By id.
        """
        operation = core.group_offsets.list_offsets_of_groups(groups, require_stable=require_stable)
        return self._each(groups, operation, request_timeout)

    def remove_group_members(
        self,
        group_id: str,
        members: Collection[MemberToRemove],
        *,
        reason: str | None = None,
        request_timeout: float | None = None,
    ) -> dict[MemberToRemove, Future[None]]:
        """Take members out of a classic group.

        Args:
            group_id: the group.
            members: which.
            reason: what the broker's log shall say (KIP-800).
            request_timeout: the longest time in seconds until the answer.

        Returns:
            By member.
        """
        operation = core.group_members.remove_group_members(group_id, members, reason)
        return self._each(members, operation, request_timeout)

    def delete_consumer_group_offsets(
        self,
        group_id: str,
        partitions: Collection[TopicPartition],
        *,
        request_timeout: float | None = None,
    ) -> dict[TopicPartition, Future[None]]:
        """Delete committed offsets for topics that no member of the group reads.

        Args:
            group_id: the group.
            partitions: of which partitions.
            request_timeout: the longest time in seconds until the answer.

        Returns:
            By partition.
        """
        wanted = list(partitions)
        operation = core.group_offsets.delete_consumer_group_offsets(group_id, wanted)
        return self._each(wanted, operation, request_timeout)

    def describe_share_groups(
        self,
        group_ids: Collection[str],
        *,
        include_authorized_operations: bool = False,
        request_timeout: float | None = None,
    ) -> dict[str, Future[ShareGroupDescription]]:
        """Describe share groups (KIP-932).

        Args:
            group_ids: which.
            include_authorized_operations: also tell what this client may do with them.
            request_timeout: the longest time in seconds until the answer.

        Returns:
            By id.
        """
        operation = core.share_groups.describe_share_groups(
            group_ids, include_authorized_operations=include_authorized_operations
        )
        return self._each(group_ids, operation, request_timeout)

    def list_share_group_offsets(
        self,
        groups: Mapping[str, Collection[TopicPartition] | None],
        *,
        request_timeout: float | None = None,
    ) -> dict[str, Future[dict[TopicPartition, SharePartitionOffset]]]:
        """Where share groups are.

        Args:
            groups: by id the partitions of interest; None: all that the group has begun with.
            request_timeout: the longest time in seconds until the answer.

        Returns:
            By id.
        """
        operation = core.share_groups.list_share_group_offsets(groups)
        return self._each(groups, operation, request_timeout)

    def alter_share_group_offsets(
        self,
        group_id: str,
        offsets: Mapping[TopicPartition, int],
        *,
        request_timeout: float | None = None,
    ) -> dict[TopicPartition, Future[None]]:
        """Move a share group that has no members to other offsets.

        Args:
            group_id: the group.
            offsets: by partition the first offset to deliver.
            request_timeout: the longest time in seconds until the answer.

        Returns:
            By partition.
        """
        operation = core.share_groups.alter_share_group_offsets(group_id, offsets)
        return self._each(offsets, operation, request_timeout)

    def delete_share_group_offsets(
        self, group_id: str, topics: Collection[str], *, request_timeout: float | None = None
    ) -> dict[str, Future[None]]:
        """Make a share group that has no members forget topics.

        Args:
            group_id: the group.
            topics: which.
            request_timeout: the longest time in seconds until the answer.

        Returns:
            By topic.
        """
        operation = core.share_groups.delete_share_group_offsets(group_id, topics)
        return self._each(topics, operation, request_timeout)

    def delete_share_groups(
        self, group_ids: list[str], *, request_timeout: float | None = None
    ) -> dict[str, Future[None]]:
        """Delete share groups that have no members.

        Args:
            group_ids: which.
            request_timeout: the longest time in seconds until the answer.

        Returns:
            By id.
        """
        operation = core.groups.delete_consumer_groups(group_ids)
        return self._each(group_ids, operation, request_timeout)

    def describe_streams_groups(
        self,
        group_ids: Collection[str],
        *,
        include_authorized_operations: bool = False,
        request_timeout: float | None = None,
    ) -> dict[str, Future[StreamsGroupDescription]]:
        """Describe groups of the Streams protocol (KIP-1071).

        Args:
            group_ids: which.
            include_authorized_operations: also tell what this client may do with them.
            request_timeout: the longest time in seconds until the answer.

        Returns:
            By id.
        """
        operation = core.streams_groups.describe_streams_groups(
            group_ids, include_authorized_operations=include_authorized_operations
        )
        return self._each(group_ids, operation, request_timeout)
