"""What members of both group protocols do alike: ask, hand over, keep to the poll interval."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from ottla.client.core.backoff import Backoff
from ottla.client.core.membership.assignors.values import Partition
from ottla.client.core.membership.membership import (
    Assign,
    CoordinatorUnknown,
    Event,
    Failed,
    Fatal,
    Left,
    Lost,
    Request,
    Revoke,
    Subscription,
    Target,
)
from ottla.client.core.membership.settings import MembershipSettings
from ottla.client.core.membership.subscribed_topics import SubscribedTopics
from ottla.client.errors import KafkaError
from ottla.wire.declare import Message

# What takes the answer to a request: the answer, when the question left, the time, a random number.
OnAnswer = Callable[[Any, float, float, float], None]


class _Asked(NamedTuple):
    on_answer: OnAnswer
    asked_ms: float


class Member:
    """A consumer in a group, of either protocol; see ``Membership`` for what is public.

    What the subclass adds is how it gets in, stays in and is told its assignment.
    """

    def __init__(self, settings: MembershipSettings) -> None:
        self.settings = settings
        self.awaits_poll = False
        self._subscription: Subscription | None = None
        self._topics = SubscribedTopics(Subscription())
        self._owned: set[Partition] = set()
        # The event that the application is busy with, and whether what is owned is lost.
        self._handing_over: Assign | Revoke | Lost | None = None
        self._is_lost = False
        # It was told of a fatal error: there is no way back.
        self._is_dead = False
        self._is_leaving = False
        self._leaves_for_good = False
        self._events: list[Event] = []
        self._outbox: list[Request] = []
        self._asked: dict[int, _Asked] = {}
        self._last_tag = 0
        self._last_poll_ms = 0.0
        self._backoff = Backoff(settings.retry_backoff_ms, settings.retry_backoff_max_ms)
        self._last_failure: int | None = None

    # What the application wants

    @property
    def assignment(self) -> frozenset[Partition]:
        """What the group gave the consumer, until it has given it up."""
        return frozenset(self._owned)

    @property
    def is_lost(self) -> bool:
        """Whether the event that waits for ``applied`` is about partitions that are lost."""
        return self._is_lost

    def subscribe(self, subscription: Subscription, now_ms: float) -> None:
        """Join the group, or say there that something else is wanted now."""
        if self._is_dead:
            return
        if self._subscription is None:
            self._last_poll_ms = now_ms
            self.awaits_poll = False
        self._is_leaving = False
        self._subscription = subscription
        self._topics = SubscribedTopics(subscription, excluded=self.settings.excluded_topics)
        self._subscribed(now_ms)

    def unsubscribe(self, now_ms: float) -> None:
        """Give up everything and leave the group, static members too."""
        self._leave(is_for_good=True)

    def close(self, now_ms: float) -> None:
        """Give up everything, and leave the group unless the member is static (KIP-345)."""
        self._leave(is_for_good=self.settings.group_instance_id is None)

    def _leave(self, *, is_for_good: bool) -> None:
        if self._subscription is None and not self._is_leaving:
            self._events.append(Left())
            return
        self._leaves_for_good = is_for_good or (self._is_leaving and self._leaves_for_good)
        self._is_leaving = True
        self._subscription = None
        self._topics = SubscribedTopics(Subscription())

    def polled(self, now_ms: float) -> None:
        """The application polled then; infinity for one that is polling at the moment."""
        self._last_poll_ms = now_ms
        self.awaits_poll = False

    def applied(self, now_ms: float) -> None:
        """The consumer and its application have done what the last event asked for."""
        event, self._handing_over = self._handing_over, None
        if event is None:
            return
        if not isinstance(event, Assign):
            self._owned.difference_update(event.partitions)
        if not self._owned:
            self._is_lost = False
        if self._is_lost:
            self._hand_over(Lost(tuple(sorted(self._owned))))
        else:
            self._applied(event, now_ms)

    # For the subclass to say

    def _subscribed(self, now_ms: float) -> None:
        """The subscription is another one."""
        raise NotImplementedError

    def _applied(self, event: Assign | Revoke | Lost, now_ms: float) -> None:
        """The application is done with an event; nothing is left to hand over."""
        raise NotImplementedError

    def _expelled(self) -> None:
        """The coordinator counts on this member no more; only the member id may be of use."""
        raise NotImplementedError

    # Handing over

    def _hand_over(self, event: Assign | Revoke | Lost) -> None:
        assert self._handing_over is None
        self._handing_over = event
        if isinstance(event, Assign):
            self._owned.update(event.partitions)
        self._events.append(event)

    def _lose(self) -> None:
        """Others may own from now on what this member owned."""
        self._expelled()
        if not self._owned:
            return
        self._is_lost = True
        if self._handing_over is None:
            self._hand_over(Lost(tuple(sorted(self._owned))))

    # Asking

    def events(self) -> list[Event]:
        """What happened since the last call, in order."""
        events, self._events = self._events, []
        return events

    def answered(
        self, tag: int, answer: Message | KafkaError, now_ms: float, randomness: float
    ) -> None:
        """A request was answered, or failed on its way."""
        asked = self._asked.pop(tag, None)
        if asked is not None:
            asked.on_answer(answer, asked.asked_ms, now_ms, randomness)

    def _ask(
        self,
        message: Message | Callable[[int], Message],
        answer: type[Message],
        on_answer: OnAnswer,
        now_ms: float,
        *,
        timeout_ms: float | None = None,
        target: Target = "coordinator",
        overtakes: bool = False,
        at_least: int = 0,
    ) -> int:
        self._last_tag += 1
        self._asked[self._last_tag] = _Asked(on_answer, now_ms)
        limit_ms = self.settings.request_timeout_ms if timeout_ms is None else timeout_ms
        self._outbox.append(
            Request(self._last_tag, target, message, answer, limit_ms, at_least, overtakes)
        )
        return self._last_tag

    def _take_outbox(self) -> list[Request]:
        requests, self._outbox = self._outbox, []
        return requests

    def _retry_later(
        self, now_ms: float, randomness: float, *, first_at_once: bool = False
    ) -> None:
        """Something failed: wait a little longer every time."""
        self._backoff.failed(now_ms, randomness)
        if first_at_once and self._backoff.failures == 1:
            self._backoff.ready_at_ms = now_ms

    def _succeeded(self) -> None:
        self._backoff.succeeded()
        self._last_failure = None

    def _lost_coordinator(self, now_ms: float, randomness: float) -> None:
        self._events.append(CoordinatorUnknown())
        self._retry_later(now_ms, randomness)

    # Telling the application

    def _report(self, error: KafkaError) -> None:
        """Tell of a failure, once in a row of the same ones."""
        if self._last_failure != error.code():
            self._last_failure = error.code()
            self._events.append(Failed(error))

    def _die(self, code: int, text: str) -> None:
        """There is no way on for this consumer."""
        if self._is_dead:
            return
        self._is_dead = True
        self._subscription = None
        self._topics = SubscribedTopics(Subscription())
        self._events.append(Fatal(KafkaError(code, text, fatal=True)))
        self._lose()

    # The poll interval

    def _poll_deadline_ms(self) -> float | None:
        if self._subscription is None or self.awaits_poll or self._last_poll_ms == math.inf:
            return None
        return self._last_poll_ms + self.settings.max_poll_interval_ms

    def _is_poll_overdue(self, now_ms: float) -> bool:
        deadline_ms = self._poll_deadline_ms()
        return deadline_ms is not None and now_ms > deadline_ms

    def _report_missing_poll(self, now_ms: float) -> None:
        limit_ms = self.settings.max_poll_interval_ms
        exceeded_ms = int(now_ms - self._last_poll_ms) - limit_ms
        self.awaits_poll = True
        self._events.append(
            Failed(
                KafkaError(
                    KafkaError._MAX_POLL_EXCEEDED,
                    f"Application maximum poll interval ({limit_ms}ms) exceeded by {exceeded_ms}ms",
                )
            )
        )
