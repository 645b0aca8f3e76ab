"""A member of a consumer group as its client plays it (KIP-848), without a network.

It asks with `request`, hears with `receive`, and gives partitions up with `finish_revoking`, which
a test may put off: a client commits offsets first.
"""

from __future__ import annotations

from uuid import UUID

from ottla.wire.api.k68_consumer_group_heartbeat import (
    ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse,
    OwnedTopic,
)
from ottla.wire.errors import ErrorCode

Partition = tuple[UUID, int]

_MUST_JOIN_ANEW = {ErrorCode.FENCED_MEMBER_EPOCH, ErrorCode.UNKNOWN_MEMBER_ID}


class ConsumerMember:
    """One client.

    Attributes:
        epoch: The member epoch it was told last; 0 before it has joined.
        owned: Partitions it consumes.
        assigned: What it was told to consume.
        heartbeat_interval_ms: When it is to come back.
        last_error: What its last heartbeat was refused with.
    """

    def __init__(
        self,
        group_id: str,
        member_id: str,
        topics: list[str] | None = None,
        *,
        regex: str | None = None,
        instance_id: str | None = None,
        rebalance_timeout_ms: int = 60_000,
        assignor: str | None = None,
    ) -> None:
        self.group_id = group_id
        self.member_id = member_id
        self.topics = topics
        self.regex = regex
        self.instance_id = instance_id
        self.rebalance_timeout_ms = rebalance_timeout_ms
        self.assignor = assignor
        self.epoch = 0
        self.owned: set[Partition] = set()
        self.assigned: set[Partition] = set()
        self.heartbeat_interval_ms = 0
        self.last_error = ErrorCode.NONE
        self._told_owned: set[Partition] | None = None
        self._tells_all = True

    def request(self) -> ConsumerGroupHeartbeatRequest:
        """The next heartbeat: all of it when joining, else only what has changed."""
        request = ConsumerGroupHeartbeatRequest(
            group_id=self.group_id,
            member_id=self.member_id,
            member_epoch=self.epoch,
            instance_id=self.instance_id,
        )
        if self._tells_all or self.epoch == 0:
            request.rebalance_timeout_ms = self.rebalance_timeout_ms
            request.subscribed_topic_names = self.topics
            request.subscribed_topic_regex = self.regex
            request.server_assignor = self.assignor
        if self._tells_all or self.epoch == 0 or self._told_owned != self.owned:
            request.topic_partitions = _topics(self.owned)
            self._told_owned = set(self.owned)
        self._tells_all = False
        return request

    def leave(self, epoch: int = -1) -> ConsumerGroupHeartbeatRequest:
        """The last heartbeat."""
        return ConsumerGroupHeartbeatRequest(
            group_id=self.group_id,
            member_id=self.member_id,
            member_epoch=epoch,
            instance_id=self.instance_id,
        )

    def subscribe(self, topics: list[str]) -> None:
        """Subscribes to other topics; its next heartbeat says so."""
        self.topics = topics
        self.lose_answer()

    def lose_answer(self) -> None:
        """After a heartbeat whose answer got lost: the next one tells everything."""
        self._tells_all = True

    def abandon(self) -> None:
        """Gives up everything and joins anew."""
        self.epoch = 0
        self.owned.clear()
        self.assigned.clear()
        self._tells_all = True

    def receive(self, response: ConsumerGroupHeartbeatResponse) -> None:
        """Hears the answer to the last heartbeat."""
        self.last_error = ErrorCode(response.error_code)
        if self.last_error in _MUST_JOIN_ANEW:
            self.abandon()
        if self.last_error is not ErrorCode.NONE:
            self._tells_all = True
            return
        if response.member_id is not None:
            self.member_id = response.member_id
        self.epoch = response.member_epoch
        self.heartbeat_interval_ms = response.heartbeat_interval_ms
        if response.assignment is not None:
            self.assigned = {
                (topic.topic_id, partition)
                for topic in response.assignment.topic_partitions
                for partition in topic.partitions
            }
        if not self.is_revoking:
            self.owned = set(self.assigned)

    @property
    def is_revoking(self) -> bool:
        """Whether it still owns what it shall give up. It takes nothing new until that is done."""
        return not self.owned <= self.assigned

    def finish_revoking(self) -> None:
        """Gives up what it is no longer assigned, then takes what it is assigned."""
        self.owned &= self.assigned
        self.owned = set(self.assigned)


def _topics(partitions: set[Partition]) -> list[OwnedTopic]:
    topics: dict[UUID, list[int]] = {}
    for topic_id, partition in sorted(partitions):
        topics.setdefault(topic_id, []).append(partition)
    return [OwnedTopic(topic_id=topic_id, partitions=each) for topic_id, each in topics.items()]
