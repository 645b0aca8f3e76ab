"""Whatever is asked in whatever order: no exception, one answer each, every answer encodable.

OTTLA_GROUPS_SEED=17 pytest tests/simulation/test_groups_hostile_requests.py
"""

from __future__ import annotations

import os
import random
import uuid
from typing import Any

import pytest

from ottla.coordination.groups import commands
from ottla.coordination.groups.classic import ClassicGroup
from ottla.coordination.groups.consumer.group import ConsumerGroup
from ottla.coordination.groups.settings import GroupSettings
from ottla.coordination.groups.shard import GroupShard
from ottla.coordination.outcome import CoordinatorRecord, Reply
from ottla.testing.shard_runtime import LoggedRecord, ShardRuntime
from ottla.testing.simulated_topics import SimulatedTopics
from ottla.wire.api.k08_offset_commit import OffsetCommitRequest, PartitionToCommit, TopicToCommit
from ottla.wire.api.k09_offset_fetch import (
    GroupToLookUp,
    GroupTopicToLookUp,
    OffsetFetchRequest,
    TopicToLookUp,
)
from ottla.wire.api.k11_join_group import JoinGroupRequest, JoinProtocol
from ottla.wire.api.k12_heartbeat import HeartbeatRequest
from ottla.wire.api.k13_leave_group import LeaveGroupRequest, LeavingMember
from ottla.wire.api.k14_sync_group import MemberAssignment, SyncGroupRequest
from ottla.wire.api.k15_describe_groups import DescribeGroupsRequest
from ottla.wire.api.k16_list_groups import ListGroupsRequest
from ottla.wire.api.k42_delete_groups import DeleteGroupsRequest
from ottla.wire.api.k47_offset_delete import OffsetDeleteRequest, PartitionToForget, TopicToForget
from ottla.wire.api.k68_consumer_group_heartbeat import ConsumerGroupHeartbeatRequest, OwnedTopic
from ottla.wire.api.k69_consumer_group_describe import ConsumerGroupDescribeRequest
from ottla.wire.consumer_protocol import ConsumerProtocolSubscription, encode_subscription

SEEDS = range(150)
STEPS = 80
SETTINGS = GroupSettings(
    min_session_timeout_ms=1,
    max_group_members=4,
    max_pending_members_per_group=3,
    max_groups_per_shard=3,
    offset_metadata_max_bytes=4,
    offsets_retention_ms=50_000,
    offsets_retention_check_interval_ms=20_000,
    max_batch_bytes=2_000,
)
NUMBERS = [-(2**31), -1, 0, 1, 2, 7, 10_000, 2**31 - 1]
LONG = "x" * (2**15 - 1)
NAMES = ["", "a", "\N{PILE OF POO}", LONG, "\N{PILE OF POO}" * 8_000]


SUBSCRIPTION = encode_subscription(ConsumerProtocolSubscription(topics=["t"]))


