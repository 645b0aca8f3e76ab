"""A desk in front of one group shard: ask in Python's terms, see Kafka's answers."""

from __future__ import annotations

from typing import Any

import pytest

from ottla.coordination.groups import commands
from ottla.coordination.groups.classic import PREPARING_REBALANCE, ClassicGroup
from ottla.coordination.groups.settings import GroupSettings
from ottla.coordination.groups.shard import GroupShard
from ottla.coordination.outcome import CoordinatorRecord, Outcome
from ottla.testing.shard_runtime import ShardDesk
from ottla.wire.api.k08_offset_commit import (
    OffsetCommitRequest,
    OffsetCommitResponse,
    PartitionToCommit,
    TopicToCommit,
)
from ottla.wire.api.k09_offset_fetch import (
    GroupToLookUp,
    GroupTopicToLookUp,
    OffsetFetchRequest,
    OffsetFetchResponse,
    TopicToLookUp,
)
from ottla.wire.api.k11_join_group import JoinGroupRequest, JoinGroupResponse, JoinProtocol
from ottla.wire.api.k12_heartbeat import HeartbeatRequest
from ottla.wire.api.k13_leave_group import LeaveGroupRequest, LeaveGroupResponse, LeavingMember
from ottla.wire.api.k14_sync_group import MemberAssignment, SyncGroupRequest, SyncGroupResponse
from ottla.wire.api.k15_describe_groups import DescribedGroup, DescribeGroupsRequest
from ottla.wire.api.k16_list_groups import ListedGroup, ListGroupsRequest
from ottla.wire.api.k42_delete_groups import DeleteGroupsRequest
from ottla.wire.api.k47_offset_delete import (
    OffsetDeleteRequest,
    OffsetDeleteResponse,
    PartitionToForget,
    TopicToForget,
)
from ottla.wire.consumer_protocol import ConsumerProtocolSubscription, encode_subscription
from ottla.wire.errors import ErrorCode

GROUP = "orders"
SETTINGS = GroupSettings(initial_rebalance_delay_ms=3_000)


def subscription(*topics: str) -> bytes:
    """A consumer's JoinGroup metadata."""
    return encode_subscription(ConsumerProtocolSubscription(topics=list(topics)))


def state_of(shard: GroupShard) -> object:
    """Everything a shard holds, comparable."""
    groups = {
        group_id: {
            name: dict(value) if hasattr(value := getattr(group, name), "keys") else value
            for name in ClassicGroup.__slots__
        }
        for group_id, group in shard.groups.items()
    }
    offsets = {
        group_id: list(shard.offsets.positions(group_id)) for group_id in shard.offsets.group_ids()
    }
    return groups, offsets


class WatchedShard(GroupShard):
    """A shard that makes sure of its contract: deciding changes nothing."""

    def decide(self, command: commands.Command, now_ms: int) -> Outcome:
        before = state_of(self)
        outcome = super().decide(command, now_ms)
        assert state_of(self) == before, f"deciding {command} changed the shard"
        return outcome

    def on_timer(self, key: Any, now_ms: int) -> Outcome:
        before = state_of(self)
        outcome = super().on_timer(key, now_ms)
        assert state_of(self) == before, f"timer {key} changed the shard"
        return outcome


