"""The share coordinator: what it remembers, whom it fences, what it lets go of."""

from __future__ import annotations

import itertools
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ottla.coordination.share_state import commands
from ottla.coordination.share_state.batches import StateBatch, combine
from ottla.coordination.share_state.commands import (
    Done,
    FoundState,
    FoundSummary,
    NeededCount,
    SharePartitionKey,
)
from ottla.coordination.share_state.shard import ShareStateSettings, ShareStateShard
from ottla.wire.errors import ErrorCode
from ottla.wire.share_state_records import decode_key, decode_value

TOPIC = uuid.UUID(int=7)
KEY = SharePartitionKey("g", TOPIC, 0)
AVAILABLE, ACKNOWLEDGED, ARCHIVED = 0, 2, 4


class Coordinator:
    """A shard over a log in memory."""

    def __init__(self, **settings):
        self.settings = ShareStateSettings(**settings)
        self.shard = ShareStateShard(self.settings)
        self.log = []
        self.now_ms = 1_000

    def ask(self, command):
        return self.perform(self.shard.decide(command, self.now_ms))

    def perform(self, outcome):
        for record in outcome.records:
            self.log.append(record)
            assert self.shard.replay(record) is None
        return outcome.replies[0].response if outcome.replies else None

    def restarted(self, first=0):
        other = Coordinator(**self.settings._asdict())
        other.log = self.log[first:]
        for record in other.log:
            other.shard.replay(record)
        return other

    def initialize(self, key=KEY, state_epoch=0, start_offset=-1):
        return self.ask(commands.InitializeState(None, key, state_epoch, start_offset))

    def write(self, *batches, key=KEY, state_epoch=0, leader_epoch=0, start=-1, complete=-1):
        found = [StateBatch(*batch) for batch in batches]
        return self.ask(
            commands.WriteState(None, key, state_epoch, leader_epoch, start, complete, found)
        )

    def read(self, key=KEY, leader_epoch=0):
        return self.ask(commands.ReadState(None, key, leader_epoch))

    def summary(self, key=KEY):
        return self.ask(commands.ReadSummary(None, key, 0))

    def values(self):
        return [
            None if record.value is None else decode_value(decode_key(record.key), record.value)
            for record in self.log
        ]


def test_a_new_share_partition_knows_nothing_but_its_epoch():
    coordinator = Coordinator()
    assert coordinator.initialize(state_epoch=3) == Done()
    assert coordinator.read() == FoundState(3, -1, [])
    assert coordinator.summary() == FoundSummary(3, 0, -1, -1)


def test_writes_cover_earlier_ones_and_move_the_start():
    coordinator = Coordinator()
    coordinator.initialize(start_offset=0)
    coordinator.write((0, 9, AVAILABLE, 1))
    coordinator.write((3, 5, ACKNOWLEDGED, 2))
    assert coordinator.read().state_batches == [
        (0, 2, AVAILABLE, 1),
        (3, 5, ACKNOWLEDGED, 2),
        (6, 9, AVAILABLE, 1),
    ]
    coordinator.write((8, 8, ARCHIVED, 1), start=4, complete=3)
    expected = [
        (4, 5, ACKNOWLEDGED, 2),
        (6, 7, AVAILABLE, 1),
        (8, 8, ARCHIVED, 1),
        (9, 9, AVAILABLE, 1),
    ]
    assert coordinator.read() == FoundState(0, 4, expected)
    assert coordinator.summary() == FoundSummary(0, 0, 6, 1)


def test_a_summary_starts_past_what_is_done_with():
    coordinator = Coordinator()
    coordinator.initialize(start_offset=0)
    coordinator.write(
        (0, 3, ACKNOWLEDGED, 1), (4, 4, AVAILABLE, 1), (5, 6, ARCHIVED, 1), complete=6
    )
    assert coordinator.summary() == FoundSummary(0, 0, 4, 2)


