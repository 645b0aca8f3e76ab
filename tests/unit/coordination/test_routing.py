"""Which shard a group belongs to."""

from __future__ import annotations

import pytest

from ottla.coordination.groups.routing import (
    join_offset_fetch,
    partition_for,
    split_by_partition,
    split_offset_fetch,
)
from ottla.wire.api.k09_offset_fetch import (
    FoundGroup,
    GroupToLookUp,
    OffsetFetchRequest,
    OffsetFetchResponse,
)


@pytest.mark.parametrize(
    ("group_id", "java_hash"),
    [
        ("", 0),
        ("a", 97),
        ("test", 3_556_498),
        ("hello", 99_162_322),
        ("polygenelubricants", 0),  # hashes to the least int, whose absolute value Kafka calls 0
        ("zzzzzzz", 215_481_018),
        ("consumer-group", 1_738_392_088),  # of a negative hash
        ("\N{PILE OF POO}", 1_772_556),  # two UTF-16 code units
    ],
)
def test_groups_go_where_javas_hash_sends_them(group_id: str, java_hash: int) -> None:
    for partition_count in (1, 3, 50):
        assert partition_for(group_id, partition_count) == java_hash % partition_count


def test_groups_are_split_by_shard() -> None:
    names = [f"group-{i}" for i in range(100)]
    shares = split_by_partition(names, 7)
    assert sorted(name for share in shares.values() for name in share) == sorted(names)
    for partition, share in shares.items():
        assert {partition_for(name, 7) for name in share} == {partition}


def test_an_offset_fetch_of_one_group_stays_whole() -> None:
    request = OffsetFetchRequest(group_id="a", topics=None)
    assert split_offset_fetch(request, 7, 50) == {97 % 50: request}


def test_an_offset_fetch_of_several_groups_is_split_and_joined() -> None:
    groups = [GroupToLookUp(group_id=name, topics=None) for name in "abc"]
    request = OffsetFetchRequest(groups=groups, require_stable=True)
    shares = split_offset_fetch(request, 8, 2)
    assert {
        partition: [group.group_id for group in share.groups] for partition, share in shares.items()
    } == {0: ["b"], 1: ["a", "c"]}
    assert all(share.require_stable for share in shares.values())
    responses = [
        OffsetFetchResponse(
            groups=[FoundGroup(group_id=group.group_id, topics=[]) for group in share.groups]
        )
        for share in shares.values()
    ]
    joined = join_offset_fetch(responses)
    assert {group.group_id for group in joined.groups} == set("abc")
    assert join_offset_fetch(responses[:1]) is responses[0]
