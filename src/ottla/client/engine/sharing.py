"""The share consumer on the engine's loop: between its cores, the brokers and the application."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Sequence
from typing import Protocol

from ottla.client.configuration.objects import ShareConsumerConfiguration
from ottla.client.core.cluster import Changes
from ottla.client.core.membership.assignors.values import Partition
from ottla.client.core.membership.membership import GroupMetadata
from ottla.client.core.sharing.acknowledgements import Acknowledgements, Outcome
from ottla.client.core.sharing.acquired import Decided
from ottla.client.core.sharing.fetching import Delivered, FetchedShare, ShareFetcher, SharePlan
from ottla.client.core.sharing.requests import ShareSettings
from ottla.client.core.targets import Lane
from ottla.client.engine.engine import Engine
from ottla.client.engine.farewells import unless_unreachable
from ottla.client.engine.membership import GroupMember
from ottla.client.enumerations import AcknowledgeType
from ottla.client.errors import KafkaError, KafkaException
from ottla.wire.api.k78_share_fetch import ShareFetchRequest, ShareFetchResponse
from ottla.wire.api.k79_share_acknowledge import ShareAcknowledgeResponse

# Who polls without waiting asks for records all the same; they are there the next time.
_SHORTEST_POLL_MS = 10.0


class SharingApplication(Protocol):
    """The side of the share consumer that the user calls; told on the engine's loop."""

    def deliver(self, delivered: Sequence[Delivered]) -> None:
        """Records and errors to hand out, in this order."""

    def settled(self, outcome: Outcome) -> None:
        """What became of acknowledgements."""

    def fail(self, error: KafkaError) -> None:
        """An error of the group for the next ``poll``; after a fatal one for all of them."""


