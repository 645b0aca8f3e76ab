"""What members tell about what they owned, in all the ways that clients have told it."""

from __future__ import annotations

import struct

import pytest

from ottla.client.core.membership.assignors.subscriptions import (
    StickyUserData,
    by_topic,
    partitions_of,
    read_member,
    user_data,
)
from ottla.client.core.membership.assignors.values import NO_GENERATION, Member, Partition
from ottla.wire.consumer_protocol import ConsumerProtocolSubscription

OWNED: tuple[Partition, ...] = (("t", 0), ("t", 2), ("u", 1))


def subscription(
    data: bytes | None = None,
    *,
    owned: tuple[Partition, ...] = (),
    generation: int = NO_GENERATION,
    rack: str | None = None,
) -> ConsumerProtocolSubscription:
    return ConsumerProtocolSubscription(
        topics=["t", "u"],
        user_data=data,
        owned_partitions=by_topic(owned),
        generation_id=generation,
        rack_id=rack,
    )


def test_partitions_keep_their_topics() -> None:
    assert partitions_of(by_topic(reversed(OWNED))) == OWNED


@pytest.mark.parametrize("assignor", ["range", "roundrobin"])
def test_assignors_without_memory_send_nothing(assignor: str) -> None:
    assert user_data(assignor, OWNED, 3) is None


def test_a_subscription_of_today_says_all_itself() -> None:
    told = subscription(owned=OWNED, generation=4, rack="r")
    for assignor in ("range", "cooperative-sticky"):
        member = read_member("m", "i", told, assignor)
        assert member == Member("m", frozenset({"t", "u"}), "i", "r", OWNED, 4)


def test_sticky_tells_by_its_own_bytes_what_it_gave_up_to_rejoin() -> None:
    data = user_data("sticky", OWNED, 6)
    member = read_member("m", None, subscription(data, generation=9), "sticky")
    assert (member.owned, member.generation) == (OWNED, 6)


def test_sticky_bytes_are_those_of_the_java_client() -> None:
    expected = struct.pack(">i h1s i ii i", 1, 1, b"t", 2, 0, 2, 6)
    assert user_data("sticky", OWNED[:2], 6) == expected


def test_sticky_bytes_of_old_clients_have_no_generation() -> None:
    data = StickyUserData(previous_assignment=by_topic(OWNED)).encode(0)
    member = read_member("m", None, subscription(data), "sticky")
    assert (member.owned, member.generation) == (OWNED, NO_GENERATION)


def test_cooperative_clients_told_their_generation_in_four_bytes() -> None:
    data = user_data("cooperative-sticky", OWNED, 8)
    assert data == b"\0\0\0\x08"
    old = read_member("m", None, subscription(data, owned=OWNED), "cooperative-sticky")
    assert (old.owned, old.generation) == (OWNED, 8)
    new = read_member(
        "m", None, subscription(data, owned=OWNED, generation=9), "cooperative-sticky"
    )
    assert new.generation == 9


@pytest.mark.parametrize("data", [None, b"", b"\0", b"\xff" * 40, b"\x7f\xff\xff\xff", b"junk" * 9])
@pytest.mark.parametrize("assignor", ["sticky", "cooperative-sticky"])
def test_bytes_that_nobody_can_read_count_as_none(assignor: str, data: bytes | None) -> None:
    member = read_member("m", None, subscription(data), assignor)
    assert member.owned == ()
    assert member.topics == {"t", "u"}
