"""A member of a consumer group (KIP-848): one heartbeat for everything."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from ottla.testing.simulation.clients.link import Link, Unanswered, is_retriable
from ottla.testing.simulation.clients.membership import Fenced, RebalanceNeeded, by_topic
from ottla.testing.simulation.world import Client
from ottla.wire.api.k03_metadata import MetadataRequest, TopicToDescribe
from ottla.wire.api.k68_consumer_group_heartbeat import (
    Assignment,
    ConsumerGroupHeartbeatRequest,
    OwnedTopic,
)
from ottla.wire.errors import ErrorCode

_VERSION = 1
_METADATA_VERSION = 12
_REBALANCE_TIMEOUT_MS = 2_000
_JOINS = 0
_LEAVES = -1
_PAUSES = -2
# The last says that the group was downgraded while this member was away.
_OVER = (
    ErrorCode.UNKNOWN_MEMBER_ID,
    ErrorCode.FENCED_MEMBER_EPOCH,
    ErrorCode.GROUP_ID_NOT_FOUND,
)
_FENCED = (ErrorCode.FENCED_INSTANCE_ID,)
# The static member of before has not left yet.
_WAIT = (ErrorCode.UNRELEASED_INSTANCE_ID,)


class ConsumerMember:
    """See ``Membership``; each change of the assignment or the epoch counts as joining again."""

    def __init__(
        self, client: Client, group: str, topics: Sequence[str], instance_id: str | None
    ) -> None:
        self.client = client
        self.group = group
        self.instance_id = instance_id
        self.member_id = str(uuid.UUID(int=client.random.getrandbits(128)))
        self.epoch = _JOINS
        self._topics = list(topics)
        self._link = Link(client)
        self._topic_names: dict[uuid.UUID, str] = {}
        self._owned: list[str] = []
        self._next_heartbeat_s = 0.0
        self._must_say_all = True

    @property
    def identity(self) -> str:
        return self.instance_id or self.member_id

    async def join(self) -> list[str]:
        """Take over what the group assigns, and tell it so."""
        while True:
            try:
                if not self._topic_names:
                    await self._learn_topics()
                await self._beat()
            except Unanswered:
                self._must_say_all = True
            except RebalanceNeeded:
                # There is a newer one already: the next heartbeat acknowledges it.
                continue
            else:
                if self.epoch > _JOINS:
                    return list(self._owned)
            await self._link.back_off()

    async def keep_alive(self) -> None:
        if self.client.world.loop.time() < self._next_heartbeat_s:
            return
        try:
            await self._beat()
        except Unanswered:
            self._must_say_all = True

    async def leave(self) -> None:
        self.epoch = _LEAVES if self.instance_id is None else _PAUSES
        try:
            await self._link.ask(self._request(), _VERSION)
        except Unanswered:
            pass
        self._link.close()

    async def _learn_topics(self) -> None:
        request = MetadataRequest(topics=[TopicToDescribe(name=name) for name in self._topics])
        response = await self._link.ask(request, _METADATA_VERSION)
        self._topic_names = {
            topic.topic_id: topic.name for topic in response.topics if not topic.error_code
        }

    async def _beat(self) -> None:
        """One heartbeat.

        Raises:
            Unanswered: no answer came.
            RebalanceNeeded: the epoch or the assignment has changed.
            Fenced: another has this instance id.
        """
        before = (self.epoch, self._owned)
        response = await self._link.ask(self._request(), _VERSION)
        code = response.error_code
        if code:
            self._failed(code)
            return
        now_s = self.client.world.loop.time()
        self._next_heartbeat_s = now_s + response.heartbeat_interval_ms / 1000
        self._must_say_all = False
        self.epoch = response.member_epoch
        if response.assignment is not None:
            self._owned = self._named(response.assignment)
        if (self.epoch, self._owned) != before:
            self._must_say_all = True
            raise RebalanceNeeded

    def _failed(self, code: int) -> None:
        self._must_say_all = True
        if code in _OVER:
            self.epoch = _JOINS
            self._owned = []
            raise RebalanceNeeded
        if code in _FENCED:
            raise Fenced
        assert code in _WAIT or is_retriable(code), f"{self.group}: {ErrorCode(code).name}"

    def _named(self, assignment: Assignment) -> list[str]:
        return sorted(
            f"{self._topic_names[topic.topic_id]}-{index}"
            for topic in assignment.topic_partitions
            for index in topic.partitions
        )

    def _request(self) -> ConsumerGroupHeartbeatRequest:
        details: dict[str, Any] = {}
        if self._must_say_all or self.epoch == _JOINS:
            ids = {name: topic_id for topic_id, name in self._topic_names.items()}
            details = {
                "rebalance_timeout_ms": _REBALANCE_TIMEOUT_MS,
                "subscribed_topic_names": self._topics,
                "topic_partitions": [
                    OwnedTopic(topic_id=ids[topic], partitions=[index for index, _ in found])
                    for topic, found in by_topic(dict.fromkeys(self._owned)).items()
                ],
            }
        return ConsumerGroupHeartbeatRequest(
            group_id=self.group,
            member_id=self.member_id,
            member_epoch=self.epoch,
            instance_id=self.instance_id,
            **details,
        )
