"""Clients, a group coordinator and its log under seeded faults, in virtual time.

Each seed is one history: clients join, crash, come back, leave, change their minds and commit
offsets over a slow and lossy network; the coordinator crashes and keeps of its log what was durable
and perhaps a little more. To see one history again:

    OTTLA_GROUPS_SEED=17 pytest tests/simulation/test_groups_coordinator.py -s
"""

from __future__ import annotations

import heapq
import os
import random
from collections.abc import Callable
from typing import Any

import pytest

from ottla.coordination.groups import commands
from ottla.coordination.groups.classic import (
    EMPTY,
    PREPARING_REBALANCE,
    PREVIOUS_STATES,
    STABLE,
    ClassicGroup,
    GroupState,
)
from ottla.coordination.groups.settings import GroupSettings
from ottla.coordination.groups.shard import GroupShard
from ottla.coordination.groups.timers import join_timer, session_timer, sync_timer
from ottla.coordination.outcome import Reply
from ottla.testing.shard_runtime import ShardRuntime
from ottla.wire.api.k08_offset_commit import OffsetCommitRequest, PartitionToCommit, TopicToCommit
from ottla.wire.api.k09_offset_fetch import OffsetFetchRequest, TopicToLookUp
from ottla.wire.api.k11_join_group import JoinGroupRequest, JoinGroupResponse, JoinProtocol
from ottla.wire.api.k12_heartbeat import HeartbeatRequest
from ottla.wire.api.k13_leave_group import LeaveGroupRequest, LeavingMember
from ottla.wire.api.k14_sync_group import MemberAssignment, SyncGroupRequest
from ottla.wire.consumer_protocol import ConsumerProtocolSubscription, encode_subscription
from ottla.wire.errors import ErrorCode

SEEDS_PER_TEST = 50
TESTS = 10
GROUP = "g"
TOPIC = "t"
PARTITIONS = range(8)
CHAOS_MS = 60_000
# Long enough for every session and rebalance timeout to run out one after the other.
HEALING_MS = 60_000
SESSION_TIMEOUT_MS = 6_000
REBALANCE_TIMEOUT_MS = 8_000
REQUEST_TIMEOUT_MS = 12_000
SETTINGS = GroupSettings(initial_rebalance_delay_ms=1_000, new_member_join_timeout_ms=20_000)
REJOIN = {ErrorCode.REBALANCE_IN_PROGRESS, ErrorCode.ILLEGAL_GENERATION}


def metadata(version: int) -> bytes:
    subscription = ConsumerProtocolSubscription(topics=[TOPIC], user_data=b"%d" % version)
    return encode_subscription(subscription)


