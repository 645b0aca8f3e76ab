"""Requests about very many groups: refused beyond a bound, and others have their turn meanwhile."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from ottla.broker.api import k09_offset_fetch, k16_list_groups
from ottla.broker.dispatch import Dispatcher
from ottla.broker.group_descriptions import describe
from ottla.wire.api.k09_offset_fetch import OffsetFetchRequest, TopicToLookUp
from ottla.wire.api.k15_describe_groups import DescribeGroupsRequest
from ottla.wire.api.k16_list_groups import ListGroupsRequest
from ottla.wire.api.k37_create_partitions import CreatePartitionsRequest, TopicToGrow
from ottla.wire.errors import ErrorCode, ProtocolError
from ottla.wire.frames import encode_request


class Groups:
    """A coordinator of four shards that answers at once, and notes how much it was asked."""

    partition_count = 4

    def __init__(self) -> None:
        self.asked: list[int] = []

    async def ensure_topic(self) -> None:
        """It is there."""

    async def submit_to_each(self, commands: dict[int, Any]) -> list[Any]:
        shares = [make(None) for make in commands.values()]
        self.asked.append(sum(map(len, shares)))
        return [
            SimpleNamespace(groups=[SimpleNamespace(group_id=each, error_code=0) for each in share])
            for share in shares
        ]


def test_describing_many_groups_leaves_others_their_turn() -> None:
    async def story() -> None:
        groups: Any = Groups()
        turns = 0

        async def count_turns() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += 1

        counting = asyncio.ensure_future(count_turns())
        await asyncio.sleep(0)
        ids = [str(number) for number in range(10_000)]
        found = await describe(
            groups, [*ids, *ids], lambda share, _: share, include_authorized_operations=True
        )
        counting.cancel()
        assert list(found) != []
        assert found.keys() == set(ids)
        assert sum(groups.asked) == len(ids), "each once, however often it was named"
        assert max(groups.asked) <= 1_000
        assert turns >= 9

    asyncio.run(story())


NEW_PARTITIONS = TopicToGrow(name="t", count=2, assignments=None)


def frame_of(request: Any, version: int) -> memoryview:
    return memoryview(encode_request(request, version, correlation_id=1, client_id=None))[4:]


@pytest.mark.parametrize(
    ("request_", "version"),
    [
        (DescribeGroupsRequest(groups=["g"] * (2**16 + 1)), 5),
        (
            CreatePartitionsRequest(
                topics=[NEW_PARTITIONS] * (2**17 + 1), timeout_ms=1, validate_only=False
            ),
            3,
        ),
    ],
)
def test_a_request_about_more_than_anybody_has_is_refused(request_: Any, version: int) -> None:
    session: Any = SimpleNamespace(repeated_produces=None, known_header=None)
    broker: Any = SimpleNamespace()
    with pytest.raises(ProtocolError):
        Dispatcher(broker).execute(session, frame_of(request_, version))


def test_offsets_of_more_partitions_than_anybody_has_are_refused() -> None:
    async def story() -> None:
        topic = TopicToLookUp(name="t", partition_indexes=list(range(2**17 + 1)))
        request = OffsetFetchRequest(group_id="g", topics=[topic])
        context: Any = SimpleNamespace(version=7)
        response = await k09_offset_fetch.handle(context, request)
        assert response.error_code == ErrorCode.INVALID_REQUEST

    asyncio.run(story())


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ([], []),
        (["Stable ", "EMPTY"], ["empty", "stable"]),
        ([*map(str, range(1_000)), "Empty"], ["empty"]),
        (["nonsense", "more of it"], ["more of it"]),
    ],
)
def test_shards_are_told_only_what_a_group_can_match(asked: list[str], told: list[str]) -> None:
    seen: list[Any] = []

    class Shards(Groups):
        async def submit_to_each(self, commands: dict[int, Any]) -> list[Any]:
            seen.extend(make(None).request for make in commands.values())
            return []

    context: Any = SimpleNamespace(broker=SimpleNamespace(groups=Shards()), version=4)
    asyncio.run(k16_list_groups.handle(context, ListGroupsRequest(states_filter=asked)))
    assert [request.states_filter for request in seen] == [told] * 4
