"""Share partitions against a model that knows nothing of ranges: one entry for each record."""

from __future__ import annotations

import contextlib

from hypothesis import settings as run_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ottla.coordination.share_partitions.commands import (
    Acknowledgement,
    AcquireLimits,
    LogBatch,
)
from ottla.coordination.share_partitions.settings import ShareSettings
from ottla.coordination.share_partitions.share_partition import SharePartition
from ottla.coordination.share_partitions.states import AcknowledgeType
from ottla.coordination.share_state.batches import combine
from ottla.wire.errors import ProtocolError

MEMBERS = st.sampled_from(["a", "b", "c"])
LOCK_MS = 1_000
LOG_END = 60


class SharePartitionMachine(RuleBasedStateMachine):
    """Members acquire, acknowledge, die; writes succeed, fail and are lost with the broker.

    The model remembers of each record how often it was delivered, who holds it and whether it is
    durably done with.
    """

    @initialize(limit=st.integers(2, 6), locks=st.integers(5, 80), data=st.data())
    def begin(self, limit, locks, data):
        self.limit = limit
        self.settings = ShareSettings(LOCK_MS, limit, locks)
        self.partition = SharePartition(0, settings=self.settings)
        self.now_ms = 0
        self.under_way = []
        self.durable_start, self.durable_batches = 0, []
        self.deliveries = dict.fromkeys(range(LOG_END), 0)
        self.holder = {}
        self.done = set()
        self.written_off = set()
        sizes = data.draw(st.lists(st.integers(1, 9), min_size=30, max_size=30))
        self.batches, base = [], 0
        for index, size in enumerate(sizes):
            if base + size > LOG_END:
                break
            # Some of the log was compacted away, some is aborted.
            if index % 7 != 3:
                self.batches.append(LogBatch(base, base + size - 1, index % 5 != 4))
            base += size
        self.deliverable = {
            offset
            for batch in self.batches
            if batch.is_deliverable
            for offset in range(batch.base_offset, batch.last_offset + 1)
        }
        self.highest_start = 0

    @rule(
        member=MEMBERS,
        limits=st.builds(AcquireLimits, st.integers(0, 30), st.integers(1, 20), st.booleans()),
        count=st.integers(1, 10),
    )
    def acquire(self, member, limits, count):
        fetch_offset = self.partition.next_fetch_offset
        found = [each for each in self.batches if each.last_offset >= fetch_offset][:count]
        ranges = self.partition.acquire(member, fetch_offset, found, limits, self.now_ms)
        acquired = 0
        for each in ranges:
            for offset in range(each.first_offset, each.last_offset + 1):
                assert offset in self.deliverable
                assert offset not in self.holder, "acquired by two at once"
                assert offset not in self.done, "delivered after it was durably done with"
                self.deliveries[offset] = each.delivery_count
                assert each.delivery_count <= self.limit
                self.holder[offset] = (member, self.now_ms + LOCK_MS)
                acquired += 1
        if limits.is_record_limit:
            assert acquired <= limits.max_records

    @rule(member=MEMBERS, data=st.data(), is_durable=st.booleans())
    def acknowledge(self, member, data, is_durable):
        held = sorted(offset for offset, (holder, _) in self.holder.items() if holder == member)
        if not held:
            return
        first = data.draw(st.sampled_from(held))
        last = data.draw(st.integers(first, min(first + 12, LOG_END - 1)))
        kinds = data.draw(
            st.lists(
                st.sampled_from(AcknowledgeType),
                min_size=last - first + 1,
                max_size=last - first + 1,
            )
        )
        acknowledgement = Acknowledgement(first, last, kinds)
        with contextlib.suppress(ProtocolError):
            transition = self.partition.acknowledge(member, [acknowledgement], self.now_ms)
            for offset, kind in zip(range(first, last + 1), kinds, strict=True):
                if offset >= self.partition.start_offset:
                    assert self.holder[offset][0] == member
                    if kind is AcknowledgeType.RENEW:
                        self.holder[offset] = (member, self.now_ms + LOCK_MS)
            self._begin(transition, is_durable)

    @rule(member=MEMBERS, is_durable=st.booleans())
    def leave(self, member, is_durable):
        self._begin(self.partition.release(member), is_durable)

    def _begin(self, transition, is_durable):
        """Writes are made in the order they are asked for; only the answers take their time."""
        self.under_way.append((transition, is_durable))
        if is_durable:
            self._write(transition.write)
            for span, state in transition.targets:
                if state.is_terminal:
                    self.written_off.update(range(span.first_offset, span.last_offset + 1))

    @rule()
    def write_ends(self):
        if not self.under_way:
            return
        transition, is_durable = self.under_way.pop(0)
        if not is_durable:
            self.partition.roll_back(transition)
            return
        for span, state in transition.targets:
            for offset in range(span.first_offset, span.last_offset + 1):
                self.holder.pop(offset, None)
                if state.is_terminal:
                    self.done.add(offset)
        self.partition.settle(transition)

    @rule(elapsed_ms=st.integers(1, 700))
    def time_passes(self, elapsed_ms):
        self.now_ms += elapsed_ms
        write = self.partition.expire_locks(self.now_ms)
        for batch in write.state_batches if write is not None else ():
            offsets = range(batch.first_offset, batch.last_offset + 1)
            for offset in offsets:
                _, deadline_ms = self.holder.pop(offset)
                assert deadline_ms <= self.now_ms
            if batch.is_finished:
                self.written_off.update(offsets)
        self._write(write)

    def _write(self, write):
        if write is not None:
            assert write.start_offset >= self.durable_start
            self.durable_start = write.start_offset
            self.durable_batches = combine(
                self.durable_batches, write.state_batches, self.durable_start
            )

    @rule()
    def restart(self):
        self.partition = SharePartition(self.durable_start, self.durable_batches, self.settings)
        self.under_way, self.holder = [], {}
        self.highest_start = self.durable_start

    @invariant()
    def start_offset_only_grows(self):
        if hasattr(self, "partition"):
            assert self.partition.start_offset >= self.highest_start
            self.highest_start = self.partition.start_offset

    @invariant()
    def nothing_is_lost(self):
        """What lies below the start was done with, given up, or is not there to be delivered."""
        if hasattr(self, "partition"):
            for offset in range(self.partition.start_offset):
                assert (
                    offset in self.written_off
                    or offset not in self.deliverable
                    or self.deliveries[offset] >= self.limit
                )

    def teardown(self):
        """Everything is done with in the end: by acceptance, or because it was tried too often."""
        if not hasattr(self, "partition"):
            return
        while self.under_way:
            self.write_ends()
        for _ in range(LOG_END * self.limit):
            self.time_passes(LOCK_MS)
            fetch_offset = self.partition.next_fetch_offset
            found = [each for each in self.batches if each.last_offset >= fetch_offset]
            if not found:
                break
            limits = AcquireLimits(20, 20)
            for each in self.partition.acquire("z", fetch_offset, found, limits, self.now_ms):
                accepted = Acknowledgement(each.first_offset, each.last_offset, [1])
                self.partition.settle(self.partition.acknowledge("z", [accepted], self.now_ms))
        assert self.partition.start_offset == self.partition.end_offset
        last = max((batch.last_offset for batch in self.batches), default=-1)
        assert self.partition.start_offset >= last + 1


TestSharePartition = SharePartitionMachine.TestCase
TestSharePartition.settings = run_settings(
    max_examples=150, stateful_step_count=40, deadline=None, derandomize=True
)
