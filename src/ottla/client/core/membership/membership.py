"""Membership of a consumer in its group: the port that both group protocols stand behind.

``ClassicMembership`` speaks JoinGroup and its companions, ``ConsumerMembership`` KIP-848. Both are
sans-IO: ``plan(now_ms)`` says what to ask, ``answered(...)`` takes what came back, ``events()``
hands out what the consumer must hear, ``next_deadline_ms()`` says when to plan again.

**Handing over.** ``Assign``, ``Revoke`` and ``Lost`` are for the application too, whose callbacks
run when it polls. So after each of them the membership waits: until ``applied(now_ms)`` it keeps
its place in the group but takes no further step, and there is no second event of this kind. An
eager ``Assign`` is the whole assignment and an eager ``Revoke`` everything; the incremental ones
say what comes and what goes.

**The shell.** ``GroupMember`` of ``engine/membership.py`` moves all that between a membership and
the engine. The consumer drives it, and is a ``MembershipListener``::

    GroupMember(engine, configuration, listener)    # on the engine's loop, as all its methods
    subscribe(names) / unsubscribe()                # names that begin with ^ are patterns
    applied()                                       # the last on_assign / _revoke / _lost is done
    polled()                                        # only needed while `awaits_poll`
    last_poll_ms                                    # any thread sets it: infinity while it polls,
                                                    # the engine's time when that is over
    commit_failed(error_code, sent_as)              # of OffsetCommit, and the metadata it said
    metadata, assignment, rebalance_protocol, is_lost, awaits_poll   # as below; any thread reads
    await close(timeout_ms)                         # on_revoke is still told and waited for
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple, Protocol

from ottla.client.core.cluster import ClusterView
from ottla.client.core.membership.assignors.values import Partition
from ottla.client.core.membership.patterns import compile_pattern
from ottla.client.errors import KafkaError
from ottla.wire.declare import Message

# What requests are sent to: the group's coordinator, or any broker.
Target = Literal["coordinator", "any"]
RebalanceProtocol = Literal["NONE", "EAGER", "COOPERATIVE"]
# The generation or epoch of who is in no group.
NO_GENERATION = -1


class Subscription(NamedTuple):
    """What a consumer wants to read: topics by name, and all topics that match a pattern."""

    topics: frozenset[str] = frozenset()
    patterns: tuple[str, ...] = ()

    @classmethod
    def of(cls, names: Iterable[str]) -> Subscription:
        """From what ``subscribe`` is given: a name that begins with ``^`` is a pattern.

        Raises:
            KafkaException: ``_INVALID_ARG``: a pattern makes no sense.
        """
        listed = tuple(dict.fromkeys(names))
        patterns = tuple(name for name in listed if name.startswith("^"))
        for pattern in patterns:
            compile_pattern(pattern)
        return cls(frozenset(name for name in listed if not name.startswith("^")), patterns)


class GroupMetadata(NamedTuple):
    """Who a consumer is for its group, as commits and transactions have to say it.

    ``generation_id`` is the generation of the classic protocol or the member epoch of KIP-848.
    """

    group_id: str
    generation_id: int = NO_GENERATION
    member_id: str = ""
    group_instance_id: str | None = None


class Request(NamedTuple):
    """Something to ask.

    Attributes:
        tag: to be given back with the answer.
        target: whom to ask.
        message: the request, or what makes it for the version that is spoken with the broker.
        answer: the class of the answer.
        timeout_ms: how long to wait for it.
        at_least: the oldest version that can say it.
        overtakes: it must not wait for the answers to earlier requests.
    """

    tag: int
    target: Target
    message: Message | Callable[[int], Message]
    answer: type[Message]
    timeout_ms: float
    at_least: int = 0
    overtakes: bool = False


class Assign(NamedTuple):
    """These partitions are the consumer's: all it has, or if incremental, what it gets to boot."""

    partitions: tuple[Partition, ...]
    is_incremental: bool


class Revoke(NamedTuple):
    """These partitions are about to go to others: commit, and stop reading them."""

    partitions: tuple[Partition, ...]
    is_incremental: bool


class Lost(NamedTuple):
    """These partitions, all the consumer had, are gone: others may read them, commits will fail."""

    partitions: tuple[Partition, ...]


class Failed(NamedTuple):
    """Something the application should hear, as an error from ``poll``. Tries go on.

    ``topic`` names the topic that an error is about, if it is about one.
    """

    error: KafkaError
    topic: str | None = None


