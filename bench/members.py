"""Many members of one consumer group in one process, speaking the bare protocol.

Clients wait seconds between heartbeats; these send the next one with the answer to the last, so
that what is measured is the coordinator.
"""

from __future__ import annotations

import asyncio
import struct
import time
import uuid
from collections.abc import Coroutine, Sequence
from typing import Any, NamedTuple, cast

from ottla.wire.api.k10_find_coordinator import FindCoordinatorRequest
from ottla.wire.api.k11_join_group import JoinGroupRequest, JoinProtocol
from ottla.wire.api.k12_heartbeat import HeartbeatRequest
from ottla.wire.api.k13_leave_group import LeaveGroupRequest, LeavingMember
from ottla.wire.api.k14_sync_group import MemberAssignment, SyncGroupRequest
from ottla.wire.api.k68_consumer_group_heartbeat import ConsumerGroupHeartbeatRequest, OwnedTopic
from ottla.wire.apis import declaration
from ottla.wire.consumer_protocol import (
    ConsumerProtocolAssignment,
    ConsumerProtocolSubscription,
    TopicPartitions,
    encode_assignment,
    encode_subscription,
)
from ottla.wire.declare import Message
from ottla.wire.errors import ErrorCode
from ottla.wire.frames import ResponseHeader, encode_request

TIMEOUT_SECONDS = 60.0

_LOOK_SECONDS = 0.002
_LENGTH = struct.Struct(">i")
_SESSION_TIMEOUT_MS = 45_000
_REBALANCE_TIMEOUT_MS = 60_000
_JOIN, _SYNC, _HEARTBEAT, _LEAVE, _CONSUMER_HEARTBEAT = 9, 5, 4, 5, 1
_FIND_COORDINATOR = 4
_LEAVE_EPOCH = -1


class GroupError(RuntimeError):
    """The coordinator answered what a member can't go on with."""


class _Question(NamedTuple):
    """A request in bytes, which may be asked again and again."""

    frame: bytes
    key: int
    version: int


def _question(request: Message, version: int) -> _Question:
    assert request.API_KEY is not None
    frame = encode_request(request, version, correlation_id=1, client_id="bench")
    return _Question(frame, request.API_KEY, version)


class _Link(asyncio.Protocol):
    """A connection on the event loop, one request at a time."""

    def __init__(self) -> None:
        self._last: tuple[_Question, bytes] | None = None
        self._last_answer: Any = None
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._answered: asyncio.Future[bytes] | None = None

    @classmethod
    async def open(cls, address: tuple[str, int]) -> _Link:
        _, link = await asyncio.get_running_loop().create_connection(cls, *address)
        return link

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not a subclass of it under uvloop.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if len(self._received) < _LENGTH.size:
            return
        (size_bytes,) = _LENGTH.unpack_from(self._received)
        if len(self._received) == _LENGTH.size + size_bytes and self._answered is not None:
            frame = bytes(self._received[_LENGTH.size :])
            self._received.clear()
            if not self._answered.done():
                self._answered.set_result(frame)

    def connection_lost(self, error: Exception | None) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(GroupError("the broker closed the connection"))

    async def ask(self, request: Message, version: int) -> Any:
        return await self.ask_again(_question(request, version))

    async def ask_again(self, question: _Question) -> Any:
        """As `ask`; what is answered byte for byte as the last time isn't decoded anew.

        The processor's time shall go to the broker under measurement, not to its load.
        """
        assert self._transport is not None
        self._answered = asyncio.get_running_loop().create_future()
        self._transport.write(question.frame)
        exchange = question, await self._answered
        if exchange != self._last:
            _, position = ResponseHeader.decode(exchange[1], question.key, question.version)
            response = declaration(question.key)[1]
            self._last_answer = response.decode(exchange[1], question.version, position)
            self._last = exchange
        return self._last_answer

    def close(self) -> None:
        assert self._transport is not None
        self._transport.close()