class Stranger:
    """Asks for anything, preferably for what nearly makes sense."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.asked: dict[object, int] = {}
        topics = SimulatedTopics({"t": 3, "u": 2})
        self.runtime = ShardRuntime(
            lambda: GroupShard(SETTINGS, lambda: topics.image), self._on_reply
        )
        self.ids = ["", "stranger"]

    def _on_reply(self, reply: Reply) -> None:
        version = self.asked.pop(reply.token)
        response: Any = reply.response
        assert isinstance(response.encode(version), bytes)
        if isinstance(member_id := getattr(response, "member_id", None), str):
            self.ids.append(member_id)

    def pick(self, *choices: Any) -> Any:
        return self.random.choice(choices)

    def some(self, make: Any) -> list[Any]:
        return [make() for _ in range(self.pick(0, 1, 1, 2, 3))]

    @property
    def member_id(self) -> str:
        name: str = self.random.choice(self.ids[-12:])
        return name

    @property
    def instance_id(self) -> str | None:
        name: str | None = self.pick(*[None] * 9, *["i1", "i2"] * 2, "", LONG)
        return name

    @property
    def group_id(self) -> str:
        name: str = self.pick(*["g"] * 9, "h", "h", "new", "", LONG)
        return name

    @property
    def generation_id(self) -> int:
        group = self.runtime.shard.groups.get("g")  # type: ignore[attr-defined]
        known = 1
        if isinstance(group, ClassicGroup):
            known = group.generation_id
        elif isinstance(group, ConsumerGroup):
            epochs = [member.epoch for member in group.members.values()]
            known = self.random.choice([group.epoch, *epochs])
        number: int = self.pick(*NUMBERS, *[known] * 12)
        return number

    def protocol(self) -> JoinProtocol:
        bad = [b"", b"\0\0\0\0\0\1\0\1t", b"\xff", b"\0\3\0\0\0\1"]
        metadata = self.pick(*bad, *[SUBSCRIPTION] * 12)
        return JoinProtocol(name=self.pick(*["range"] * 9, "sticky", "", LONG), metadata=metadata)

    def join(self) -> commands.Command:
        version = self.pick(0, 3, 4, 5, 6, 7, 9)
        request = JoinGroupRequest(
            group_id=self.group_id,
            session_timeout_ms=self.pick(*NUMBERS, 10_000, 10_000, 10_000),
            rebalance_timeout_ms=self.pick(*NUMBERS, 10_000),
            member_id=self.member_id,
            group_instance_id=self.instance_id,
            protocol_type=self.pick(*["consumer"] * 9, "connect", "", LONG),
            protocols=self.some(self.protocol),
        )
        context = commands.ClientContext(self.pick(*NAMES), "/h")
        unique_id = f"{self.random.getrandbits(32):x}"
        return commands.JoinGroup(object(), request, version, context, unique_id)

    def consume(self) -> commands.Command:
        epoch = self.pick(0, 0, 0, 0, -1, -2, *[self.generation_id] * 6)
        is_join = epoch == 0 and self.random.random() < 0.9
        owned = self.some(
            lambda: OwnedTopic(
                topic_id=uuid.UUID(int=self.pick(0, 1, 2, 9)),
                partitions=self.some(lambda: self.pick(*NUMBERS, 0, 1, 2)),
            )
        )
        request = ConsumerGroupHeartbeatRequest(
            group_id=self.group_id,
            member_id=self.member_id,
            member_epoch=epoch,
            instance_id=self.instance_id,
            rack_id=self.pick(*[None] * 24, "r", ""),
            rebalance_timeout_ms=1_000 if is_join else self.pick(*NUMBERS, 1_000),
            subscribed_topic_names=["t"] if is_join else self.pick(None, [], ["t", "u"], NAMES),
            subscribed_topic_regex=self.pick(*[None] * 24, "", "t|u", "t.*", "(", LONG, "a\0b"),
            server_assignor=self.pick(*[None] * 24, "range", "uniform", "", LONG),
            topic_partitions=[] if is_join else self.pick(None, [], owned),
        )
        context = commands.ClientContext(self.pick(*NAMES), "/h")
        unique_id = f"{self.random.getrandbits(32):x}"
        return commands.ConsumerGroupHeartbeat(
            object(), request, self.pick(0, 1, 1), context, unique_id
        )

    def describe_consumers(self) -> commands.Command:
        request = ConsumerGroupDescribeRequest(
            group_ids=self.some(lambda: self.group_id), include_authorized_operations=False
        )
        return commands.ConsumerGroupDescribe(object(), request, self.pick(0, 1))

    def sync(self) -> commands.Command:
        request = SyncGroupRequest(
            group_id=self.group_id,
            generation_id=self.generation_id,
            member_id=self.member_id,
            group_instance_id=self.instance_id,
            protocol_type=self.pick(None, None, "consumer", "?"),
            protocol_name=self.pick(None, None, "range", "?"),
            assignments=self.some(
                lambda: MemberAssignment(
                    member_id=self.member_id, assignment=bytes(self.pick(0, 1, 3_000))
                )
            ),
        )
        return commands.SyncGroup(object(), request, self.pick(0, 4, 5))

    def heartbeat(self) -> commands.Command:
        request = HeartbeatRequest(
            group_id=self.group_id,
            generation_id=self.generation_id,
            member_id=self.member_id,
            group_instance_id=self.instance_id,
        )
        return commands.Heartbeat(object(), request, self.pick(0, 3, 4))

    def leave(self) -> commands.Command:
        request = LeaveGroupRequest(
            group_id=self.group_id,
            member_id=self.member_id,
            members=self.some(
                lambda: LeavingMember(member_id=self.member_id, group_instance_id=self.instance_id)
            ),
        )
        return commands.LeaveGroup(object(), request, self.pick(0, 2, 3, 5))

    def commit(self) -> commands.Command:
        def partition() -> PartitionToCommit:
            return PartitionToCommit(
                partition_index=self.pick(*NUMBERS),
                committed_offset=self.pick(*NUMBERS, 2**63 - 1),
                committed_leader_epoch=self.pick(*NUMBERS),
                committed_metadata=self.pick(None, "", "mark", "too long"),
            )

        def topic() -> TopicToCommit:
            return TopicToCommit(
                name=self.pick("t", "t", *NAMES),
                topic_id=uuid.UUID(int=self.pick(0, 1, 2)),
                partitions=self.some(partition),
            )

        request = OffsetCommitRequest(
            group_id=self.group_id,
            generation_id_or_member_epoch=self.generation_id,
            member_id=self.member_id,
            group_instance_id=self.instance_id,
            retention_time_ms=self.pick(-1, -1, 0, -5, 2**62, 2**63 - 1),
            topics=self.some(topic),
        )
        return commands.OffsetCommit(object(), request, self.pick(2, 5, 8, 9, 10))

    def fetch(self) -> commands.Command:
        indexes = self.some(lambda: self.pick(*NUMBERS))
        one = self.pick(None, [TopicToLookUp(name="t", partition_indexes=indexes)])
        found = GroupTopicToLookUp(
            name=self.pick("t", *NAMES),
            topic_id=uuid.UUID(int=self.pick(0, 1)),
            partition_indexes=indexes,
        )
        version = self.pick(1, 2, 7, 8, 9, 10)
        if version < 8:
            request = OffsetFetchRequest(group_id=self.group_id, topics=one)
        else:
            groups = self.some(
                lambda: GroupToLookUp(
                    group_id=self.group_id,
                    member_id=self.pick(None, self.member_id),
                    member_epoch=self.generation_id,
                    topics=self.pick(None, [found]),
                )
            )
            request = OffsetFetchRequest(groups=groups)
        return commands.OffsetFetch(object(), request, version)

    def delete_offsets(self) -> commands.Command:
        def topic() -> TopicToForget:
            indexes = [self.pick(*NUMBERS) for _ in range(2)]
            partitions = [PartitionToForget(partition_index=index) for index in indexes]
            return TopicToForget(name=self.pick("t", *NAMES), partitions=partitions)

        request = OffsetDeleteRequest(group_id=self.group_id, topics=self.some(topic))
        return commands.OffsetDelete(object(), request, 0)

    def describe(self) -> commands.Command:
        request = DescribeGroupsRequest(groups=self.some(lambda: self.group_id))
        return commands.DescribeGroups(object(), request, self.pick(0, 4, 5, 6))

    def list_groups(self) -> commands.Command:
        states = self.some(lambda: self.pick("Stable", "", "?"))
        return commands.ListGroups(object(), ListGroupsRequest(states_filter=states), 4)

    def delete_groups(self) -> commands.Command:
        request = DeleteGroupsRequest(groups_names=self.some(lambda: self.group_id))
        return commands.DeleteGroups(object(), request, self.pick(0, 2))

    def forget_topics(self) -> commands.Command:
        return commands.TopicsDeleted(frozenset(self.some(lambda: self.pick(*NAMES, "t"))))

    def ask(self) -> None:
        make = self.pick(
            *[self.join] * 8,
            *[self.sync] * 5,
            *[self.commit] * 3,
            *[self.consume] * 8,
            self.describe_consumers,
            *[self.heartbeat] * 2,
            self.leave,
            self.fetch,
            self.delete_offsets,
            self.describe,
            self.list_groups,
            self.delete_groups,
            self.forget_topics,
        )
        command = make()
        if command.token is not None:
            self.asked[command.token] = command.version
        self.runtime.submit(command)

    def parked(self) -> set[object]:
        shard = self.runtime.shard
        assert isinstance(shard, GroupShard)
        return {
            parked.token
            for group in shard.groups.values()
            if isinstance(group, ClassicGroup)
            for member in group.members.values()
            for parked in (member.parked_join, member.parked_sync)
            if parked is not None
        }


@pytest.mark.parametrize("block", range(3))
def test_no_request_breaks_the_shard(block: int) -> None:
    chosen = os.environ.get("OTTLA_GROUPS_SEED")
    seeds = [int(chosen)] if chosen else SEEDS[block::3]
    for seed in seeds:
        stranger = Stranger(seed)
        try:
            for _ in range(STEPS):
                stranger.ask()
                assert set(stranger.asked) == stranger.parked()
                if stranger.random.random() < 0.3:
                    stranger.runtime.advance_to(
                        stranger.runtime.now_ms + stranger.pick(1, 3_000, 10_000)
                    )
                    assert set(stranger.asked) == stranger.parked()
                if stranger.random.random() < 0.02:
                    stranger.asked.clear()
                    stranger.runtime.crash()
        except Exception as error:
            error.add_note(f"OTTLA_GROUPS_SEED={seed}")
            raise


def damage(record: CoordinatorRecord, chance: random.Random) -> CoordinatorRecord:
    key, value = bytearray(record.key), bytearray(record.value or b"")
    for part in (key, value):
        for _ in range(chance.choice([0, 0, 1, 1, 3])):
            if part:
                part[chance.randrange(len(part))] = chance.choice([0, 1, 0x7F, 0xFF])
        if part and chance.random() < 0.1:
            del part[chance.randrange(len(part)) :]
    return CoordinatorRecord(bytes(key), None if record.value is None else bytes(value))


@pytest.mark.parametrize("seed", range(20))
def test_no_record_breaks_the_shard(seed: int) -> None:
    stranger = Stranger(seed)
    runtime = stranger.runtime
    for _ in range(300):
        stranger.ask()
        runtime.advance_to(runtime.now_ms + 500)
    chance = random.Random(seed)
    runtime.entries[:] = [LoggedRecord(damage(each, chance), None) for each in runtime.log]
    stranger.asked.clear()
    runtime.crash()
    for _ in range(300):
        stranger.ask()
        assert set(stranger.asked) == stranger.parked()
        runtime.advance_to(runtime.now_ms + 500)
