"""Classic groups that become consumer groups with members in them, and the other way round."""

from __future__ import annotations

from typing import Any

import pytest

from ottla.coordination.groups import commands
from ottla.coordination.groups.classic import ClassicGroup
from ottla.coordination.groups.consumer.group import ConsumerGroup
from ottla.coordination.groups.settings import GroupSettings
from ottla.wire.api.k11_join_group import JoinGroupRequest, JoinGroupResponse, JoinProtocol
from ottla.wire.api.k12_heartbeat import HeartbeatRequest
from ottla.wire.api.k13_leave_group import LeaveGroupRequest, LeavingMember
from ottla.wire.api.k14_sync_group import MemberAssignment, SyncGroupRequest
from ottla.wire.consumer_protocol import (
    ConsumerProtocolAssignment,
    ConsumerProtocolSubscription,
    TopicPartitions,
    decode_assignment,
    encode_assignment,
    encode_subscription,
)
from ottla.wire.errors import ErrorCode

GROUP = "orders"


class ClassicClient:
    """A consumer of the classic protocol with one (cooperative) assignor."""

    def __init__(self, desk: Any, instance_id: str | None = None, **fields: Any) -> None:
        self.desk = desk
        self.instance_id = instance_id
        self.member_id = ""
        self.generation_id = -1
        self.owned: set[int] = set()
        self.fields = fields

    def join_request(self) -> JoinGroupRequest:
        owned = [TopicPartitions(topic="t", partitions=sorted(self.owned))] if self.owned else []
        metadata = encode_subscription(
            ConsumerProtocolSubscription(topics=["t"], owned_partitions=owned)
        )
        values: dict[str, Any] = {
            "protocol_type": "consumer",
            "session_timeout_ms": 10_000,
            "rebalance_timeout_ms": 20_000,
        }
        return JoinGroupRequest(
            group_id=GROUP,
            member_id=self.member_id,
            group_instance_id=self.instance_id,
            protocols=[JoinProtocol(name="cooperative-sticky", metadata=metadata)],
            **values | self.fields,
        )

    def join(self) -> JoinGroupResponse:
        answer: JoinGroupResponse = self._ask(commands.JoinGroup, self.join_request(), 9)
        self.member_id = answer.member_id
        if answer.error_code == ErrorCode.MEMBER_ID_REQUIRED:
            return self.join()
        if not answer.error_code:
            self.generation_id = answer.generation_id
        return answer

    def _ask(self, kind: type[Any], request: Any, version: int) -> Any:
        context = (commands.ClientContext("c", "/h"), "id") if kind is commands.JoinGroup else ()
        return self.desk.submit(kind, request, version, *context)

    def sync(self) -> ErrorCode:
        request = SyncGroupRequest(
            group_id=GROUP,
            member_id=self.member_id,
            group_instance_id=self.instance_id,
            generation_id=self.generation_id,
            protocol_type="consumer",
            protocol_name="cooperative-sticky",
            assignments=[],
        )
        answer = self._ask(commands.SyncGroup, request, 5)
        if not answer.error_code:
            found = decode_assignment(answer.assignment).assigned_partitions
            self.owned = {index for topic in found for index in topic.partitions}
        return ErrorCode(answer.error_code)

    def heartbeat(self) -> ErrorCode:
        request = HeartbeatRequest(
            group_id=GROUP,
            member_id=self.member_id,
            group_instance_id=self.instance_id,
            generation_id=self.generation_id,
        )
        return ErrorCode(self._ask(commands.Heartbeat, request, 4).error_code)

    def follow(self) -> None:
        """One heartbeat, and what it calls for."""
        if self.heartbeat() is ErrorCode.REBALANCE_IN_PROGRESS:
            assert self.join().error_code == ErrorCode.NONE
            assert self.sync() in (ErrorCode.NONE, ErrorCode.REBALANCE_IN_PROGRESS)

    def leave(self) -> ErrorCode:
        member = LeavingMember(member_id=self.member_id, group_instance_id=self.instance_id)
        request = LeaveGroupRequest(group_id=GROUP, members=[member])
        return ErrorCode(self._ask(commands.LeaveGroup, request, 5).members[0].error_code)


