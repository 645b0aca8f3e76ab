"""Members of one group in virtual time: the client's cores against the broker's own coordinator.

Every request and answer goes through its bytes. Members come, go, are slow, are cut off and die;
requests and answers get lost; the coordinator crashes. After every step it is checked that no two
members which the coordinator counts on own the same partition.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ottla.client.core.cluster import ClusterView
from ottla.client.core.membership.assignors.subscriptions import partitions_of
from ottla.client.core.membership.assignors.values import Partition
from ottla.client.core.membership.classic import ClassicMembership
from ottla.client.core.membership.consumer import ConsumerMembership
from ottla.client.core.membership.membership import (
    Assign,
    Event,
    Fatal,
    Left,
    Lost,
    Membership,
    Request,
    Revoke,
    Subscription,
    WantTopics,
)
from ottla.client.core.membership.settings import MembershipSettings
from ottla.client.errors import KafkaError
from ottla.coordination.groups import commands
from ottla.coordination.groups.classic import ClassicGroup
from ottla.coordination.groups.consumer.group import ConsumerGroup
from ottla.coordination.groups.settings import GroupSettings
from ottla.coordination.groups.shard import GroupShard
from ottla.coordination.outcome import Reply
from ottla.testing.shard_runtime import ShardRuntime
from ottla.testing.simulated_topics import SimulatedTopics
from ottla.wire.api.k03_metadata import (
    DescribedPartition,
    DescribedTopic,
    ListedBroker,
    MetadataRequest,
    MetadataResponse,
)
from ottla.wire.consumer_protocol import decode_assignment
from ottla.wire.declare import Message
from ottla.wire.errors import ErrorCode

GROUP = "orders"
CLIENT = commands.ClientContext("client", "/h")
START_MS = 1_000_000
METADATA_REFRESH_MS = 5_000
POLL_MS = 1_500

_COMMANDS: dict[int, type[commands.Command]] = {
    12: commands.Heartbeat,
    13: commands.LeaveGroup,
    14: commands.SyncGroup,
}
# The only errors that a member can't go on after: another one uses its group.instance.id.
_RIVALRY = (ErrorCode.FENCED_INSTANCE_ID, ErrorCode.UNRELEASED_INSTANCE_ID)
# The newest versions that Kafka 2.1 speaks.
KAFKA_2_1 = {3: 7, 11: 3, 12: 2, 13: 2, 14: 2}


class SimulatedMember:
    """A consumer with an application, and what the network does to it.

    Attributes:
        slowness_ms: how long the application takes for a callback.
        is_stuck: the application does not poll, so that no callback runs.
        is_cut_off: nothing it sends arrives, and it hears nothing.
        heard: all events, in order.
    """

    def __init__(
        self, name: str, core: Membership, view: ClusterView, versions: Mapping[int, int]
    ) -> None:
        self.name = name
        self.core = core
        self.versions = versions
        self.view = view
        self.slowness_ms = 1.0
        self.is_stuck = False
        self.is_cut_off = False
        self.is_alive = True
        self.is_leaving = False
        self.heard: list[Event] = []
        self.waiting: Assign | Revoke | Lost | None = None
        self.wanted: frozenset[str] = frozenset()

    def revocations(self) -> list[Revoke | Lost]:
        """What was taken from it, in order."""
        return [event for event in self.heard if isinstance(event, Revoke | Lost)]


class SimulatedGroup:
    """One coordinator, the members of one group and a clock.

    Args:
        seed: of everything that is left to chance.
        topics: the topics there are, with their numbers of partitions.
        settings: of the coordinator.
    """

    def __init__(
        self, seed: int, topics: Mapping[str, int], settings: GroupSettings | None = None
    ) -> None:
        self.random = random.Random(seed)  # noqa: S311 - reproducibility is the point
        self.topics = SimulatedTopics(topics)
        self.now_ms = START_MS
        self.members: list[SimulatedMember] = []
        self.loss = 0.0
        self.is_coordinator_up = True
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._count = itertools.count()
        self._parked: dict[object, Callable[[Message | KafkaError], None]] = {}
        group_settings = settings or GroupSettings(initial_rebalance_delay_ms=0)
        self.runtime = ShardRuntime(
            lambda: GroupShard(group_settings, lambda: self.topics.image),
            self._on_reply,
            now_ms=START_MS,
        )

    # Members

    def add_classic(
        self, settings: MembershipSettings, *, versions: Mapping[int, int] | None = None
    ) -> SimulatedMember:
        """A consumer of the classic protocol; ``versions`` are the newest the broker knows."""
        return self._add(ClassicMembership(settings), ClusterView(), versions or {})

    def add_consumer(self, settings: MembershipSettings) -> SimulatedMember:
        """A consumer of the consumer protocol."""
        view = ClusterView()
        core = ConsumerMembership(settings, f"member-{next(self._count)}", view)
        return self._add(core, view, {})

    def _add(
        self, core: Membership, view: ClusterView, versions: Mapping[int, int]
    ) -> SimulatedMember:
        member = SimulatedMember(f"m{next(self._count)}", core, view, versions)
        self.members.append(member)
        self._refresh_metadata(member)
        self._poll(member)
        return member

    def subscribe(self, member: SimulatedMember, *names: str) -> None:
        """The application subscribes to these topics and patterns."""
        member.core.subscribe(Subscription.of(names), self.now_ms)
        member.core.metadata_changed(member.view, self.now_ms)
        self._run(member)

    def unsubscribe(self, member: SimulatedMember) -> None:
        """The application wants nothing any more, but keeps its consumer."""
        member.core.unsubscribe(self.now_ms)
        self._run(member)

    def leave(self, member: SimulatedMember) -> None:
        """The application closes its consumer."""
        member.is_leaving = True
        member.core.close(self.now_ms)
        self._run(member)

    def kill(self, member: SimulatedMember) -> None:
        """The process is gone without a word."""
        if member.is_alive:
            member.is_alive = False
            self.members.remove(member)

    # The coordinator

    def crash_coordinator(self, down_ms: float) -> None:
        """Lose what is not durable and all connections; come back after a while."""
        self.runtime.crash()
        self.is_coordinator_up = False
        parked, self._parked = self._parked, {}
        for tell in parked.values():
            tell(KafkaError(KafkaError._TRANSPORT))
        self._at(self.now_ms + down_ms, self._restart)

    def _restart(self) -> None:
        self.is_coordinator_up = True

    @property
    def group(self) -> ClassicGroup | ConsumerGroup | None:
        """The group as the coordinator has it."""
        shard = self.runtime.shard
        assert isinstance(shard, GroupShard)
        group = shard.groups.get(GROUP)
        assert group is None or isinstance(group, ClassicGroup | ConsumerGroup)
        return group

    # Time

    def pass_time(self, duration_ms: float) -> None:
        """Let everything happen that is due within this time."""
        end_ms = self.now_ms + duration_ms
        while True:
            deadlines = [end_ms]
            if self._agenda:
                deadlines.append(self._agenda[0][0])
            timer_ms = self.runtime.next_deadline_ms()
            if timer_ms is not None:
                deadlines.append(timer_ms)
            for member in self.members:
                deadline_ms = member.core.next_deadline_ms()
                if deadline_ms is not None:
                    deadlines.append(deadline_ms)
            now_ms = max(self.now_ms, min(deadlines))
            self.now_ms = int(now_ms) if now_ms == int(now_ms) else int(now_ms) + 1
            if self.now_ms > end_ms:
                self.now_ms = int(end_ms)
                return
            self._happen()
            if self.now_ms == end_ms and not self._is_anything_due():
                return

    def _happen(self) -> None:
        self.runtime.advance_to(self.now_ms)
        while self._agenda and self._agenda[0][0] <= self.now_ms:
            heapq.heappop(self._agenda)[2]()
        for member in list(self.members):
            self._run(member)
        self.check_ownership()

    def _is_anything_due(self) -> bool:
        return bool(self._agenda) and self._agenda[0][0] <= self.now_ms

    def _at(self, when_ms: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (when_ms, next(self._count), action))

    def _latency_ms(self) -> float:
        return self.random.choice([1, 1, 2, 5, 40])

    # What members do

    def _run(self, member: SimulatedMember) -> None:
        while member.is_alive:
            for request in member.core.plan(self.now_ms):
                self._send(member, request)
            events = member.core.events()
            if not events:
                return
            for event in events:
                self._tell(member, event)

    def _tell(self, member: SimulatedMember, event: Event) -> None:
        member.heard.append(event)
        if isinstance(event, Fatal):
            assert event.error.code() in _RIVALRY, event.error
        if isinstance(event, Assign | Revoke | Lost):
            assert member.waiting is None, "only one event at a time is handed over"
            member.waiting = event
        elif isinstance(event, WantTopics):
            member.wanted = event.topics
        elif isinstance(event, Fatal) or (isinstance(event, Left) and member.is_leaving):
            if member.waiting is None:
                self.kill(member)
            else:
                member.is_leaving = True

    def _poll(self, member: SimulatedMember) -> None:
        """The application polls, which is when callbacks run."""
        if not member.is_alive:
            return
        delay_ms: float = POLL_MS
        if not member.is_stuck:
            member.core.polled(self.now_ms)
            if member.waiting is not None:
                delay_ms = member.slowness_ms
                self._at(self.now_ms + delay_ms, lambda: self._apply(member))
        self._at(self.now_ms + delay_ms + 1, lambda: self._poll(member))

    def _apply(self, member: SimulatedMember) -> None:
        if not member.is_alive or member.waiting is None:
            return
        event, member.waiting = member.waiting, None
        member.core.applied(self.now_ms)
        if isinstance(event, Lost) and member.is_leaving:
            self.kill(member)

    def _refresh_metadata(self, member: SimulatedMember) -> None:
        if not member.is_alive:
            return
        if not member.is_cut_off:
            answer = self._metadata(None, member.wanted)
            member.view.update(answer, is_complete=True)
            member.core.metadata_changed(member.view, self.now_ms)
        delay_ms = METADATA_REFRESH_MS * (0.5 + self.random.random())
        self._at(self.now_ms + delay_ms, lambda: self._refresh_metadata(member))

    # The network

    def _send(self, member: SimulatedMember, request: Request) -> None:
        is_over = False

        def tell(answer: Message | KafkaError) -> None:
            nonlocal is_over
            if not is_over and member.is_alive:
                is_over = True
                member.core.answered(request.tag, answer, self.now_ms, self.random.random())
                self._run(member)

        self._at(self.now_ms + request.timeout_ms, lambda: tell(KafkaError(KafkaError._TIMED_OUT)))
        if member.is_cut_off or self.random.random() < self.loss:
            self._at(self.now_ms + 200, lambda: tell(KafkaError(KafkaError._TRANSPORT)))
            return
        self._at(self.now_ms + self._latency_ms(), lambda: self._arrive(member, request, tell))

    def _arrive(
        self,
        member: SimulatedMember,
        request: Request,
        tell: Callable[[Message | KafkaError], None],
    ) -> None:
        def answer(response: Message | KafkaError) -> None:
            if isinstance(response, Message):
                response = request.answer.decode(response.encode(version), version)
            if member.is_cut_off or self.random.random() < self.loss:
                response = KafkaError(KafkaError._TRANSPORT)
            self._at(self.now_ms + self._latency_ms(), lambda: tell(response))

        key = request.answer.API_KEY
        assert key is not None
        version = member.versions.get(key, request.answer.VERSIONS[-1])
        assert version >= request.at_least
        message = request.message
        if not isinstance(message, Message):
            message = message(version)
        message = type(message).decode(message.encode(version), version)
        if isinstance(message, MetadataRequest):
            answer(self._metadata(message))
        elif not self.is_coordinator_up:
            answer(KafkaError(KafkaError._TRANSPORT))
        else:
            token = object()
            self._parked[token] = answer
            self.runtime.submit(self._command(token, key, message, version))

    def _command(self, token: object, key: int, message: Any, version: int) -> commands.Command:
        unique = f"{next(self._count)}"
        if key == 11:
            return commands.JoinGroup(token, message, version, CLIENT, unique)
        if key == 68:
            return commands.ConsumerGroupHeartbeat(token, message, version, CLIENT, unique)
        return _COMMANDS[key](token, message, version)

    def _on_reply(self, reply: Reply) -> None:
        answer = self._parked.pop(reply.token, None)
        if answer is not None:
            response = reply.response
            assert isinstance(response, Message)
            answer(response)

    def _metadata(
        self, request: MetadataRequest | None, wanted: frozenset[str] = frozenset()
    ) -> MetadataResponse:
        image = self.topics.image
        by_id = {topic.topic_id: name for name, topic in image.topics.items()}
        names: Iterable[str | None] = sorted(wanted.union(image.topics))
        if request is not None and request.topics is not None:
            names = [each.name or by_id.get(each.topic_id) for each in request.topics]
        return MetadataResponse(
            brokers=[ListedBroker(node_id=1, host="h", port=1)],
            topics=[self._described(name) for name in names if name is not None],
        )

    def _described(self, name: str) -> DescribedTopic:
        topic = self.topics.image.topics.get(name)
        if topic is None:
            code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            return DescribedTopic(error_code=code, name=name, partitions=[])
        partitions = [
            DescribedPartition(
                error_code=0,
                partition_index=number,
                leader_id=1,
                leader_epoch=0,
                replica_nodes=[1],
                isr_nodes=[1],
            )
            for number in range(len(topic.partitions))
        ]
        return DescribedTopic(
            error_code=0, name=name, topic_id=topic.topic_id, partitions=partitions
        )

    # What must hold

    def check_ownership(self) -> None:
        """No two members that the coordinator counts on own the same partition."""
        owners: dict[Partition, str] = {}
        for member in self.members:
            if member.core.is_lost or not self._counts_on(member):
                continue
            for partition in member.core.assignment:
                other = owners.setdefault(partition, member.name)
                assert other == member.name, f"{partition} has owners {other} and {member.name}"

    def _counts_on(self, member: SimulatedMember) -> bool:
        group, metadata = self.group, member.core.metadata
        if group is None or metadata.member_id not in group.members:
            return False
        # A static member that misses a rebalance stays in a classic group, without its partitions.
        is_dynamic = metadata.group_instance_id is None
        return (
            is_dynamic
            or isinstance(group, ConsumerGroup)
            or metadata.generation_id == group.generation_id
        )

    def _is_replaced(self, member: SimulatedMember) -> bool:
        """Whether another one took its group.instance.id, as it will hear."""
        group, metadata = self.group, member.core.metadata
        is_static = metadata.group_instance_id is not None
        return is_static and (group is None or metadata.member_id not in group.members)

    def check_generations(self) -> None:
        """No two members own the same partition in the same generation or epoch."""
        owners: dict[tuple[Partition, int], str] = {}
        for member in self.members:
            generation = member.core.metadata.generation_id
            if member.core.is_lost or generation < 0 or self._is_replaced(member):
                continue
            for partition in member.core.assignment:
                other = owners.setdefault((partition, generation), member.name)
                assert other == member.name, f"{partition} has owners {other} and {member.name}"

    def check_complete(self, topics: Iterable[str]) -> None:
        """Every partition of the topics has exactly one owner, who knows the group's state."""
        owned = sorted(each for member in self.members for each in member.core.assignment)
        wanted = sorted(
            (name, number)
            for name in topics
            if name in self.topics.image.topics
            for number in range(len(self.topics.image.topics[name].partitions))
        )
        assert owned == wanted, f"owned {owned}, wanted {wanted}"
        group = self.group
        for member in self.members:
            if group is not None and member.core.metadata.member_id in group.members:
                assert member.core.assignment == self._given(group, member), member.name

    def _given(
        self, group: ClassicGroup | ConsumerGroup, member: SimulatedMember
    ) -> frozenset[Partition]:
        """What the coordinator has for a member."""
        member_id = member.core.metadata.member_id
        if isinstance(group, ClassicGroup):
            given = decode_assignment(group.members[member_id].assignment)
            return frozenset(partitions_of(given.assigned_partitions))
        names = {topic.topic_id: name for name, topic in self.topics.image.topics.items()}
        assigned = group.members[member_id].assigned
        return frozenset((names[each], number) for each in assigned for number in assigned[each])