class ClassicMember:
    """A member that rebalances by JoinGroup and SyncGroup, eagerly, with the range assignor."""

    def __init__(self, group: str, topic: str, partitions: int) -> None:
        self.partition_count = 0
        self.settled_at = 0.0
        """When it got its latest assignment, in ``time.perf_counter`` seconds."""
        self._group, self._topic, self._partitions = group, topic, partitions
        self._member_id = ""
        self._generation_id = -1
        subscription = ConsumerProtocolSubscription(topics=[topic])
        self._protocols = [JoinProtocol(name="range", metadata=encode_subscription(subscription))]

    @property
    def generation(self) -> int:
        """The generation its assignment belongs to."""
        return self._generation_id if self.partition_count else -1

    async def run(self, link: _Link) -> None:
        """Take part until cancelled."""
        while True:
            await self._rebalance(link)
            beat = HeartbeatRequest(
                group_id=self._group, generation_id=self._generation_id, member_id=self._member_id
            )
            question = _question(beat, _HEARTBEAT)
            error = ErrorCode.NONE
            while error == ErrorCode.NONE:
                error = (await link.ask_again(question)).error_code
            if error not in (ErrorCode.REBALANCE_IN_PROGRESS, ErrorCode.ILLEGAL_GENERATION):
                raise GroupError(ErrorCode(error).name)

    async def leave(self, link: _Link) -> None:
        """Tell the coordinator good-bye."""
        leaving = [LeavingMember(member_id=self._member_id)]
        await link.ask(LeaveGroupRequest(group_id=self._group, members=leaving), _LEAVE)

    async def _rebalance(self, link: _Link) -> None:
        self.partition_count = 0
        while True:
            joined = await link.ask(self._join_request(), _JOIN)
            if joined.error_code == ErrorCode.MEMBER_ID_REQUIRED:
                self._member_id = joined.member_id
                continue
            if joined.error_code:
                raise GroupError(ErrorCode(joined.error_code).name)
            self._member_id, self._generation_id = joined.member_id, joined.generation_id
            shares = self._shares([each.member_id for each in joined.members])
            request = SyncGroupRequest(
                group_id=self._group,
                generation_id=self._generation_id,
                member_id=self._member_id,
                protocol_type="consumer",
                protocol_name="range",
                assignments=shares,
            )
            synced = await link.ask(request, _SYNC)
            if synced.error_code == ErrorCode.NONE:
                self.partition_count = len(synced.assignment)
                self.settled_at = time.perf_counter()
                return
            if synced.error_code != ErrorCode.REBALANCE_IN_PROGRESS:
                raise GroupError(ErrorCode(synced.error_code).name)

    def _join_request(self) -> JoinGroupRequest:
        return JoinGroupRequest(
            group_id=self._group,
            session_timeout_ms=_SESSION_TIMEOUT_MS,
            rebalance_timeout_ms=_REBALANCE_TIMEOUT_MS,
            member_id=self._member_id,
            protocol_type="consumer",
            protocols=self._protocols,
        )

    def _shares(self, member_ids: Sequence[str]) -> list[MemberAssignment]:
        """What the leader assigns; a follower knows nobody and assigns nothing."""
        shares = []
        for index, member_id in enumerate(sorted(member_ids)):
            partitions = list(range(index, self._partitions, len(member_ids)))
            topics = [TopicPartitions(topic=self._topic, partitions=partitions)]
            assignment = ConsumerProtocolAssignment(assigned_partitions=topics)
            shares.append(
                MemberAssignment(member_id=member_id, assignment=encode_assignment(assignment))
            )
        return shares


class ConsumerMember:
    """A member of the consumer group protocol (KIP-848): the coordinator assigns."""

    def __init__(self, group: str, topic: str, partitions: int) -> None:
        self.settled_at = 0.0
        """When it first reported what it owns now, in ``time.perf_counter`` seconds."""
        self._group, self._topic = group, topic
        self._member_id = str(uuid.uuid4())
        self._epoch = 0
        self._owned: dict[uuid.UUID, list[int]] = {}

    @property
    def generation(self) -> int:
        """The member epoch."""
        return self._epoch if self.partition_count else -1

    @property
    def partition_count(self) -> int:
        """Partitions it owns, as the coordinator knows."""
        return sum(map(len, self._owned.values()))

    async def run(self, link: _Link) -> None:
        """Take part until cancelled."""
        beat = self._beat()
        beat.rebalance_timeout_ms = _REBALANCE_TIMEOUT_MS
        beat.subscribed_topic_names = [self._topic]
        beat.topic_partitions = []
        question = _question(beat, _CONSUMER_HEARTBEAT)
        known = None
        while True:
            answer = await link.ask_again(question)
            if answer is known:
                continue
            if answer.error_code:
                raise GroupError(ErrorCode(answer.error_code).name)
            if answer.member_epoch != self._epoch or answer.assignment is not None:
                self._epoch = answer.member_epoch
                self.settled_at = time.perf_counter()
            beat = self._beat()
            if answer.assignment is not None:
                self._owned = {
                    each.topic_id: each.partitions for each in answer.assignment.topic_partitions
                }
                beat.topic_partitions = [
                    OwnedTopic(topic_id=topic_id, partitions=partitions)
                    for topic_id, partitions in self._owned.items()
                ]
            question = _question(beat, _CONSUMER_HEARTBEAT)
            known = answer if answer.assignment is None else None

    async def leave(self, link: _Link) -> None:
        """Tell the coordinator good-bye."""
        beat = self._beat()
        beat.member_epoch = _LEAVE_EPOCH
        await link.ask(beat, _CONSUMER_HEARTBEAT)

    def _beat(self) -> ConsumerGroupHeartbeatRequest:
        return ConsumerGroupHeartbeatRequest(
            group_id=self._group, member_id=self._member_id, member_epoch=self._epoch
        )


