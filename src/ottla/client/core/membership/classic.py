"""Membership by the classic protocol: JoinGroup, SyncGroup, Heartbeat, LeaveGroup.

A generation begins with everybody's JoinGroup. The leader, one of the members, assigns the
partitions, and SyncGroup brings every member its own. In the eager protocol members own nothing
while they join; in the cooperative one (KIP-429) they keep what they have, give up what goes to
others, and join again so that those get it.
"""

from __future__ import annotations

import enum
from typing import Any

from ottla.client.core.cluster import ClusterView
from ottla.client.core.membership.assignors.subscriptions import partitions_of
from ottla.client.core.membership.assignors.values import Partition
from ottla.client.core.membership.classic_requests import (
    heartbeat_request,
    join_request,
    leave_request,
    sync_request,
)
from ottla.client.core.membership.leading import Leading
from ottla.client.core.membership.member import Member
from ottla.client.core.membership.membership import (
    NO_GENERATION,
    Assign,
    CoordinatorUnknown,
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
from ottla.client.core.reachability import UNREACHABLE
from ottla.client.errors import KafkaError, describe
from ottla.wire.api.k03_metadata import MetadataResponse
from ottla.wire.api.k11_join_group import JoinGroupResponse
from ottla.wire.api.k12_heartbeat import HeartbeatResponse
from ottla.wire.api.k13_leave_group import LeaveGroupResponse
from ottla.wire.api.k14_sync_group import MemberAssignment, SyncGroupResponse
from ottla.wire.consumer_protocol import PROTOCOL_TYPE, decode_assignment
from ottla.wire.errors import ErrorCode, Malformed, Truncated

# A JoinGroup is answered when all others have joined, or when the time for that is over; the answer
# needs some time on its way.
_JOIN_ANSWER_MARGIN_MS = 5_000
_COOPERATIVE = frozenset({"cooperative-sticky"})
_PASSING = UNREACHABLE | {KafkaError._DESTROY}
_ELSEWHERE = frozenset({ErrorCode.NOT_COORDINATOR, ErrorCode.COORDINATOR_NOT_AVAILABLE})


class _State(enum.Enum):
    OUT = "no member, and wants to be none"
    WAITING = "wants to join, as soon as nothing stands in the way"
    JOINING = "JoinGroup is under way"
    LEADING = "leads, and asks for the topics to assign"
    SYNCING = "SyncGroup is under way"
    STABLE = "knows what it is assigned"


class ClassicMembership(Member):
    """A member of a classic group; see the port ``Membership``.

    Attributes of the session: ``_heard_ms`` is when the question was sent that the coordinator last
    answered, so the session never runs out here later than there.
    """

    def __init__(self, settings: MembershipSettings) -> None:
        super().__init__(settings)
        self._state = _State.OUT
        self._member_id = ""
        self._generation = NO_GENERATION
        self._assignor = ""
        self._leading: Leading | None = None
        self._is_cooperative = set(settings.assignors) <= _COOPERATIVE
        # What SyncGroup brought last, and in which generation.
        self._assigned: tuple[Partition, ...] = ()
        self._assigned_generation = NO_GENERATION
        # What is to be assigned after the revocation that the application is busy with.
        self._to_assign: tuple[Partition, ...] | None = None
        self._rejoins_for: str | None = None
        # Answers to questions of an earlier round come too late.
        self._round = 0
        self._heard_ms = 0.0
        self._heartbeat_due_ms = 0.0
        self._awaits_heartbeat = False
        self._awaits_metadata = False
        self._keeps_assignment = False

    # What it is

    @property
    def metadata(self) -> GroupMetadata:
        """Who the consumer is for its group at the moment."""
        settings = self.settings
        return GroupMetadata(
            settings.group_id, self._generation, self._member_id, settings.group_instance_id
        )

    @property
    def rebalance_protocol(self) -> RebalanceProtocol:
        """``NONE`` before the consumer has subscribed to anything."""
        if self._state is _State.OUT:
            return "NONE"
        return "COOPERATIVE" if self._is_cooperative else "EAGER"

    # What the consumer tells

    def _subscribed(self, now_ms: float) -> None:
        self._want_topics()
        if self._state is _State.OUT:
            self._state = _State.WAITING
            self._rejoins_for = "the consumer subscribed"
        else:
            self._rejoins_for = "the subscription changed"

    def metadata_changed(self, cluster: ClusterView, now_ms: float) -> None:
        """The view of the cluster was refreshed."""
        if self._subscription is None:
            return
        self._events += self._topics.failures(cluster, now_ms)
        if self._topics.look(cluster):
            self._rejoins_for = "topics of the subscription came or went"
        leading = self._leading
        if self._state is _State.STABLE and leading is not None and leading.has_changed(cluster):
            self._rejoins_for = "the group's topics changed"

    def commit_failed(self, error_code: int, sent_as: GroupMetadata, now_ms: float) -> None:
        """OffsetCommit was refused; see the port."""
        if error_code == ErrorCode.FENCED_INSTANCE_ID:
            # Who joined again since under another id has itself fenced who sent it.
            if sent_as.member_id == self._member_id:
                self._fenced()
        elif sent_as != self.metadata or self._generation == NO_GENERATION:
            return
        elif error_code == ErrorCode.UNKNOWN_MEMBER_ID:
            self._forget_member_id()
            self._lose()
        elif error_code == ErrorCode.ILLEGAL_GENERATION:
            self._lose()
        elif error_code == ErrorCode.REBALANCE_IN_PROGRESS:
            self._rejoins_for = "the group is rebalancing, as a commit showed"

    def _applied(self, event: Assign | Revoke | Lost, now_ms: float) -> None:
        added, self._to_assign = self._to_assign, None
        if isinstance(event, Revoke) and added is not None:
            self._hand_over(Assign(added, is_incremental=True))
            # Whoever shall have what was given up gets it in the next generation.
            self._rejoins_for = self._rejoins_for or "partitions were given up for other members"

    # Planning

    def plan(self, now_ms: float) -> list[Request]:
        """What to ask now. Each request counts as asked, once."""
        self._watch_poll_interval(now_ms)
        self._watch_session(now_ms)
        if self._is_leaving:
            self._go_on_leaving(now_ms)
        elif not self._is_dead:
            self._go_on(now_ms)
        # Also a leader that is about to leave: the others wait for its assignment.
        if self._can_lead() and self._backoff.is_ready(now_ms):
            self._ask_for_topics(now_ms)
        if self._can_beat() and now_ms >= self._heartbeat_due_ms:
            self._beat(now_ms)
        return self._take_outbox()

    def next_deadline_ms(self) -> float | None:
        """When to call ``plan`` again, None for not before something happens."""
        deadlines = []
        poll_ms = self._poll_deadline_ms()
        if poll_ms is not None and self._state is not _State.JOINING:
            # Not earlier than it counts as exceeded.
            deadlines.append(poll_ms + 1)
        if self._has_session():
            deadlines.append(self._heard_ms + self.settings.session_timeout_ms)
        if self._can_beat():
            deadlines.append(self._heartbeat_due_ms)
        if self._can_join() or self._can_lead():
            deadlines.append(self._backoff.ready_at_ms)
        return min(deadlines, default=None)

    def _go_on(self, now_ms: float) -> None:
        """Take the next step towards a generation, if there is one to take."""
        rests = self._state in (_State.STABLE, _State.LEADING)
        if rests and self._rejoins_for is not None and self._handing_over is None:
            self._state = _State.WAITING
            self._round += 1
        if self._state is _State.WAITING and self._handing_over is None:
            self._prepare_to_join()
        if self._can_join() and self._backoff.is_ready(now_ms):
            self._join(now_ms)

    def _prepare_to_join(self) -> None:
        """Give up what must not be kept while joining."""
        if not self._is_cooperative:
            if self._owned:
                self._hand_over(Revoke(tuple(sorted(self._owned)), is_incremental=False))
            return
        topics = self._topics.found
        unwanted = tuple(sorted(p for p in self._owned if p[0] not in topics))
        if unwanted and self._topics.is_known:
            self._hand_over(Revoke(unwanted, is_incremental=True))

    def _can_lead(self) -> bool:
        return self._state is _State.LEADING and not self._awaits_metadata

    def _can_join(self) -> bool:
        return (
            self._state is _State.WAITING
            and self._subscription is not None
            and self._handing_over is None
            and not self.awaits_poll
            and self._topics.is_known
            # There is nothing to share yet.
            and bool(self._topics.found)
        )

    # Joining

    def _join(self, now_ms: float) -> None:
        self._state = _State.JOINING
        self._round += 1
        asked_round = self._round
        reason, self._rejoins_for = self._rejoins_for or "the consumer joins again", None
        message = join_request(
            self.settings,
            self._member_id,
            self._topics.found,
            owned=self._owned,
            assigned_before=self._assigned,
            assigned_generation=self._assigned_generation,
            reason=reason,
        )

        def on_answer(answer: Any, asked_ms: float, now_ms: float, randomness: float) -> None:
            if asked_round == self._round:
                self._on_joined(answer, now_ms, randomness)

        self._ask(
            message,
            JoinGroupResponse,
            on_answer,
            now_ms,
            timeout_ms=self.settings.max_poll_interval_ms + _JOIN_ANSWER_MARGIN_MS,
        )

    def _on_joined(
        self, answer: JoinGroupResponse | KafkaError, now_ms: float, randomness: float
    ) -> None:
        self._state = _State.WAITING
        if isinstance(answer, KafkaError):
            self._unreachable(answer, now_ms, randomness)
            return
        code = answer.error_code
        if code == ErrorCode.MEMBER_ID_REQUIRED:
            self._member_id = answer.member_id
        elif code != ErrorCode.NONE:
            self._refused("JoinGroup", code, now_ms, randomness)
        elif not self._is_sensible(answer):
            self._refused("JoinGroup", ErrorCode.INCONSISTENT_GROUP_PROTOCOL, now_ms, randomness)
        else:
            self._entered(answer, now_ms)

    def _is_sensible(self, answer: JoinGroupResponse) -> bool:
        """Whether the coordinator chose what was offered, and gave what it has to give."""
        return (
            answer.protocol_name in self.settings.assignors
            and answer.protocol_type in (None, PROTOCOL_TYPE)
            and answer.generation_id > NO_GENERATION
            and answer.member_id != ""
        )

    def _entered(self, answer: JoinGroupResponse, now_ms: float) -> None:
        self._succeeded()
        self._member_id = answer.member_id
        self._generation = answer.generation_id
        self._assignor = answer.protocol_name or ""
        self._heard_ms = now_ms
        self._heartbeat_due_ms = now_ms + self.settings.heartbeat_interval_ms
        is_leader = answer.leader == answer.member_id
        self._leading = Leading(self._assignor, answer.members) if is_leader else None
        self._want_topics()
        self._awaits_metadata = False
        self._keeps_assignment = answer.skip_assignment
        if self._leading is not None:
            self._state = _State.LEADING
        else:
            self._sync([], now_ms)

    # Leading

    def _ask_for_topics(self, now_ms: float) -> None:
        assert self._leading is not None
        question = self._leading.question()
        if question is None:
            self._lead(self._leading, None, now_ms)
            return
        asked_round = self._round

        def on_answer(answer: Any, asked_ms: float, now_ms: float, randomness: float) -> None:
            if asked_round != self._round or self._leading is None:
                return
            self._awaits_metadata = False
            if isinstance(answer, KafkaError):
                self._retry_later(now_ms, randomness)
            else:
                self._succeeded()
                self._lead(self._leading, answer, now_ms)

        self._awaits_metadata = True
        self._ask(question, MetadataResponse, on_answer, now_ms, target="any")

    def _lead(self, leading: Leading, topics: MetadataResponse | None, now_ms: float) -> None:
        assignments = leading.assign(topics)
        # A static leader that came back to a stable group only learns what is assigned (KIP-814).
        self._sync([] if self._keeps_assignment else assignments, now_ms)

    def _want_topics(self) -> None:
        """The leader looks after the topics of the whole group."""
        topics = self._topics.names
        if self._leading is not None:
            topics |= self._leading.topics
        self._events.append(WantTopics(topics, self._topics.has_patterns))

    # Synchronizing

    def _sync(self, assignments: list[MemberAssignment], now_ms: float) -> None:
        self._state = _State.SYNCING
        asked_round = self._round

        def on_answer(answer: Any, asked_ms: float, now_ms: float, randomness: float) -> None:
            if asked_round == self._round:
                self._on_synced(answer, asked_ms, now_ms, randomness)

        self._ask(
            sync_request(self.metadata, self._assignor, assignments),
            SyncGroupResponse,
            on_answer,
            now_ms,
            timeout_ms=self.settings.max_poll_interval_ms + _JOIN_ANSWER_MARGIN_MS,
        )

    def _on_synced(
        self,
        answer: SyncGroupResponse | KafkaError,
        asked_ms: float,
        now_ms: float,
        randomness: float,
    ) -> None:
        self._state = _State.WAITING
        if isinstance(answer, KafkaError):
            self._unreachable(answer, now_ms, randomness)
        elif answer.error_code != ErrorCode.NONE:
            self._refused("SyncGroup", answer.error_code, now_ms, randomness)
        elif answer.protocol_name not in (None, self._assignor):
            self._refused("SyncGroup", ErrorCode.INCONSISTENT_GROUP_PROTOCOL, now_ms, randomness)
        else:
            self._on_assignment(bytes(answer.assignment), asked_ms, now_ms, randomness)

    def _on_assignment(
        self, data: bytes, asked_ms: float, now_ms: float, randomness: float
    ) -> None:
        try:
            # A leader that has nothing for a member may send nothing at all.
            read = decode_assignment(data).assigned_partitions if data else []
        except (Truncated, Malformed):
            self._refused("SyncGroup", ErrorCode.INCONSISTENT_GROUP_PROTOCOL, now_ms, randomness)
            return
        assigned = {(topic, number) for topic, number in partitions_of(read) if number >= 0}
        self._succeeded()
        self._state = _State.STABLE
        self._heard_ms = max(self._heard_ms, asked_ms)
        self._assigned = tuple(sorted(assigned))
        self._assigned_generation = self._generation
        self._events.append(Joined(self.metadata))
        if self._is_leaving or self._handing_over is not None:
            # It is giving up everything; if it stays after all, it joins again.
            return
        revoked = self._owned - assigned
        if not self._is_cooperative:
            self._hand_over(Assign(self._assigned, is_incremental=False))
            return
        added = tuple(sorted(assigned - self._owned))
        if revoked:
            self._to_assign = added
            self._hand_over(Revoke(tuple(sorted(revoked)), is_incremental=True))
        else:
            self._hand_over(Assign(added, is_incremental=True))

    # Staying

    def _has_session(self) -> bool:
        """Whether the coordinator counts on heartbeats, and would have to do without."""
        return self._generation != NO_GENERATION and self._state is not _State.JOINING

    def _can_beat(self) -> bool:
        return self._has_session() and not self._awaits_heartbeat

    def _beat(self, now_ms: float) -> None:
        who = self.metadata

        def on_answer(answer: Any, asked_ms: float, now_ms: float, randomness: float) -> None:
            self._awaits_heartbeat = False
            if who == self.metadata and self._has_session():
                self._on_heartbeat(answer, asked_ms, now_ms, randomness)

        self._awaits_heartbeat = True
        self._heartbeat_due_ms = now_ms + self.settings.heartbeat_interval_ms
        timeout_ms = min(self.settings.request_timeout_ms, self.settings.session_timeout_ms)
        self._ask(
            heartbeat_request(who), HeartbeatResponse, on_answer, now_ms, timeout_ms=timeout_ms
        )

    def _on_heartbeat(
        self,
        answer: HeartbeatResponse | KafkaError,
        asked_ms: float,
        now_ms: float,
        randomness: float,
    ) -> None:
        code = ErrorCode.NONE if isinstance(answer, KafkaError) else answer.error_code
        if isinstance(answer, KafkaError) or code in _ELSEWHERE:
            self._lost_coordinator(now_ms, randomness)
            self._heartbeat_due_ms = self._backoff.ready_at_ms
        elif code == ErrorCode.NONE:
            self._succeeded()
            self._heard_ms = max(self._heard_ms, asked_ms)
        elif code == ErrorCode.REBALANCE_IN_PROGRESS:
            self._heard_ms = max(self._heard_ms, asked_ms)
            self._rejoins_for = self._rejoins_for or "the group is rebalancing"
        elif code == ErrorCode.COORDINATOR_LOAD_IN_PROGRESS:
            self._retry_later(now_ms, randomness)
            self._heartbeat_due_ms = self._backoff.ready_at_ms
        else:
            self._refused("Heartbeat", code, now_ms, randomness)

    def _watch_session(self, now_ms: float) -> None:
        silent_ms = now_ms - self._heard_ms
        if self._has_session() and silent_ms >= self.settings.session_timeout_ms:
            # The id is dead at the coordinator, or will be when it comes back.
            self._forget_member_id()
            self._lose()
            self._events.append(CoordinatorUnknown())

    def _watch_poll_interval(self, now_ms: float) -> None:
        # Nobody polls for a group that only begins to gather: that is known when it has.
        if self._state is _State.JOINING or not self._is_poll_overdue(now_ms):
            return
        self._report_missing_poll(now_ms)
        if self.settings.group_instance_id is None:
            self._send_leave("the application does not poll (max.poll.interval.ms)", now_ms)
        self._forget_member_id()
        self._lose()

    # When it does not go as it should

    def _unreachable(self, error: KafkaError, now_ms: float, randomness: float) -> None:
        if error.code() not in _PASSING:
            self._report(error)
        self._lost_coordinator(now_ms, randomness)

    def _refused(self, question: str, code: int, now_ms: float, randomness: float) -> None:
        """An answer says no, which may mean the end of the membership or just another try."""
        if code == ErrorCode.FENCED_INSTANCE_ID:
            self._fenced()
        elif code == ErrorCode.UNKNOWN_MEMBER_ID:
            self._forget_member_id()
            self._lose()
            self._retry_later(now_ms, randomness, first_at_once=True)
        elif code == ErrorCode.ILLEGAL_GENERATION:
            self._lose()
            self._retry_later(now_ms, randomness, first_at_once=True)
        elif code == ErrorCode.REBALANCE_IN_PROGRESS:
            self._retry_later(now_ms, randomness, first_at_once=True)
        elif code in _ELSEWHERE:
            self._lost_coordinator(now_ms, randomness)
        else:
            if code != ErrorCode.COORDINATOR_LOAD_IN_PROGRESS:
                self._report(KafkaError(code, f"{question} failed: {describe(code)}"))
            self._retry_later(now_ms, randomness)

    def _fenced(self) -> None:
        code = ErrorCode.FENCED_INSTANCE_ID
        self._forget_member_id()
        self._die(code, f"Fatal consumer error: {describe(code)}")

    def _forget_member_id(self) -> None:
        self._member_id = ""

    def _expelled(self) -> None:
        self._generation = NO_GENERATION
        self._assigned_generation = NO_GENERATION
        self._leading = None
        self._to_assign = None
        self._round += 1
        self._rejoins_for = self._rejoins_for or "the membership was lost"
        wants_more = self._subscription is not None and not self._is_dead
        self._state = _State.WAITING if wants_more else _State.OUT

    # Leaving

    def _go_on_leaving(self, now_ms: float) -> None:
        if self._handing_over is not None:
            return
        if self._owned:
            is_incremental = self._is_cooperative
            self._hand_over(Revoke(tuple(sorted(self._owned)), is_incremental))
            return
        if self._state is _State.JOINING and not self._member_id:
            # Nobody could say yet who is leaving.
            return
        self._is_leaving = False
        if self._leaves_for_good and self._member_id:
            self._send_leave("the consumer unsubscribed or was closed", now_ms, tells_left=True)
        else:
            self._events.append(Left())
        self._forget_member_id()
        self._expelled()

    def _send_leave(self, reason: str, now_ms: float, *, tells_left: bool = False) -> None:
        """Tell the coordinator, once: a member that it doesn't hear of times out."""
        if not self._member_id:
            return

        def on_answer(answer: Any, asked_ms: float, now_ms: float, randomness: float) -> None:
            if tells_left:
                self._events.append(Left())

        self._ask(
            leave_request(self.metadata, reason),
            LeaveGroupResponse,
            on_answer,
            now_ms,
            overtakes=True,
        )