def start_classic_group(desk: Any, client: ClassicClient) -> None:
    """The client alone in a Stable classic group, owning the whole topic."""
    request = client.join_request()
    context = commands.ClientContext("c", "/h")
    desk.runtime.submit(commands.JoinGroup("j0", request, 9, context, "id"))
    if client.instance_id is None:
        client.member_id = desk.answers["j0"].member_id
        request = client.join_request()
        desk.runtime.submit(commands.JoinGroup("j1", request, 9, context, "id"))
    desk.wait(3_000)
    answer = desk.answers["j0" if client.instance_id is not None else "j1"]
    client.member_id, client.generation_id = answer.member_id, answer.generation_id
    everything = encode_assignment(
        ConsumerProtocolAssignment(
            assigned_partitions=[TopicPartitions(topic="t", partitions=list(range(6)))]
        )
    )
    sync = SyncGroupRequest(
        group_id=GROUP,
        member_id=client.member_id,
        group_instance_id=client.instance_id,
        generation_id=client.generation_id,
        assignments=[MemberAssignment(member_id=client.member_id, assignment=everything)],
    )
    desk.runtime.submit(commands.SyncGroup("s", sync, 5))
    assert desk.answers["s"].error_code == ErrorCode.NONE
    client.owned = set(range(6))


def settle(desk: Any, classic: list[ClassicClient], consumers: list[Any]) -> None:
    for _ in range(12):
        desk.wait(1_000)
        for client in classic:
            client.follow()
        for member in consumers:
            desk.beat(member)
            member.finish_revoking()
    owned = [index for client in classic for index in client.owned]
    owned += [index for member in consumers for _, index in member.owned]
    assert sorted(owned) == list(range(6))


def mixed_group(desk: Any) -> tuple[ClassicClient, Any]:
    client = ClassicClient(desk)
    start_classic_group(desk, client)
    member = desk.member("m1")
    assert desk.beat(member) is ErrorCode.NONE
    settle(desk, [client], [member])
    return client, member


def test_a_consumer_joins_a_classic_group_and_takes_half(desk: Any) -> None:
    client, member = mixed_group(desk)
    group = desk.group()
    assert isinstance(group, ConsumerGroup)
    assert len(client.owned) == len(member.owned) == 3
    kinds = {each.member_id: each.member_type for each in desk.describe().members}
    assert kinds == {client.member_id: 0, "m1": 1}
    assert group.state == "Stable"


def test_members_do_not_stop_consuming_while_their_group_is_upgraded(desk: Any) -> None:
    client = ClassicClient(desk)
    start_classic_group(desk, client)
    desk.beat(desk.member("m1"))
    known = desk.group().members[client.member_id]
    assert {index for found in known.assigned.values() for index in found} == set(range(6))
    assert known.epoch == client.generation_id
    assert client.heartbeat() is ErrorCode.REBALANCE_IN_PROGRESS


def test_a_classic_client_joins_a_consumer_group(desk: Any) -> None:
    member = desk.member("m1")
    desk.beat(member)
    client = ClassicClient(desk)
    assert client.join().error_code == ErrorCode.NONE
    client.sync()
    settle(desk, [client], [member])
    assert len(client.owned) == 3


def test_the_group_is_downgraded_when_its_last_consumer_leaves(desk: Any) -> None:
    client, member = mixed_group(desk)
    desk.ask(member.leave())
    group = desk.shard.groups[GROUP]
    assert isinstance(group, ClassicGroup)
    assert list(group.members) == [client.member_id]
    desk.restart()
    assert isinstance(desk.shard.groups[GROUP], ClassicGroup)
    desk.check_replay()


def test_the_group_is_downgraded_when_its_last_consumer_goes_silent(desk: Any) -> None:
    client, _ = mixed_group(desk)
    for _ in range(10):
        desk.wait(5_000)
        if isinstance(desk.shard.groups[GROUP], ConsumerGroup):
            client.follow()
    assert isinstance(desk.shard.groups[GROUP], ClassicGroup)


