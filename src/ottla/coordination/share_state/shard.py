"""One partition of ``__share_group_state`` at work; see `ottla.coordination.core` for how it runs.

The log is not compacted but pruned at its start (updates would be lost otherwise): whatever is
older than the oldest snapshot in use can go. A share partition that nobody writes to any more gets
a new snapshot from time to time, or it would keep the log from being pruned for ever.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple
from uuid import UUID

from ottla.coordination.outcome import (
    CoordinatorRecord,
    Outcome,
    Reply,
    SkippedRecord,
    TransactionalProducer,
)
from ottla.coordination.share_state import commands
from ottla.coordination.share_state.commands import (
    Done,
    FoundState,
    FoundSummary,
    NeededCount,
    Refused,
    SharePartitionKey,
)
from ottla.coordination.share_state.state import (
    UNCHANGED,
    ShareState,
    read_snapshot,
    snapshot_record,
    tombstone,
    unrecorded,
    update_record,
)
from ottla.wire.errors import ErrorCode, Malformed, ProtocolError, Truncated
from ottla.wire.share_state_records import (
    ShareSnapshotValue,
    ShareUpdateValue,
    decode_key,
    decode_value,
)

_COLD_SNAPSHOT_TIMER = "cold snapshots"
# Kafka has no such limit; a share partition may have 10,000 records in delivery at most.
_MAX_STATE_BATCHES = 20_000
# Before any leader was heard of. A leader that has it, too, need not be written down.
_FIRST_LEADER_EPOCH = 0


class ShareStateSettings(NamedTuple):
    """When snapshots are written.

    updates_per_snapshot: so many updates follow a snapshot, then there is another.
    cold_snapshot_interval_ms: how old the snapshot of an idle share partition may become.
    """

    updates_per_snapshot: int = 500
    cold_snapshot_interval_ms: int = 300_000


class ShareStateShard:
    """The share coordinator for one partition of its topic.

    Args:
        has_topic: whether there is a topic of an id now; asked after a load.
    """

    def __init__(
        self,
        settings: ShareStateSettings | None = None,
        has_topic: Callable[[UUID], bool] = lambda _: True,
    ) -> None:
        self.settings = ShareStateSettings() if settings is None else settings
        self._has_topic = has_topic
        self.states: dict[SharePartitionKey, ShareState] = {}
        self._replayed_count = 0

    # State

    def replay(
        self, record: CoordinatorRecord, producer: TransactionalProducer | None = None
    ) -> SkippedRecord | None:
        """Takes in one record of the log; says so if it was skipped."""
        number = self._replayed_count
        self._replayed_count += 1
        try:
            record_key = decode_key(record.key)
            value = None if record.value is None else decode_value(record_key, record.value)
        except (ProtocolError, Truncated, Malformed) as error:
            return SkippedRecord(str(error))
        key = SharePartitionKey(record_key.group_id, record_key.topic_id, record_key.partition)
        if value is None:
            self.states.pop(key, None)
        elif isinstance(value, ShareSnapshotValue):
            self.states[key] = read_snapshot(value, number)
        else:
            return self._replay_update(key, value)
        return None

    def _replay_update(
        self, key: SharePartitionKey, value: ShareUpdateValue
    ) -> SkippedRecord | None:
        state = self.states.get(key)
        if state is None or state.snapshot_epoch != value.snapshot_epoch:
            # What came before it was pruned: a newer snapshot follows.
            return SkippedRecord("an update without its snapshot")
        changed = state.changed(
            value.leader_epoch,
            value.start_offset,
            value.delivery_complete_count,
            unrecorded(value.state_batches),
        )
        self.states[key] = changed._replace(update_count=state.update_count + 1)
        return None

    def end_transaction(self, producer_id: int, producer_epoch: int, is_committed: bool) -> None:
        """There are no transactions in this topic; but anybody's marker takes an offset, too."""
        self._replayed_count += 1

    def apply(self, event: object) -> None:
        """There are no events: everything is a record."""

    # Decisions

    def decide(self, command: commands.Command, now_ms: int) -> Outcome:
        """What the command leads to; nothing is changed yet."""
        outcome = Outcome()
        _DECIDE[type(command)](self, command, outcome, now_ms)
        return outcome

    def on_timer(self, key: object, now_ms: int) -> Outcome:
        """Writes snapshots of share partitions that have been idle."""
        outcome = Outcome(is_atomic=False)
        oldest_ms = now_ms - self.settings.cold_snapshot_interval_ms
        for key_of, state in self.states.items():
            if state.written_ms <= oldest_ms:
                outcome.records.append(snapshot_record(key_of, _next_snapshot(state, now_ms)))
        self._schedule(outcome, now_ms)
        return outcome

    def loaded(self, now_ms: int) -> Outcome:
        """After the replay of the log: the state of topics deleted since goes, and idle share
        partitions are looked for from now on."""
        outcome = Outcome(is_atomic=False)
        outcome.records.extend(
            tombstone(key) for key in self.states if not self._has_topic(key.topic_id)
        )
        self._schedule(outcome, now_ms)
        return outcome

    def abandon(self, error: ErrorCode) -> list[Reply]:
        """Nobody is parked here."""
        return []

    def _schedule(self, outcome: Outcome, now_ms: int) -> None:
        interval_ms = self.settings.cold_snapshot_interval_ms
        outcome.set_timer(_COLD_SNAPSHOT_TIMER, now_ms + interval_ms)

    def _initialize(self, command: commands.InitializeState, outcome: Outcome, now_ms: int) -> None:
        state = self.states.get(command.key)
        if state is not None and command.state_epoch < state.state_epoch:
            outcome.reply(command.token, _fenced_state_epoch())
            return
        fresh = ShareState(
            snapshot_epoch=0 if state is None else state.snapshot_epoch + 1,
            state_epoch=command.state_epoch,
            leader_epoch=_FIRST_LEADER_EPOCH if state is None else state.leader_epoch,
            start_offset=command.start_offset,
            delivery_complete_count=-1 if command.start_offset < 0 else 0,
            state_batches=(),
            created_ms=now_ms,
            written_ms=now_ms,
        )
        outcome.records.append(snapshot_record(command.key, fresh))
        outcome.reply(command.token, Done())

    def _read(self, command: commands.ReadState, outcome: Outcome, now_ms: int) -> None:
        state = self._state_for(command.key, command.leader_epoch)
        if isinstance(state, Refused):
            outcome.reply(command.token, state)
            return
        if command.leader_epoch not in (UNCHANGED, state.leader_epoch):
            # From now on earlier leaders are fenced.
            self._change(
                outcome,
                commands.WriteState(
                    None,
                    command.key,
                    UNCHANGED,
                    command.leader_epoch,
                    UNCHANGED,
                    state.delivery_complete_count,
                    (),
                ),
                now_ms,
            )
        found = FoundState(state.state_epoch, state.start_offset, state.state_batches)
        outcome.reply(command.token, found)

    def _write(self, command: commands.WriteState, outcome: Outcome, now_ms: int) -> None:
        state = self._state_for(command.key, command.leader_epoch)
        if isinstance(state, Refused):
            outcome.reply(command.token, state)
        elif command.state_epoch != UNCHANGED and command.state_epoch < state.state_epoch:
            outcome.reply(command.token, _fenced_state_epoch())
        elif len(state.state_batches) + len(command.state_batches) > _MAX_STATE_BATCHES:
            refusal = Refused(ErrorCode.INVALID_REQUEST, "too many state batches")
            outcome.reply(command.token, refusal)
        else:
            self._change(outcome, command, now_ms)
            outcome.reply(command.token, Done())

    def _change(self, outcome: Outcome, command: commands.WriteState, now_ms: int) -> None:
        """An update while there are few of them, else a snapshot."""
        state = self.states[command.key]
        is_new_epoch = command.state_epoch not in (UNCHANGED, state.state_epoch)
        if state.update_count < self.settings.updates_per_snapshot and not is_new_epoch:
            outcome.records.append(update_record(command.key, state.snapshot_epoch, *command[3:]))
            return
        changed = state.changed(*command[3:])
        if is_new_epoch:
            changed = changed._replace(state_epoch=command.state_epoch)
        snapshot = _next_snapshot(changed, now_ms)
        outcome.records.append(snapshot_record(command.key, snapshot))

    def _delete(self, command: commands.DeleteState, outcome: Outcome, now_ms: int) -> None:
        if command.key in self.states:
            outcome.records.append(tombstone(command.key))
        outcome.reply(command.token, Done())

    def _read_summary(self, command: commands.ReadSummary, outcome: Outcome, now_ms: int) -> None:
        state = self.states.get(command.key)
        found = FoundSummary(0, 0, UNCHANGED, UNCHANGED) if state is None else _summary(state)
        outcome.reply(command.token, found)

    def _topics_deleted(
        self, command: commands.TopicsDeleted, outcome: Outcome, now_ms: int
    ) -> None:
        outcome.is_atomic = False
        outcome.records.extend(
            tombstone(key) for key in self.states if key.topic_id in command.topic_ids
        )

    def _count_needed(self, command: commands.CountNeeded, outcome: Outcome, now_ms: int) -> None:
        oldest = min(
            (state.snapshot_number for state in self.states.values()),
            default=self._replayed_count,
        )
        outcome.reply(command.token, NeededCount(self._replayed_count - oldest))

    def _state_for(self, key: SharePartitionKey, leader_epoch: int) -> ShareState | Refused:
        """The state, for a leader that hasn't been succeeded."""
        state = self.states.get(key)
        if state is None:
            return Refused(ErrorCode.INVALID_REQUEST, "the share partition is not initialized")
        if leader_epoch != UNCHANGED and leader_epoch < state.leader_epoch:
            return Refused(ErrorCode.FENCED_LEADER_EPOCH, ErrorCode.FENCED_LEADER_EPOCH.message)
        return state


