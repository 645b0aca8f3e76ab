"""The shell of a membership: what the application's polls mean, and what is asked of the engine."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any

from ottla.client.configuration.build import configure_consumer
from ottla.client.core.cluster import ClusterView
from ottla.client.core.targets import Lane
from ottla.client.engine.membership import GroupMember
from ottla.client.errors import KafkaError
from ottla.ports.entropy import SeededEntropy
from ottla.wire.api.k03_metadata import DescribedTopic, MetadataResponse
from ottla.wire.api.k11_join_group import JoinGroupResponse
from ottla.wire.api.k12_heartbeat import HeartbeatResponse
from ottla.wire.api.k13_leave_group import LeaveGroupResponse
from ottla.wire.api.k14_sync_group import SyncGroupResponse
from ottla.wire.api.k68_consumer_group_heartbeat import ConsumerGroupHeartbeatResponse
from ottla.wire.consumer_protocol import ConsumerProtocolAssignment, encode_assignment


class Timer:
    def __init__(self, when_ms: float, callback: Callable[[], object]) -> None:
        self.when_ms = when_ms
        self.callback = callback
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True


class HandEngine:
    """An engine whose time is set by hand, and whose broker says yes to everything."""

    def __init__(self) -> None:
        self.cluster = ClusterView()
        topic = DescribedTopic(error_code=0, name="t", partitions=[])
        self.cluster.update(MetadataResponse(brokers=[], topics=[topic]))
        self.time_ms = 1_000.0
        self.timers: list[Timer] = []
        self.asked: list[tuple[Any, Lane | None]] = []
        self.wanted: set[str] = set()

    def now_ms(self) -> float:
        return self.time_ms

    def randomness(self) -> float:
        return 0.5

    def call_at(self, when_ms: float, callback: Callable[[], object]) -> Timer:
        self.timers.append(Timer(when_ms, callback))
        return self.timers[-1]

    def on_metadata(self, listener: Callable[..., None]) -> None:
        """Nothing changes here."""

    def want(self, topic: str) -> None:
        self.wanted.add(topic)

    def release(self, topic: str) -> None:
        self.wanted.remove(topic)

    def want_all(self, wants_all: bool) -> None:
        """Patterns are not used here."""

    def forget_coordinator(self, coordinator: object) -> None:
        """It is always the same."""

    async def ask(self, target: Any, request: Any, answer: Any, **how: Any) -> Any:
        message = request(answer.VERSIONS[-1]) if callable(request) else request
        self.asked.append((message, how["lane"]))
        if answer is JoinGroupResponse:
            return JoinGroupResponse(
                error_code=0,
                generation_id=1,
                protocol_name="range",
                leader="other",
                member_id="me",
                members=[],
            )
        if answer is SyncGroupResponse:
            assigned = ConsumerProtocolAssignment(assigned_partitions=[])
            return SyncGroupResponse(error_code=0, assignment=encode_assignment(assigned))
        if answer is LeaveGroupResponse:
            return LeaveGroupResponse(error_code=0)
        if answer is ConsumerGroupHeartbeatResponse:
            return ConsumerGroupHeartbeatResponse(
                error_code=0, member_epoch=1, heartbeat_interval_ms=5_000
            )
        return HeartbeatResponse(error_code=0)

    async def pass_time(self, duration_ms: float) -> None:
        """Let the timers of this time go off, one by one."""
        end_ms = self.time_ms + duration_ms
        while True:
            await settle()
            due = [t for t in self.timers if not t.is_cancelled and t.when_ms <= end_ms]
            if not due:
                break
            timer = min(due, key=lambda each: each.when_ms)
            timer.cancel()
            self.time_ms = max(self.time_ms, timer.when_ms)
            timer.callback()
        self.time_ms = end_ms


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


class Listener:
    """A consumer that does everything at once."""

    def __init__(self) -> None:
        self.member: GroupMember
        self.errors: list[KafkaError] = []
        self.assigned = 0

    def on_assign(self, partitions: object, is_incremental: bool) -> None:
        self.assigned += 1
        self.member.applied()

    def on_revoke(self, partitions: object, is_incremental: bool) -> None:
        self.member.applied()

    def on_lost(self, partitions: object) -> None:
        self.member.applied()

    def on_membership_error(self, error: KafkaError, topic: str | None) -> None:
        self.errors.append(error)

    def on_joined(self, metadata: object) -> None:
        """It asks when it needs to know."""


def begin(**settings: Any) -> tuple[HandEngine, Listener]:
    """A member that has subscribed; to be called in a running loop."""
    given = {key.replace("_", "."): value for key, value in settings.items()}
    configuration = configure_consumer(({"group.id": "g", **given},), {})
    engine, listener = HandEngine(), Listener()
    listener.member = GroupMember(
        engine,  # type: ignore[arg-type]
        configuration,
        listener,
        entropy=SeededEntropy(1),
    )
    listener.member.subscribe(["t"])
    return engine, listener


def test_polls_that_wait_are_polls_also_after_a_missing_one() -> None:
    async def story() -> None:
        engine, listener = begin(max_poll_interval_ms=60_000)
        member = listener.member
        member.last_poll_ms = math.inf
        await engine.pass_time(100_000)
        assert not listener.errors
        member.last_poll_ms = engine.now_ms()
        await engine.pass_time(60_500)
        assert [each.code() for each in listener.errors] == [KafkaError._MAX_POLL_EXCEEDED]
        assert member.awaits_poll
        # The application polls again, and each poll takes its time.
        member.last_poll_ms = math.inf
        member.polled()
        await engine.pass_time(200_000)
        assert len(listener.errors) == 1
        assert listener.assigned == 2

    asyncio.run(story())


def test_the_time_before_a_subscription_does_not_count() -> None:
    async def story() -> None:
        engine, listener = begin(max_poll_interval_ms=60_000)
        member = listener.member
        await engine.pass_time(10_000)
        member.unsubscribe()
        await engine.pass_time(500_000)
        member.subscribe(["t"])
        await engine.pass_time(59_000)
        assert not listener.errors

    asyncio.run(story())


def test_leaving_overtakes_what_the_coordinator_has_parked() -> None:
    async def story() -> None:
        engine, listener = begin()
        await settle()
        assert engine.wanted == {"t"}
        await listener.member.close(1_000)
        message, lane = engine.asked[-1]
        assert message.members[0].member_id == "me"
        assert lane is Lane.MAIN
        assert not engine.wanted
        assert all(timer.is_cancelled for timer in engine.timers)

    asyncio.run(story())


def test_members_of_consumer_groups_make_their_own_id() -> None:
    async def story() -> None:
        engine, listener = begin(group_protocol="consumer")
        await settle()
        message, _ = engine.asked[0]
        assert len(message.member_id) == 22
        assert listener.member.metadata.member_id == message.member_id
        assert listener.member.metadata.generation_id == 1

    asyncio.run(story())
