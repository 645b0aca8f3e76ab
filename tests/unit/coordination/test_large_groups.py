"""A thousand members joining at once cost about a thousand times one."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

import pytest

from ottla.coordination.groups import classic
from ottla.coordination.groups.settings import GroupSettings
from ottla.coordination.groups.shard import GroupShard
from ottla.testing.shard_runtime import ShardRuntime


class CountingDict(dict[Any, Any]):
    """Counts the entries that are walked over."""

    walked = 0

    def __iter__(self) -> Any:
        for key in super().__iter__():
            CountingDict.walked += 1
            yield key

    def values(self) -> Any:
        CountingDict.walked += len(self)
        return super().values()


@pytest.fixture
def walked(monkeypatch: pytest.MonkeyPatch) -> type[CountingDict]:
    original = classic.ClassicGroup.__init__

    def counting(self: classic.ClassicGroup, group_id: str) -> None:
        original(self, group_id)
        members: MutableMapping[str, Any] = CountingDict()
        self.members = members

    monkeypatch.setattr(classic.ClassicGroup, "__init__", counting)
    CountingDict.walked = 0
    return CountingDict


@pytest.mark.parametrize("size", [50, 1_000])
def test_the_members_are_walked_over_a_few_times_per_rebalance_not_per_join(
    new_desk: Any, walked: type[CountingDict], size: int
) -> None:
    desk = new_desk(GroupSettings())
    # The desk's own check that deciding changes nothing looks at everything, every time.
    desk.runtime = ShardRuntime(GroupShard, desk._on_reply)
    joins = dict(desk.join_known() for _ in range(size))
    desk.end_join_phase()
    generation_id = desk.group().generation_id
    leader_id = desk.group().leader_id
    waiting = [
        desk.park_sync(member_id, generation_id) for member_id in joins if member_id != leader_id
    ]
    desk.sync(leader_id, generation_id, dict.fromkeys(joins, b"part"))
    assert len(desk.answer(joins[leader_id]).members) == size
    assert {desk.answer(token).assignment for token in waiting} == {b"part"}
    assert walked.walked < 40 * size
