"""What a group shard can be asked: wire requests with their way back.

``token`` is the caller's own mark for the request; it comes back in the `Reply`. ``request`` is
the decoded request of API version ``version``.
"""

from __future__ import annotations

from typing import NamedTuple

from ottla.wire.api.k08_offset_commit import OffsetCommitRequest
from ottla.wire.api.k09_offset_fetch import OffsetFetchRequest
from ottla.wire.api.k11_join_group import JoinGroupRequest
from ottla.wire.api.k12_heartbeat import HeartbeatRequest
from ottla.wire.api.k13_leave_group import LeaveGroupRequest
from ottla.wire.api.k14_sync_group import SyncGroupRequest
from ottla.wire.api.k15_describe_groups import DescribeGroupsRequest
from ottla.wire.api.k16_list_groups import ListGroupsRequest
from ottla.wire.api.k42_delete_groups import DeleteGroupsRequest
from ottla.wire.api.k47_offset_delete import OffsetDeleteRequest


class ClientContext(NamedTuple):
    """Who sent the request, as DescribeGroups will show it (Kafka's host reads ``/10.0.0.7``)."""

    client_id: str
    client_host: str


class JoinGroup(NamedTuple):
    """``unique_id`` is a fresh UUID as text; it becomes part of the member id given out."""

    token: object
    request: JoinGroupRequest
    version: int
    context: ClientContext
    unique_id: str


class SyncGroup(NamedTuple):
    """Brings the leader's assignment, or asks for one's own."""

    token: object
    request: SyncGroupRequest
    version: int


class Heartbeat(NamedTuple):
    """Keeps a member's session alive and tells it of a rebalance."""

    token: object
    request: HeartbeatRequest
    version: int


class LeaveGroup(NamedTuple):
    """Takes members out of the group."""

    token: object
    request: LeaveGroupRequest
    version: int


class OffsetCommit(NamedTuple):
    """Every topic of the request has its name; from version 10 on its topic id as well."""

    token: object
    request: OffsetCommitRequest
    version: int


class OffsetFetch(NamedTuple):
    """A request for groups of this shard (see `routing.split_offset_fetch`), topics named."""

    token: object
    request: OffsetFetchRequest
    version: int


class OffsetDelete(NamedTuple):
    """Forgets single offsets of a group."""

    token: object
    request: OffsetDeleteRequest
    version: int


class DescribeGroups(NamedTuple):
    """A request whose ``groups`` all belong to this shard."""

    token: object
    request: DescribeGroupsRequest
    version: int


class ListGroups(NamedTuple):
    """Asks for this shard's groups; the broker asks all shards."""

    token: object
    request: ListGroupsRequest
    version: int


class DeleteGroups(NamedTuple):
    """A request whose ``groups_names`` all belong to this shard."""

    token: object
    request: DeleteGroupsRequest
    version: int


class TopicsDeleted(NamedTuple):
    """Topics that are gone: their offsets go too. There is no reply."""

    topics: frozenset[str]


Command = (
    JoinGroup
    | SyncGroup
    | Heartbeat
    | LeaveGroup
    | OffsetCommit
    | OffsetFetch
    | OffsetDelete
    | DescribeGroups
    | ListGroups
    | DeleteGroups
    | TopicsDeleted
)
