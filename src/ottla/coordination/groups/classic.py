"""The state of one classic group: what everything that happens to it changes, in one place.

    Empty ──► PreparingRebalance ◄──► CompletingRebalance ──► Stable
      ▲              │   ▲                                      │
      └──────────────┘   └──────────────────────────────────────┘

The join phase (PreparingRebalance) collects the members, the sync phase (CompletingRebalance) waits
for the leader's assignment. Whoever leaves last takes the group to Empty from wherever it is, and
only an Empty group can be deleted (Dead). A generation becomes durable with its assignment, so a
group read from the log is either Stable or Empty.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, MutableMapping
from enum import Enum
from typing import Any

from ottla.coordination.groups import events, responses
from ottla.coordination.groups.group import Group, GroupType, Membership, PartitionName
from ottla.coordination.groups.group_log import group_tombstone
from ottla.coordination.groups.membership import EMPTY_ASSIGNMENT, Member
from ottla.coordination.groups.overlay import Overlay
from ottla.coordination.groups.subscription import CONSUMER_PROTOCOL_TYPE, subscribed_topics
from ottla.coordination.outcome import CoordinatorRecord, Reply
from ottla.wire.errors import ErrorCode
from ottla.wire.group_records import GroupMetadataValue


class GroupState(Enum):
    """The states of a classic group; the values are their names on the wire."""

    EMPTY = "Empty"
    PREPARING_REBALANCE = "PreparingRebalance"
    COMPLETING_REBALANCE = "CompletingRebalance"
    STABLE = "Stable"
    DEAD = "Dead"


EMPTY = GroupState.EMPTY
PREPARING_REBALANCE = GroupState.PREPARING_REBALANCE
COMPLETING_REBALANCE = GroupState.COMPLETING_REBALANCE
STABLE = GroupState.STABLE
DEAD = GroupState.DEAD

_LAST_GENERATION_ID = 2**31 - 1

#: From which states each state may be entered while the coordinator runs.
PREVIOUS_STATES: dict[GroupState, frozenset[GroupState]] = {
    # From the other two when the last member leaves: there is nobody to wait for.
    EMPTY: frozenset({EMPTY, PREPARING_REBALANCE, COMPLETING_REBALANCE, STABLE}),
    PREPARING_REBALANCE: frozenset({EMPTY, COMPLETING_REBALANCE, STABLE}),
    COMPLETING_REBALANCE: frozenset({PREPARING_REBALANCE}),
    # From itself when a static member is replaced without a rebalance.
    STABLE: frozenset({COMPLETING_REBALANCE, STABLE}),
    DEAD: frozenset({EMPTY}),
}


class ClassicGroup(Group):
    """One group. Only `replay` and `apply` change it; everything else reads."""

    MODULE = "ottla.coordination.groups.classic_requests"
    TYPE = GroupType.CLASSIC

    __slots__ = (
        "generation_id",
        "group_id",
        "has_new_members",
        "leader_id",
        "members",
        "parked_joins",
        "pending_members",
        "pending_syncs",
        "previous_state",
        "protocol_name",
        "protocol_type",
        "remaining_delay_ms",
        "state",
        "state_timestamp_ms",
        "static_members",
        "subscribed_topics",
        "supporters",
    )

    def __init__(self, group_id: str) -> None:
        self.group_id = group_id
        self.state = EMPTY
        self.previous_state = EMPTY
        #: Since when the group has been in its state; ``None``: Kafka before 2.1 didn't record it.
        self.state_timestamp_ms: int | None = None
        self.generation_id = 0
        #: ``None`` in a simple group, which only stores offsets.
        self.protocol_type: str | None = None
        self.protocol_name: str | None = None
        self.leader_id: str | None = None
        self.members: MutableMapping[str, Member] = {}
        #: group.instance.id → member id
        self.static_members: MutableMapping[str, str] = {}
        #: Ids handed out (KIP-394) whose owners haven't joined yet; a dict for its order.
        self.pending_members: MutableMapping[str, None] = {}
        #: Members that owe the SyncGroup of this generation.
        self.pending_syncs: MutableMapping[str, None] = {}
        #: Protocol name → how many members support it.
        self.supporters: MutableMapping[str, int] = {}
        self.parked_joins = 0
        #: ``None`` if unknown: not a consumer group, or metadata nobody here can read.
        self.subscribed_topics: frozenset[str] | None = None
        #: Whether somebody joined since the initial rebalance delay was last (re)started.
        self.has_new_members = False
        self.remaining_delay_ms = 0

    def draft(self) -> ClassicGroup:
        """A copy to try events on, as cheap as the changes that will be made to it."""
        copy = ClassicGroup.__new__(ClassicGroup)
        for name in self.__slots__:
            setattr(copy, name, getattr(self, name))
        copy.members = Overlay(self.members)
        copy.static_members = Overlay(self.static_members)
        copy.pending_members = Overlay(self.pending_members)
        copy.pending_syncs = Overlay(self.pending_syncs)
        copy.supporters = Overlay(self.supporters)
        return copy

    # Questions

    @property
    def is_simple(self) -> bool:
        """Whether the group is only a place for offsets."""
        return self.protocol_type is None and not self.members and not self.pending_members

    @property
    def can_rebalance(self) -> bool:
        """Whether the join phase may begin now."""
        return self.state in PREVIOUS_STATES[PREPARING_REBALANCE]

    @property
    def uses_consumer_protocol(self) -> bool:
        """Whether the members are consumers, whose subscriptions the coordinator understands."""
        return self.protocol_type == CONSUMER_PROTOCOL_TYPE

    @property
    def all_members_joined(self) -> bool:
        """Whether the join phase has nobody left to wait for."""
        return len(self.members) == self.parked_joins and not self.pending_members

    @property
    def next_generation_id(self) -> int:
        """The number of the next generation; after the last int32 it begins anew."""
        return self.generation_id % _LAST_GENERATION_ID + 1

    @property
    def rebalance_timeout_ms(self) -> int:
        """How long the slowest member may take to rejoin."""
        return max((member.rebalance_timeout_ms for member in self.members.values()), default=0)

    def check_member(self, member_id: str, group_instance_id: str | None) -> ErrorCode:
        """``FENCED_INSTANCE_ID``, ``UNKNOWN_MEMBER_ID`` or ``NONE``."""
        if group_instance_id is not None:
            current = self.static_members.get(group_instance_id)
            if current is None:
                return ErrorCode.UNKNOWN_MEMBER_ID
            if current != member_id:
                return ErrorCode.FENCED_INSTANCE_ID
        return ErrorCode.NONE if member_id in self.members else ErrorCode.UNKNOWN_MEMBER_ID

    def supports_protocols(self, protocol_type: str, names: list[str]) -> bool:
        """Whether a member with these protocols could share one with all the others."""
        if self.state is EMPTY:
            return bool(protocol_type) and bool(names)
        return protocol_type == self.protocol_type and any(
            self.supporters.get(name, 0) == len(self.members) for name in names
        )

    def select_protocol(self) -> str:
        """The protocol most members prefer among those all of them support."""
        total = len(self.members)
        candidates = {name for name, count in self.supporters.items() if count == total}
        votes: dict[str, int] = {}
        for member in self.members.values():
            choice = next(name for name, _ in member.protocols if name in candidates)
            votes[choice] = votes.get(choice, 0) + 1
        return max(votes, key=votes.__getitem__)

    def elect_leader(self) -> str | None:
        """The leader of the next generation, among those who rejoined; ``None`` if nobody did."""
        leader = self.members.get(self.leader_id or "")
        if leader is not None and leader.parked_join is not None:
            return leader.member_id
        for member in self.members.values():
            if member.parked_join is not None:
                return member.member_id
        return None

    def is_subscribed_to(self, topic: str) -> bool:
        """Whether members consume the topic; of consumers that can't be read, it is assumed."""
        if self.subscribed_topics is None:
            return self.uses_consumer_protocol
        return topic in self.subscribed_topics

    # What a shard asks of every group

    @property
    def protocol_name_on_wire(self) -> str:
        """See `Group`."""
        return self.protocol_type or ""

    @property
    def state_on_wire(self) -> str:
        """See `Group`."""
        return self.state.value

    @property
    def has_members(self) -> bool:
        """See `Group`. Whose join phase has begun is not Empty any more."""
        return self.state is not EMPTY

    @property
    def may_vanish(self) -> bool:
        """See `Group`."""
        return self.state is EMPTY and not self.pending_members

    @property
    def offsets_unused_since_ms(self) -> int | None:
        """See `Group`."""
        if self.state is EMPTY:
            return self.state_timestamp_ms or 0
        if self.state is STABLE and self.uses_consumer_protocol:
            return 0
        return None

    def check_commit(self, who: Membership, partitions: Iterable[PartitionName]) -> ErrorCode:
        """See `Group`."""
        if who.epoch < 0 and self.state is EMPTY:
            return ErrorCode.NONE
        if who.is_anonymous:
            # Somebody from outside may not move the offsets of a group at work; but of a producer
            # older than KIP-447 nothing else is known.
            return ErrorCode.NONE if who.is_transactional else ErrorCode.UNKNOWN_MEMBER_ID
        error = self.check_member(who.member_id, who.group_instance_id)
        if error is not ErrorCode.NONE:
            return error
        if who.epoch != self.generation_id:
            return ErrorCode.ILLEGAL_GENERATION
        if self.state is COMPLETING_REBALANCE and not who.is_transactional:
            # The member knows the generation but not yet what is assigned to it.
            return ErrorCode.REBALANCE_IN_PROGRESS
        return ErrorCode.NONE

    def check_fetch(self, who: Membership) -> ErrorCode:
        """See `Group`. Classic members have no epoch to be stale."""
        return ErrorCode.NONE

    def check_offset_delete(self) -> ErrorCode:
        """See `Group`."""
        if self.state is not EMPTY and not self.uses_consumer_protocol:
            # Which topics such members are interested in, nobody here knows.
            return ErrorCode.NON_EMPTY_GROUP
        return ErrorCode.NONE

    def session_of_committer(self, member_id: str) -> int | None:
        """See `Group`."""
        if self.state is EMPTY:
            return None
        return self.members[member_id].session_timeout_ms

    def tombstones(self) -> list[CoordinatorRecord]:
        """See `Group`."""
        return [group_tombstone(self.group_id)]

    def volatile_sessions(self) -> list[str]:
        """See `Group`."""
        return list(self.pending_members)

    def abandon(self, error: ErrorCode) -> list[Reply]:
        """See `Group`."""
        replies = []
        for member in self.members.values():
            join, sync = member.parked_join, member.parked_sync
            if join is not None:
                response = responses.join_error(error, join.version, member.member_id)
                replies.append(Reply(join.token, response))
            if sync is not None:
                replies.append(Reply(sync.token, responses.sync_error(error)))
        return replies

    # Changes

    def replay(self, metadata: GroupMetadataValue) -> None:
        """Takes over a generation as the log has it: it is Stable, or Empty without members.

        Members keep what the log doesn't know of them (all their protocols, parked requests).
        """
        known = self.members
        protocol = metadata.protocol
        self.members, self.static_members, self.supporters = {}, {}, {}
        self.parked_joins = 0
        for recorded in metadata.members:
            subscription = bytes(recorded.subscription)
            member = known.get(recorded.member_id)
            if member is None or (protocol, subscription) not in member.protocols:
                member = Member(
                    member_id=recorded.member_id,
                    group_instance_id=recorded.group_instance_id,
                    client_id=recorded.client_id,
                    client_host=recorded.client_host,
                    rebalance_timeout_ms=0,
                    session_timeout_ms=0,
                    protocols=((protocol or "", subscription),),
                )
            session_timeout_ms = recorded.session_timeout
            rebalance_timeout_ms = recorded.rebalance_timeout
            if rebalance_timeout_ms < 0:
                rebalance_timeout_ms = session_timeout_ms
            self._put(
                member._replace(
                    rebalance_timeout_ms=rebalance_timeout_ms,
                    session_timeout_ms=session_timeout_ms,
                    assignment=bytes(recorded.assignment),
                )
            )
        self._enter(STABLE if self.members else EMPTY, metadata.current_state_timestamp)
        self.generation_id = metadata.generation
        self.protocol_type = metadata.protocol_type or None
        self.protocol_name = protocol
        self.leader_id = metadata.leader
        self._learn_subscriptions()
        if not self.members:
            self.pending_syncs = {}

    def apply(self, event: events.Event) -> None:
        """Makes a change that a restart forgets."""
        _APPLY[type(event)](self, event)

    def _member_id_issued(self, event: events.MemberIdIssued) -> None:
        self.pending_members[event.member_id] = None

    def _member_joined(self, event: events.MemberJoined) -> None:
        member = event.member
        if not self.members:
            self.protocol_type = event.protocol_type
        self.pending_members.pop(member.member_id, None)
        if self.state is PREPARING_REBALANCE and member.member_id not in self.members:
            self.has_new_members = True
        self._put(member)
        if self.leader_id is None:
            self.leader_id = member.member_id

    def _member_removed(self, event: events.MemberRemoved) -> None:
        member_id = event.member_id
        self.pending_members.pop(member_id, None)
        self.pending_syncs.pop(member_id, None)
        member = self.members.get(member_id)
        if member is None:
            return
        self._drop(member)
        del self.members[member_id]
        instance_id = member.group_instance_id
        if instance_id is not None and self.static_members.get(instance_id) == member_id:
            del self.static_members[instance_id]
        if self.leader_id == member_id:
            self.leader_id = next(iter(self.members), None)

    def _static_member_replaced(self, event: events.StaticMemberReplaced) -> None:
        # In a Stable group the record of the same outcome has taken the old member out already.
        old = self.members.get(event.old_member_id)
        if old is not None:
            self._drop(old)
            del self.members[old.member_id]
        if event.old_member_id in self.pending_syncs:
            del self.pending_syncs[event.old_member_id]
            self.pending_syncs[event.member.member_id] = None
        if self.leader_id == event.old_member_id:
            self.leader_id = event.member.member_id
        self._put(event.member)

    def _rebalance_prepared(self, event: events.RebalancePrepared) -> None:
        if self.state is COMPLETING_REBALANCE:
            for member in list(self.members.values()):
                self.members[member.member_id] = member._replace(
                    assignment=EMPTY_ASSIGNMENT, parked_sync=None
                )
        self.pending_syncs = {}
        self.has_new_members = False
        self.remaining_delay_ms = event.remaining_delay_ms
        self._transition(PREPARING_REBALANCE, event.now_ms)

    def _initial_rebalance_extended(self, event: events.InitialRebalanceExtended) -> None:
        self.has_new_members = False
        self.remaining_delay_ms = event.remaining_delay_ms

    def _generation_started(self, event: events.GenerationStarted) -> None:
        for member in list(self.members.values()):
            self.members[member.member_id] = member._replace(is_new=False, parked_join=None)
        self.parked_joins = 0
        self.pending_syncs = dict.fromkeys(self.members)
        self.generation_id = event.generation_id
        self.protocol_name = event.protocol_name
        self.leader_id = event.leader_id
        self._learn_subscriptions()
        self._transition(COMPLETING_REBALANCE, event.now_ms)

    def _sync_parked(self, event: events.SyncParked) -> None:
        member = self.members[event.member_id]
        self.members[event.member_id] = member._replace(parked_sync=event.parked)
        self.pending_syncs.pop(event.member_id, None)

    def _member_synced(self, event: events.MemberSynced) -> None:
        self.pending_syncs.pop(event.member_id, None)

    def _syncs_answered(self, _: events.SyncsAnswered) -> None:
        for member in list(self.members.values()):
            if member.parked_sync is not None:
                self.members[member.member_id] = member._replace(parked_sync=None)

    def _put(self, member: Member) -> None:
        """Adds a member or replaces it by id, keeping the counts."""
        old = self.members.get(member.member_id)
        if old is not None:
            self._drop(old)
        self.members[member.member_id] = member
        if member.group_instance_id is not None:
            self.static_members[member.group_instance_id] = member.member_id
        for name, _ in member.protocols:
            self.supporters[name] = self.supporters.get(name, 0) + 1
        self.parked_joins += member.parked_join is not None

    def _drop(self, member: Member) -> None:
        for name, _ in member.protocols:
            remaining = self.supporters[name] - 1
            if remaining:
                self.supporters[name] = remaining
            else:
                del self.supporters[name]
        self.parked_joins -= member.parked_join is not None

    def _learn_subscriptions(self) -> None:
        if not self.uses_consumer_protocol:
            self.subscribed_topics = None
        elif not self.members:
            self.subscribed_topics = frozenset()
        elif self.protocol_name is not None:
            name = self.protocol_name
            self.subscribed_topics = subscribed_topics(
                member.metadata(name) for member in self.members.values()
            )
        else:
            self.subscribed_topics = None

    def _transition(self, state: GroupState, now_ms: int) -> None:
        assert self.state in PREVIOUS_STATES[state], f"{self.state} -> {state}"
        self._enter(state, now_ms)

    def _enter(self, state: GroupState, now_ms: int) -> None:
        self.previous_state = self.state
        self.state = state
        self.state_timestamp_ms = None if now_ms < 0 else now_ms


_APPLY: dict[type[Any], Callable[[ClassicGroup, Any], None]] = {
    events.MemberIdIssued: ClassicGroup._member_id_issued,
    events.MemberJoined: ClassicGroup._member_joined,
    events.MemberRemoved: ClassicGroup._member_removed,
    events.StaticMemberReplaced: ClassicGroup._static_member_replaced,
    events.RebalancePrepared: ClassicGroup._rebalance_prepared,
    events.InitialRebalanceExtended: ClassicGroup._initial_rebalance_extended,
    events.GenerationStarted: ClassicGroup._generation_started,
    events.SyncParked: ClassicGroup._sync_parked,
    events.MemberSynced: ClassicGroup._member_synced,
    events.SyncsAnswered: ClassicGroup._syncs_answered,
}