class Desk(ShardDesk):
    """One shard and its runtime. What is parked is answered later: see `answer`."""

    def __init__(
        self, settings: GroupSettings = SETTINGS, *, flushes_at_once: bool = True, now_ms: int = 0
    ) -> None:
        super().__init__(
            lambda: WatchedShard(settings), now_ms=now_ms, flushes_at_once=flushes_at_once
        )
        self._tokens = 0

    @property
    def shard(self) -> GroupShard:
        shard = self.runtime.shard
        assert isinstance(shard, GroupShard)
        return shard

    @property
    def log(self) -> list[CoordinatorRecord]:
        return self.runtime.log

    def group(self, group_id: str = GROUP) -> ClassicGroup:
        group = self.shard.groups[group_id]
        assert isinstance(group, ClassicGroup)
        return group

    def state(self, group_id: str = GROUP) -> str:
        return self.group(group_id).state.value

    def end_join_phase(self, group_id: str = GROUP) -> None:
        """Lets time pass until the timers have ended the join phase."""
        while self.group(group_id).state is PREPARING_REBALANCE:
            deadline_ms = self.runtime.next_deadline_ms()
            assert deadline_ms is not None
            self.runtime.advance_to(deadline_ms)

    def answer(self, token: object) -> Any:
        """What a parked request was answered with in the end."""
        return self.answers[token]

    def is_parked(self, token: object) -> bool:
        return token not in self.answers

    def _token(self) -> int:
        self._tokens += 1
        return self._tokens

    def park(self, kind: Any, request: Any, version: int) -> int:
        """Sends a request; the token to ask for its answer with."""
        token = self._token()
        self.runtime.submit(kind(token, request, version))
        return token

    def ask(self, kind: Any, request: Any, version: int) -> Any:
        """Sends a request that is answered at once."""
        return self.answer(self.park(kind, request, version))

    def park_join(self, member_id: str = "", **fields: Any) -> int:
        """Sends a JoinGroup; the token to ask for its answer with."""
        version = fields.pop("version", 9)
        client_id = fields.pop("client_id", "client")
        protocols = fields.pop("protocols", {"range": subscription("t")})
        request = JoinGroupRequest(
            group_id=fields.pop("group_id", GROUP),
            session_timeout_ms=fields.pop("session_timeout_ms", 10_000),
            rebalance_timeout_ms=fields.pop("rebalance_timeout_ms", 60_000),
            member_id=member_id,
            group_instance_id=fields.pop("instance_id", None),
            protocol_type=fields.pop("protocol_type", "consumer"),
            protocols=[
                JoinProtocol(name=name, metadata=metadata) for name, metadata in protocols.items()
            ],
        )
        assert not fields, fields
        token = self._token()
        context = commands.ClientContext(client_id, "/127.0.0.1")
        self.runtime.submit(
            commands.JoinGroup(token, request, version, context, f"{token:08x}-uuid")
        )
        return token

    def join(self, member_id: str = "", **fields: Any) -> JoinGroupResponse:
        """Sends a JoinGroup that is answered at once."""
        answer: JoinGroupResponse = self.answer(self.park_join(member_id, **fields))
        return answer

    def join_known(self, **fields: Any) -> tuple[str, int]:
        """Gets a member id and joins with it: (member id, token of the parked JoinGroup)."""
        required = self.join(**fields)
        assert required.error_code == ErrorCode.MEMBER_ID_REQUIRED
        return required.member_id, self.park_join(required.member_id, **fields)

    def park_sync(
        self,
        member_id: str,
        generation_id: int,
        assignments: dict[str, bytes] | None = None,
        **fields: Any,
    ) -> int:
        request = SyncGroupRequest(
            group_id=fields.pop("group_id", GROUP),
            generation_id=generation_id,
            member_id=member_id,
            group_instance_id=fields.pop("instance_id", None),
            protocol_type=fields.pop("protocol_type", None),
            protocol_name=fields.pop("protocol_name", None),
            assignments=[
                MemberAssignment(member_id=name, assignment=assignment)
                for name, assignment in (assignments or {}).items()
            ],
        )
        assert not fields, fields
        token = self._token()
        self.runtime.submit(commands.SyncGroup(token, request, 5))
        return token

    def sync(
        self,
        member_id: str,
        generation_id: int,
        assignments: dict[str, bytes] | None = None,
        **fields: Any,
    ) -> SyncGroupResponse:
        token = self.park_sync(member_id, generation_id, assignments, **fields)
        answer: SyncGroupResponse = self.answer(token)
        return answer

    def heartbeat(
        self,
        member_id: str,
        generation_id: int,
        *,
        group_id: str = GROUP,
        instance_id: str | None = None,
    ) -> ErrorCode:
        request = HeartbeatRequest(
            group_id=group_id,
            generation_id=generation_id,
            member_id=member_id,
            group_instance_id=instance_id,
        )
        return ErrorCode(self.ask(commands.Heartbeat, request, 4).error_code)

    def leave(
        self,
        *members: str | tuple[str, str | None],
        group_id: str = GROUP,
        version: int = 5,
    ) -> LeaveGroupResponse:
        """Members by id, or by (id, instance id)."""
        pairs = [(who, None) if isinstance(who, str) else who for who in members]
        if version < 3:
            request = LeaveGroupRequest(group_id=group_id, member_id=pairs[0][0])
        else:
            request = LeaveGroupRequest(
                group_id=group_id,
                members=[
                    LeavingMember(member_id=member_id, group_instance_id=instance_id)
                    for member_id, instance_id in pairs
                ],
            )
        answer: LeaveGroupResponse = self.ask(commands.LeaveGroup, request, version)
        return answer

    def commit_all(self, request: OffsetCommitRequest, version: int = 9) -> OffsetCommitResponse:
        answer: OffsetCommitResponse = self.ask(commands.OffsetCommit, request, version)
        return answer

    def commit(
        self,
        offset: int,
        member_id: str = "",
        generation_id: int = -1,
        *,
        topic: str = "t",
        partition: int = 0,
        group_id: str = GROUP,
        metadata: str | None = None,
        version: int = 9,
        instance_id: str | None = None,
        **fields: Any,
    ) -> ErrorCode:
        """Commits one offset."""
        topic_fields = {"topic_id": fields.pop("topic_id")} if "topic_id" in fields else {}
        request = OffsetCommitRequest(
            group_id=group_id,
            generation_id_or_member_epoch=generation_id,
            member_id=member_id,
            group_instance_id=instance_id,
            topics=[
                TopicToCommit(
                    name=topic,
                    partitions=[
                        PartitionToCommit(
                            partition_index=partition,
                            committed_offset=offset,
                            committed_leader_epoch=fields.pop("leader_epoch", -1),
                            committed_metadata=metadata,
                        )
                    ],
                    **topic_fields,
                )
            ],
            **fields,
        )
        answer = self.commit_all(request, version)
        return ErrorCode(answer.topics[0].partitions[0].error_code)

    def fetch(self, topic: str = "t", partition: int = 0, group_id: str = GROUP) -> int:
        """The committed offset, -1 if there is none."""
        request = OffsetFetchRequest(
            group_id=group_id, topics=[TopicToLookUp(name=topic, partition_indexes=[partition])]
        )
        answer: OffsetFetchResponse = self.ask(commands.OffsetFetch, request, 7)
        return answer.topics[0].partitions[0].committed_offset

    def fetch_groups(
        self, asked: dict[str, dict[str, list[int]] | None], version: int = 9
    ) -> OffsetFetchResponse:
        request = OffsetFetchRequest(
            groups=[
                GroupToLookUp(
                    group_id=group_id,
                    topics=None
                    if topics is None
                    else [
                        GroupTopicToLookUp(name=name, partition_indexes=indexes)
                        for name, indexes in topics.items()
                    ],
                )
                for group_id, topics in asked.items()
            ],
            require_stable=True,
        )
        answer: OffsetFetchResponse = self.ask(commands.OffsetFetch, request, version)
        return answer

    def delete_offset(
        self, topic: str = "t", partition: int = 0, group_id: str = GROUP
    ) -> OffsetDeleteResponse:
        request = OffsetDeleteRequest(
            group_id=group_id,
            topics=[
                TopicToForget(name=topic, partitions=[PartitionToForget(partition_index=partition)])
            ],
        )
        answer: OffsetDeleteResponse = self.ask(commands.OffsetDelete, request, 0)
        return answer

    def delete_groups(self, *group_ids: str) -> dict[str, ErrorCode]:
        request = DeleteGroupsRequest(groups_names=list(group_ids))
        answer = self.ask(commands.DeleteGroups, request, 2)
        return {result.group_id: ErrorCode(result.error_code) for result in answer.results}

    def describe(self, group_id: str = GROUP, version: int = 6) -> DescribedGroup:
        request = DescribeGroupsRequest(groups=[group_id])
        answer: DescribedGroup = self.ask(commands.DescribeGroups, request, version).groups[0]
        return answer

    def list_groups(
        self, states: tuple[str, ...] = (), types: tuple[str, ...] = ()
    ) -> list[ListedGroup]:
        request = ListGroupsRequest(states_filter=list(states), types_filter=list(types))
        answer: list[ListedGroup] = self.ask(commands.ListGroups, request, 5).groups
        return answer

    def stable_group(self, size: int = 1, **fields: Any) -> list[str]:
        """A group in its first generation, Stable; the leader's id first."""
        joins = [self.join_known(**fields) for _ in range(size)]
        group_id = fields.get("group_id", GROUP)
        self.end_join_phase(group_id)
        return self.finish_sync([member_id for member_id, _ in joins], group_id=group_id)

    def finish_sync(self, member_ids: list[str], **fields: Any) -> list[str]:
        """Lets everybody sync; member i is assigned b"a<i>". The leader's id comes first."""
        group = self.group(fields.get("group_id", GROUP))
        generation_id = group.generation_id
        leader_id = group.leader_id
        assert leader_id is not None
        assignments = {name: b"a%d" % i for i, name in enumerate(member_ids)}
        followers = [name for name in member_ids if name != leader_id]
        parked = [self.park_sync(name, generation_id, **fields) for name in followers]
        answer = self.sync(leader_id, generation_id, assignments, **fields)
        assert answer.error_code == ErrorCode.NONE
        assert all(self.answer(token).error_code == ErrorCode.NONE for token in parked)
        return [leader_id, *followers]


@pytest.fixture
def desk() -> Desk:
    """A shard with Kafka's default settings that starts at time 0."""
    return Desk()


@pytest.fixture(scope="session")
def new_desk() -> type[Desk]:
    """For a shard with settings of the test's own."""
    return Desk
