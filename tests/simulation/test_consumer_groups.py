"""Consumer groups in virtual time: members come, go, pause and lose answers, the broker crashes.

Whatever happens, no partition is consumed by two members at the same time, no epoch goes back, and
the log alone leads to the coordinator's state. Once all is quiet, every partition has its consumer.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

from ottla.coordination.groups import commands
from ottla.coordination.groups.consumer.group import ConsumerGroup
from ottla.coordination.groups.settings import GroupSettings
from ottla.coordination.groups.shard import GroupShard
from ottla.coordination.outcome import Reply
from ottla.testing.consumer_member import ConsumerMember, Partition
from ottla.testing.shard_runtime import ShardRuntime
from ottla.testing.simulated_topics import SimulatedTopics
from ottla.wire.errors import ErrorCode

GROUP = "orders"
CLIENT = commands.ClientContext("client", "/h")
SESSION_TIMEOUT_MS = 45_000
REBALANCE_TIMEOUT_MS = 20_000
SEEDS = range(12)
STEPS = 400


class Client:
    """A member with a life of its own: it may be slow to revoke, deaf, or gone."""

    def __init__(self, member: ConsumerMember, now_ms: int) -> None:
        self.member = member
        self.heard_ms = now_ms
        self.next_ms = now_ms
        self.revoking_since_ms: int | None = None

    def give_up_if_cut_off(self, now_ms: int) -> None:
        """As clients do: without an answer for a session, others may own its partitions; and who
        has not revoked within the rebalance timeout must expect the same."""
        since_ms = self.revoking_since_ms
        is_late = since_ms is not None and now_ms - since_ms >= REBALANCE_TIMEOUT_MS
        if is_late or now_ms - self.heard_ms >= SESSION_TIMEOUT_MS:
            self.member.abandon()
            self.heard_ms = now_ms
            self.revoking_since_ms = None


class Simulation:
    """One shard, its clients and all that befalls them."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.topics = SimulatedTopics({"a": 5, "b": 3})
        self.settings = GroupSettings()
        self.replies: list[Reply] = []
        self.runtime = ShardRuntime(
            lambda: GroupShard(self.settings, lambda: self.topics.image),
            self.replies.append,
            now_ms=1_000_000,
            flushes_at_once=False,
        )
        self.clients: list[Client] = []
        self.names = 0
        self.ends: list[int] = []
        self.epochs: dict[str, int] = {}
        self.group_epoch = 0

    # What clients do

    def join(self) -> None:
        if len(self.clients) >= 6:
            return
        self.names += 1
        chosen = self.random.choice([["a"], ["b"], ["a", "b"], ["a", "b"], ["a", "c"]])
        regex = self.random.choice([None, None, None, "[ab]", "c.*"])
        member = ConsumerMember(
            GROUP,
            f"m{self.names}",
            chosen,
            regex=regex,
            instance_id=self.random.choice([None, None, f"i{self.names % 3}"]),
            rebalance_timeout_ms=REBALANCE_TIMEOUT_MS,
            assignor=self.random.choice([None, "uniform", "range"]),
        )
        self.clients.append(Client(member, self.runtime.now_ms))

    def beat(self, client: Client) -> None:
        member = client.member
        self.ask(member, member.request(), client)

    def ask(self, member: ConsumerMember, request: Any, client: Client | None) -> None:
        token = object()
        self.runtime.submit(commands.ConsumerGroupHeartbeat(token, request, 1, CLIENT, "made"))
        self.check_state()
        if self.random.random() < 0.1:
            # The broker answered and its power failed before the answer was durable, or the
            # answer got lost on its way: the client knows neither.
            if self.random.random() < 0.3:
                self.crash()
            member.lose_answer()
            return
        self.runtime.flush()
        answers: list[Any] = [reply.response for reply in self.replies if reply.token is token]
        self.replies.clear()
        if client is None:
            return
        (answer,) = answers
        was_fenced = answer.error_code in (
            ErrorCode.FENCED_INSTANCE_ID,
            ErrorCode.UNRELEASED_INSTANCE_ID,
        )
        member.receive(answer)
        if was_fenced:
            # Fatal for a client: its user starts another.
            member.abandon()
            self.clients.remove(client)
            return
        if not answer.error_code:
            client.heard_ms = self.runtime.now_ms
        client.next_ms = self.runtime.now_ms + member.heartbeat_interval_ms
        if not member.is_revoking:
            client.revoking_since_ms = None
        elif client.revoking_since_ms is None:
            client.revoking_since_ms = self.runtime.now_ms

    def revoke(self, client: Client) -> None:
        if client.member.is_revoking:
            client.member.finish_revoking()
            client.revoking_since_ms = None
            client.next_ms = self.runtime.now_ms

    def leave(self, client: Client) -> None:
        member = client.member
        is_static = member.instance_id is not None
        epoch = -2 if is_static and self.random.random() < 0.7 else -1
        self.clients.remove(client)
        request = member.leave(epoch)
        member.owned.clear()
        self.ask(member, request, None)

    def crash(self) -> None:
        # What one decision appends is one batch, and lost or kept as a whole.
        ends = [end for end in self.ends if end >= self.runtime.high_watermark]
        end = self.random.choice([self.runtime.high_watermark, *ends])
        self.ends = []
        self.replies.clear()
        self.runtime.crash(end)
        self.epochs.clear()
        self.group_epoch = 0

    def change_topics(self) -> None:
        image = self.topics.image
        choice = self.random.random()
        if choice < 0.5 and "a" in image.topics:
            self.topics.grow("a", min(len(image.topics["a"].partitions) + 1, 9))
        elif "c" in image.topics:
            self.topics.delete("c")
        else:
            self.topics.create("c", 2)

    def step(self) -> None:
        choice = self.random.random()
        clients = self.clients
        if choice < 0.08:
            self.join()
        elif choice < 0.12 and clients:
            self.leave(self.random.choice(clients))
        elif choice < 0.14:
            self.change_topics()
        elif choice < 0.16:
            self.crash()
        elif choice < 0.17 and clients:
            # It dies without a word.
            dead = self.random.choice(clients)
            dead.member.owned.clear()
            clients.remove(dead)
        elif choice < 0.30 and clients:
            self.revoke(self.random.choice(clients))
        elif choice < 0.45 and clients:
            self.beat(self.random.choice(clients))
        else:
            self.pass_time(self.random.choice([50, 500, 500, 3_000]))
        self.check_ownership()

    def pass_time(self, duration_ms: int) -> None:
        end_ms = self.runtime.now_ms + duration_ms
        while True:
            due = [client for client in self.clients if client.next_ms <= end_ms]
            if not due:
                break
            client = min(due, key=lambda each: each.next_ms)
            self.advance(max(client.next_ms, self.runtime.now_ms))
            client.next_ms = self.runtime.now_ms + 1_000
            if self.random.random() < 0.9:
                self.beat(client)
            self.check_ownership()
        self.advance(end_ms)

    def advance(self, now_ms: int) -> None:
        while True:
            deadline_ms = self.runtime.next_deadline_ms()
            # A client's own clock runs out no later than the broker's.
            for client in self.clients:
                client.give_up_if_cut_off(min(now_ms, deadline_ms or now_ms))
            if deadline_ms is None or deadline_ms > now_ms:
                break
            self.runtime.advance_to(deadline_ms)
            self.check_state()
        self.runtime.advance_to(now_ms)

    # What must hold

    def group(self) -> ConsumerGroup | None:
        shard = self.runtime.shard
        assert isinstance(shard, GroupShard)
        group = shard.groups.get(GROUP)
        assert group is None or isinstance(group, ConsumerGroup)
        return group

    def check_ownership(self) -> None:
        owners: dict[Partition, str] = {}
        for client in self.clients:
            for partition in client.member.owned:
                other = owners.setdefault(partition, client.member.member_id)
                assert other == client.member.member_id, f"{partition} has two owners"

    def check_state(self) -> None:
        self.ends.append(len(self.runtime.log))
        group = self.group()
        if group is None:
            return
        assert group.epoch >= self.group_epoch
        self.group_epoch = group.epoch
        for member_id, member in group.members.items():
            if member.epoch >= 0:
                assert member.epoch >= self.epochs.get(member_id, 0)
                self.epochs[member_id] = member.epoch
            for topic_id, partitions in member.assigned.items():
                for partition in partitions:
                    assert group.holders[topic_id.int, partition] == member_id
        assert group.target_epoch <= group.epoch

    def check_replay(self) -> None:
        fresh = GroupShard(self.settings, lambda: self.topics.image)
        for record in self.runtime.log:
            assert fresh.replay(record) is None
        group, replayed = self.group(), fresh.groups.get(GROUP)
        if group is None:
            assert replayed is None
            return
        assert isinstance(replayed, ConsumerGroup)
        assert replayed.members == group.members
        assert replayed.holders == group.holders
        assert replayed.topic_counts == group.topic_counts
        assert replayed.regex_counts == group.regex_counts

    def quiet_down(self) -> None:
        """Nothing goes wrong any more, and everybody does as told."""
        for _ in range(130):
            self.advance(self.runtime.now_ms + 500)
            for client in list(self.clients):
                self.answer_plainly(client)
            self.check_ownership()

    def answer_plainly(self, client: Client) -> None:
        member = client.member
        member.finish_revoking()
        client.revoking_since_ms = None
        token = object()
        request = member.request()
        self.runtime.submit(commands.ConsumerGroupHeartbeat(token, request, 1, CLIENT, "made"))
        self.runtime.flush()
        answers: list[Any] = [each.response for each in self.replies if each.token is token]
        (answer,) = answers
        self.replies.clear()
        if answer.error_code in (ErrorCode.FENCED_INSTANCE_ID, ErrorCode.UNRELEASED_INSTANCE_ID):
            member.abandon()
            self.clients.remove(client)
            return
        member.receive(answer)
        client.heard_ms = self.runtime.now_ms

    def check_quiet(self) -> None:
        group = self.group()
        if not self.clients:
            return
        assert group is not None
        assert group.state == "Stable", group.state
        assert set(group.members) == {client.member.member_id for client in self.clients}
        owned = [each for client in self.clients for each in client.member.owned]
        assert len(owned) == len(set(owned))
        wanted = set()
        for name in group.subscribed_topics():
            topic = self.topics.image.topics.get(name)
            if topic is not None:
                wanted |= {(topic.topic_id, index) for index in range(len(topic.partitions))}
        assert set(owned) == wanted


@pytest.mark.parametrize("seed", SEEDS)
def test_no_partition_has_two_consumers_whatever_happens(seed: int) -> None:
    simulation = Simulation(seed)
    for _ in range(STEPS):
        simulation.step()
    simulation.check_replay()
    simulation.quiet_down()
    simulation.check_replay()
    simulation.check_quiet()