class Fatal(NamedTuple):
    """The consumer can't go on, such as when another one took its ``group.instance.id``."""

    error: KafkaError


class Joined(NamedTuple):
    """The consumer is in the group, in a new generation or epoch."""

    metadata: GroupMetadata


class Left(NamedTuple):
    """The consumer left the group as it wanted: the coordinator knows, or can't be told."""


class CoordinatorUnknown(NamedTuple):
    """Who was asked is not the group's coordinator, or can't be reached: find it again."""


class WantTopics(NamedTuple):
    """Keep the metadata of these topics fresh, and only of these, or of all topics."""

    topics: frozenset[str]
    all_topics: bool = False


Event = Assign | Revoke | Lost | Failed | Fatal | Joined | Left | CoordinatorUnknown | WantTopics


class Membership(Protocol):
    """A consumer's membership in its group, whatever protocol it speaks."""

    @property
    def metadata(self) -> GroupMetadata:
        """Who the consumer is for its group at the moment."""

    @property
    def rebalance_protocol(self) -> RebalanceProtocol:
        """Whether partitions change hands all at once or one by one; ``NONE`` while unknown."""

    @property
    def assignment(self) -> frozenset[Partition]:
        """What the group gave the consumer, until it has given it up."""

    @property
    def is_lost(self) -> bool:
        """Whether the event that waits for ``applied`` is about partitions that are lost.

        A ``Revoke`` that the application hears late may have become a loss meanwhile.
        """

    @property
    def awaits_poll(self) -> bool:
        """Whether it left the group for ``max.poll.interval.ms`` and waits for ``polled``."""

    def subscribe(self, subscription: Subscription, now_ms: float) -> None:
        """Join the group, or say there that something else is wanted now."""

    def unsubscribe(self, now_ms: float) -> None:
        """Give up everything and leave the group, static members too; ``Left`` says it is done."""

    def close(self, now_ms: float) -> None:
        """Give up everything, and leave the group unless the member is static (KIP-345)."""

    def polled(self, now_ms: float) -> None:
        """The application polled then (``max.poll.interval.ms``), or is polling (infinity)."""

    def applied(self, now_ms: float) -> None:
        """The consumer and its application have done what the last event asked for."""

    def metadata_changed(self, cluster: ClusterView, now_ms: float) -> None:
        """The view of the cluster was refreshed."""

    def commit_failed(self, error_code: int, sent_as: GroupMetadata, now_ms: float) -> None:
        """OffsetCommit was refused; some errors tell that the membership is not what it was.

        Args:
            error_code: the broker's code.
            sent_as: who the consumer was when it asked: what is out of date is ignored.
            now_ms: the time.
        """

    def plan(self, now_ms: float) -> list[Request]:
        """What to ask now. Each request counts as asked, once."""

    def answered(
        self, tag: int, answer: Message | KafkaError, now_ms: float, randomness: float
    ) -> None:
        """A request was answered, or failed on its way.

        Args:
            tag: of the request.
            answer: the response, or why there is none.
            now_ms: the time.
            randomness: from 0 up to 1, for the wait before the next try.
        """

    def events(self) -> list[Event]:
        """What happened since the last call, in order."""

    def next_deadline_ms(self) -> float | None:
        """When to call ``plan`` again, None for not before something happens."""


class MembershipListener(Protocol):
    """What ``GroupMember`` tells the consumer, on the engine's loop.

    Partitions whose revocation or loss is told must not be fetched any more from then on, and
    nothing fetched of them handed out after the application's callback. When the application's
    callback has run (and offsets are committed, for ``on_revoke``), the consumer calls
    ``GroupMember.applied()``, within the call or any time later, once for each of the first three.
    """

    def on_assign(self, partitions: tuple[Partition, ...], is_incremental: bool) -> None:
        """See :class:`Assign`. May be empty."""

    def on_revoke(self, partitions: tuple[Partition, ...], is_incremental: bool) -> None:
        """See :class:`Revoke`. ``GroupMember.is_lost`` tells whether it has become a loss since."""

    def on_lost(self, partitions: tuple[Partition, ...]) -> None:
        """See :class:`Lost`."""

    def on_membership_error(self, error: KafkaError, topic: str | None) -> None:
        """See :class:`Failed`; if the error is fatal, see :class:`Fatal`."""

    def on_joined(self, metadata: GroupMetadata) -> None:
        """See :class:`Joined`: commits go out under this name from now on."""