class Client:
    """The client's side of the group protocol, one request at a time."""

    def __init__(self, world: World, name: str, instance_id: str | None) -> None:
        self.world = world
        self.name = name
        self.instance_id = instance_id
        self.version = world.random.choice([3, 5, 8, 9] if instance_id is None else [5, 8, 9])
        self.is_alive = True
        self.is_leaving = False
        self.is_fenced = False
        self.member_id = ""
        self.generation_id = -1
        self.owned: frozenset[int] | None = None
        self.metadata_version = 0
        self._waits_for: object = None

    def start(self) -> None:
        self.world.after(self.world.random.randrange(500), self._join)

    @property
    def identity(self) -> str:
        return self.instance_id or self.member_id

    def _send(self, make: Callable[[object], Any], on_response: Callable[[Any], None]) -> None:
        token = object()
        self._waits_for = token
        world = self.world

        def received(response: Any) -> None:
            if self.is_alive and self._waits_for is token:
                self._waits_for = None
                on_response(response)

        def timed_out() -> None:
            if self.is_alive and self._waits_for is token:
                self._waits_for = None
                self._join()

        world.send(token, make(token), received)
        world.after(REQUEST_TIMEOUT_MS, timed_out)

    def _join(self) -> None:
        if self.is_leaving:
            self.is_alive = False
            return
        self.owned = None
        request = JoinGroupRequest(
            group_id=GROUP,
            session_timeout_ms=SESSION_TIMEOUT_MS,
            rebalance_timeout_ms=REBALANCE_TIMEOUT_MS,
            member_id=self.member_id,
            group_instance_id=self.instance_id,
            protocol_type="consumer",
            protocols=[JoinProtocol(name="range", metadata=metadata(self.metadata_version))],
        )
        context = commands.ClientContext(self.name, "/127.0.0.1")
        unique_id = f"{self.world.random.getrandbits(64):x}"
        self._send(
            lambda token: commands.JoinGroup(token, request, self.version, context, unique_id),
            self._joined,
        )

    def _joined(self, response: JoinGroupResponse) -> None:
        error = ErrorCode(response.error_code)
        if error == ErrorCode.NONE:
            self.member_id = response.member_id
            self.generation_id = response.generation_id
            self.world.see_generation(response.generation_id)
            assignments = {}
            if response.leader == self.member_id and not response.skip_assignment:
                members = sorted(member.member_id for member in response.members)
                for position, member_id in enumerate(members):
                    share = PARTITIONS[position :: len(members)]
                    assignments[member_id] = bytes(share)
            self._sync(assignments)
        elif error == ErrorCode.MEMBER_ID_REQUIRED:
            self.member_id = response.member_id
            self._join()
        else:
            self._failed(error)

    def _sync(self, assignments: dict[str, bytes]) -> None:
        request = SyncGroupRequest(
            group_id=GROUP,
            generation_id=self.generation_id,
            member_id=self.member_id,
            group_instance_id=self.instance_id,
            protocol_type="consumer",
            protocol_name="range",
            assignments=[
                MemberAssignment(member_id=member_id, assignment=assignment)
                for member_id, assignment in assignments.items()
            ],
        )
        self._send(lambda token: commands.SyncGroup(token, request, 5), self._synced)

    def _synced(self, response: Any) -> None:
        error = ErrorCode(response.error_code)
        if error != ErrorCode.NONE:
            self._failed(error)
            return
        self.owned = frozenset(response.assignment)
        self.world.see_assignment(self)
        self._fetch()

    def _fetch(self) -> None:
        asked = TopicToLookUp(name=TOPIC, partition_indexes=list(PARTITIONS))
        request = OffsetFetchRequest(group_id=GROUP, topics=[asked])
        acknowledged = dict(self.world.acknowledged)

        def fetched(response: Any) -> None:
            for found in response.topics[0].partitions:
                self.world.check_position(
                    found.partition_index, found.committed_offset, acknowledged
                )
            self._idle()

        self._send(lambda token: commands.OffsetFetch(token, request, 7), fetched)

    def _idle(self) -> None:
        self.world.after(self.world.random.randrange(500, 2_500), self._work)

    def _work(self) -> None:
        if not self.is_alive or self.owned is None:
            return
        dice = self.world.random.random()
        if self.is_leaving:
            self._leave()
        elif dice < 0.06 and self.world.is_chaotic:
            self.metadata_version += self.world.random.randrange(2)
            self._join()
        elif dice < 0.4 and self.owned:
            self._commit()
        else:
            self._heartbeat()

    def _heartbeat(self) -> None:
        request = HeartbeatRequest(
            group_id=GROUP,
            generation_id=self.generation_id,
            member_id=self.member_id,
            group_instance_id=self.instance_id,
        )
        self._send(lambda token: commands.Heartbeat(token, request, 4), self._heard)

    def _heard(self, response: Any) -> None:
        error = ErrorCode(response.error_code)
        if error == ErrorCode.NONE:
            self._idle()
        else:
            self._failed(error)

    def _commit(self) -> None:
        assert self.owned
        partition = self.world.random.choice(sorted(self.owned))
        offset = self.world.next_offset()
        request = OffsetCommitRequest(
            group_id=GROUP,
            generation_id_or_member_epoch=self.generation_id,
            member_id=self.member_id,
            group_instance_id=self.instance_id,
            topics=[
                TopicToCommit(
                    name=TOPIC,
                    partitions=[
                        PartitionToCommit(
                            partition_index=partition,
                            committed_offset=offset,
                            committed_metadata=None,
                        )
                    ],
                )
            ],
        )

        def committed(response: Any) -> None:
            error = ErrorCode(response.topics[0].partitions[0].error_code)
            if error == ErrorCode.NONE:
                self.world.see_commit(partition, offset)
                self._idle()
            else:
                self._failed(error)

        self._send(lambda token: commands.OffsetCommit(token, request, 9), committed)

    def _leave(self) -> None:
        who = LeavingMember(member_id=self.member_id, group_instance_id=self.instance_id)
        request = LeaveGroupRequest(group_id=GROUP, members=[who])

        def left(_: Any) -> None:
            self.is_alive = False

        self._send(lambda token: commands.LeaveGroup(token, request, 5), left)

    def _failed(self, error: ErrorCode) -> None:
        if error == ErrorCode.FENCED_INSTANCE_ID:
            self.is_alive = False
            self.is_fenced = True
        elif error == ErrorCode.UNKNOWN_MEMBER_ID:
            self.member_id = ""
            self._join()
        else:
            assert error in REJOIN, error
            self._join()


