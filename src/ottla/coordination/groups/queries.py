"""Questions that change nothing: OffsetFetch and DescribeGroups.

They see what has been decided so far; that it is durable before the answer leaves is the rule of
`Outcome.replies`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING
from uuid import UUID

from ottla.coordination.groups.classic import DEAD, STABLE, ClassicGroup
from ottla.coordination.groups.committed import CommittedOffset
from ottla.coordination.groups.group import Group, Membership
from ottla.coordination.groups.membership import Member
from ottla.wire.api.k09_offset_fetch import (
    FoundGroup,
    FoundGroupPartition,
    FoundGroupTopic,
    FoundPartition,
    FoundTopic,
    GroupToLookUp,
    OffsetFetchRequest,
    OffsetFetchResponse,
)
from ottla.wire.api.k15_describe_groups import DescribedGroup, DescribedGroupMember
from ottla.wire.declare import ZERO_UUID
from ottla.wire.errors import ErrorCode

if TYPE_CHECKING:
    from ottla.coordination.groups.shard import GroupShard

# OffsetFetch asks for several groups from this version on (KIP-709).
_SEVERAL_GROUPS_VERSION = 8
# DescribeGroups calls a missing group by its name from this version on (KIP-1043).
_GROUP_ID_NOT_FOUND_VERSION = 6
# Of a group's id in an error message: with the words around it, a longest id is too long a string.
_SHOWN_CHARACTERS = 1_000

_NOT_COMMITTED = CommittedOffset(
    offset=-1,
    leader_epoch=-1,
    metadata="",
    commit_timestamp_ms=-1,
    expire_timestamp_ms=None,
    topic_id=None,
)


def fetch_offsets(
    shard: GroupShard, request: OffsetFetchRequest, version: int
) -> OffsetFetchResponse:
    """The committed offsets asked for; -1 where there is none, whether or not the group exists."""
    if version >= _SEVERAL_GROUPS_VERSION:
        return OffsetFetchResponse(
            groups=[
                _found_group(shard, group, version, require_stable=request.require_stable)
                for group in request.groups
            ]
        )
    unstable = _unstable(shard, request.group_id, request.require_stable)
    committed = shard.offsets.of_group(request.group_id)
    asked: Iterable[tuple[str, Iterable[int]]]
    if request.topics is None:
        asked = committed.items()
    else:
        asked = ((topic.name, topic.partition_indexes) for topic in request.topics)
    topics = []
    for name, indexes in asked:
        found = committed.get(name, {})
        partitions = []
        for index in indexes:
            is_unstable = (name, index) in unstable
            position = _NOT_COMMITTED if is_unstable else found.get(index, _NOT_COMMITTED)
            partitions.append(
                FoundPartition(
                    partition_index=index,
                    committed_offset=position.offset,
                    committed_leader_epoch=position.leader_epoch,
                    metadata=position.metadata,
                    error_code=_stability(is_unstable),
                )
            )
        topics.append(FoundTopic(name=name, partitions=partitions))
    return OffsetFetchResponse(topics=topics)


def _unstable(shard: GroupShard, group_id: str, require_stable: bool) -> frozenset[tuple[str, int]]:
    """The positions that can't be told, because a transaction may change them yet (KIP-447)."""
    return frozenset(shard.pending_offsets.of_group(group_id) if require_stable else ())


def _stability(is_unstable: bool) -> ErrorCode:
    return ErrorCode.UNSTABLE_OFFSET_COMMIT if is_unstable else ErrorCode.NONE


def _found_group(
    shard: GroupShard, asked: GroupToLookUp, version: int, *, require_stable: bool
) -> FoundGroup:
    error = _check_fetch(shard, asked, version)
    if error is not ErrorCode.NONE:
        return FoundGroup(group_id=asked.group_id, topics=[], error_code=error)
    unstable = _unstable(shard, asked.group_id, require_stable)
    committed = shard.offsets.of_group(asked.group_id)
    if asked.topics is None:
        topics = [
            _found_topic(name, _topic_id(partitions), partitions, partitions, unstable)
            for name, partitions in committed.items()
        ]
    else:
        topics = [
            _found_topic(
                topic.name,
                topic.topic_id,
                topic.partition_indexes,
                committed.get(topic.name, {}),
                unstable,
            )
            for topic in asked.topics
        ]
    return FoundGroup(group_id=asked.group_id, topics=topics)


def _check_fetch(shard: GroupShard, asked: GroupToLookUp, version: int) -> ErrorCode:
    """``NONE``, or why a consumer must not go on from what it would read (KIP-848)."""
    if asked.member_id is None and asked.member_epoch < 0:
        return ErrorCode.NONE
    group = shard.groups.get(asked.group_id)
    if group is None:
        return ErrorCode.NONE
    return group.check_fetch(Membership(asked.member_id or "", asked.member_epoch, version=version))


def _topic_id(partitions: Mapping[int, CommittedOffset]) -> UUID:
    ids = (committed.topic_id for committed in partitions.values())
    return next((topic_id for topic_id in ids if topic_id is not None), ZERO_UUID)


def _found_topic(
    name: str,
    topic_id: UUID,
    indexes: Iterable[int],
    committed: Mapping[int, CommittedOffset],
    unstable: frozenset[tuple[str, int]],
) -> FoundGroupTopic:
    partitions = []
    for index in indexes:
        is_unstable = (name, index) in unstable
        position = _NOT_COMMITTED if is_unstable else committed.get(index, _NOT_COMMITTED)
        if topic_id.int and position.topic_id is not None and position.topic_id != topic_id:
            # Committed for an earlier topic of the same name.
            position = _NOT_COMMITTED
        partitions.append(
            FoundGroupPartition(
                partition_index=index,
                committed_offset=position.offset,
                committed_leader_epoch=position.leader_epoch,
                metadata=position.metadata,
                error_code=_stability(is_unstable),
            )
        )
    return FoundGroupTopic(name=name, topic_id=topic_id, partitions=partitions)


def describe(group: Group | None, group_id: str, version: int) -> DescribedGroup:
    """One group; metadata of its members only while it is Stable, as Kafka has it.

    Groups of other kinds have a request of their own, and here don't exist.
    """
    if not isinstance(group, ClassicGroup):
        is_error = version >= _GROUP_ID_NOT_FOUND_VERSION
        return DescribedGroup(
            error_code=ErrorCode.GROUP_ID_NOT_FOUND if is_error else ErrorCode.NONE,
            error_message=f"Group {group_id[:_SHOWN_CHARACTERS]} not found." if is_error else None,
            group_id=group_id,
            group_state=DEAD.value,
            protocol_type="",
            protocol_data="",
            members=[],
        )
    protocol_name = group.protocol_name if group.state is STABLE else None
    return DescribedGroup(
        error_code=ErrorCode.NONE,
        group_id=group_id,
        group_state=group.state.value,
        protocol_type=group.protocol_type or "",
        protocol_data=protocol_name or "",
        members=[_describe_member(member, protocol_name) for member in group.members.values()],
    )


def _describe_member(member: Member, protocol_name: str | None) -> DescribedGroupMember:
    return DescribedGroupMember(
        member_id=member.member_id,
        group_instance_id=member.group_instance_id,
        client_id=member.client_id,
        client_host=member.client_host,
        member_metadata=b"" if protocol_name is None else member.metadata(protocol_name),
        member_assignment=member.assignment,
    )
