"""What members do alike that one heartbeat keeps in their group: KIP-848 and KIP-932.

The coordinator assigns, by ids of topics; the answer to a heartbeat brings the member's epoch and
its assignment. A subclass has the heartbeat itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, Protocol
from uuid import UUID

from ottla.client.core.backoff import Backoff
from ottla.client.core.cluster import ClusterView
from ottla.client.core.membership.assignors.values import Partition
from ottla.client.core.membership.member import Member
from ottla.client.core.membership.membership import (
    NO_GENERATION,
    GroupMetadata,
    Joined,
    Left,
    RebalanceProtocol,
    Request,
    Revoke,
    WantTopics,
)
from ottla.client.core.membership.settings import MembershipSettings
from ottla.client.core.membership.topic_names import ASKS_BY_ID, TopicNames
from ottla.client.core.reachability import UNREACHABLE
from ottla.client.errors import KafkaError, describe
from ottla.wire.api.k03_metadata import MetadataResponse
from ottla.wire.declare import Message
from ottla.wire.errors import ErrorCode

JOINING_EPOCH = 0
LEAVING_EPOCH = -1
# A coordinator that wants heartbeats more often than this is not to be believed.
_MIN_INTERVAL_MS = 10
# Nor one that wants to hear nothing for longer: it would throw the member out meanwhile.
_MAX_INTERVAL_MS = 60_000

_ELSEWHERE = frozenset({ErrorCode.NOT_COORDINATOR, ErrorCode.COORDINATOR_NOT_AVAILABLE})
_PASSING = UNREACHABLE | {KafkaError._DESTROY}
EXPELLED = frozenset({ErrorCode.FENCED_MEMBER_EPOCH, ErrorCode.UNKNOWN_MEMBER_ID})
# What no other try will change.
_HOPELESS = frozenset(
    {
        KafkaError._UNSUPPORTED_FEATURE,
        ErrorCode.FENCED_INSTANCE_ID,
        ErrorCode.GROUP_AUTHORIZATION_FAILED,
        ErrorCode.GROUP_ID_NOT_FOUND,
        ErrorCode.GROUP_MAX_SIZE_REACHED,
        ErrorCode.INVALID_REGULAR_EXPRESSION,
        ErrorCode.INVALID_REQUEST,
        ErrorCode.UNRELEASED_INSTANCE_ID,
        ErrorCode.UNSUPPORTED_ASSIGNOR,
        ErrorCode.UNSUPPORTED_VERSION,
    }
)

# A partition as the coordinator names it.
PartitionById = tuple[UUID, int]


class _AssignedTopic(Protocol):
    topic_id: UUID
    partitions: list[int]


class _Assignment(Protocol):
    @property
    def topic_partitions(self) -> Iterable[_AssignedTopic]: ...


class HeartbeatAnswer(Protocol):
    """What the answers to both heartbeats have."""

    error_code: int
    error_message: str | None
    member_id: str | None
    member_epoch: int
    heartbeat_interval_ms: int

    @property
    def assignment(self) -> _Assignment | None: ...


class HeartbeatMember(Member):
    """A member whose coordinator assigns; see the port ``Membership`` for what is public.

    Args:
        settings: of the member.
        member_id: a fresh one, made by the client (KIP-1082).
        cluster: the view that tells the names of topics.
    """

    HEARTBEAT: ClassVar[str]
    """The request's name, for the texts of errors."""
    ANSWER: ClassVar[type[Message]]

    def __init__(self, settings: MembershipSettings, member_id: str, cluster: ClusterView) -> None:
        super().__init__(settings)
        self._member_id = member_id
        self._epoch = JOINING_EPOCH
        self._names = TopicNames(cluster)
        self._names_backoff = Backoff(settings.retry_backoff_ms, settings.retry_backoff_max_ms)
        self._awaits_names = False
        # What it shall own.
        self._target: frozenset[PartitionById] | None = None
        self._tells_all = True
        self._tells_subscription = False
        self._awaits_heartbeat = False
        self._interval_ms = float(settings.heartbeat_interval_ms)
        self._heartbeat_due_ms = 0.0
        # Answers to questions of an earlier round come too late.
        self._round = 0

    # What it is

    @property
    def metadata(self) -> GroupMetadata:
        """Who the consumer is for its group at the moment."""
        epoch = self._epoch if self._is_member else NO_GENERATION
        settings = self.settings
        return GroupMetadata(settings.group_id, epoch, self._member_id, settings.group_instance_id)

    @property
    def rebalance_protocol(self) -> RebalanceProtocol:
        """``NONE`` before the consumer has subscribed to anything."""
        return "NONE" if self._subscription is None else "COOPERATIVE"

    @property
    def _is_member(self) -> bool:
        return self._epoch > JOINING_EPOCH

    # What the consumer tells

    def _subscribed(self, now_ms: float) -> None:
        self._tells_subscription = True
        self._want_topics()

    def metadata_changed(self, cluster: ClusterView, now_ms: float) -> None:
        """The view of the cluster was refreshed; which topics there are, the coordinator knows."""

    # For the subclass to say

    def _reconcile(self) -> None:
        """Take the next step from what is owned towards the target."""
        raise NotImplementedError

    def _has_news(self) -> bool:
        """Whether the coordinator has to hear something before the next heartbeat is due."""
        raise NotImplementedError

    def _beat(self, now_ms: float) -> None:
        """Send a heartbeat."""
        raise NotImplementedError

    def _leave_request(self, *, is_for_good: bool) -> Message:
        """What takes leave of the coordinator."""
        raise NotImplementedError

    # Planning

    def plan(self, now_ms: float) -> list[Request]:
        """What to ask now. Each request counts as asked, once."""
        if self._is_poll_overdue(now_ms):
            self._report_missing_poll(now_ms)
            self._send_leave(is_for_good=self.settings.group_instance_id is None, now_ms=now_ms)
            self._lose()
        if self._is_leaving:
            self._go_on_leaving(now_ms)
        elif self._is_member:
            self._reconcile()
            self._ask_for_names(now_ms)
        due_ms = self._next_heartbeat_ms()
        if due_ms is not None and now_ms >= due_ms:
            self._beat(now_ms)
        return self._take_outbox()

    def next_deadline_ms(self) -> float | None:
        """When to call ``plan`` again, None for not before something happens."""
        deadlines = [self._next_heartbeat_ms()]
        poll_ms = self._poll_deadline_ms()
        if poll_ms is not None:
            # Not earlier than it counts as exceeded.
            deadlines.append(poll_ms + 1)
        if self._lacks_names():
            deadlines.append(self._names_backoff.ready_at_ms)
        return min((each for each in deadlines if each is not None), default=None)

    def _next_heartbeat_ms(self) -> float | None:
        if self._awaits_heartbeat or self._is_dead:
            return None
        if self._is_member:
            if self._has_news():
                return self._backoff.ready_at_ms
            return self._heartbeat_due_ms
        if self._subscription is None or self._handing_over is not None or self.awaits_poll:
            return None
        return self._backoff.ready_at_ms

    # Names

    def _named_target(self) -> dict[Partition, UUID]:
        named = {}
        for topic_id, number in self._target or ():
            name = self._names.name_of(topic_id)
            if name is not None:
                named[name, number] = topic_id
        return named

    def _want_topics(self) -> None:
        topics = self._topics.names | {topic for topic, _ in self._owned}
        self._events.append(WantTopics(frozenset(topics)))

    def _lacks_names(self) -> bool:
        if self._awaits_names or not self._is_member or self._is_leaving:
            return False
        return any(self._names.name_of(each) is None for each, _ in self._target or ())

    def _ask_for_names(self, now_ms: float) -> None:
        if not self._lacks_names() or not self._names_backoff.is_ready(now_ms):
            return
        question = self._names.question(topic_id for topic_id, _ in self._target or ())
        assert question is not None

        def on_answer(answer: Any, asked_ms: float, now_ms: float, randomness: float) -> None:
            self._awaits_names = False
            if not isinstance(answer, KafkaError):
                self._names.learn(answer)
            if self._lacks_names():
                # A topic just made, or just deleted: one side will hear of it.
                self._names_backoff.failed(now_ms, randomness)
            else:
                self._names_backoff.succeeded()

        self._awaits_names = True
        self._ask(question, MetadataResponse, on_answer, now_ms, target="any", at_least=ASKS_BY_ID)

    # Heartbeats

    def _on_heartbeat(self, answer: HeartbeatAnswer, now_ms: float) -> None:
        self._succeeded()
        told_ms = min(answer.heartbeat_interval_ms, _MAX_INTERVAL_MS)
        self._interval_ms = float(max(told_ms, _MIN_INTERVAL_MS))
        self._heartbeat_due_ms = now_ms + self._interval_ms
        if answer.member_id:
            self._member_id = answer.member_id
        if answer.member_epoch > JOINING_EPOCH and answer.member_epoch != self._epoch:
            self._epoch = answer.member_epoch
            self._events.append(Joined(self.metadata))
        if answer.assignment is not None:
            self._target = frozenset(
                (topic.topic_id, number)
                for topic in answer.assignment.topic_partitions
                for number in topic.partitions
                if number >= 0
            )
            self._names.keep(topic_id for topic_id, _ in self._target)

    # When it does not go as it should

    def _unreachable(self, error: KafkaError, now_ms: float, randomness: float) -> None:
        if error.code() in _HOPELESS:
            self._give_up(error.code(), error.str())
            return
        if error.code() not in _PASSING:
            self._report(error)
        self._failed(now_ms)
        self._lost_coordinator(now_ms, randomness)

    def _refused(self, answer: HeartbeatAnswer, now_ms: float, randomness: float) -> None:
        code = answer.error_code
        self._failed(now_ms)
        if code in EXPELLED:
            self._lose()
            self._retry_later(now_ms, randomness, first_at_once=True)
        elif code in _HOPELESS:
            self._give_up(code, describe(code))
        elif code in _ELSEWHERE:
            self._lost_coordinator(now_ms, randomness)
        else:
            if code != ErrorCode.COORDINATOR_LOAD_IN_PROGRESS:
                more = f": {answer.error_message}" if answer.error_message else ""
                text = f"{self.HEARTBEAT} failed: {describe(code)}{more}"
                self._report(KafkaError(code, text))
            self._retry_later(now_ms, randomness)

    def _failed(self, now_ms: float) -> None:
        """Nobody knows what the coordinator heard: say everything again."""
        self._tells_all = True

    def _give_up(self, code: int, text: str) -> None:
        self._die(code, f"{self.HEARTBEAT} fatal error: {text}")

    def _expelled(self) -> None:
        self._epoch = JOINING_EPOCH
        self._target = None
        self._tells_all = True
        self._awaits_heartbeat = False
        self._round += 1

    # Leaving

    def _go_on_leaving(self, now_ms: float) -> None:
        if self._handing_over is not None:
            return
        if self._owned:
            self._hand_over(Revoke(tuple(sorted(self._owned)), is_incremental=True))
            return
        self._is_leaving = False
        self._send_leave(is_for_good=self._leaves_for_good, now_ms=now_ms, tells_left=True)
        self._expelled()

    def _send_leave(self, *, is_for_good: bool, now_ms: float, tells_left: bool = False) -> None:
        """Tell the coordinator, once: a member that it doesn't hear of times out."""
        if not self._is_member and not self._awaits_heartbeat:
            if tells_left:
                self._events.append(Left())
            return

        def on_answer(answer: Any, asked_ms: float, now_ms: float, randomness: float) -> None:
            if tells_left:
                self._events.append(Left())

        self._ask(self._leave_request(is_for_good=is_for_good), self.ANSWER, on_answer, now_ms)
