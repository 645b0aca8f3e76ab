"""What a sync consumer has on its engine's thread."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ottla.client.configuration.objects import ConsumerConfiguration
from ottla.client.engine.consumer_calls import ConsumerCalls
from ottla.client.engine.consuming import Consuming
from ottla.client.engine.consuming_group import Rebalance
from ottla.client.engine.engine import Engine
from ottla.client.engine.inbox import Inbox
from ottla.client.engine.thread import EngineThread
from ottla.client.sync.callbacks import CallbackQueue

if TYPE_CHECKING:
    from ottla.client.sync.consumer import Consumer


class ConsumerEngine:
    """Makes it. Nothing here keeps the consumer alive: one that nobody uses any more ends.

    Args:
        configuration: of the consumer.
        callbacks: what waits for the application.
        consumer: refers to the consumer.
    """

    def __init__(
        self,
        configuration: ConsumerConfiguration,
        callbacks: CallbackQueue,
        consumer: weakref.ref[Consumer],
    ) -> None:
        self._configuration = configuration
        self.inbox = Inbox(
            consumer,
            notify=callbacks.notify,
            call_engine=self._call,
            call_user=callbacks.put,
            rebalance=lambda event: callbacks.put(_serve_rebalance, consumer, event),
        )
        self.thread = EngineThread(self._make_engine, configuration.client_id)
        # What was fetched before the fork is the parent's: the child's next poll is to say so.
        self.thread.on_fork(self.inbox.look_again)

    def _make_engine(self) -> Engine:
        engine = Engine(self._configuration, "consumer", call_user=self.inbox.call_user)
        self.consuming = self.inbox.consuming = Consuming(engine, self._configuration, self.inbox)
        self.calls = ConsumerCalls(self.consuming)
        return engine

    def _call(self, callback: Callable[..., object], *given: Any) -> None:
        self.thread.call(callback, *given)


def _serve_rebalance(reference: weakref.ref[Consumer], event: Rebalance) -> None:
    consumer = reference()
    if consumer is not None:
        consumer._serve_rebalance(event)
