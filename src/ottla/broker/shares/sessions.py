"""Share sessions: what each member of a share group fetches, told once and then as it changes.

A session lives and dies with its connection: a member that is gone must not keep records locked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple
from uuid import UUID

from ottla.broker.connections import Connections
from ottla.broker.session import Session
from ottla.wire.errors import ErrorCode, ProtocolError

INITIAL_EPOCH = 0
FINAL_EPOCH = -1
_MAX_EPOCH = 2**31 - 1

#: A partition by its topic's id.
PartitionId = tuple[UUID, int]


class MemberKey(NamedTuple):
    """A member of a share group."""

    group_id: str
    member_id: str


class ShareSession:
    """The partitions of one member, in the order in which they are served."""

    __slots__ = ("connection", "epoch", "partitions")

    def __init__(self, connection: Session) -> None:
        self.connection = connection
        self.epoch = 1
        self.partitions: dict[PartitionId, None] = {}

    def served(self, partition: PartitionId) -> None:
        """The partition queues up behind the others: none may starve."""
        if partition in self.partitions:
            del self.partitions[partition]
            self.partitions[partition] = None


class ShareSessions:
    """All share sessions of the broker.

    Args:
        limit: ``group.share.max.share.sessions``.
        member_left: told when a session ends with its connection.
    """

    def __init__(
        self, limit: int, connections: Connections, member_left: Callable[[MemberKey], None]
    ) -> None:
        self._limit = limit
        self._connections = connections
        self._member_left = member_left
        self._sessions: dict[MemberKey, ShareSession] = {}
        #: The members with a session on each connection.
        self._members: dict[Session, set[MemberKey]] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def has_members(self, group_id: str) -> bool:
        """Whether any member of the group has a session."""
        return any(member.group_id == group_id for member in self._sessions)

    def begin(
        self,
        member: MemberKey,
        epoch: int,
        connection: Session,
        added: Iterable[PartitionId],
        forgotten: Iterable[PartitionId],
    ) -> ShareSession:
        """The session of a ShareFetch, as the request changes it; of the final epoch, a last time.

        Raises:
            ProtocolError: there is no such session, its epoch is another, or there are too many.
        """
        if epoch == INITIAL_EPOCH:
            session = self._create(member, connection)
        else:
            session = self._continue(member, epoch)
        for partition in added:
            session.partitions.setdefault(partition, None)
        for partition in forgotten:
            session.partitions.pop(partition, None)
        return session

    def acknowledge(self, member: MemberKey, epoch: int) -> ShareSession:
        """The session of a ShareAcknowledge, which counts as its next request.

        Raises:
            ProtocolError: as `begin`; a session can't be opened this way.
        """
        if epoch == INITIAL_EPOCH:
            raise ProtocolError(ErrorCode.INVALID_SHARE_SESSION_EPOCH)
        return self._continue(member, epoch)

    def _create(self, member: MemberKey, connection: Session) -> ShareSession:
        if member not in self._sessions and len(self._sessions) >= self._limit:
            raise ProtocolError(ErrorCode.SHARE_SESSION_LIMIT_REACHED)
        self._end(member)
        session = self._sessions[member] = ShareSession(connection)
        members = self._members.get(connection)
        if members is not None:
            members.add(member)
        else:
            self._members[connection] = {member}
            # It may be closed already: then the session is over at once.
            self._connections.when_closed(connection, lambda: self._lost(connection))
        return session

    def _continue(self, member: MemberKey, epoch: int) -> ShareSession:
        session = self._sessions.get(member)
        if session is None:
            raise ProtocolError(ErrorCode.SHARE_SESSION_NOT_FOUND)
        if epoch == FINAL_EPOCH:
            self._end(member)
        elif epoch != session.epoch:
            raise ProtocolError(ErrorCode.INVALID_SHARE_SESSION_EPOCH)
        else:
            session.epoch = 1 if epoch == _MAX_EPOCH else epoch + 1
        return session

    def _end(self, member: MemberKey) -> None:
        session = self._sessions.pop(member, None)
        if session is not None:
            self._members[session.connection].discard(member)

    def _lost(self, connection: Session) -> None:
        for member in self._members.pop(connection):
            del self._sessions[member]
            self._member_left(member)
