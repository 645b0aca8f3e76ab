"""What a sync share consumer has on its engine's thread."""

from __future__ import annotations

from ottla.client.configuration.objects import ShareConsumerConfiguration
from ottla.client.engine.engine import Engine
from ottla.client.engine.sharing import Sharing
from ottla.client.engine.sharing_inbox import SharingInbox
from ottla.client.engine.thread import EngineThread
from ottla.client.sync.callbacks import CallbackQueue


class SharingEngine:
    """Makes it. Nothing here keeps the consumer alive: one that nobody uses any more ends.

    Args:
        configuration: of the consumer.
        callbacks: what waits for the application.
    """

    def __init__(self, configuration: ShareConsumerConfiguration, callbacks: CallbackQueue) -> None:
        self._configuration = configuration
        self._callbacks = callbacks
        self.inbox = SharingInbox(configuration, notify=callbacks.notify, call_user=callbacks.put)
        self.thread = EngineThread(self._make_engine, configuration.client_id)

    def _make_engine(self) -> Engine:
        engine = Engine(self._configuration, "consumer", call_user=self._callbacks.put)
        self.sharing = Sharing(engine, self._configuration, self.inbox)
        return engine