def _summary(state: ShareState) -> FoundSummary:
    """With the start offset where the next reader will find it: past what is done with."""
    start_offset, complete_count = state.start_offset, state.delivery_complete_count
    for batch in state.state_batches:
        if batch.first_offset != start_offset or not batch.is_finished:
            break
        start_offset = batch.last_offset + 1
    if complete_count != UNCHANGED:
        complete_count -= start_offset - state.start_offset
    return FoundSummary(state.state_epoch, state.leader_epoch, start_offset, complete_count)


def _next_snapshot(state: ShareState, now_ms: int) -> ShareState:
    return state._replace(snapshot_epoch=state.snapshot_epoch + 1, written_ms=now_ms)


def _fenced_state_epoch() -> Refused:
    return Refused(ErrorCode.FENCED_STATE_EPOCH, ErrorCode.FENCED_STATE_EPOCH.message)


_DECIDE: dict[type[Any], Callable[[ShareStateShard, Any, Outcome, int], None]] = {
    commands.InitializeState: ShareStateShard._initialize,
    commands.ReadState: ShareStateShard._read,
    commands.WriteState: ShareStateShard._write,
    commands.DeleteState: ShareStateShard._delete,
    commands.ReadSummary: ShareStateShard._read_summary,
    commands.TopicsDeleted: ShareStateShard._topics_deleted,
    commands.CountNeeded: ShareStateShard._count_needed,
}