def test_a_restart_changes_nothing():
    coordinator = Coordinator(updates_per_snapshot=2)
    coordinator.initialize(start_offset=0)
    for offset in range(0, 70, 7):
        coordinator.write((offset, offset + 9, offset % 3 * 2, 1), start=offset // 2)
        assert coordinator.restarted().shard.states == coordinator.shard.states


def test_a_snapshot_follows_every_so_many_updates():
    coordinator = Coordinator(updates_per_snapshot=2)
    coordinator.initialize(start_offset=0)
    coordinator.read(leader_epoch=1)
    for offset in range(5):
        coordinator.write((offset, offset, ACKNOWLEDGED, 1), leader_epoch=1)
    kinds = [(type(value).__name__[5:-5], value.snapshot_epoch) for value in coordinator.values()]
    assert kinds == [
        ("Snapshot", 0),
        ("Update", 0),
        ("Update", 0),
        ("Snapshot", 1),
        ("Update", 1),
        ("Update", 1),
        ("Snapshot", 2),
    ]
    assert [tuple(batch) for batch in coordinator.read(leader_epoch=1).state_batches] == [
        (0, 4, ACKNOWLEDGED, 1)
    ]


@pytest.mark.parametrize(
    ("ask", "code"),
    [
        (lambda each: each.write(leader_epoch=4), ErrorCode.FENCED_LEADER_EPOCH),
        (lambda each: each.read(leader_epoch=4), ErrorCode.FENCED_LEADER_EPOCH),
        (lambda each: each.write(state_epoch=1, leader_epoch=5), ErrorCode.FENCED_STATE_EPOCH),
        (lambda each: each.initialize(state_epoch=1), ErrorCode.FENCED_STATE_EPOCH),
        (lambda each: each.read(KEY._replace(partition=9)), ErrorCode.INVALID_REQUEST),
        (lambda each: each.write(key=KEY._replace(partition=9)), ErrorCode.INVALID_REQUEST),
    ],
)
def test_what_is_out_of_date_or_unknown_is_refused(ask, code):
    coordinator = Coordinator()
    coordinator.initialize(state_epoch=2)
    coordinator.read(leader_epoch=5)
    before = len(coordinator.log)
    assert ask(coordinator).code is code
    assert len(coordinator.log) == before


def test_the_leader_epoch_is_known_before_there_was_a_leader():
    coordinator = Coordinator()
    coordinator.initialize(start_offset=5)
    assert coordinator.summary().leader_epoch == 0
    coordinator.read(leader_epoch=7)
    coordinator.initialize(state_epoch=1, start_offset=9)
    assert coordinator.restarted().summary().leader_epoch == 7


def test_reading_fences_earlier_leaders_even_after_a_restart():
    coordinator = Coordinator()
    coordinator.initialize()
    coordinator.read(leader_epoch=7)
    assert coordinator.restarted().write(leader_epoch=6).code is ErrorCode.FENCED_LEADER_EPOCH


def test_the_same_leader_reads_without_a_record():
    coordinator = Coordinator()
    coordinator.initialize()
    coordinator.read(leader_epoch=7)
    before = len(coordinator.log)
    coordinator.read(leader_epoch=7)
    coordinator.read(leader_epoch=-1)
    assert len(coordinator.log) == before


def test_beginning_anew_forgets_what_was_delivered():
    coordinator = Coordinator()
    coordinator.initialize(start_offset=0)
    coordinator.write((0, 9, ACKNOWLEDGED, 1), start=3)
    coordinator.initialize(state_epoch=1, start_offset=100)
    assert coordinator.read() == FoundState(1, 100, [])
    assert coordinator.restarted().read() == FoundState(1, 100, [])


def test_a_deleted_share_partition_is_unknown():
    coordinator = Coordinator()
    coordinator.initialize()
    assert coordinator.ask(commands.DeleteState(None, KEY)) == Done()
    assert coordinator.ask(commands.DeleteState(None, KEY)) == Done()
    assert coordinator.values()[1:] == [None]
    assert coordinator.summary() == FoundSummary(0, 0, -1, -1)


def test_share_partitions_of_deleted_topics_are_forgotten():
    coordinator = Coordinator()
    other = KEY._replace(topic_id=uuid.UUID(int=8))
    coordinator.initialize()
    coordinator.initialize(other)
    coordinator.ask(commands.TopicsDeleted(frozenset({TOPIC})))
    assert list(coordinator.restarted().shard.states) == [other]


def test_only_records_from_the_oldest_snapshot_on_are_needed():
    coordinator = Coordinator(updates_per_snapshot=3)
    assert coordinator.ask(commands.CountNeeded(None)) == NeededCount(0)
    coordinator.initialize(start_offset=0)
    for offset in range(10):
        coordinator.write((offset, offset, ACKNOWLEDGED, 1), start=offset)
    needed = coordinator.ask(commands.CountNeeded(None)).records
    assert needed < len(coordinator.log)
    pruned = coordinator.restarted(len(coordinator.log) - needed)
    assert pruned.read() == coordinator.read()


def test_idle_share_partitions_do_not_keep_the_log_from_being_pruned():
    coordinator = Coordinator(cold_snapshot_interval_ms=60_000)
    idle = KEY._replace(partition=1)
    coordinator.initialize(idle, start_offset=5)
    coordinator.now_ms += 60_000
    coordinator.initialize(start_offset=0)
    outcome = coordinator.shard.on_timer("cold snapshots", coordinator.now_ms)
    assert outcome.timers[0].deadline_ms == coordinator.now_ms + 60_000
    coordinator.perform(outcome)
    assert coordinator.ask(commands.CountNeeded(None)) == NeededCount(2)
    assert coordinator.restarted(1).read(idle) == coordinator.read(idle)


def test_more_state_than_any_reader_can_make_is_refused():
    coordinator = Coordinator()
    coordinator.initialize(start_offset=0)
    many = [(offset, offset, ACKNOWLEDGED, 1) for offset in range(0, 40_000, 2)]
    assert coordinator.write(*many) == Done()
    assert coordinator.write((1, 1, ACKNOWLEDGED, 1)).code is ErrorCode.INVALID_REQUEST


def test_records_that_cannot_be_read_are_skipped():
    coordinator = Coordinator()
    coordinator.initialize()
    record = coordinator.log[0]
    shard = ShareStateShard()
    assert shard.replay(record._replace(key=b"\0\x09abc")) is not None
    assert shard.replay(record._replace(value=record.value[:9])) is not None
    assert shard.replay(record._replace(key=b"\0")) is not None
    assert shard.states == {}


batches = st.lists(
    st.builds(
        lambda first, size, state, count: StateBatch(first, first + size, state, count),
        st.integers(0, 40),
        st.integers(0, 12),
        st.sampled_from([AVAILABLE, ACKNOWLEDGED, ARCHIVED]),
        st.integers(1, 3),
    ),
    max_size=12,
)


@given(batches, batches, st.integers(-1, 45))
def test_combining_is_writing_offset_by_offset(older, newer, start_offset):
    expected = {}
    for batch in [*older, *newer]:
        for offset in range(batch.first_offset, batch.last_offset + 1):
            expected[offset] = batch[2:]
    combined = combine(combine((), older, -1), newer, start_offset)
    found = {}
    for batch in combined:
        for offset in range(batch.first_offset, batch.last_offset + 1):
            assert offset not in found
            found[offset] = batch[2:]
    assert found == {offset: state for offset, state in expected.items() if offset >= start_offset}
    assert combined == sorted(combined)
    for before, after in itertools.pairwise(combined):
        assert before.last_offset + 1 < after.first_offset or before[2:] != after[2:]
