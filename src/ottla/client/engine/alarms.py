"""Telling the user what is wrong with the whole client: ``error_cb``, or the log."""

from __future__ import annotations

from ottla.client.core.targets import Lane
from ottla.client.engine.link import Link
from ottla.client.engine.links import Links
from ottla.client.engine.log import ERROR
from ottla.client.engine.runtime import Runtime
from ottla.client.errors import KafkaError

# The same error of the same broker is told this often at most.
_REPEAT_AFTER_MS = 30_000.0


class Alarms:
    """Passes failures of connections on, with a word when all brokers are down."""

    def __init__(self, runtime: Runtime, links: Links) -> None:
        self._runtime = runtime
        self._links = links
        self._told: dict[int, tuple[int, float]] = {}
        self._is_all_down = False
        links.alarm_listeners.append(self._link_failed)
        links.listeners.append(self._link_changed)

    def report(self, error: KafkaError) -> None:
        """Tell ``error_cb`` of an error; without one, write it to the log."""
        callback = self._runtime.configuration.error_cb
        if callback is not None:
            self._runtime.tell_user(callback, error)
        else:
            self._runtime.log.write(ERROR, error.name(), error.str())

    def _link_changed(self, broker_id: int, lane: Lane, error: KafkaError | None) -> None:
        if error is None:
            self._is_all_down = False
            self._told.pop(broker_id, None)

    def _link_failed(self, link: Link, error: KafkaError) -> None:
        now_ms = self._runtime.now_ms()
        code, told_ms = self._told.get(link.broker_id, (0, 0.0))
        # Each login that fails counts: what an account lets itself be told is limited as well.
        is_login = error.code() == KafkaError._AUTHENTICATION
        if is_login or code != error.code() or now_ms >= told_ms + _REPEAT_AFTER_MS:
            self._told[link.broker_id] = error.code(), now_ms
            self.report(error)
        if not self._is_all_down and self._links.none_reachable():
            self._is_all_down = True
            count = self._links.candidate_count
            text = f"{count}/{count} brokers are down"
            self.report(KafkaError(KafkaError._ALL_BROKERS_DOWN, text))
