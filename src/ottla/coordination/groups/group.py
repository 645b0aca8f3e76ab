"""What a group shard asks of a group, whichever protocol the group's members speak."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple
from uuid import UUID

from ottla.wire.errors import ErrorCode

if TYPE_CHECKING:
    from ottla.coordination.outcome import CoordinatorRecord, Reply


class GroupType(Enum):
    """The kinds of groups; the values are their names on the wire."""

    CLASSIC = "classic"
    CONSUMER = "consumer"
    SHARE = "share"


class PartitionName(NamedTuple):
    """A partition as a request names it; the topic id is zero where the request has none."""

    topic: str
    topic_id: UUID
    partition: int


class Membership:
    """Who claims to act for a group: the fields that commits and fetches of offsets share.

    epoch: the generation of a classic group, or the member epoch; negative: no member.
    version: of the request, since errors have changed their names.
    """

    __slots__ = ("epoch", "group_instance_id", "is_transactional", "member_id", "version")

    def __init__(
        self,
        member_id: str,
        epoch: int,
        group_instance_id: str | None = None,
        *,
        version: int,
        is_transactional: bool = False,
    ) -> None:
        self.member_id = member_id
        self.epoch = epoch
        self.group_instance_id = group_instance_id
        self.version = version
        self.is_transactional = is_transactional

    @property
    def is_anonymous(self) -> bool:
        """Whether nothing is claimed: the sender is no member, or can't say so."""
        return self.epoch < 0 and not self.member_id and self.group_instance_id is None


class Group:
    """One group. `GroupShard.replay` and `GroupShard.apply` alone change it."""

    __slots__ = ()

    #: The full name of the module whose functions ``on_timer`` and ``loaded`` act for such groups.
    MODULE: ClassVar[str]
    TYPE: ClassVar[GroupType]

    group_id: str

    @property
    def protocol_name_on_wire(self) -> str:
        """The ``protocol_type`` that ListGroups shows."""
        raise NotImplementedError

    @property
    def state_on_wire(self) -> str:
        """The name of the group's state."""
        raise NotImplementedError

    @property
    def has_members(self) -> bool:
        """Whether anybody is in it; then it can't be deleted."""
        raise NotImplementedError

    @property
    def may_vanish(self) -> bool:
        """Whether it goes away with its last offset, as far as it is concerned."""
        return not self.has_members

    @property
    def offsets_unused_since_ms(self) -> int | None:
        """Since when offsets of topics without subscription have been idle, apart from their own
        commit; ``None`` while none may expire."""
        return None

    def is_subscribed_to(self, topic: str) -> bool:
        """Whether members consume the topic: its offsets stay."""
        raise NotImplementedError

    def check_commit(self, who: Membership, partitions: Iterable[PartitionName]) -> ErrorCode:
        """Whether the sender may commit offsets of these partitions now."""
        raise NotImplementedError

    def check_fetch(self, who: Membership) -> ErrorCode:
        """Whether the sender may read the offsets committed (KIP-848 fences stale members)."""
        raise NotImplementedError

    def check_offset_delete(self) -> ErrorCode:
        """Whether an administrator may delete offsets of topics without subscription."""
        return ErrorCode.NONE

    def session_of_committer(self, member_id: str) -> int | None:
        """How long the member's session lasts from a commit on, in ms; ``None``: a commit does
        not count as a sign of life."""
        return None

    def tombstones(self) -> list[CoordinatorRecord]:
        """What deletes the group, in an order that any prefix of it can be replayed in."""
        raise NotImplementedError

    def volatile_sessions(self) -> list[str]:
        """Member ids whose session timers run although the group has no members."""
        return []

    def apply(self, event: Any) -> None:
        """Makes a change that a restart forgets."""
        raise NotImplementedError

    def abandon(self, error: ErrorCode) -> list[Reply]:
        """What requests that are parked get when the shard is thrown away."""
        return []
