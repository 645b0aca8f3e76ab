"""Members of a consumer group as state machines: bytes in, the next request's bytes out.

They do what a client's coordinator does and nothing else, so that the time it takes is the
broker's. Clients wait seconds between heartbeats; these send the next one as soon as nothing else
is going on, for as long as their group isn't settled.
"""

from __future__ import annotations

import functools
import uuid
from collections.abc import Sequence
from typing import Any, Protocol

from ottla.wire.api.k11_join_group import JoinGroupRequest, JoinGroupResponse, JoinProtocol
from ottla.wire.api.k12_heartbeat import HeartbeatRequest, HeartbeatResponse
from ottla.wire.api.k13_leave_group import LeaveGroupRequest, LeavingMember
from ottla.wire.api.k14_sync_group import MemberAssignment, SyncGroupRequest, SyncGroupResponse
from ottla.wire.api.k68_consumer_group_heartbeat import (
    ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse,
    OwnedTopic,
)
from ottla.wire.consumer_protocol import (
    ConsumerProtocolAssignment,
    ConsumerProtocolSubscription,
    TopicPartitions,
    decode_assignment,
    encode_assignment,
    encode_subscription,
)
from ottla.wire.declare import Message
from ottla.wire.errors import ErrorCode
from ottla.wire.frames import encode_request

_SESSION_TIMEOUT_MS = 45_000
_REBALANCE_TIMEOUT_MS = 60_000
_JOIN, _SYNC, _HEARTBEAT, _LEAVE, _CONSUMER_HEARTBEAT = 9, 5, 4, 5, 1
_LEAVE_EPOCH = -1
# All of these versions are flexible: a correlation id and no tags come before the body.
_BODY = 5


class GroupError(RuntimeError):
    """The coordinator answered what a member can't go on with."""


class Member(Protocol):
    """One member's side of a group protocol."""

    generation: int
    """Of its assignment; -1 without one."""
    partition_count: int
    """Partitions it has."""

    def __init__(self, group: str, topic: str, partitions: int) -> None: ...

    def begin(self) -> bytes:
        """The request that asks to be let in."""
        ...

    def beat(self) -> bytes:
        """A heartbeat, which is answered with what there is to do."""
        ...

    def answered(self, frame: bytes) -> bytes | None:
        """Takes in an answer, without its length prefix; returns the next request, ``None`` if that
        is but a heartbeat.

        Raises:
            GroupError: it can't go on.
        """
        ...

    def leave(self) -> bytes:
        """The request that says good-bye."""
        ...


