"""What a group shard can be asked about share groups, and its answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from ottla.coordination.groups.commands import ClientContext, Command
from ottla.wire.api.k76_share_group_heartbeat import (
    ShareGroupHeartbeatRequest,
    ShareGroupHeartbeatResponse,
)

_HERE = "ottla.coordination.share_groups.requests"

#: Partitions by topic id.
TopicPartitions = Mapping[UUID, frozenset[int]]


class ShareGroupHeartbeat(Command):
    """A member joins, stays or leaves; answered with a `HeartbeatReply`."""

    __slots__ = ("context",)
    MODULE = _HERE
    request: ShareGroupHeartbeatRequest

    def __init__(
        self,
        token: object,
        request: ShareGroupHeartbeatRequest,
        version: int,
        context: ClientContext,
    ) -> None:
        super().__init__(token, request, version)
        self.context = context


class HeartbeatReply(NamedTuple):
    """The response, and what must be initialized before it can be assigned.

    state_epoch: the one to initialize with.
    """

    response: ShareGroupHeartbeatResponse
    to_initialize: TopicPartitions
    state_epoch: int


class ShareGroupDescribe(Command):
    """A request whose ``group_ids`` all belong to this shard."""

    __slots__ = ()
    MODULE = _HERE


class GroupCommand(Command):
    """A step of the broker on the way to an answer, about one group."""

    __slots__ = ("group_id",)
    MODULE = _HERE

    def __init__(self, token: object, group_id: str) -> None:
        super().__init__(token, None, 0)
        self.group_id = group_id

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.group_id!r})"


class PartitionsInitialized(GroupCommand):
    """Share coordinators keep state of these partitions from now on. Answered with ``None``."""

    __slots__ = ("partitions",)

    def __init__(self, token: object, group_id: str, partitions: TopicPartitions) -> None:
        super().__init__(token, group_id)
        self.partitions = partitions


class StatePartitions(GroupCommand):
    """Asks which partitions have state; none of a group that isn't there. Answered with `Found`."""

    __slots__ = ()


class BeginAlterOffsets(GroupCommand):
    """Partitions are about to begin anew; the group must be empty, or not there yet.

    Answered with `Begun` or an error code.
    """

    __slots__ = ("partitions",)

    def __init__(self, token: object, group_id: str, partitions: TopicPartitions) -> None:
        super().__init__(token, group_id)
        self.partitions = partitions


class BeginDeleteOffsets(GroupCommand):
    """State is about to be deleted; the group must be empty.

    topic_ids: ``None`` for all topics. Answered with `Found` (what has to be deleted) or an error.
    """

    __slots__ = ("topic_ids",)

    def __init__(
        self, token: object, group_id: str, topic_ids: Sequence[UUID] | None = None
    ) -> None:
        super().__init__(token, group_id)
        self.topic_ids = topic_ids


class OffsetsDeleted(GroupCommand):
    """The state of these topics is deleted. Answered with ``None``."""

    __slots__ = ("topic_ids",)

    def __init__(self, token: object, group_id: str, topic_ids: Sequence[UUID]) -> None:
        super().__init__(token, group_id)
        self.topic_ids = topic_ids


class ShareTopicsDeleted(Command):
    """Topics that are gone: share groups forget them. Nobody asked, so there is no reply."""

    __slots__ = ("topic_ids",)
    MODULE = _HERE

    def __init__(self, topic_ids: frozenset[UUID]) -> None:
        super().__init__(None, None, 0)
        self.topic_ids = topic_ids


class Found(NamedTuple):
    """Partitions that have state."""

    partitions: TopicPartitions


class Begun(NamedTuple):
    """The state epoch to begin anew with."""

    state_epoch: int
