"""Offsets of a group: requests that commit and look them up, and what the answers mean."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import NamedTuple

from ottla.client.core.consuming.partition import Key, Stored
from ottla.client.core.membership.membership import GroupMetadata
from ottla.client.errors import KafkaError
from ottla.client.values import OFFSET_INVALID
from ottla.wire.api.k08_offset_commit import (
    OffsetCommitRequest,
    OffsetCommitResponse,
    PartitionToCommit,
    TopicToCommit,
)
from ottla.wire.api.k09_offset_fetch import (
    FoundGroupPartition,
    FoundPartition,
    GroupToLookUp,
    GroupTopicToLookUp,
    OffsetFetchRequest,
    OffsetFetchResponse,
    TopicToLookUp,
)
from ottla.wire.errors import ErrorCode

# Newer versions speak of topics by id, which is no use to somebody who commits by name.
NEWEST_VERSION = 9
# The first version of OffsetFetch that asks for groups, and the first that can ask for stable
# offsets.
_GROUPS_VERSION = 8


class Retry(Enum):
    """What to do about an error of a group's coordinator."""

    NO = "it stays an error"
    LATER = "ask again after a while"
    ELSEWHERE = "find the coordinator again, then ask it"


_LATER = frozenset(
    {
        ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
        ErrorCode.REQUEST_TIMED_OUT,
        ErrorCode.UNSTABLE_OFFSET_COMMIT,
    }
)
_ELSEWHERE = frozenset(
    {KafkaError._WAIT_COORD, ErrorCode.COORDINATOR_NOT_AVAILABLE, ErrorCode.NOT_COORDINATOR}
)
# Errors of OffsetCommit that tell the membership that it is not what it was.
MEMBERSHIP_ERRORS = frozenset(
    {
        ErrorCode.ILLEGAL_GENERATION,
        ErrorCode.UNKNOWN_MEMBER_ID,
        ErrorCode.REBALANCE_IN_PROGRESS,
        ErrorCode.FENCED_INSTANCE_ID,
        ErrorCode.FENCED_MEMBER_EPOCH,
        ErrorCode.STALE_MEMBER_EPOCH,
    }
)


def retry(error_code: int) -> Retry:
    """What to do about an error of OffsetCommit or OffsetFetch."""
    if error_code in _ELSEWHERE:
        return Retry.ELSEWHERE
    return Retry.LATER if error_code in _LATER else Retry.NO


class Outcome(NamedTuple):
    """What became of one partition's offset."""

    offset: int
    error: KafkaError | None = None
    leader_epoch: int = -1
    metadata: str | None = None


# Committing


def commit_request(
    group: GroupMetadata, offsets: Mapping[Key, Stored]
) -> Callable[[int], OffsetCommitRequest]:
    """What makes the request to commit these offsets, for the version that is spoken."""
    topics: dict[str, list[PartitionToCommit]] = {}
    for (topic, number), stored in offsets.items():
        topics.setdefault(topic, []).append(
            PartitionToCommit(
                partition_index=number,
                committed_offset=stored.offset,
                committed_leader_epoch=stored.leader_epoch,
                committed_metadata=stored.metadata or "",
            )
        )

    def request(version: int) -> OffsetCommitRequest:
        # Static members are known since version 7.
        instance_id = group.group_instance_id if version >= 7 else None
        return OffsetCommitRequest(
            group_id=group.group_id,
            generation_id_or_member_epoch=group.generation_id,
            member_id=group.member_id,
            group_instance_id=instance_id,
            topics=[TopicToCommit(name=name, partitions=parts) for name, parts in topics.items()],
        )

    return request


def commit_error_codes(response: OffsetCommitResponse) -> dict[Key, int]:
    """The error code of every partition in an answer."""
    return {
        (topic.name, partition.partition_index): partition.error_code
        for topic in response.topics
        for partition in topic.partitions
    }


def overall_error(outcomes: Iterable[Outcome]) -> KafkaError | None:
    """The error of a commit as a whole: it failed if it failed for every partition."""
    errors = [outcome.error for outcome in outcomes]
    if not errors or None in errors:
        return None
    return errors[-1]


# Looking up


def lookup_request(
    group: GroupMetadata, keys: Iterable[Key], *, require_stable: bool
) -> Callable[[int], OffsetFetchRequest]:
    """What makes the request to look up committed offsets, for the version that is spoken."""
    topics: dict[str, list[int]] = {}
    for topic, number in keys:
        topics.setdefault(topic, []).append(number)

    def request(version: int) -> OffsetFetchRequest:
        if version < _GROUPS_VERSION:
            return OffsetFetchRequest(
                group_id=group.group_id,
                topics=[TopicToLookUp(name=n, partition_indexes=p) for n, p in topics.items()],
                require_stable=require_stable and version == _GROUPS_VERSION - 1,
            )
        return OffsetFetchRequest(
            groups=[
                GroupToLookUp(
                    group_id=group.group_id,
                    topics=[
                        GroupTopicToLookUp(name=n, partition_indexes=p) for n, p in topics.items()
                    ],
                )
            ],
            require_stable=require_stable,
        )

    return request


def looked_up(response: OffsetFetchResponse, keys: Iterable[Key]) -> tuple[int, dict[Key, Outcome]]:
    """The error code of an answer as a whole, and the offset of every partition.

    A partition without a committed offset has ``OFFSET_INVALID``.
    """
    found: dict[Key, Outcome] = {}
    error_code = response.error_code
    for topic in response.topics:
        for partition in topic.partitions:
            found[topic.name, partition.partition_index] = _outcome(partition)
    for group in response.groups[:1]:
        error_code = group.error_code
        for group_topic in group.topics:
            for group_partition in group_topic.partitions:
                key = (group_topic.name, group_partition.partition_index)
                found[key] = _outcome(group_partition)
    return error_code, {key: found.get(key, Outcome(OFFSET_INVALID)) for key in keys}


def _outcome(found: FoundPartition | FoundGroupPartition) -> Outcome:
    if found.error_code != ErrorCode.NONE:
        return Outcome(OFFSET_INVALID, KafkaError(found.error_code))
    if found.committed_offset < 0:
        return Outcome(OFFSET_INVALID)
    return Outcome(
        found.committed_offset, None, found.committed_leader_epoch, found.metadata or None
    )
