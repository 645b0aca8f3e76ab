"""A member of a classic group: JoinGroup, SyncGroup, Heartbeat, LeaveGroup."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ottla.testing.simulation.clients.link import Link, Unanswered, is_retriable
from ottla.testing.simulation.clients.membership import Fenced, RebalanceNeeded
from ottla.testing.simulation.world import Client
from ottla.wire.api.k11_join_group import JoinGroupRequest, JoinProtocol
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

SESSION_TIMEOUT_MS = 1_500
_REBALANCE_TIMEOUT_MS = 1_500
_HEARTBEAT_INTERVAL_S = 0.4
_JOIN_TIMEOUT_S = 6.0
_PROTOCOL = "range"
_JOIN_VERSION = 9
_SYNC_VERSION = 5
_HEARTBEAT_VERSION = 4
_LEAVE_VERSION = 5
_REJOIN = (ErrorCode.REBALANCE_IN_PROGRESS, ErrorCode.ILLEGAL_GENERATION)


class ClassicMember:
    """See ``Membership``; the leader deals the partitions out in turn."""

    def __init__(
        self, client: Client, group: str, partitions: Sequence[str], instance_id: str | None
    ) -> None:
        self.client = client
        self.group = group
        self.instance_id = instance_id
        self.member_id = ""
        self.epoch = -1
        self._partitions = partitions
        # A parked JoinGroup stops its connection.
        self._link = Link(client, timeout_s=_JOIN_TIMEOUT_S)
        self._next_heartbeat_s = 0.0

    @property
    def identity(self) -> str:
        return self.instance_id or self.member_id

    async def join(self) -> list[str]:
        while True:
            try:
                partitions = await self._join_once()
            except Unanswered:
                partitions = None
            if partitions is not None:
                self._heard()
                return partitions
            await self._link.back_off()

    async def keep_alive(self) -> None:
        if self.client.world.loop.time() < self._next_heartbeat_s:
            return
        request = HeartbeatRequest(
            group_id=self.group,
            generation_id=self.epoch,
            member_id=self.member_id,
            group_instance_id=self.instance_id,
        )
        try:
            response = await self._link.ask(request, _HEARTBEAT_VERSION)
        except Unanswered:
            return
        if response.error_code:
            self.failed(response.error_code)
        else:
            self._heard()

    async def leave(self) -> None:
        who = LeavingMember(member_id=self.member_id, group_instance_id=self.instance_id)
        try:
            request = LeaveGroupRequest(group_id=self.group, members=[who])
            await self._link.ask(request, _LEAVE_VERSION)
        except Unanswered:
            pass
        self._link.close()

    def failed(self, code: int) -> None:
        """Take in an error of the group's.

        Raises:
            RebalanceNeeded, Fenced: what it means.
        """
        if code == ErrorCode.FENCED_INSTANCE_ID:
            raise Fenced
        if code == ErrorCode.UNKNOWN_MEMBER_ID:
            self.member_id = ""
            raise RebalanceNeeded
        if code in _REJOIN:
            raise RebalanceNeeded
        assert is_retriable(code), f"{self.group}: {ErrorCode(code).name}"

    def _heard(self) -> None:
        self._next_heartbeat_s = self.client.world.loop.time() + _HEARTBEAT_INTERVAL_S

    async def _join_once(self) -> list[str] | None:
        """One attempt; ``None`` when it has to be made again."""
        topics = sorted({partition.rpartition("-")[0] for partition in self._partitions})
        metadata = encode_subscription(ConsumerProtocolSubscription(topics=topics))
        request = JoinGroupRequest(
            group_id=self.group,
            session_timeout_ms=SESSION_TIMEOUT_MS,
            rebalance_timeout_ms=_REBALANCE_TIMEOUT_MS,
            member_id=self.member_id,
            group_instance_id=self.instance_id,
            protocol_type="consumer",
            protocols=[JoinProtocol(name=_PROTOCOL, metadata=metadata)],
        )
        joined = await self._link.ask(request, _JOIN_VERSION)
        if joined.error_code == ErrorCode.MEMBER_ID_REQUIRED:
            self.member_id = joined.member_id
            return None
        if not self._goes_on(joined.error_code):
            return None
        self.member_id, self.epoch = joined.member_id, joined.generation_id
        return await self._sync(joined)

    async def _sync(self, joined: Any) -> list[str] | None:
        assignments: list[MemberAssignment] = []
        if joined.leader == self.member_id and not joined.skip_assignment:
            assignments = self._deal(sorted(member.member_id for member in joined.members))
        request = SyncGroupRequest(
            group_id=self.group,
            generation_id=self.epoch,
            member_id=self.member_id,
            group_instance_id=self.instance_id,
            protocol_type="consumer",
            protocol_name=_PROTOCOL,
            assignments=assignments,
        )
        synced = await self._link.ask(request, _SYNC_VERSION)
        if not self._goes_on(synced.error_code):
            return None
        if not synced.assignment:
            return []
        assignment = decode_assignment(synced.assignment)
        return [
            f"{topic.topic}-{index}"
            for topic in assignment.assigned_partitions
            for index in topic.partitions
        ]

    def _goes_on(self, code: int) -> bool:
        try:
            if code:
                self.failed(code)
        except RebalanceNeeded:
            return False
        return not code

    def _deal(self, members: Sequence[str]) -> list[MemberAssignment]:
        assignments = []
        for position, member_id in enumerate(members):
            topics: dict[str, list[int]] = {}
            for partition in self._partitions[position :: len(members)]:
                topic, _, index = partition.rpartition("-")
                topics.setdefault(topic, []).append(int(index))
            assignment = ConsumerProtocolAssignment(
                assigned_partitions=[
                    TopicPartitions(topic=topic, partitions=indexes)
                    for topic, indexes in topics.items()
                ]
            )
            assignments.append(
                MemberAssignment(member_id=member_id, assignment=encode_assignment(assignment))
            )
        return assignments
