"""Members as assignors need them, from what they tell the group's leader, and the other way round.

What a member owned travels in its subscription since KIP-429 and KIP-792. Older clients, and all
that use the eager ``sticky`` assignor (they own nothing while they rejoin), put it into the bytes
that the protocol leaves to the assignor.
"""

from __future__ import annotations

from collections.abc import Iterable

from ottla.client.core.membership.assignors.values import NO_GENERATION, Member, Partition
from ottla.wire.consumer_protocol import ConsumerProtocolSubscription, TopicPartitions
from ottla.wire.declare import Array, Buffer, Int32, Message, at, message
from ottla.wire.errors import Malformed, Truncated


@message(key=None, versions="0-1")
class StickyUserData(Message):
    """What a member of the eager ``sticky`` assignor had, and in which generation."""

    previous_assignment: Array[TopicPartitions]
    generation: Int32 = at("1+", default=NO_GENERATION, ignorable=True)


@message(key=None, versions="0")
class CooperativeUserData(Message):
    """In which generation a member got what its subscription says it owns."""

    generation: Int32


def user_data(assignor: str, owned: Iterable[Partition], generation: int) -> bytes | None:
    """The bytes a member adds to its subscription for an assignor, None if it needs none."""
    if assignor == "sticky":
        return StickyUserData(previous_assignment=by_topic(owned), generation=generation).encode(1)
    if assignor == "cooperative-sticky":
        return CooperativeUserData(generation=generation).encode(0)
    return None


def read_member(
    member_id: str,
    instance_id: str | None,
    subscription: ConsumerProtocolSubscription,
    assignor: str,
) -> Member:
    """A member as an assignor sees it. User data that can't be read count as none."""
    owned = partitions_of(subscription.owned_partitions)
    generation = subscription.generation_id
    if assignor == "sticky":
        owned, generation = _read_sticky(subscription.user_data)
    elif assignor == "cooperative-sticky" and generation == NO_GENERATION:
        generation = _read_cooperative(subscription.user_data)
    return Member(
        member_id,
        frozenset(subscription.topics),
        instance_id,
        subscription.rack_id,
        owned,
        generation,
    )


def _read_sticky(data: Buffer | None) -> tuple[tuple[Partition, ...], int]:
    for version in (1, 0):
        try:
            previous = StickyUserData.decode(data or b"", version)
        except (Truncated, Malformed):
            continue
        return partitions_of(previous.previous_assignment), previous.generation
    return (), NO_GENERATION


def _read_cooperative(data: Buffer | None) -> int:
    try:
        return CooperativeUserData.decode(data or b"", 0).generation
    except (Truncated, Malformed):
        return NO_GENERATION


def partitions_of(topics: Iterable[TopicPartitions]) -> tuple[Partition, ...]:
    """Partitions one by one."""
    return tuple((entry.topic, number) for entry in topics for number in entry.partitions)


def by_topic(partitions: Iterable[Partition]) -> list[TopicPartitions]:
    """Partitions in the form that subscriptions and assignments have them in."""
    topics: dict[str, list[int]] = {}
    for topic, number in sorted(partitions):
        topics.setdefault(topic, []).append(number)
    return [TopicPartitions(topic=topic, partitions=numbers) for topic, numbers in topics.items()]