class World:
    """Time, network and faults; and what must hold whatever they do."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.acknowledged: dict[int, int] = {}
        self._arrivals: dict[int, int] = {}
        self._offsets = 0
        self._queue: list[tuple[int, int, Callable[[], None]]] = []
        self._sequence = 0
        self._epoch = 0
        self._is_down = False
        self._is_flushing = False
        self._receivers: dict[object, Callable[[Any], None]] = {}
        self._owners: dict[int, dict[int, str]] = {}
        self._assigned: dict[tuple[int, str], frozenset[int]] = {}
        self._last_synced_generation = 0
        self._seen_state: tuple[GroupState, int] = (EMPTY, 0)
        self.is_chaotic = True
        self.clients: list[Client] = []
        self.runtime = ShardRuntime(
            lambda: GroupShard(SETTINGS), self._on_reply, flushes_at_once=False
        )

    # Time and network

    def after(self, delay_ms: int, action: Callable[[], None]) -> None:
        self._sequence += 1
        heapq.heappush(self._queue, (self.runtime.now_ms + delay_ms, self._sequence, action))

    def send(self, token: object, command: Any, receive: Callable[[Any], None]) -> None:
        epoch = self._epoch
        self._receivers[token] = receive

        def arrive() -> None:
            if self._is_down or self._epoch != epoch:
                return
            if isinstance(command, commands.OffsetCommit):
                self._note_arrival(command.request)
                generation_id = found.generation_id if (found := classic_group(self.shard)) else 0
            outcome = self.runtime.submit(command)
            if isinstance(command, commands.OffsetCommit) and outcome.records:
                assert command.request.generation_id_or_member_epoch == generation_id

        if self._is_lost():
            return
        self.after(self._delay_ms(), arrive)

    def _on_reply(self, reply: Reply) -> None:
        receive = self._receivers.pop(reply.token)
        if not self._is_lost():
            self.after(self._delay_ms(), lambda: receive(reply.response))

    def _is_lost(self) -> bool:
        return self.is_chaotic and self.random.random() < 0.01

    def _delay_ms(self) -> int:
        if self.is_chaotic and self.random.random() < 0.03:
            return self.random.randrange(1_000, 15_000)
        return self.random.randrange(1, 30)

    def run_until(self, end_ms: int) -> None:
        while True:
            due = [self._queue[0][0]] if self._queue else []
            timer_ms = self.runtime.next_deadline_ms()
            if timer_ms is not None and not self._is_down:
                due.append(timer_ms)
            now_ms = min(due, default=end_ms)
            if now_ms >= end_ms:
                break
            if not self._is_down and timer_ms is not None and timer_ms <= now_ms:
                self.runtime.advance_to(now_ms)
            else:
                self.runtime.now_ms = max(self.runtime.now_ms, now_ms)
                heapq.heappop(self._queue)[2]()
            self._after_step()

    def _after_step(self) -> None:
        if self._is_down:
            return
        self._check_state()
        self._check_timers()
        if not self._is_flushing and self.runtime.high_watermark < len(self.runtime.entries):
            self._is_flushing = True
            stalls = self.is_chaotic and self.random.random() < 0.05
            epoch = self._epoch

            def flush() -> None:
                if self._epoch == epoch:
                    self._is_flushing = False
                    self.runtime.flush()

            self.after(self.random.randrange(2_000) if stalls else 3, flush)

    # Faults

    def make_chaos(self) -> None:
        dice = self.random.random()
        if dice < 0.1:
            self._crash_coordinator()
        elif dice < 0.6:
            self._disturb(self.random.choice(self.clients))
        if self.is_chaotic:
            self.after(self.random.randrange(500, 4_000), self.make_chaos)

    def _crash_coordinator(self) -> None:
        """Down for a while; of the log survives what was durable and some of the rest."""
        if self._is_down:
            return
        self._epoch += 1
        self._is_down = True
        self._is_flushing = False
        end = self.random.randint(self.runtime.high_watermark, len(self.runtime.entries))

        def come_back() -> None:
            self.runtime.crash(end)
            self._is_down = False
            self._seen_state = self._state()
            self.check_replay()

        self.after(self.random.choice([1, 50, 3_000, 12_000]), come_back)

    def _disturb(self, client: Client) -> None:
        if self.random.random() < 0.5:
            client.is_leaving = True
        else:
            client.is_alive = False
        self.replace(client)

    def replace(self, client: Client) -> None:
        successor = Client(self, client.name, client.instance_id)
        self.clients[self.clients.index(client)] = successor
        self.after(self.random.choice([10, 1_000, 9_000]), successor.start)

    # What must hold

    def next_offset(self) -> int:
        self._offsets += 1
        return self._offsets

    def _note_arrival(self, request: OffsetCommitRequest) -> None:
        offset = request.topics[0].partitions[0].committed_offset
        self._arrivals[offset] = len(self._arrivals) + 1

    def see_commit(self, partition: int, offset: int) -> None:
        before = self.acknowledged.get(partition, -1)
        if self._arrivals[offset] > self._arrivals.get(before, 0):
            self.acknowledged[partition] = offset

    def check_position(self, partition: int, offset: int, acknowledged: dict[int, int]) -> None:
        promised = acknowledged.get(partition)
        if promised is not None:
            assert self._arrivals.get(offset, 0) >= self._arrivals[promised], "commit lost"

    def see_generation(self, generation_id: int) -> None:
        assert generation_id >= 1

    def see_assignment(self, client: Client) -> None:
        assert client.owned is not None
        generation_id = client.generation_id
        self._last_synced_generation = max(self._last_synced_generation, generation_id)
        known = self._assigned.setdefault((generation_id, client.identity), client.owned)
        assert known == client.owned, "one generation, two assignments"
        owners = self._owners.setdefault(generation_id, {})
        for partition in client.owned:
            owner = owners.setdefault(partition, client.identity)
            assert owner == client.identity, "a partition has two owners"

    @property
    def shard(self) -> GroupShard:
        shard = self.runtime.shard
        assert isinstance(shard, GroupShard)
        return shard

    def _state(self) -> tuple[GroupState, int]:
        group = classic_group(self.shard)
        return (EMPTY, 0) if group is None else (group.state, group.generation_id)

    def _check_state(self) -> None:
        state, generation_id = self._state()
        before, last_generation_id = self._seen_state
        if (state, generation_id) == self._seen_state:
            return
        assert generation_id in (last_generation_id, last_generation_id + 1)
        assert generation_id >= self._last_synced_generation
        # One decision may go through the join phase from end to end.
        assert before in PREVIOUS_STATES[state] or state is before or generation_id
        self._seen_state = (state, generation_id)
        for partition, offset in self.acknowledged.items():
            stored = self.shard.offsets.get(GROUP, TOPIC, partition)
            assert stored is not None
            assert self._arrivals[stored.offset] >= self._arrivals[offset], "commit lost"
        if self.random.random() < 0.1:
            self.check_replay()

    def _check_timers(self) -> None:
        """Whatever is waited for, the wait has an end."""
        group = classic_group(self.shard)
        if group is None:
            return
        deadline_ms = self.runtime.deadline_ms
        for member in group.members.values():
            is_timed = deadline_ms(session_timer(GROUP, member.member_id)) is not None
            assert is_timed or member.is_excused_from_heartbeats
        for member_id in group.pending_members:
            assert deadline_ms(session_timer(GROUP, member_id)) is not None
        is_joining = group.state is PREPARING_REBALANCE
        assert (deadline_ms(join_timer(GROUP)) is not None) is is_joining
        assert (deadline_ms(sync_timer(GROUP)) is not None) is bool(group.pending_syncs)

    def check_replay(self) -> None:
        """The log alone must tell all that is durable in the live shard."""
        fresh = GroupShard(SETTINGS)
        for record in self.runtime.log:
            assert fresh.replay(record) is None
        live = self.shard
        assert list(fresh.offsets.positions(GROUP)) == list(live.offsets.positions(GROUP))
        group = classic_group(live)
        if group is not None and group.generation_id and group.state in (STABLE, EMPTY):
            replayed = classic_group(fresh)
            assert replayed is not None
            assert durable(replayed) == durable(group)

    def check_healed(self) -> None:
        group = classic_group(self.shard)
        assert group is not None
        assert group.state is STABLE, group.state
        assert not group.pending_syncs
        assert group.parked_joins == 0
        assert {client.member_id for client in self.clients} == set(group.members)
        assert {client.generation_id for client in self.clients} == {group.generation_id}
        owned = [partition for client in self.clients for partition in client.owned or ()]
        assert sorted(owned) == list(PARTITIONS)
        self.check_replay()


def classic_group(shard: GroupShard) -> ClassicGroup | None:
    group = shard.groups.get(GROUP)
    assert group is None or isinstance(group, ClassicGroup)
    return group


def durable(group: ClassicGroup) -> object:
    name = group.protocol_name
    return (
        group.state,
        group.state_timestamp_ms,
        group.generation_id,
        group.protocol_type,
        name,
        group.leader_id,
        [
            member._replace(protocols=((name or "", member.metadata(name or "")),), is_new=False)
            for member in group.members.values()
        ],
    )


def run(seed: int) -> None:
    world = World(seed)
    for number in range(world.random.randint(1, 6)):
        instance_id = f"static{number}" if world.random.random() < 0.4 else None
        client = Client(world, f"client{number}", instance_id)
        world.clients.append(client)
        client.start()
    world.after(2_000, world.make_chaos)
    world.run_until(CHAOS_MS)
    world.is_chaotic = False
    world.run_until(CHAOS_MS + 15_000)
    for client in list(world.clients):
        if client.is_fenced:
            world.replace(client)
    world.run_until(CHAOS_MS + 15_000 + HEALING_MS)
    world.check_healed()


@pytest.mark.parametrize("block", range(TESTS))
def test_groups_survive_faults(block: int) -> None:
    chosen = os.environ.get("OTTLA_GROUPS_SEED")
    first = block * SEEDS_PER_TEST
    seeds = [int(chosen)] if chosen else range(first, first + SEEDS_PER_TEST)
    for seed in seeds:
        try:
            run(seed)
        except Exception as error:
            error.add_note(f"OTTLA_GROUPS_SEED={seed}")
            raise
