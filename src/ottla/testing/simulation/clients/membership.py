"""What every kind of group member can do for the consumer that uses it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from ottla.testing.simulation.clients.batches import split
from ottla.testing.simulation.clients.link import Link, Refused, Unanswered, is_retriable
from ottla.wire.api.k08_offset_commit import (
    OffsetCommitRequest,
    PartitionToCommit,
    TopicToCommit,
)
from ottla.wire.api.k09_offset_fetch import (
    GroupToLookUp,
    GroupTopicToLookUp,
    OffsetFetchRequest,
)
from ottla.wire.errors import ErrorCode

_COMMIT_VERSION = 9
_FETCH_VERSION = 9


class RebalanceNeeded(Exception):  # noqa: N818 - says what is the case
    """The member's generation is over: it must join again before anything else."""


class Fenced(Exception):  # noqa: N818 - says what happened
    """Another one has taken this one's place: it must not go on."""


class Membership(Protocol):
    """A place in a group. ``epoch`` is the generation, or the member epoch."""

    group: str
    member_id: str
    instance_id: str | None
    epoch: int

    @property
    def identity(self) -> str:
        """What the group knows it by, whoever stands behind it."""
        ...

    async def join(self) -> list[str]:
        """Become a member of the present generation; the partitions it gives.

        Raises:
            Fenced: another has this instance id.
        """
        ...

    async def keep_alive(self) -> None:
        """Send a heartbeat if it is time.

        Raises:
            RebalanceNeeded, Fenced: so the group says.
        """
        ...

    async def leave(self) -> None:
        """Leave for good; never fails."""
        ...


def by_topic(offsets: Mapping[str, Any]) -> dict[str, list[tuple[int, Any]]]:
    """What is known by partition, by topic and number."""
    topics: dict[str, list[tuple[int, Any]]] = {}
    for partition, value in offsets.items():
        topic, index = split(partition)
        topics.setdefault(topic, []).append((index, value))
    return topics


async def commit_offsets(link: Link, member: Membership, offsets: Mapping[str, int]) -> int:
    """Commit as the member; the error code.

    Raises:
        Unanswered: no answer came.
    """
    request = OffsetCommitRequest(
        group_id=member.group,
        generation_id_or_member_epoch=member.epoch,
        member_id=member.member_id,
        group_instance_id=member.instance_id,
        topics=[
            TopicToCommit(
                name=topic,
                partitions=[
                    PartitionToCommit(
                        partition_index=index, committed_offset=offset, committed_metadata=""
                    )
                    for index, offset in partitions
                ],
            )
            for topic, partitions in by_topic(offsets).items()
        ],
    )
    response = await link.ask(request, _COMMIT_VERSION)
    codes = {each.error_code for topic in response.topics for each in topic.partitions}
    return int(max(codes))


async def fetch_offsets(
    link: Link, member: Membership, partitions: Sequence[str]
) -> dict[str, int] | None:
    """What the group has committed, once no transaction is ending; ``None`` to try again.

    Raises:
        Unanswered: no answer came.
        RebalanceNeeded: the member's epoch is over.
        Refused: an error came that no member should get.
    """
    topics = [
        GroupTopicToLookUp(name=topic, partition_indexes=[index for index, _ in found])
        for topic, found in by_topic(dict.fromkeys(partitions)).items()
    ]
    request = OffsetFetchRequest(
        groups=[GroupToLookUp(group_id=member.group, topics=topics)], require_stable=True
    )
    response = await link.ask(request, _FETCH_VERSION)
    group = response.groups[0]
    codes = {group.error_code} | {
        each.error_code for topic in group.topics for each in topic.partitions
    }
    codes.discard(0)
    for code in codes:
        if code in (ErrorCode.STALE_MEMBER_EPOCH, ErrorCode.UNKNOWN_MEMBER_ID):
            raise RebalanceNeeded
        if not is_retriable(code):
            raise Refused("OffsetFetch", code)
    if codes:
        return None
    return {
        f"{topic.name}-{each.partition_index}": each.committed_offset
        for topic in group.topics
        for each in topic.partitions
    }


__all__ = [
    "Fenced",
    "Membership",
    "RebalanceNeeded",
    "Unanswered",
    "by_topic",
    "commit_offsets",
    "fetch_offsets",
]
