"""One member of a consumer group, as an immutable value."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Final, NamedTuple
from uuid import UUID

#: What a heartbeat says instead of a member epoch.
JOIN_EPOCH: Final = 0
LEAVE_EPOCH: Final = -1
#: A static member that leaves for a while and keeps its place (KIP-848).
STATIC_LEAVE_EPOCH: Final = -2

#: Topic id → partition → the member epoch it was assigned at (KIP-1251).
Partitions = Mapping[UUID, Mapping[int, int]]

NO_PARTITIONS: Final[Partitions] = {}
NO_INDEXES: Final[Mapping[int, int]] = {}


class MemberState(IntEnum):
    """How far a member has come towards its target; numbered as in the log."""

    STABLE = 0
    #: It was told to revoke partitions and still owns them.
    UNREVOKED_PARTITIONS = 1
    #: It is at the newest epoch, but partitions of its target are still owned by others.
    UNRELEASED_PARTITIONS = 2
    #: Written by a newer version: the member has to join anew.
    UNKNOWN = 127

    @classmethod
    def of(cls, number: int) -> MemberState:
        """The state of that number in the log."""
        return cls(number) if number in (0, 1, 2) else cls.UNKNOWN


class ClassicProtocols(NamedTuple):
    """What a member that speaks the classic protocol has told with its JoinGroup."""

    session_timeout_ms: int
    #: (name, metadata) in the member's order of preference.
    protocols: tuple[tuple[str, bytes], ...]


class ConsumerMember(NamedTuple):
    """A member.

    regex: "" when it subscribes by names only.
    rebalance_timeout_ms: how long it may take to give up partitions; -1: it hasn't said.
    classic: ``None`` when it speaks the consumer protocol.
    """

    member_id: str
    instance_id: str | None = None
    rack_id: str | None = None
    client_id: str = ""
    client_host: str = ""
    rebalance_timeout_ms: int = -1
    topics: frozenset[str] = frozenset()
    regex: str = ""
    server_assignor: str | None = None
    classic: ClassicProtocols | None = None
    epoch: int = 0
    previous_epoch: int = 0
    state: MemberState = MemberState.STABLE
    assigned: Partitions = NO_PARTITIONS
    #: Partitions it must revoke and hasn't confirmed to.
    revoking: Partitions = NO_PARTITIONS

    def is_reconciled_to(self, target_epoch: int) -> bool:
        """Whether there is nothing left to do towards the target of that epoch."""
        return self.state is MemberState.STABLE and self.epoch == target_epoch

    def at_epoch(
        self, epoch: int, *, state: MemberState, assigned: Partitions, revoking: Partitions
    ) -> ConsumerMember:
        """The member at the same or another epoch. The one before is remembered: its answer may get
        lost."""
        return self._replace(
            epoch=epoch,
            previous_epoch=self.previous_epoch if epoch == self.epoch else self.epoch,
            state=state,
            assigned=assigned,
            revoking=revoking,
        )

    def assignment_epoch(self, topic_id: UUID, partition: int) -> int | None:
        """The epoch a partition was assigned to it at; ``None``: it has no claim on it."""
        for partitions in (self.assigned, self.revoking):
            epoch = partitions.get(topic_id, {}).get(partition)
            if epoch is not None:
                return epoch
        return None

    @property
    def subscription(self) -> tuple[object, ...]:
        """All that MemberMetadata records hold."""
        return self[:10]
