"""The consumer as a member of its group: what the group decides reaches the application."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from ottla.client.core.membership.membership import GroupMetadata
from ottla.client.engine.membership import GroupMember
from ottla.client.errors import KafkaError, KafkaException, describe

if TYPE_CHECKING:
    from ottla.client.core.membership.assignors.values import Partition
    from ottla.client.engine.consuming import Consuming

# How often to look whether the application polls, as a part of max.poll.interval.ms.
_LOOKS_PER_INTERVAL = 20
_MAX_LOOK_INTERVAL_MS = 1_000.0


class Rebalance(NamedTuple):
    """A change of the assignment that the application has to hear of, and carry out."""

    kind: Literal["assign", "revoke", "lost"]
    partitions: tuple[Partition, ...]
    is_incremental: bool


class ConsumingGroup:
    """Stands between the membership and the consumer; a consumer that only assigns has none."""

    def __init__(self, consuming: Consuming) -> None:
        self._consuming = consuming
        self._metadata = GroupMetadata(consuming.configuration.group_id or "")
        self.member: GroupMember | None = None
        self.subscription: tuple[str, ...] = ()

    @property
    def metadata(self) -> GroupMetadata:
        """Who the consumer is for its group. Any thread may ask."""
        return self._metadata if self.member is None else self.member.metadata

    @property
    def is_lost(self) -> bool:
        """Whether the partitions of the last rebalance were lost, not revoked. Any thread."""
        return self.member is not None and self.member.is_lost

    def subscribe(self, names: Iterable[str]) -> None:
        """Join the group for these topics, instead of those before.

        Raises:
            KafkaException: ``_INVALID_ARG``: a pattern makes no sense.
        """
        names = tuple(names)
        if self.member is None:
            engine = self._consuming.engine
            self.member = GroupMember(
                engine, self._consuming.configuration, self, entropy=engine.entropy
            )
            self._look_at_polls()
        self.member.subscribe(names)
        self.subscription = names

    def unsubscribe(self) -> None:
        """Leave the group."""
        self.subscription = ()
        if self.member is not None:
            self.member.unsubscribe()

    def callback_for(
        self, event: Rebalance, callbacks: Mapping[str, Callable[..., Any]]
    ) -> Callable[..., Any] | None:
        """Which of the callbacks of ``subscribe`` has to hear of a rebalance. Any thread."""
        # A revocation that the application hears late may have become a loss meanwhile.
        if self._consuming.fatal_error is not None:
            return None
        is_lost = event.kind == "lost" or (event.kind == "revoke" and self.is_lost)
        names = ("on_lost", "on_revoke") if is_lost else (f"on_{event.kind}",)
        return next((callbacks[name] for name in names if name in callbacks), None)

    def check_protocol(self, *, is_incremental: bool) -> None:
        """Whether the application may change its assignment in this way.

        Raises:
            KafkaException: ``_STATE``: its group rebalances in the other way.
        """
        protocol = "NONE" if self.member is None else self.member.rebalance_protocol
        if protocol == ("EAGER" if is_incremental else "COOPERATIVE"):
            names = "incremental_assign() or incremental_unassign()"
            text = (
                "Changes to the current assignment must be made using "
                f"{'assign()' if is_incremental else names} when rebalance protocol type is "
                f"{protocol}"
            )
            raise KafkaException(KafkaError(KafkaError._STATE, text))

    async def rebalanced(self, event: Rebalance) -> None:
        """The application's callbacks have run, and the assignment is what it should be."""
        self._consuming.statistics.rebalanced(f"{event.kind} of {len(event.partitions)} partitions")
        if event.kind == "revoke":
            await self._consuming.unless_unreachable(self._consuming.offsets.settled())
        if self.member is not None:
            self.member.applied()

    def commit_failed(self, error_code: int, sent_as: GroupMetadata) -> None:
        """A commit was refused because of the membership."""
        if self.member is not None:
            self.member.commit_failed(error_code, sent_as)

    async def close(self, timeout_ms: float) -> None:
        """Leave the group; the application goes on serving rebalances meanwhile."""
        if self.member is not None:
            await self.member.close(timeout_ms)

    # max.poll.interval.ms

    def _look_at_polls(self) -> None:
        consuming, member = self._consuming, self.member
        if consuming.is_closed or member is None:
            return
        engine = consuming.engine
        if consuming.application.take_polled():
            member.last_poll_ms = engine.now_ms()
            if member.awaits_poll:
                member.polled()
        interval_ms = consuming.configuration.max_poll_interval_ms / _LOOKS_PER_INTERVAL
        engine.call_at(
            engine.now_ms() + min(interval_ms, _MAX_LOOK_INTERVAL_MS), self._look_at_polls
        )

    # MembershipListener

    def on_assign(self, partitions: tuple[Partition, ...], is_incremental: bool) -> None:
        """The group gives partitions to the consumer."""
        self._consuming.application.rebalance(Rebalance("assign", partitions, is_incremental))

    def on_revoke(self, partitions: tuple[Partition, ...], is_incremental: bool) -> None:
        """The group takes partitions away."""
        self._stop_fetching(partitions)
        self._consuming.application.rebalance(Rebalance("revoke", partitions, is_incremental))

    def on_lost(self, partitions: tuple[Partition, ...]) -> None:
        """The group has given the partitions to others already."""
        self._stop_fetching(partitions)
        self._consuming.application.rebalance(Rebalance("lost", partitions, False))

    def _stop_fetching(self, partitions: Iterable[Partition]) -> None:
        for key in partitions:
            partition = self._consuming.assignment.get(key)
            if partition is not None:
                partition.is_revoked = True

    def on_membership_error(self, error: KafkaError, topic: str | None) -> None:
        """Something the application should hear from ``poll``."""
        if error.fatal():
            self._consuming.fatal_error = error
            text = f"Fatal error: {describe(error.code())}: {error.str()}"
            error = KafkaError(KafkaError._FATAL, text)
        self._consuming.application.fail(error, topic)

    def on_joined(self, metadata: GroupMetadata) -> None:
        """Commits go out under another generation now; they ask for it when they are sent."""
