"""A share partition and its share coordinator through crashes, in virtual time.

What a member was told to be accepted is never delivered again; what nobody finished is delivered
until somebody does, or until it was tried too often.
"""

from __future__ import annotations

import random
import uuid

import pytest

from ottla.coordination.share_partitions.commands import (
    Acknowledgement,
    AcquireLimits,
    LogBatch,
)
from ottla.coordination.share_partitions.settings import ShareSettings
from ottla.coordination.share_partitions.share_partition import SharePartition
from ottla.coordination.share_partitions.states import AcknowledgeType
from ottla.coordination.share_state.commands import (
    CountNeeded,
    InitializeState,
    ReadState,
    SharePartitionKey,
    WriteState,
)
from ottla.coordination.share_state.shard import ShareStateSettings, ShareStateShard
from ottla.testing.shard_runtime import ShardRuntime
from ottla.wire.errors import ProtocolError

KEY = SharePartitionKey("g", uuid.UUID(int=1), 0)
RECORDS = 120
LIMIT = 4
LOCK_MS = 1_000
SETTINGS = ShareSettings(LOCK_MS, LIMIT, max_record_locks=50)


class World:
    """One log, one share partition that is rebuilt after each crash, and three members."""

    def __init__(self, seed: int) -> None:
        self.pick = random.Random(seed)
        self.now_ms = 0
        self.answers = {}
        settings = ShareStateSettings(updates_per_snapshot=5, cold_snapshot_interval_ms=20_000)
        self.runtime = ShardRuntime(
            lambda: ShareStateShard(settings),
            lambda reply: self.answers.update({reply.token: reply.response}),
            flushes_at_once=False,
        )
        self.batches = []
        while (base := sum(b.last_offset - b.base_offset + 1 for b in self.batches)) < RECORDS:
            self.batches.append(LogBatch(base, base + self.pick.randrange(6)))
        self.end = self.batches[-1].last_offset + 1
        self.accepted = set()
        self.finished = set()
        self.under_way = {}
        self.tokens = iter(range(1_000_000))
        self.runtime.submit(InitializeState(next(self.tokens), KEY, 0, 0))
        self.runtime.flush()
        self.begin()

    def begin(self) -> None:
        """A leader reads what is remembered."""
        token = next(self.tokens)
        self.runtime.submit(ReadState(token, KEY, 0))
        self.runtime.flush()
        found = self.answers.pop(token)
        self.partition = SharePartition(found.start_offset, found.state_batches, SETTINGS)
        self.held = {}

    def begin_write(self, transition, *, accepted=()) -> None:
        if transition.write is not None:
            self.write(transition.write, transition, accepted)

    def expire_locks(self) -> None:
        write = self.partition.expire_locks(self.now_ms)
        if write is not None:
            self.write(write)

    def write(self, write, transition=None, accepted=()) -> None:
        for batch in write.state_batches:
            if batch.is_finished:
                self.finished.update(range(batch.first_offset, batch.last_offset + 1))
        token = next(self.tokens)
        self.under_way[token] = (transition, set(accepted))
        self.runtime.submit(WriteState(token, KEY, 0, 0, *write))

    def settle(self) -> None:
        """The coordinator's answers arrive: members are told."""
        self.runtime.flush()
        for token in [token for token in self.answers if token in self.under_way]:
            transition, accepted = self.under_way.pop(token)
            if transition is not None:
                self.partition.settle(transition)
            self.accepted |= accepted

    def acquire(self, member: str, max_records: int) -> None:
        offset = self.partition.next_fetch_offset
        found = [batch for batch in self.batches if batch.last_offset >= offset]
        limits = AcquireLimits(max_records, 10, self.pick.random() < 0.5)
        for each in self.partition.acquire(member, offset, found, limits, self.now_ms):
            assert each.delivery_count <= LIMIT
            for record in range(each.first_offset, each.last_offset + 1):
                assert record not in self.accepted, "delivered after it was accepted"
                self.held[record] = member

    def acknowledge(self, member: str) -> None:
        mine = sorted(record for record, holder in self.held.items() if holder == member)
        if not mine:
            return
        first = self.pick.choice(mine)
        last = first
        while self.held.get(last + 1) == member and self.pick.random() < 0.8:
            last += 1
        kinds = self.pick.choices(list(AcknowledgeType), [1, 6, 3, 1, 2], k=last - first + 1)
        try:
            acknowledgement = Acknowledgement(first, last, kinds)
            transition = self.partition.acknowledge(member, [acknowledgement], self.now_ms)
        except ProtocolError:
            # The lock ran out, or an earlier acknowledgement is still being written.
            return
        records = range(first, last + 1)
        accepted = [r for r, k in zip(records, kinds, strict=True) if k is AcknowledgeType.ACCEPT]
        self.begin_write(transition, accepted=accepted)

    def crash(self) -> None:
        """The broker is gone, and what wasn't durable; some of that may have been all the same."""
        end = self.pick.randint(self.runtime.high_watermark, len(self.runtime.entries))
        self.under_way.clear()
        self.runtime.crash(end)
        self.answers.clear()
        self.begin()

    def prune(self) -> None:
        token = next(self.tokens)
        self.runtime.submit(CountNeeded(token))
        self.settle()
        needed = self.answers.pop(token).records
        del self.runtime.entries[: len(self.runtime.entries) - needed]
        self.runtime.high_watermark = len(self.runtime.entries)

    def step(self) -> None:
        chance = self.pick.random()
        member = self.pick.choice("abc")
        if chance < 0.35:
            self.acquire(member, self.pick.randint(1, 12))
        elif chance < 0.7:
            self.acknowledge(member)
        elif chance < 0.85:
            self.settle()
        elif chance < 0.93:
            self.now_ms += self.pick.randint(1, LOCK_MS)
            self.runtime.advance_to(self.now_ms)
            self.expire_locks()
        elif chance < 0.96:
            self.begin_write(self.partition.release(member))
        elif chance < 0.98:
            self.prune()
        else:
            self.crash()

    def finish(self) -> None:
        """A last member that accepts everything."""
        for _ in range(LIMIT * self.end):
            self.settle()
            self.now_ms += LOCK_MS
            self.expire_locks()
            if self.partition.start_offset >= self.end:
                break
            self.acquire("z", 20)
            for record in [r for r, holder in self.held.items() if holder == "z"]:
                try:
                    accepted = [Acknowledgement(record, record, [AcknowledgeType.ACCEPT])]
                    transition = self.partition.acknowledge("z", accepted, self.now_ms)
                except ProtocolError:
                    continue
                self.begin_write(transition, accepted=[record])


@pytest.mark.parametrize("seed", range(60))
def test_nothing_accepted_comes_again_and_nothing_is_left_behind(seed: int) -> None:
    world = World(seed)
    for _ in range(600):
        world.step()
    world.finish()
    world.settle()
    assert world.partition.start_offset == world.end
    assert world.finished == set(range(world.end)), "records that nobody finished"
    world.crash()
    assert world.partition.start_offset == world.end
