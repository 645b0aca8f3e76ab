"""Membership of a share group (KIP-932): ShareGroupHeartbeat does it all.

Partitions are shared, so nobody waits for a member to give one up: it takes and leaves what the
last heartbeat says, and the coordinator is not told.
"""

from __future__ import annotations

from typing import Any

from ottla.client.core.membership.heartbeats import LEAVING_EPOCH, HeartbeatMember
from ottla.client.core.membership.membership import Assign, GroupMetadata, Lost, Revoke
from ottla.client.errors import KafkaError
from ottla.wire.api.k76_share_group_heartbeat import (
    ShareGroupHeartbeatRequest,
    ShareGroupHeartbeatResponse,
)
from ottla.wire.errors import ErrorCode


class ShareMembership(HeartbeatMember):
    """A member of a share group; see the port ``Membership``.

    Args:
        settings: of the member.
        member_id: a fresh one, made by the client (KIP-1082).
        cluster: the view that tells the names of topics.
    """

    HEARTBEAT = "ShareGroupHeartbeat"
    ANSWER = ShareGroupHeartbeatResponse

    # What the consumer tells

    def commit_failed(self, error_code: int, sent_as: GroupMetadata, now_ms: float) -> None:
        """Share groups have no offsets that a member commits."""

    def _applied(self, event: Assign | Revoke | Lost, now_ms: float) -> None:
        """The next step is for the next plan."""

    def _reconcile(self) -> None:
        if self._handing_over is not None or self._target is None or self._is_lost:
            return
        named = self._named_target()
        revoked = tuple(sorted(self._owned - named.keys()))
        if revoked:
            self._hand_over(Revoke(revoked, is_incremental=True))
            return
        added = tuple(sorted(named.keys() - self._owned))
        if added:
            self._hand_over(Assign(added, is_incremental=True))
            self._want_topics()

    # Heartbeats

    def _has_news(self) -> bool:
        return not self._is_leaving and (self._tells_all or self._tells_subscription)

    def _beat(self, now_ms: float) -> None:
        request = self._heartbeat()
        asked_round = self._round

        def on_answer(answer: Any, asked_ms: float, now_ms: float, randomness: float) -> None:
            if asked_round != self._round:
                return
            self._awaits_heartbeat = False
            self._heartbeat_due_ms = now_ms + self._interval_ms
            if isinstance(answer, KafkaError):
                self._unreachable(answer, now_ms, randomness)
            elif answer.error_code != ErrorCode.NONE:
                self._refused(answer, now_ms, randomness)
            else:
                self._on_heartbeat(answer, now_ms)

        self._awaits_heartbeat = True
        if not self._is_leaving:
            self._tells_all = self._tells_subscription = False
        self._ask(request, ShareGroupHeartbeatResponse, on_answer, now_ms)

    def _heartbeat(self) -> ShareGroupHeartbeatRequest:
        """The next heartbeat; after a failure, and at first, it says everything."""
        settings = self.settings
        tells_all = not self._is_member or (self._tells_all and not self._is_leaving)
        tells_subscription = tells_all or (self._tells_subscription and not self._is_leaving)
        return ShareGroupHeartbeatRequest(
            group_id=settings.group_id,
            member_id=self._member_id,
            member_epoch=self._epoch,
            rack_id=settings.rack if tells_all else None,
            subscribed_topic_names=sorted(self._topics.names) if tells_subscription else None,
        )

    def _leave_request(self, *, is_for_good: bool) -> ShareGroupHeartbeatRequest:
        return ShareGroupHeartbeatRequest(
            group_id=self.settings.group_id,
            member_id=self._member_id,
            member_epoch=LEAVING_EPOCH,
        )
