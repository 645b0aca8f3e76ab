"""What the asyncio admin client knows of groups, share groups included."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from ottla.client.aio.admin_calls import AdminCalls
from ottla.client.core import admin as core

if TYPE_CHECKING:
    from ottla.client.admin.clusters import GroupMetadata
    from ottla.client.admin.groups import GroupListing, MemberToRemove
    from ottla.client.admin.share_groups import ShareGroupDescription, SharePartitionOffset
    from ottla.client.admin.streams_groups import StreamsGroupDescription
    from ottla.client.values import ConsumerGroupTopicPartitions, TopicPartition


class GroupAdmin(AdminCalls):
    """Calls about groups that confluent_kafka does not have."""

    async def list_all_groups(
        self,
        *,
        states: Collection[str] = (),
        types: Collection[str] = (),
        protocol_types: Collection[str] = (),
        request_timeout: float | None = None,
    ) -> list[GroupListing]:
        """List groups of every kind; see :meth:`ottla.AdminClient.list_all_groups`."""
        operation = core.groups.list_all_groups(states, types, protocol_types)
        return await self._one(operation, request_timeout)

    async def describe_classic_groups(
        self, group_ids: Collection[str], *, request_timeout: float | None = None
    ) -> dict[str, GroupMetadata]:
        """Describe groups of the classic protocol, also those of other programs than consumers.

        See :meth:`ottla.AdminClient.describe_classic_groups`.
        """
        operation = core.groups.describe_classic_groups(group_ids)
        return await self._each(operation, request_timeout)

    async def list_group_offsets(
        self,
        groups: Mapping[str, Collection[TopicPartition] | None],
        *,
        require_stable: bool = False,
        request_timeout: float | None = None,
    ) -> dict[str, ConsumerGroupTopicPartitions]:
        """What any number of groups have committed.

        See :meth:`ottla.AdminClient.list_group_offsets`.
        """
        operation = core.group_offsets.list_offsets_of_groups(groups, require_stable=require_stable)
        return await self._each(operation, request_timeout)

    async def remove_group_members(
        self,
        group_id: str,
        members: Collection[MemberToRemove],
        *,
        reason: str | None = None,
        request_timeout: float | None = None,
    ) -> dict[MemberToRemove, None]:
        """Take members out of a classic group.

        See :meth:`ottla.AdminClient.remove_group_members`.
        """
        operation = core.group_members.remove_group_members(group_id, members, reason)
        return await self._each(operation, request_timeout)

    async def delete_consumer_group_offsets(
        self,
        group_id: str,
        partitions: Collection[TopicPartition],
        *,
        request_timeout: float | None = None,
    ) -> dict[TopicPartition, None]:
        """Delete committed offsets for topics that no member of the group reads.

        See :meth:`ottla.AdminClient.delete_consumer_group_offsets`.
        """
        wanted = list(partitions)
        operation = core.group_offsets.delete_consumer_group_offsets(group_id, wanted)
        return await self._each(operation, request_timeout)

    async def describe_share_groups(
        self,
        group_ids: Collection[str],
        *,
        include_authorized_operations: bool = False,
        request_timeout: float | None = None,
    ) -> dict[str, ShareGroupDescription]:
        """Describe share groups (KIP-932); see :meth:`ottla.AdminClient.describe_share_groups`."""
        operation = core.share_groups.describe_share_groups(
            group_ids, include_authorized_operations=include_authorized_operations
        )
        return await self._each(operation, request_timeout)

    async def list_share_group_offsets(
        self,
        groups: Mapping[str, Collection[TopicPartition] | None],
        *,
        request_timeout: float | None = None,
    ) -> dict[str, dict[TopicPartition, SharePartitionOffset]]:
        """Where share groups are; see :meth:`ottla.AdminClient.list_share_group_offsets`."""
        operation = core.share_groups.list_share_group_offsets(groups)
        return await self._each(operation, request_timeout)

    async def alter_share_group_offsets(
        self,
        group_id: str,
        offsets: Mapping[TopicPartition, int],
        *,
        request_timeout: float | None = None,
    ) -> dict[TopicPartition, None]:
        """Move a share group that has no members to other offsets.

        See :meth:`ottla.AdminClient.alter_share_group_offsets`.
        """
        operation = core.share_groups.alter_share_group_offsets(group_id, offsets)
        return await self._each(operation, request_timeout)

    async def delete_share_group_offsets(
        self, group_id: str, topics: Collection[str], *, request_timeout: float | None = None
    ) -> dict[str, None]:
        """Make a share group that has no members forget topics.

        See :meth:`ottla.AdminClient.delete_share_group_offsets`.
        """
        operation = core.share_groups.delete_share_group_offsets(group_id, topics)
        return await self._each(operation, request_timeout)

    async def delete_share_groups(
        self, group_ids: list[str], *, request_timeout: float | None = None
    ) -> dict[str, None]:
        """Delete share groups that have no members.

        See :meth:`ottla.AdminClient.delete_share_groups`.
        """
        operation = core.groups.delete_consumer_groups(group_ids)
        return await self._each(operation, request_timeout)

    async def describe_streams_groups(
        self,
        group_ids: Collection[str],
        *,
        include_authorized_operations: bool = False,
        request_timeout: float | None = None,
    ) -> dict[str, StreamsGroupDescription]:
        """Describe groups of the Streams protocol (KIP-1071).

        See :meth:`ottla.AdminClient.describe_streams_groups`.
        """
        operation = core.streams_groups.describe_streams_groups(
            group_ids, include_authorized_operations=include_authorized_operations
        )
        return await self._each(operation, request_timeout)