def test_a_static_consumer_replaced_by_a_classic_one_downgrades_without_a_rebalance(
    desk: Any,
) -> None:
    member = desk.member("m1", instance_id="i1")
    desk.beat(member)
    client = ClassicClient(desk, instance_id="i1")
    answer = client.join()
    assert answer.error_code == ErrorCode.NONE
    group = desk.shard.groups[GROUP]
    assert isinstance(group, ClassicGroup)
    assert group.state.value == "Stable"
    assert client.sync() is ErrorCode.NONE
    assert client.owned == set(range(6))
    assert client.heartbeat() is ErrorCode.NONE


def test_a_static_classic_member_replaced_by_a_consumer_keeps_its_partitions(desk: Any) -> None:
    client = ClassicClient(desk, instance_id="i1")
    start_classic_group(desk, client)
    member = desk.member("m1", instance_id="i1")
    assert desk.beat(member) is ErrorCode.NONE
    assert len(member.owned) == 6
    assert list(desk.group().members) == ["m1"]


def test_a_classic_member_that_leaves_leaves_the_rest_to_the_consumers(desk: Any) -> None:
    client, member = mixed_group(desk)
    assert client.leave() is ErrorCode.NONE
    settle(desk, [], [member])
    assert client.heartbeat() is ErrorCode.UNKNOWN_MEMBER_ID


def test_a_classic_member_that_does_not_come_when_called_is_expelled(desk: Any) -> None:
    client, member = mixed_group(desk)
    second = desk.member("m2")
    desk.beat(second)
    for _ in range(7):
        client.heartbeat()
        desk.wait(3_000)
        desk.beat(member, second)
    assert client.member_id not in desk.group().members


def test_a_classic_member_is_expelled_with_its_own_session(desk: Any) -> None:
    _, member = mixed_group(desk)
    desk.wait(11_000)
    assert list(desk.group().members) == [member.member_id]


def test_wrong_generations_and_strangers_are_refused(desk: Any) -> None:
    client, member = mixed_group(desk)
    client.generation_id += 1
    assert client.heartbeat() is ErrorCode.ILLEGAL_GENERATION
    assert client.sync() is ErrorCode.ILLEGAL_GENERATION
    client.member_id = "stranger"
    assert client.heartbeat() is ErrorCode.UNKNOWN_MEMBER_ID
    client.member_id = member.member_id
    assert client.heartbeat() is ErrorCode.UNKNOWN_MEMBER_ID
    other = ClassicClient(desk, protocol_type="connect")
    assert other.join().error_code == ErrorCode.INCONSISTENT_GROUP_PROTOCOL


@pytest.mark.parametrize("policy", ["disabled", "downgrade"])
def test_upgrades_that_the_policy_forbids(new_desk: Any, policy: str) -> None:
    desk = new_desk(GroupSettings(consumer_migration_policy=policy))
    start_classic_group(desk, ClassicClient(desk))
    assert desk.beat(desk.member("m1")) is ErrorCode.GROUP_ID_NOT_FOUND
    assert isinstance(desk.shard.groups[GROUP], ClassicGroup)


def test_a_downgrade_that_the_policy_forbids(new_desk: Any) -> None:
    desk = new_desk(GroupSettings(consumer_migration_policy="upgrade"))
    client, member = mixed_group(desk)
    desk.ask(member.leave())
    settle(desk, [client], [])
    assert isinstance(desk.shard.groups[GROUP], ConsumerGroup)


def test_a_group_of_other_clients_is_not_upgraded(desk: Any) -> None:
    start_classic_group(desk, ClassicClient(desk, protocol_type="connect"))
    assert desk.beat(desk.member("m1")) is ErrorCode.GROUP_ID_NOT_FOUND


def test_empty_groups_become_what_the_next_member_wants(desk: Any) -> None:
    client = ClassicClient(desk)
    start_classic_group(desk, client)
    client.leave()
    member = desk.member("m1")
    desk.beat(member)
    assert isinstance(desk.shard.groups[GROUP], ConsumerGroup)
    desk.ask(member.leave())
    desk.runtime.submit(
        commands.JoinGroup(
            "again", ClassicClient(desk).join_request(), 3, commands.ClientContext("c", "/h"), "x"
        )
    )
    assert isinstance(desk.shard.groups[GROUP], ClassicGroup)