class Sharing:
    """One share consumer. All methods run on the engine's loop.

    Args:
        engine: of the consumer.
        configuration: of the consumer.
        application: whom to tell.
    """

    def __init__(
        self,
        engine: Engine,
        configuration: ShareConsumerConfiguration,
        application: SharingApplication,
    ) -> None:
        self.engine = engine
        self._configuration = configuration
        self._application = application
        self._fetcher = ShareFetcher(share_settings(configuration))
        self._member = GroupMember(engine, configuration, self, entropy=engine.entropy)
        self._timer: asyncio.TimerHandle | None = None
        self._commits: dict[Acknowledgements, asyncio.Future[Outcome]] = {}
        self._progress = asyncio.Event()
        self._is_closed = False
        engine.on_metadata(self._metadata_updated)
        engine.on_connection(self._connection_changed)

    @property
    def member_id(self) -> str:
        """Who the consumer is in its group."""
        return self._member.metadata.member_id

    @property
    def lock_timeout_ms(self) -> int | None:
        """How long acquired records stay locked; None before the first were."""
        return self._fetcher.lock_timeout_ms

    # Subscribing

    def subscribe(self, topics: Iterable[str]) -> None:
        """Join the group for these topics, instead of those before."""
        self._member.subscribe(topics)

    def unsubscribe(self) -> None:
        """Leave the group."""
        self._member.unsubscribe()

    # Reading

    def begin_poll(self, decided: Decided, until_ms: float, wants_records: bool) -> None:
        """The application polls, at most until then.

        Args:
            decided: what it has decided about the records before.
            until_ms: by the engine's clock.
            wants_records: whether it has nothing to return yet.
        """
        member = self._member
        member.last_poll_ms = math.inf
        if member.awaits_poll:
            member.polled()
        if wants_records:
            self._fetcher.begin_poll(max(until_ms, self.engine.now_ms() + _SHORTEST_POLL_MS))
        self.acknowledge(decided)

    def end_poll(self) -> None:
        """The application is busy with what it got."""
        self._fetcher.end_poll()
        self._member.last_poll_ms = self.engine.now_ms()
        self._member.look_at_polls()

    def give_back(self, delivered: Iterable[Delivered]) -> None:
        """Release records that the application will never see."""
        deadline_ms = self.engine.now_ms() + self._configuration.socket_timeout_ms
        released = [
            Acknowledgements(each.place, _released(each), deadline_ms, is_told=False)
            for each in delivered
            if isinstance(each, FetchedShare)
        ]
        self._fetcher.acknowledge(released)
        self._carry_on()

    # Acknowledging

    def acknowledge(self, decided: Decided) -> None:
        """Tell the brokers what the application decided."""
        limit_ms = self._configuration.socket_timeout_ms
        self._fetcher.acknowledge(self._acknowledgements(decided, limit_ms))
        self._carry_on()

    async def commit(self, decided: Decided, timeout_ms: float) -> list[Outcome]:
        """Tell the brokers, and wait for what they say; ``_TIMED_OUT`` if it takes too long."""
        told = self._acknowledgements(decided, timeout_ms)
        futures = [asyncio.get_running_loop().create_future() for _ in told]
        self._commits |= zip(told, futures, strict=True)
        self._fetcher.acknowledge(told)
        self._carry_on()
        if futures:
            await asyncio.wait(futures, timeout=timeout_ms / 1000)
        late = KafkaError(KafkaError._TIMED_OUT)
        return [
            future.result() if future.done() else Outcome(each, late)
            for each, future in zip(told, futures, strict=True)
        ]

    def _acknowledgements(self, decided: Decided, limit_ms: float) -> list[Acknowledgements]:
        deadline_ms = self.engine.now_ms() + limit_ms
        return [Acknowledgements(place, types, deadline_ms) for place, types in decided]

    # Carrying on

    def _carry_on(self) -> None:
        if self._is_closed:
            return
        fetcher, engine = self._fetcher, self.engine
        now_ms = engine.now_ms()
        for plan in fetcher.plan(self.member_id, engine.cluster, now_ms, self._can_ask):
            self._send(plan)
        self._settle()
        if fetcher.needs_metadata:
            fetcher.needs_metadata = False
            engine.refresh_metadata()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline_ms = fetcher.next_deadline_ms(now_ms)
        if deadline_ms is not None:
            self._timer = engine.call_at(deadline_ms, self._carry_on)

    def _settle(self) -> None:
        for outcome in self._fetcher.outcomes():
            waiting = self._commits.pop(outcome.acknowledgements, None)
            if waiting is not None and not waiting.done():
                waiting.set_result(outcome)
            self._application.settled(outcome)
        if self._fetcher.is_settled:
            self._progress.set()

    def _can_ask(self, broker_id: int) -> bool:
        if broker_id not in self.engine.cluster.brokers:
            return False
        if self.engine.is_ready(broker_id, Lane.FETCH):
            return True
        self.engine.connect(broker_id, Lane.FETCH)
        return False

    def _send(self, plan: SharePlan) -> None:
        is_fetch = isinstance(plan.request, ShareFetchRequest)
        answer: type[ShareFetchResponse] | type[ShareAcknowledgeResponse]
        answer = ShareFetchResponse if is_fetch else ShareAcknowledgeResponse
        timeout_ms = self._configuration.socket_timeout_ms
        timeout_ms += self._configuration.fetch_wait_max_ms if is_fetch else 0
        versions = self.engine.versions(plan.broker_id)
        assert versions is not None
        assert answer.API_KEY is not None
        try:
            self.engine.send(
                plan.broker_id,
                plan.request,
                answer,
                lambda reply: self._answered(plan, reply),
                version=versions.choose(answer.API_KEY),
                timeout_ms=timeout_ms,
                lane=Lane.FETCH,
            )
        except KafkaException as exception:
            # Its version can't say it.
            error = exception.args[0]
            self.engine.call_soon(lambda: self._answered(plan, error))

    def _answered(
        self,
        plan: SharePlan,
        reply: ShareFetchResponse | ShareAcknowledgeResponse | KafkaError,
    ) -> None:
        fetcher, now_ms = self._fetcher, self.engine.now_ms()
        randomness = self.engine.randomness()
        if isinstance(reply, KafkaError):
            fetcher.failed(plan, reply, now_ms, randomness)
        else:
            cluster = self.engine.cluster
            delivered = fetcher.answered(plan, reply, cluster, now_ms, randomness)
            if delivered:
                # Nothing more is acquired before the application wants it: the locks run.
                fetcher.end_poll()
                self._application.deliver(delivered)
        self._settle()
        self._carry_on()

    def _metadata_updated(self, changes: Changes) -> None:
        self._carry_on()

    def _connection_changed(self, broker_id: int, lane: Lane, error: KafkaError | None) -> None:
        if lane is Lane.FETCH and not self._is_closed:
            if error is not None:
                self._fetcher.disconnected(broker_id, error)
            self._carry_on()

    # MembershipListener

    def on_assign(self, partitions: tuple[Partition, ...], is_incremental: bool) -> None:
        """The group has the consumer read partitions."""
        self._fetcher.assign(partitions)
        self._member.applied()
        self._carry_on()

    def on_revoke(self, partitions: tuple[Partition, ...], is_incremental: bool) -> None:
        """The group takes partitions away; what was acquired of them may be acknowledged yet."""
        self._fetcher.unassign(partitions)
        self._member.applied()

    def on_lost(self, partitions: tuple[Partition, ...]) -> None:
        """The group counts on the consumer no more."""
        self._fetcher.unassign(partitions)
        self._member.applied()

    def on_membership_error(self, error: KafkaError, topic: str | None) -> None:
        """Something the application should hear from ``poll``."""
        self._application.fail(error)

    def on_joined(self, metadata: GroupMetadata) -> None:
        """Nothing that a share consumer asks depends on its epoch."""

    # The end

    async def close(self, decided: Decided, timeout_ms: float) -> None:
        """Say what is left to say, give back all other records, leave the group."""
        if self._is_closed:
            return
        self._fetcher.end_poll()
        self.acknowledge(decided)
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                await unless_unreachable(self.engine, self._say_goodbye(timeout_ms))
        except TimeoutError:
            # The brokers find out by themselves.
            pass
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        for waiting in self._commits.values():
            waiting.cancel()

    async def _say_goodbye(self, timeout_ms: float) -> None:
        await self._all_settled()
        for plan in self._fetcher.close(self.member_id, self._can_ask):
            self._send(plan)
        await self._all_settled()
        await self._member.close(timeout_ms)

    async def _all_settled(self) -> None:
        while not self._fetcher.is_settled:
            self._progress.clear()
            await self._progress.wait()


def share_settings(configuration: ShareConsumerConfiguration) -> ShareSettings:
    """The settings that decide on fetching."""
    return ShareSettings(
        group_id=configuration.group_id or "",
        max_wait_ms=configuration.fetch_wait_max_ms,
        min_bytes=max(1, configuration.fetch_min_bytes),
        max_bytes=max(1, configuration.fetch_max_bytes),
        max_records=configuration.max_poll_records,
        is_record_limit=configuration.share_acquire_mode == "record_limit",
        retry_backoff_ms=configuration.retry_backoff_ms,
        retry_backoff_max_ms=configuration.retry_backoff_max_ms,
    )


def _released(fetched: FetchedShare) -> dict[int, int]:
    return {
        offset: int(AcknowledgeType.RELEASE)
        for first, last, _ in fetched.acquired
        for offset in range(first, last + 1)
    }
