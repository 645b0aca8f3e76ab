"""One partition of ``__consumer_offsets`` at work: the groups it holds and their offsets.

How the runtime drives a shard, one command at a time and nothing in between:

    outcome = shard.decide(command, now_ms)       # or shard.on_timer(key, now_ms)
    append outcome.records; shard.replay(each)
    shard.apply(each of outcome.events)
    set or cancel outcome.timers
    release outcome.replies once the high watermark has passed the log's end as it is now

To load it: a new `GroupShard`, `replay` of every record in the log, then `loaded(now_ms)`, whose
outcome is performed like any other.

The shard itself knows no protocol. Each kind of groups (classic, consumer, share) is a `Group`
class, which holds the state and answers the shard's questions, and a module with the functions
`decide` (a table by command), `replay`, `on_timer` and `loaded`, imported on first use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ottla.coordination.groups import classic, offset_requests
from ottla.coordination.groups.commands import Command
from ottla.coordination.groups.committed import OffsetStore
from ottla.coordination.groups.consumer.settings import KnownTimes
from ottla.coordination.groups.events import MemberRemoved
from ottla.coordination.groups.group import Group
from ottla.coordination.groups.group_log import read_record
from ottla.coordination.groups.lazy import module_of
from ottla.coordination.groups.pending_offsets import PendingOffsets
from ottla.coordination.groups.settings import GroupSettings
from ottla.coordination.groups.timers import OFFSET_EXPIRY_TIMER, TimerKey, TimerKind
from ottla.coordination.outcome import (
    CoordinatorRecord,
    Outcome,
    Reply,
    SkippedRecord,
    TransactionalProducer,
)
from ottla.metadata.image import EMPTY_IMAGE, ClusterImage
from ottla.wire.errors import ErrorCode

_HERE = "ottla.coordination.groups"

#: Record type → the module that replays it.
_REPLAYED_BY = {
    **dict.fromkeys((0, 1), f"{_HERE}.offset_requests"),
    2: f"{_HERE}.classic_requests",
    **dict.fromkeys((3, 4, 5, 6, 7, 8, 16), f"{_HERE}.consumer.requests"),
    **dict.fromkeys(range(10, 16), "ottla.coordination.share_groups.requests"),
}


class GroupShard:
    """The group coordinator for one partition. `replay` and `apply` alone change it."""

    def __init__(
        self,
        settings: GroupSettings | None = None,
        latest_image: Callable[[], ClusterImage] = lambda: EMPTY_IMAGE,
    ) -> None:
        """
        Args:
            latest_image: the cluster's metadata at the time of a decision.
        """
        self.settings = GroupSettings() if settings is None else settings
        self._latest_image = latest_image
        self.groups: dict[str, Group] = {}
        self.offsets = OffsetStore()
        self.pending_offsets = PendingOffsets()
        self.consumer_times = KnownTimes()

    @property
    def image(self) -> ClusterImage:
        """The cluster's metadata as it is now."""
        return self._latest_image()

    @property
    def is_full(self) -> bool:
        """Whether there is no room for another group."""
        return len(self.groups) >= self.settings.max_groups_per_shard

    # State

    def replay(
        self, record: CoordinatorRecord, producer: TransactionalProducer | None = None
    ) -> SkippedRecord | None:
        """Takes in one record of the log; says so if it was skipped."""
        change = read_record(record)
        if isinstance(change, SkippedRecord):
            return change
        if producer is not None and offset_requests.replay_pending(self, change, producer):
            return None
        module = _REPLAYED_BY.get(change.key.RECORD_TYPE)
        if module is None:
            return SkippedRecord(f"{type(change.key).__name__} belongs to another kind of group")
        module_of(module).replay(self, change.key, change.value)
        return None

    def end_transaction(self, producer_id: int, producer_epoch: int, is_committed: bool) -> None:
        """Lets the offsets of a committed transaction take effect, drops those of an aborted."""
        for key, committed in self.pending_offsets.end(producer_id, is_committed=is_committed):
            offset_requests.put(self, key, committed)

    def apply(self, event: Any) -> None:
        """Makes a change that a restart forgets."""
        group = self.groups.get(event.group_id)
        if group is None:
            # Only the first event of a classic group comes before any record of it.
            group = self.groups[event.group_id] = classic.ClassicGroup(event.group_id)
        group.apply(event)
        if isinstance(event, MemberRemoved) and self._never_was(group):
            del self.groups[group.group_id]

    def _never_was(self, group: Group) -> bool:
        """Whether the group only stood in memory, for ids nobody came back with."""
        return (
            isinstance(group, classic.ClassicGroup)
            and group.is_simple
            and group.generation_id == 0
            and not self.offsets.of_group(group.group_id)
            and not self.pending_offsets.has_group(group.group_id)
        )

    # Decisions

    def decide(self, command: Command, now_ms: int) -> Outcome:
        """What the command leads to; nothing is changed yet."""
        outcome = Outcome()
        module_of(command.MODULE).DECIDE[type(command)](self, command, outcome, now_ms)
        return outcome

    def decide_at_once(self, command: Command, now_ms: int) -> Outcome | None:
        """What the command leads to, if it gains nothing by waiting for others of its kind."""
        found: Outcome | None = module_of(command.MODULE).decide_at_once(self, command, now_ms)
        return found

    def decide_together(
        self, gathered: Sequence[Command], now_ms: int
    ) -> Iterator[tuple[Sequence[Command], Outcome]]:
        """What commands of one kind lead to that came at the same moment: for some of them at a
        time, an outcome, which is to be performed before the next is asked for."""
        module = module_of(gathered[0].MODULE)
        yield from module.decide_together(self, gathered, now_ms)

    def on_timer(self, key: TimerKey, now_ms: int) -> Outcome:
        """What the timer's expiry leads to. A timer that outlived its cause leads to nothing."""
        outcome = Outcome()
        if key.kind is TimerKind.OFFSET_EXPIRY:
            offset_requests.expire(self, outcome, now_ms)
            self._schedule_expiry(outcome, now_ms)
            return outcome
        group = self.groups.get(key.group_id)
        if group is not None:
            module_of(group.MODULE).on_timer(self, group, key, outcome, now_ms)
        return outcome

    def loaded(self, now_ms: int) -> Outcome:
        """After the replay of the log: every member gets a fresh session."""
        outcome = Outcome()
        for group in self.groups.values():
            module_of(group.MODULE).loaded(self, group, outcome, now_ms)
        self._schedule_expiry(outcome, now_ms)
        return outcome

    def abandon(self, error: ErrorCode) -> list[Reply]:
        """What all parked requests get when the shard is about to be thrown away.

        The runtime releases these at once: there is no record that could make them true.
        """
        return [reply for group in self.groups.values() for reply in group.abandon(error)]

    def _schedule_expiry(self, outcome: Outcome, now_ms: int) -> None:
        interval_ms = self.settings.offsets_retention_check_interval_ms
        outcome.set_timer(OFFSET_EXPIRY_TIMER, now_ms + interval_ms)
