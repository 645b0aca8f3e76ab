"""Membership by the consumer protocol (KIP-848): one request, ConsumerGroupHeartbeat, does it all.

The coordinator assigns; heartbeats say what changed since the last one and bring the assignment.
The member gives up what it shall not have any more, says so, and then takes what it is given: the
coordinator gives it only what nobody else owns.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from ottla.client.core.cluster import ClusterView
from ottla.client.core.membership.assignors.values import Partition
from ottla.client.core.membership.heartbeats import (
    EXPELLED,
    LEAVING_EPOCH,
    HeartbeatMember,
    PartitionById,
)
from ottla.client.core.membership.membership import Assign, GroupMetadata, Lost, Revoke
from ottla.client.core.membership.settings import MembershipSettings
from ottla.client.errors import KafkaError, describe
from ottla.wire.api.k68_consumer_group_heartbeat import (
    ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse,
    OwnedTopic,
)
from ottla.wire.errors import ErrorCode

# A static member goes, and means to come back (KIP-345).
_PAUSING_EPOCH = -2
# The first version of the heartbeat that can say a regular expression.
_KNOWS_REGEX = 1


class ConsumerMembership(HeartbeatMember):
    """A member of a consumer group; see the port ``Membership``.

    Args:
        settings: of the member.
        member_id: a fresh one, made by the client (KIP-1082).
        cluster: the view that tells the names of topics.
    """

    HEARTBEAT = "ConsumerGroupHeartbeat"
    ANSWER = ConsumerGroupHeartbeatResponse

    def __init__(self, settings: MembershipSettings, member_id: str, cluster: ClusterView) -> None:
        super().__init__(settings, member_id, cluster)
        # The ids of the topics of what it owns.
        self._owned_ids: dict[Partition, UUID] = {}
        # Something was revoked: the application hears next what it got for it, be it nothing.
        self._owes_assign = False
        self._told_regex = False
        self._told_owned: frozenset[PartitionById] | None = None
        # The heartbeat under way says what is owned.
        self._is_telling_owned = False

    # What the consumer tells

    def commit_failed(self, error_code: int, sent_as: GroupMetadata, now_ms: float) -> None:
        """OffsetCommit was refused; see the port."""
        if error_code == ErrorCode.FENCED_INSTANCE_ID:
            self._give_up(error_code, describe(error_code))
        elif sent_as == self.metadata and self._is_member and error_code in EXPELLED:
            self._lose()

    def _applied(self, event: Assign | Revoke | Lost, now_ms: float) -> None:
        self._owned_ids = {each: self._owned_ids[each] for each in self._owned}

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

    def _by_id(self, partition: Partition) -> PartitionById:
        return self._owned_ids[partition], partition[1]

    # Heartbeats

    def _owned_by_id(self) -> frozenset[PartitionById]:
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

    def _heartbeat(self, owned: frozenset[PartitionById]) -> ConsumerGroupHeartbeatRequest:
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

    # When it does not go as it should

    def _failed(self, now_ms: float) -> None:
        super()._failed(now_ms)
        self._told_owned = None

    def _expelled(self) -> None:
        super()._expelled()
        self._told_owned = None
        self._owes_assign = False
        self._told_regex = False
        self._is_telling_owned = False

    def _leave_request(self, *, is_for_good: bool) -> ConsumerGroupHeartbeatRequest:
        return ConsumerGroupHeartbeatRequest(
            group_id=self.settings.group_id,
            member_id=self._member_id,
            member_epoch=LEAVING_EPOCH if is_for_good else _PAUSING_EPOCH,
            instance_id=self.settings.group_instance_id,
        )


def _by_topic(partitions: frozenset[PartitionById]) -> list[OwnedTopic]:
    topics: dict[UUID, list[int]] = {}
    for topic_id, number in sorted(partitions):
        topics.setdefault(topic_id, []).append(number)
    return [OwnedTopic(topic_id=topic_id, partitions=each) for topic_id, each in topics.items()]
