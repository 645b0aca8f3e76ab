"""What a group shard can be asked: wire requests with their way back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

if TYPE_CHECKING:
    from ottla.wire.api.k08_offset_commit import OffsetCommitRequest
    from ottla.wire.api.k09_offset_fetch import OffsetFetchRequest
    from ottla.wire.api.k11_join_group import JoinGroupRequest
    from ottla.wire.api.k12_heartbeat import HeartbeatRequest
    from ottla.wire.api.k13_leave_group import LeaveGroupRequest
    from ottla.wire.api.k14_sync_group import SyncGroupRequest
    from ottla.wire.api.k15_describe_groups import DescribeGroupsRequest
    from ottla.wire.api.k16_list_groups import ListGroupsRequest
    from ottla.wire.api.k28_txn_offset_commit import TxnOffsetCommitRequest
    from ottla.wire.api.k42_delete_groups import DeleteGroupsRequest
    from ottla.wire.api.k47_offset_delete import OffsetDeleteRequest
    from ottla.wire.api.k68_consumer_group_heartbeat import ConsumerGroupHeartbeatRequest
    from ottla.wire.api.k69_consumer_group_describe import ConsumerGroupDescribeRequest


# Where commands are decided; a kind of groups that nobody uses is never imported.
_CLASSIC = "ottla.coordination.groups.classic_requests"
_OFFSETS = "ottla.coordination.groups.offset_requests"
_TRANSACTIONAL_OFFSETS = "ottla.coordination.groups.transactional_requests"
_CONSUMER = "ottla.coordination.groups.consumer.requests"
_GROUPS = "ottla.coordination.groups.group_requests"


class ClientContext(NamedTuple):
    """Who sent the request, as DescribeGroups will show it (Kafka's host reads ``/10.0.0.7``)."""

    client_id: str
    client_host: str


# Plain classes, because named tuples take ten times as long to create when the broker starts.
class Command:
    """A request to a shard.

    token: the caller's own mark, which comes back in the `Reply`.
    request: decoded; of API version ``version``.
    """

    __slots__ = ("request", "token", "version")

    #: The full name of the module whose table ``DECIDE`` has the function for this command.
    MODULE: ClassVar[str]

    def __init__(self, token: object, request: Any, version: int) -> None:
        self.token = token
        self.request = request
        self.version = version

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.request!r}, version={self.version})"


class _MemberCommand(Command):
    """What a member may begin with, so that its client is to be remembered."""

    __slots__ = ("context", "unique_id")

    def __init__(
        self, token: object, request: Any, version: int, context: ClientContext, unique_id: str
    ) -> None:
        super().__init__(token, request, version)
        self.context = context
        self.unique_id = unique_id


class JoinGroup(_MemberCommand):
    """``unique_id`` is a fresh UUID as text; it becomes part of the member id given out."""

    __slots__ = ()
    MODULE = _CLASSIC
    request: JoinGroupRequest


class SyncGroup(Command):
    """Brings the leader's assignment, or asks for one's own."""

    __slots__ = ()
    MODULE = _CLASSIC
    request: SyncGroupRequest


class Heartbeat(Command):
    """Keeps a member's session alive and tells it of a rebalance."""

    __slots__ = ()
    MODULE = _CLASSIC
    request: HeartbeatRequest


class LeaveGroup(Command):
    """Takes members out of the group."""

    __slots__ = ()
    MODULE = _CLASSIC
    request: LeaveGroupRequest


class OffsetCommit(Command):
    """Every topic of the request has its name; from version 10 on its topic id as well."""

    __slots__ = ()
    MODULE = _OFFSETS
    request: OffsetCommitRequest


class TxnOffsetCommit(Command):
    """``guard`` is what the shard's partition demands of a producer that begins a transaction."""

    __slots__ = ("guard",)
    MODULE = _TRANSACTIONAL_OFFSETS
    request: TxnOffsetCommitRequest

    def __init__(
        self, token: object, request: TxnOffsetCommitRequest, version: int, guard: object
    ) -> None:
        super().__init__(token, request, version)
        self.guard = guard


class OffsetFetch(Command):
    """A request for groups of this shard (see `routing.split_offset_fetch`), topics named."""

    __slots__ = ()
    MODULE = _OFFSETS
    request: OffsetFetchRequest


class OffsetDelete(Command):
    """Forgets single offsets of a group."""

    __slots__ = ()
    MODULE = _OFFSETS
    request: OffsetDeleteRequest


class DescribeGroups(Command):
    """A request whose ``groups`` all belong to this shard."""

    __slots__ = ()
    MODULE = _CLASSIC
    request: DescribeGroupsRequest


class ListGroups(Command):
    """Asks for this shard's groups; the broker asks all shards."""

    __slots__ = ()
    MODULE = _GROUPS
    request: ListGroupsRequest


class DeleteGroups(Command):
    """A request whose ``groups_names`` all belong to this shard."""

    __slots__ = ()
    MODULE = _GROUPS
    request: DeleteGroupsRequest


class ConsumerGroupHeartbeat(_MemberCommand):
    """``unique_id`` is a fresh UUID as text, for a client that sends no member id of its own."""

    __slots__ = ()
    MODULE = _CONSUMER
    request: ConsumerGroupHeartbeatRequest


class ConsumerGroupDescribe(Command):
    """A request whose ``group_ids`` all belong to this shard."""

    __slots__ = ()
    MODULE = _CONSUMER
    request: ConsumerGroupDescribeRequest


class ForgetMissingTopics(Command):
    """Offsets of topics that aren't there go: a crash came between a topic's removal and that of
    its offsets, and a new topic of the name must not begin with them. There is no reply."""

    __slots__ = ()
    MODULE = _OFFSETS

    def __init__(self) -> None:
        super().__init__(None, None, 0)

    def __repr__(self) -> str:
        return "ForgetMissingTopics()"


class TopicsDeleted(Command):
    """Topics that are gone: their offsets go too. Nobody asked, so there is no reply."""

    __slots__ = ("topics",)
    MODULE = _OFFSETS

    def __init__(self, topics: frozenset[str]) -> None:
        super().__init__(None, None, 0)
        self.topics = topics

    def __repr__(self) -> str:
        return f"TopicsDeleted({sorted(self.topics)})"
