"""A desk in front of one group shard that holds consumer groups."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import pytest

from ottla.coordination.groups import commands
from ottla.coordination.groups.consumer import heartbeat
from ottla.coordination.groups.consumer.group import ConsumerGroup
from ottla.coordination.groups.settings import GroupSettings
from ottla.coordination.groups.shard import GroupShard
from ottla.coordination.outcome import Outcome
from ottla.testing.consumer_member import ConsumerMember, Partition
from ottla.testing.shard_runtime import ShardDesk
from ottla.testing.simulated_topics import SimulatedTopics
from ottla.wire.api.k68_consumer_group_heartbeat import (
    ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse,
)
from ottla.wire.api.k69_consumer_group_describe import (
    ConsumerGroupDescribeRequest,
    DescribedConsumerGroup,
)
from ottla.wire.errors import ErrorCode

GROUP = "orders"
CLIENT = commands.ClientContext("client", "/10.0.0.7")
VOLATILE = {"topics_seen", "matched_topics", "matched_ms", "called"}


def state_of(shard: GroupShard, *, durable_only: bool = False) -> dict[str, Any]:
    """Everything the consumer groups of a shard hold, comparable."""
    left_out = VOLATILE if durable_only else set()
    return {
        group_id: {
            name: dict(value) if hasattr(value := getattr(group, name), "keys") else value
            for name in ConsumerGroup.__slots__
            if name not in left_out
        }
        for group_id, group in shard.groups.items()
        if isinstance(group, ConsumerGroup)
    }


class WatchedShard(GroupShard):
    """A shard that makes sure of its contract: deciding changes nothing."""

    def decide(self, command: commands.Command, now_ms: int) -> Outcome:
        before = state_of(self)
        outcome = super().decide(command, now_ms)
        with patch.object(heartbeat, "changes_nothing", return_value=False):
            assert repr(super().decide(command, now_ms)) == repr(outcome), "the short way"
        assert state_of(self) == before, f"deciding {command} changed the shard"
        return outcome

    def on_timer(self, key: Any, now_ms: int) -> Outcome:
        before = state_of(self)
        outcome = super().on_timer(key, now_ms)
        assert state_of(self) == before, f"timer {key} changed the shard"
        return outcome


class ConsumerDesk(ShardDesk):
    """One shard, its runtime and the topics of the cluster."""

    def __init__(self, settings: GroupSettings | None = None, **topics: int) -> None:
        self.topics = SimulatedTopics(topics or {"t": 6})
        super().__init__(lambda: WatchedShard(settings, lambda: self.topics.image))
        # Before 1970 there were no groups: a timestamp of 0 means that there is none.
        self.runtime.now_ms = 1_000_000
        self._tokens = 0

    @property
    def shard(self) -> GroupShard:
        shard = self.runtime.shard
        assert isinstance(shard, GroupShard)
        return shard

    def group(self, group_id: str = GROUP) -> ConsumerGroup:
        group = self.shard.groups[group_id]
        assert isinstance(group, ConsumerGroup)
        return group

    def submit(self, kind: type[Any], request: Any, version: int, *context: object) -> Any:
        """The answer to a command, which must not be parked."""
        self._tokens += 1
        self.runtime.submit(kind(self._tokens, request, version, *context))
        self.check_replay()
        return self.answers[self._tokens]

    def ask(
        self, request: ConsumerGroupHeartbeatRequest, version: int = 1
    ) -> ConsumerGroupHeartbeatResponse:
        unique_id = f"made-{self._tokens}"
        answer: ConsumerGroupHeartbeatResponse = self.submit(
            commands.ConsumerGroupHeartbeat, request, version, CLIENT, unique_id
        )
        return answer

    def member(self, member_id: str, *topics: str, **fields: Any) -> ConsumerMember:
        """A client that hasn't joined yet; it subscribes to "t" unless told otherwise."""
        if "regex" not in fields:
            fields["topics"] = list(topics or ("t",))
        return ConsumerMember(GROUP, member_id, **fields)

    def beat(self, *members: ConsumerMember, version: int = 1) -> ErrorCode:
        """Each member's heartbeat in turn; what the last one heard."""
        for member in members:
            member.receive(self.ask(member.request(), version))
        return members[-1].last_error

    def beat_together(self, *members: ConsumerMember) -> list[Outcome]:
        """Heartbeats that arrive at the same moment; what they led to."""
        heartbeats = self.heartbeats(*members)
        outcomes = self.runtime.submit_together(heartbeats)
        self.check_replay()
        for sent, member in zip(heartbeats, members, strict=True):
            member.receive(self.answers[sent.token])
        return outcomes

    def heartbeats(self, *members: ConsumerMember) -> list[commands.ConsumerGroupHeartbeat]:
        """What the members send next."""
        first = self._tokens + 1
        self._tokens += len(members)
        return [
            commands.ConsumerGroupHeartbeat(token, member.request(), 1, CLIENT, "")
            for token, member in enumerate(members, first)
        ]

    def settle(self, *members: ConsumerMember) -> None:
        """Lets time pass and everybody do as told until the group is Stable."""
        for _ in range(10):
            self.wait(1_000)
            self.beat(*members)
            for member in members:
                member.finish_revoking()
            if self.group().state == "Stable" and all(
                member.owned == self.assigned(member) for member in members
            ):
                return
        raise AssertionError(f"{self.group().state}: {state_of(self.shard)}")

    def assigned(self, member: ConsumerMember) -> set[Partition]:
        """What the coordinator believes the member owns."""
        known = self.group().members[member.member_id]
        return {(topic, index) for topic, found in known.assigned.items() for index in found}

    def partition(self, index: int, topic: str = "t") -> Partition:
        return self.topics.topic_id(topic), index

    def describe(self, group_id: str = GROUP) -> DescribedConsumerGroup:
        request = ConsumerGroupDescribeRequest(
            group_ids=[group_id], include_authorized_operations=False
        )
        answer = self.submit(commands.ConsumerGroupDescribe, request, 1)
        group: DescribedConsumerGroup = answer.groups[0]
        return group

    def check_replay(self) -> None:
        """The log alone leads to the state the shard is in."""
        fresh = GroupShard()
        for record in self.runtime.log:
            assert fresh.replay(record) is None
        live = state_of(self.shard, durable_only=True)
        assert state_of(fresh, durable_only=True) == live
        kinds = {group_id: group.TYPE for group_id, group in self.shard.groups.items()}
        for group_id, group in fresh.groups.items():
            assert kinds.get(group_id) is group.TYPE


@pytest.fixture
def desk() -> ConsumerDesk:
    """A shard with Kafka's default settings and a topic "t" of 6 partitions."""
    return ConsumerDesk()


@pytest.fixture(scope="session")
def new_desk() -> type[ConsumerDesk]:
    return ConsumerDesk