class ClassicMember:
    """A member that rebalances by JoinGroup and SyncGroup, eagerly, with the range assignor."""

    def __init__(self, group: str, topic: str, partitions: int) -> None:
        self.partition_count = 0
        self._group, self._topic, self._partitions = group, topic, partitions
        self._member_id = ""
        self._generation_id = -1
        self._expects: type[Message] = JoinGroupResponse
        self._beat = self._alive = b""
        subscription = ConsumerProtocolSubscription(topics=[topic])
        self._protocols = [JoinProtocol(name="range", metadata=encode_subscription(subscription))]

    @property
    def generation(self) -> int:
        return self._generation_id if self.partition_count else -1

    def begin(self) -> bytes:
        self._expects = JoinGroupResponse
        self.partition_count = 0
        request = JoinGroupRequest(
            group_id=self._group,
            session_timeout_ms=_SESSION_TIMEOUT_MS,
            rebalance_timeout_ms=_REBALANCE_TIMEOUT_MS,
            member_id=self._member_id,
            protocol_type="consumer",
            protocols=self._protocols,
        )
        return _encode(request, _JOIN)

    def beat(self) -> bytes:
        self._expects = HeartbeatResponse
        return self._beat

    def answered(self, frame: bytes) -> bytes | None:
        if self._expects is HeartbeatResponse:
            return self._told(frame)
        if self._expects is JoinGroupResponse:
            return self._joined(JoinGroupResponse.decode(frame, _JOIN, _BODY))
        return self._synced(SyncGroupResponse.decode(frame, _SYNC, _BODY))

    def leave(self) -> bytes:
        leaving = [LeavingMember(member_id=self._member_id)]
        return _encode(LeaveGroupRequest(group_id=self._group, members=leaving), _LEAVE)

    def _told(self, frame: bytes) -> bytes | None:
        if frame == self._alive:
            return None
        error = HeartbeatResponse.decode(frame, _HEARTBEAT, _BODY).error_code
        if error in (ErrorCode.REBALANCE_IN_PROGRESS, ErrorCode.ILLEGAL_GENERATION):
            return self.begin()
        _check(error)
        self._alive = frame
        return None

    def _joined(self, joined: Any) -> bytes:
        self._member_id = joined.member_id
        if joined.error_code == ErrorCode.MEMBER_ID_REQUIRED:
            return self.begin()
        _check(joined.error_code)
        self._generation_id = joined.generation_id
        self._expects = SyncGroupResponse
        request = SyncGroupRequest(
            group_id=self._group,
            generation_id=self._generation_id,
            member_id=self._member_id,
            protocol_type="consumer",
            protocol_name="range",
            assignments=self._shares([each.member_id for each in joined.members]),
        )
        return _encode(request, _SYNC)

    def _synced(self, synced: Any) -> bytes | None:
        if synced.error_code == ErrorCode.REBALANCE_IN_PROGRESS:
            return self.begin()
        _check(synced.error_code)
        assignment = decode_assignment(synced.assignment)
        self.partition_count = sum(len(each.partitions) for each in assignment.assigned_partitions)
        beat = HeartbeatRequest(
            group_id=self._group, generation_id=self._generation_id, member_id=self._member_id
        )
        self._beat = _encode(beat, _HEARTBEAT)
        return None

    def _shares(self, member_ids: Sequence[str]) -> list[MemberAssignment]:
        """What the leader assigns; a follower knows nobody and assigns nothing."""
        count = len(member_ids)
        return [
            MemberAssignment(
                member_id=member_id,
                assignment=_share(self._topic, range(index, self._partitions, count)),
            )
            for index, member_id in enumerate(sorted(member_ids))
        ]


class ConsumerMember:
    """A member of the consumer group protocol (KIP-848): the coordinator assigns."""

    def __init__(self, group: str, topic: str, partitions: int) -> None:
        self.partition_count = 0
        self._group, self._topic = group, topic
        self._member_id = str(uuid.uuid4())
        self._epoch = 0
        self._beat = self._alive = b""

    @property
    def generation(self) -> int:
        return self._epoch or -1

    def begin(self) -> bytes:
        request = self._request()
        request.rebalance_timeout_ms = _REBALANCE_TIMEOUT_MS
        request.subscribed_topic_names = [self._topic]
        request.topic_partitions = []
        return _encode(request, _CONSUMER_HEARTBEAT)

    def beat(self) -> bytes:
        if not self._beat:
            self._beat = _encode(self._request(), _CONSUMER_HEARTBEAT)
        return self._beat

    def answered(self, frame: bytes) -> bytes | None:
        if frame == self._alive:
            return None
        answer: Any = ConsumerGroupHeartbeatResponse.decode(frame, _CONSUMER_HEARTBEAT, _BODY)
        _check(answer.error_code)
        self._epoch = answer.member_epoch
        self._beat = b""
        if answer.assignment is None:
            self._alive = frame
            return None
        owned = answer.assignment.topic_partitions
        self.partition_count = sum(len(each.partitions) for each in owned)
        request = self._request()
        request.topic_partitions = [
            OwnedTopic(topic_id=each.topic_id, partitions=each.partitions) for each in owned
        ]
        return _encode(request, _CONSUMER_HEARTBEAT)

    def leave(self) -> bytes:
        request = self._request()
        request.member_epoch = _LEAVE_EPOCH
        return _encode(request, _CONSUMER_HEARTBEAT)

    def _request(self) -> Any:
        return ConsumerGroupHeartbeatRequest(
            group_id=self._group, member_id=self._member_id, member_epoch=self._epoch
        )


def _encode(request: Message, version: int) -> bytes:
    return encode_request(request, version, correlation_id=1, client_id="bench")


def _check(error_code: int) -> None:
    if error_code:
        raise GroupError(ErrorCode(error_code).name)


@functools.cache
def _share(topic: str, partitions: range) -> bytes:
    topics = [TopicPartitions(topic=topic, partitions=list(partitions))]
    return encode_assignment(ConsumerProtocolAssignment(assigned_partitions=topics))