Member = ClassicMember | ConsumerMember


class Group:
    """Members that join at once; then one of them leaves."""

    def __init__(
        self,
        kind: type[Member],
        address: tuple[str, int],
        group: str,
        topic: str,
        *,
        partitions: int,
        members: int,
    ) -> None:
        self._address = address
        self._group = group
        self._partitions = partitions
        self._members = [kind(group, topic, partitions) for _ in range(members)]
        self._links: list[_Link] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def join(self) -> float:
        """Let all join; seconds until each has its share for good."""
        self._links = [await _Link.open(self._address) for _ in self._members]
        await self._find_coordinator(self._links[0])
        started = time.perf_counter()
        for member, link in zip(self._members, self._links, strict=True):
            self._tasks.append(asyncio.ensure_future(member.run(link)))
        return await self._settle(0) - started

    async def _find_coordinator(self, link: _Link) -> None:
        """Kafka creates the offsets topic when first asked, and loads it some time later."""
        look_up = FindCoordinatorRequest(coordinator_keys=[self._group])
        stranger = HeartbeatRequest(group_id=self._group, generation_id=1, member_id="nobody")
        error = ErrorCode.NOT_COORDINATOR
        while error != ErrorCode.UNKNOWN_MEMBER_ID:
            await link.ask(look_up, _FIND_COORDINATOR)
            error = (await link.ask(stranger, _HEARTBEAT)).error_code

    async def leave(self) -> float:
        """Let one leave; seconds until the others have shared its partitions out."""
        member, link, task = self._members.pop(), self._links.pop(), self._tasks.pop()
        await _ended(task)
        link.close()
        # Its last request may still be under way on the old connection.
        link = await _Link.open(self._address)
        next_generation = member.generation + 1
        started = time.perf_counter()
        await member.leave(link)
        link.close()
        return await self._settle(next_generation) - started

    async def close(self) -> None:
        """All go without a word."""
        for task in self._tasks:
            await _ended(task)
        for link in self._links:
            link.close()

    async def _settle(self, first_generation: int) -> float:
        """Wait until all is owned in one generation, this one or later; when that came about.

        Raises:
            GroupError: a member failed, or it took too long.
        """
        deadline = time.perf_counter() + TIMEOUT_SECONDS
        while not self._is_settled(first_generation):
            for task in self._tasks:
                if task.done():
                    await task
            if time.perf_counter() > deadline:
                raise GroupError(f"not settled within {TIMEOUT_SECONDS} s")
            await asyncio.sleep(_LOOK_SECONDS)
        return max(member.settled_at for member in self._members)

    def _is_settled(self, first_generation: int) -> bool:
        generations = {member.generation for member in self._members}
        return (
            len(generations) == 1
            and min(generations) >= first_generation
            and self._share_everything()
        )

    def _share_everything(self) -> bool:
        consumers = [each for each in self._members if isinstance(each, ConsumerMember)]
        return not consumers or sum(m.partition_count for m in consumers) == self._partitions


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


def run(coroutine: Coroutine[Any, Any, tuple[float, float]]) -> tuple[float, float]:
    """Run it on the event loop the clients under measurement would have."""
    import uvloop

    return uvloop.run(coroutine)
