"""The shell of a membership: what it asks goes to the engine, what happens goes to the consumer."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterable

from ottla.client.configuration.objects import (
    ConsumerConfiguration,
    ShareConsumerConfiguration,
)
from ottla.client.core.cluster import Changes
from ottla.client.core.membership.assignors.values import Partition
from ottla.client.core.membership.classic import ClassicMembership
from ottla.client.core.membership.consumer import ConsumerMembership
from ottla.client.core.membership.membership import (
    Assign,
    CoordinatorUnknown,
    Event,
    Failed,
    Fatal,
    GroupMetadata,
    Joined,
    Left,
    Lost,
    Membership,
    MembershipListener,
    RebalanceProtocol,
    Request,
    Revoke,
    Subscription,
    WantTopics,
)
from ottla.client.core.membership.settings import MembershipSettings
from ottla.client.core.targets import ANY, Coordinator, KeyType, Lane
from ottla.client.engine.engine import Engine
from ottla.client.errors import KafkaError, KafkaException
from ottla.ports.entropy import Entropy, SystemEntropy
from ottla.wire.declare import Message


class GroupMember:
    """A consumer's place in its group. All methods are called on the engine's loop.

    Args:
        engine: of the consumer.
        configuration: of the consumer.
        listener: the consumer, which hears what becomes of its partitions.
        entropy: where the member id comes from that KIP-848 wants.

    Attributes:
        last_poll_ms: when the application polled last, by the engine's clock; infinity while it is
            polling. Any thread may set it. After ``awaits_poll`` turned True, call :meth:`polled`.
    """

    def __init__(
        self,
        engine: Engine,
        configuration: ConsumerConfiguration,
        listener: MembershipListener,
        *,
        entropy: Entropy | None = None,
    ) -> None:
        self._engine = engine
        self._listener = listener
        settings = MembershipSettings.of(configuration)
        self._is_sharing = isinstance(configuration, ShareConsumerConfiguration)
        self._core: Membership
        if self._is_sharing:
            # Most consumers don't: theirs is not to take longer to load.
            from ottla.client.core.sharing.membership import ShareMembership

            self._core = ShareMembership(settings, _new_member_id(entropy), engine.cluster)
        elif configuration.group_protocol == "consumer":
            self._core = ConsumerMembership(settings, _new_member_id(entropy), engine.cluster)
        else:
            self._core = ClassicMembership(settings)
        self._coordinator = Coordinator(KeyType.GROUP, settings.group_id)
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._wanted: frozenset[str] = frozenset()
        self._wants_all = False
        self._is_running = False
        self._runs_again = False
        self._is_closed = False
        self._left = asyncio.Event()
        self.last_poll_ms = engine.now_ms()
        self._told_poll_ms = self.last_poll_ms
        engine.on_metadata(self._on_metadata)

    # What it is

    @property
    def metadata(self) -> GroupMetadata:
        """Who the consumer is for its group at the moment."""
        return self._core.metadata

    @property
    def assignment(self) -> frozenset[Partition]:
        """What the group gave the consumer, until it has given it up."""
        return self._core.assignment

    @property
    def rebalance_protocol(self) -> RebalanceProtocol:
        """Whether partitions change hands all at once or one by one; ``NONE`` while unknown."""
        return self._core.rebalance_protocol

    @property
    def is_lost(self) -> bool:
        """Whether the partitions that the last event was about are lost (meanwhile)."""
        return self._core.is_lost

    @property
    def awaits_poll(self) -> bool:
        """Whether the consumer left its group because the application does not poll."""
        return self._core.awaits_poll

    # What the consumer does

    def subscribe(self, names: Iterable[str]) -> None:
        """Join the group for these topics; names that begin with ``^`` are patterns.

        Share groups know no patterns.

        Raises:
            KafkaException: ``_INVALID_ARG``: a pattern makes no sense.
        """
        now_ms = self._engine.now_ms()
        subscription = (
            Subscription(frozenset(names)) if self._is_sharing else Subscription.of(names)
        )
        self._core.subscribe(subscription, now_ms)
        self._core.metadata_changed(self._engine.cluster, now_ms)
        self._run()

    def unsubscribe(self) -> None:
        """Give up everything and leave the group."""
        self._core.unsubscribe(self._engine.now_ms())
        self._run()

    def applied(self) -> None:
        """What the last ``on_assign``, ``on_revoke`` or ``on_lost`` asked for is done."""
        self._core.applied(self._engine.now_ms())
        self._run()

    def polled(self) -> None:
        """The application polls again, after ``awaits_poll``."""
        self._core.polled(self._engine.now_ms())
        self._run()

    def look_at_polls(self) -> None:
        """``last_poll_ms`` was set: reckon from it at once, not only at the next heartbeat."""
        self._run()

    def commit_failed(self, error_code: int, sent_as: GroupMetadata) -> None:
        """OffsetCommit was refused: the membership may not be what it was."""
        self._core.commit_failed(error_code, sent_as, self._engine.now_ms())
        self._run()

    async def close(self, timeout_ms: float) -> None:
        """Leave the group, once what is owned has been revoked and ``applied``.

        When the time is over, or nobody answers, the coordinator is left to find out by itself.
        """
        if self._is_closed:
            return
        self._left.clear()
        self._core.close(self._engine.now_ms())
        self._run()
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                await self._left.wait()
        except TimeoutError:
            pass
        finally:
            self._stop()

    def _stop(self) -> None:
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        for task in self._tasks:
            task.cancel()
        self._want(WantTopics(frozenset()))

    # Moving data

    def _on_metadata(self, changes: Changes) -> None:
        if not self._is_closed:
            self._core.metadata_changed(self._engine.cluster, self._engine.now_ms())
            self._run()

    def _run(self) -> None:
        """Carry on until there is nothing to do but wait."""
        if self._is_running:
            # The listener called back from within an event.
            self._runs_again = True
            return
        if self._is_closed:
            return
        self._is_running = True
        try:
            self._runs_again = True
            while self._runs_again:
                self._runs_again = False
                self._tell_of_poll()
                for request in self._core.plan(self._engine.now_ms()):
                    self._send(request)
                for event in self._core.events():
                    self._runs_again = True
                    self._tell(event)
        finally:
            self._is_running = False
        self._set_timer()

    def _tell_of_poll(self) -> None:
        last_poll_ms = self.last_poll_ms
        if last_poll_ms != self._told_poll_ms and not self._core.awaits_poll:
            self._told_poll_ms = last_poll_ms
            self._core.polled(last_poll_ms)

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline_ms = self._core.next_deadline_ms()
        if deadline_ms is not None and not self._is_closed:
            self._timer = self._engine.call_at(deadline_ms, self._run)

    def _send(self, request: Request) -> None:
        task = asyncio.ensure_future(self._ask(request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ask(self, request: Request) -> None:
        answer: Message | KafkaError
        try:
            answer = await self._engine.ask(
                self._coordinator if request.target == "coordinator" else ANY,
                request.message,
                request.answer,
                timeout_ms=request.timeout_ms,
                at_least=request.at_least,
                lane=Lane.MAIN if request.overtakes else None,
            )
        except KafkaException as exception:
            answer = exception.args[0]
        if not self._is_closed:
            self._core.answered(
                request.tag, answer, self._engine.now_ms(), self._engine.randomness()
            )
            self._run()

    # Telling

    def _tell(self, event: Event) -> None:
        listener = self._listener
        if isinstance(event, Assign):
            listener.on_assign(event.partitions, event.is_incremental)
        elif isinstance(event, Revoke):
            listener.on_revoke(event.partitions, event.is_incremental)
        elif isinstance(event, Lost):
            listener.on_lost(event.partitions)
        elif isinstance(event, Failed):
            listener.on_membership_error(event.error, event.topic)
        elif isinstance(event, Fatal):
            listener.on_membership_error(event.error, None)
        elif isinstance(event, Joined):
            listener.on_joined(event.metadata)
            # What changed while the group was busy counts from now on.
            self._core.metadata_changed(self._engine.cluster, self._engine.now_ms())
        elif isinstance(event, Left):
            self._left.set()
        elif isinstance(event, CoordinatorUnknown):
            self._engine.forget_coordinator(self._coordinator)
        else:
            self._want(event)

    def _want(self, wanted: WantTopics) -> None:
        for topic in sorted(wanted.topics - self._wanted):
            self._engine.want(topic)
        for topic in sorted(self._wanted - wanted.topics):
            self._engine.release(topic)
        self._wanted = wanted.topics
        if wanted.all_topics != self._wants_all:
            self._wants_all = wanted.all_topics
            self._engine.want_all(wanted.all_topics)


def _new_member_id(entropy: Entropy | None) -> str:
    """A UUID as Kafka writes it: URL-safe base64 without padding."""
    made = (entropy or SystemEntropy()).uuid()
    return base64.urlsafe_b64encode(made.bytes).decode().rstrip("=")
