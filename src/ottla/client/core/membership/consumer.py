"""Membership by the consumer protocol (KIP-848): one request, ConsumerGroupHeartbeat, does it all.

The coordinator assigns; heartbeats say what changed since the last one and bring the assignment.
The member gives up what it shall not have any more, says so, and then takes what it is given: the
coordinator gives it only what nobody else owns.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from ottla.client.core.backoff import Backoff
from ottla.client.core.cluster import ClusterView
from ottla.client.core.membership.assignors.values import Partition
from ottla.client.core.membership.member import Member
from ottla.client.core.membership.membership import (
    NO_GENERATION,
    Assign,
    GroupMetadata,
    Joined,
    Left,
    Lost,
    RebalanceProtocol,
    Request,
    Revoke,
    WantTopics,
)
from ottla.client.core.membership.settings import MembershipSettings
from ottla.client.core.membership.topic_names import ASKS_BY_ID, TopicNames
from ottla.client.errors import KafkaError, describe
from ottla.wire.api.k03_metadata import MetadataResponse
from ottla.wire.api.k68_consumer_group_heartbeat import (
    ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse,
    OwnedTopic,
)
from ottla.wire.errors import ErrorCode

_JOINING_EPOCH = 0
_LEAVING_EPOCH = -1
# A static member goes, and means to come back (KIP-345).
_PAUSING_EPOCH = -2
# The first version of the heartbeat that can say a regular expression.
_KNOWS_REGEX = 1
# A coordinator that wants heartbeats more often than this is not to be believed.
_MIN_INTERVAL_MS = 10

_ELSEWHERE = frozenset({ErrorCode.NOT_COORDINATOR, ErrorCode.COORDINATOR_NOT_AVAILABLE})
_PASSING = frozenset({KafkaError._TRANSPORT, KafkaError._TIMED_OUT, KafkaError._DESTROY})
_EXPELLED = frozenset({ErrorCode.FENCED_MEMBER_EPOCH, ErrorCode.UNKNOWN_MEMBER_ID})
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
_ById = tuple[UUID, int]


class ConsumerMembership(Member):
    """A member of a consumer group; see the port ``Membership``.

    Args:
        settings: of the member.
        member_id: a fresh one, made by the client (KIP-1082).
        cluster: the view that tells the names of topics.
    """

    def __init__(self, settings: MembershipSettings, member_id: str, cluster: ClusterView) -> None:
        super().__init__(settings)
        self._member_id = member_id
        self._epoch = _JOINING_EPOCH
        self._names = TopicNames(cluster)
        self._names_backoff = Backoff(settings.retry_backoff_ms, settings.retry_backoff_max_ms)
        self._awaits_names = False
        # What it shall own, and the ids of the topics of what it does own.
        self._target: frozenset[_ById] | None = None
        self._owned_ids: dict[Partition, UUID] = {}
        # Something was revoked: the application hears next what it got for it, be it nothing.
        self._owes_assign = False
        self._tells_all = True
        self._tells_subscription = False
        self._told_regex = False
        self._told_owned: frozenset[_ById] | None = None
        self._awaits_heartbeat = False
        # The heartbeat under way says what is owned.
        self._is_telling_owned = False
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
        return self._epoch > _JOINING_EPOCH

    # What the consumer tells

    def _subscribed(self, now_ms: float) -> None:
        self._tells_subscription = True
        self._want_topics()

    def metadata_changed(self, cluster: ClusterView, now_ms: float) -> None:
        """The view of the cluster was refreshed; which topics there are, the coordinator knows."""

    def commit_failed(self, error_code: int, sent_as: GroupMetadata, now_ms: float) -> None:
        """OffsetCommit was refused; see the port."""
        if error_code == ErrorCode.FENCED_INSTANCE_ID:
            self._give_up(error_code, describe(error_code))
        elif sent_as == self.metadata and self._is_member and error_code in _EXPELLED:
            self._lose()

    def _applied(self, event: Assign | Revoke | Lost, now_ms: float) -> None:
        self._owned_ids = {each: self._owned_ids[each] for each in self._owned}

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

    # Reconciling

    def _reconcile(self) -> None:
        """Take the next step from what is owned towards the target."""
        if self._handing_over is not None or self._target is None or self._is_lost:
            return
        revoked = [each for each in self._owned if self._by_id(each) not in self._target]
        if revoked:
            self._owes_assign = True
            self._hand_over(Revoke(tuple(sorted(revoked)), is_incremental=True))
            return
        if self._tells_all or self._is_telling_owned:
            # The coordinator hears, or may have heard, that the rest of the target is not owned: it
            # may have given that to others. Its next answer tells.
            return
        named = self._named_target()
        added = tuple(sorted(named.keys() - self._owned))
        if added or self._owes_assign:
            self._owes_assign = False
            self._owned_ids |= {each: named[each] for each in added}
            self._hand_over(Assign(added, is_incremental=True))
            self._want_topics()

    def _by_id(self, partition: Partition) -> _ById:
        return self._owned_ids[partition], partition[1]

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

    # Names

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

    def _owned_by_id(self) -> frozenset[_ById]:
        """What it says it owns, also what the application only begins to take.

        Were that left out, the coordinator could give it to another while it is being taken.
        """
        return frozenset(self._by_id(each) for each in self._owned)

    def _has_news(self) -> bool:
        if self._is_leaving:
            return False
        is_other = self._owned_by_id() != self._told_owned
        return self._tells_all or self._tells_subscription or is_other

    def _beat(self, now_ms: float) -> None:
        owned = self._owned_by_id()
        request = self._heartbeat(owned)
        had_regex = request.subscribed_topic_regex is not None
        asked_round = self._round

        def on_answer(answer: Any, asked_ms: float, now_ms: float, randomness: float) -> None:
            if asked_round != self._round:
                return
            self._awaits_heartbeat = self._is_telling_owned = False
            self._heartbeat_due_ms = now_ms + self._interval_ms
            if isinstance(answer, KafkaError):
                self._unreachable(answer, now_ms, randomness)
            elif answer.error_code != ErrorCode.NONE:
                self._refused(answer, now_ms, randomness)
            else:
                if request.topic_partitions is not None:
                    self._told_owned = owned
                if request.subscribed_topic_regex is not None:
                    self._told_regex = request.subscribed_topic_regex != ""
                self._on_heartbeat(answer, now_ms)

        self._awaits_heartbeat = True
        self._is_telling_owned = request.topic_partitions is not None
        if not self._is_leaving:
            self._tells_all = self._tells_subscription = False
        self._ask(
            request,
            ConsumerGroupHeartbeatResponse,
            on_answer,
            now_ms,
            at_least=_KNOWS_REGEX if had_regex else 0,
        )

    def _heartbeat(self, owned: frozenset[_ById]) -> ConsumerGroupHeartbeatRequest:
        """The next heartbeat; after a failure, and at first, it says everything."""
        settings = self.settings
        is_joining = not self._is_member
        request = ConsumerGroupHeartbeatRequest(
            group_id=settings.group_id,
            member_id=self._member_id,
            member_epoch=self._epoch,
            instance_id=settings.group_instance_id,
        )
        tells_all = is_joining or (self._tells_all and not self._is_leaving)
        if tells_all:
            request.rack_id = settings.rack
            request.rebalance_timeout_ms = settings.max_poll_interval_ms
            request.server_assignor = settings.remote_assignor
        if tells_all or (self._tells_subscription and not self._is_leaving):
            self._say_subscription(request)
        if tells_all or owned != self._told_owned:
            request.topic_partitions = _by_topic(owned)
        return request

    def _say_subscription(self, request: ConsumerGroupHeartbeatRequest) -> None:
        subscription = self._subscription
        assert subscription is not None
        request.subscribed_topic_names = sorted(subscription.topics)
        regex = "|".join(subscription.patterns)
        if regex or self._told_regex:
            # Empty: there was one before, and now there is none.
            request.subscribed_topic_regex = regex
        self._told_regex = self._told_regex or bool(regex)

    def _on_heartbeat(self, answer: ConsumerGroupHeartbeatResponse, now_ms: float) -> None:
        self._succeeded()
        self._interval_ms = float(max(answer.heartbeat_interval_ms, _MIN_INTERVAL_MS))
        self._heartbeat_due_ms = now_ms + self._interval_ms
        if answer.member_id:
            self._member_id = answer.member_id
        if answer.member_epoch > _JOINING_EPOCH and answer.member_epoch != self._epoch:
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

    def _refused(
        self, answer: ConsumerGroupHeartbeatResponse, now_ms: float, randomness: float
    ) -> None:
        code = answer.error_code
        self._failed(now_ms)
        if code in _EXPELLED:
            self._lose()
            self._retry_later(now_ms, randomness, first_at_once=True)
        elif code in _HOPELESS:
            self._give_up(code, describe(code))
        elif code in _ELSEWHERE:
            self._lost_coordinator(now_ms, randomness)
        else:
            if code != ErrorCode.COORDINATOR_LOAD_IN_PROGRESS:
                more = f": {answer.error_message}" if answer.error_message else ""
                text = f"ConsumerGroupHeartbeat failed: {describe(code)}{more}"
                self._report(KafkaError(code, text))
            self._retry_later(now_ms, randomness)

    def _failed(self, now_ms: float) -> None:
        """Nobody knows what the coordinator heard: say everything again."""
        self._tells_all = True
        self._told_owned = None

    def _give_up(self, code: int, text: str) -> None:
        self._die(code, f"ConsumerGroupHeartbeat fatal error: {text}")

    def _expelled(self) -> None:
        self._epoch = _JOINING_EPOCH
        self._target = None
        self._told_owned = None
        self._owes_assign = False
        self._told_regex = False
        self._tells_all = True
        self._awaits_heartbeat = self._is_telling_owned = False
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

        request = ConsumerGroupHeartbeatRequest(
            group_id=self.settings.group_id,
            member_id=self._member_id,
            member_epoch=_LEAVING_EPOCH if is_for_good else _PAUSING_EPOCH,
            instance_id=self.settings.group_instance_id,
        )
        self._ask(request, ConsumerGroupHeartbeatResponse, on_answer, now_ms)


def _by_topic(partitions: frozenset[_ById]) -> list[OwnedTopic]:
    topics: dict[UUID, list[int]] = {}
    for topic_id, number in sorted(partitions):
        topics.setdefault(topic_id, []).append(number)
    return [OwnedTopic(topic_id=topic_id, partitions=each) for topic_id, each in topics.items()]
