"""Keeping the view of the cluster fresh: asks what the core says is to be asked."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Callable

from ottla.client.configuration.objects import Configuration
from ottla.client.core.cluster import NO_LEADER, Changes, ClusterView
from ottla.client.core.metadata_refresh import MetadataRefresh, Query, RefreshSettings
from ottla.client.engine.link import Link
from ottla.client.engine.links import Links
from ottla.client.engine.log import NOTICE
from ottla.client.engine.requests import call, decode
from ottla.client.engine.runtime import Runtime
from ottla.client.errors import KafkaError, KafkaException
from ottla.wire.api.k03_metadata import (
    ListedBroker,
    MetadataRequest,
    MetadataResponse,
    TopicToDescribe,
)
from ottla.wire.errors import ErrorCode

_METADATA = 3
# The first version in which an empty list of topics means none.
_OLDEST_VERSION = 1
_MAX_PORT = 65535


class MetadataKeeper:
    """Refreshes the view, and begins anew with the bootstrap servers when all else fails.

    Attributes:
        view: the cluster.
        listeners: called after every answer.
        is_fresh: whether any answer has come yet.
    """

    def __init__(
        self, runtime: Runtime, links: Links, view: ClusterView, *, creates_topics: bool
    ) -> None:
        self.view = view
        self.listeners: list[Callable[[Changes], None]] = []
        self.is_fresh = False
        self._runtime = runtime
        self._links = links
        self._creates_topics = creates_topics
        configuration = runtime.configuration
        self._refresh = MetadataRefresh(_settings(configuration))
        self._ignored = [re.compile(each) for each in configuration.topic_blacklist or ()]
        self._users: Counter[str] = Counter()
        self._timer: asyncio.TimerHandle | None = None
        self._soon: asyncio.Handle | None = None
        self._updated: asyncio.Future[None] | None = None
        self._is_closed = False
        links.alarm_listeners.append(self._broker_lost)

    # Who wants to know what

    def want(self, topic: str) -> None:
        """Somebody (one more) uses the topic."""
        self._users[topic] += 1
        self._refresh.want(topic)
        self.plan_soon()

    def release(self, topic: str) -> None:
        """One of those who used the topic does not any more."""
        self._users[topic] -= 1
        if self._users[topic] <= 0:
            del self._users[topic]
            self._refresh.release(topic)
            self.view.forget_topic(topic)

    def want_all(self, wants_all: bool) -> None:
        """Whether somebody wants to know all topics."""
        self._refresh.want_all(wants_all)
        self.plan_soon()

    def request(self) -> None:
        """What is known is out of date."""
        self._refresh.request()
        self.plan_soon()

    def _broker_lost(self, link: Link, _: KafkaError) -> None:
        # What it led is led by others as soon as the cluster misses it.
        if link.broker_id in self.view.brokers and not self._is_closed:
            self.request()

    def is_given_up(self, topic: str) -> bool:
        """Whether the topic has been missing for too long."""
        return self._refresh.is_given_up(topic, self._runtime.now_ms())

    def next_update(self) -> asyncio.Future[None]:
        """Done after the next answer; fails with why there is none."""
        if self._updated is None or self._updated.done():
            self._updated = self._runtime.loop.create_future()
            self._updated.add_done_callback(_retrieve)
        return self._updated

    def close(self) -> None:
        """Ask no more."""
        self._is_closed = True
        for handle in (self._timer, self._soon):
            if handle is not None:
                handle.cancel()
        self._settle(KafkaError(KafkaError._DESTROY))

    # When to ask

    def plan_soon(self) -> None:
        """Look whether something is to be asked, once for all that happens in this round."""
        if self._soon is None and not self._is_closed:
            self._soon = self._runtime.loop.call_soon(self._plan)

    def _plan(self) -> None:
        self._soon = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._is_closed:
            return
        query = self._refresh.plan(self._runtime.now_ms())
        if query is not None:
            self._runtime.spawn(self._ask(query), "refresh metadata")
            return
        deadline_ms = self._refresh.next_deadline_ms()
        if deadline_ms is not None:
            self._timer = self._runtime.call_at(deadline_ms, self._plan)

    # How it is asked

    async def _ask(self, query: Query) -> None:
        runtime = self._runtime
        try:
            async with asyncio.timeout(runtime.configuration.socket_timeout_ms / 1000):
                link = await self._links.any_ready(gives_up=True)
                response = await self._fetch(link, query)
        except (KafkaException, TimeoutError) as failure:
            error = (
                failure.args[0]
                if isinstance(failure, KafkaException)
                else KafkaError(KafkaError._TIMED_OUT, "no broker answered a Metadata request")
            )
            self._failed(error)
        else:
            self._answered(query, response)
        self.plan_soon()

    async def _fetch(self, link: Link, query: Query) -> MetadataResponse:
        assert link.versions is not None
        version = link.versions.choose(_METADATA, at_least=_OLDEST_VERSION)
        request = MetadataRequest(
            topics=_named(query.topics),
            allow_auto_topic_creation=self._creates_topics,
        )
        timeout_ms = self._runtime.configuration.socket_timeout_ms
        body = await call(link.send, _METADATA, version, [request.encode(version)], timeout_ms)
        return decode(MetadataResponse, body, version, link.name)

    def _failed(self, error: KafkaError) -> None:
        runtime = self._runtime
        runtime.log.debug("metadata", "METADATA", f"Metadata request failed: {error.str()}")
        can_ask_any = not self._links.none_reachable()
        self._refresh.failed(runtime.now_ms(), runtime.randomness())
        self._consider_rebootstrap(can_ask_any=can_ask_any)
        self._settle(error)

    def _consider_rebootstrap(self, *, can_ask_any: bool, is_told: bool = False) -> None:
        if not self.view.brokers or not self._refresh.should_rebootstrap(
            self._runtime.now_ms(), can_ask_any=can_ask_any, is_told=is_told
        ):
            return
        text = "No known broker can be reached: begin again with the bootstrap servers"
        self._runtime.log.write(NOTICE, "REBOOTSTRAP", text)
        self.view.forget_brokers()
        self._refresh.rebootstrapped()

    def _answered(self, query: Query, response: MetadataResponse) -> None:
        runtime = self._runtime
        if response.error_code == ErrorCode.REBOOTSTRAP_REQUIRED:
            self._refresh.failed(runtime.now_ms(), runtime.randomness())
            self._consider_rebootstrap(can_ask_any=True, is_told=True)
            return
        if response.error_code != ErrorCode.NONE or not response.brokers:
            code = response.error_code or KafkaError._TRANSPORT
            self._failed(KafkaError(code, "a broker answered, but named no brokers"))
            return
        response.brokers = [each for each in response.brokers if _can_be_asked(each)]
        if self._ignored:
            response.topics = [each for each in response.topics if not self._ignores(each.name)]
        changes = self.view.update(response, is_complete=query.topics is None)
        self._drop_unwanted(query)
        found = frozenset(each.name for each in response.topics if each.name and each.partitions)
        self._refresh.answered(
            runtime.now_ms(),
            runtime.randomness(),
            found=found,
            unsettled=any(_is_unsettled(response)),
        )
        self.is_fresh = True
        self._links.metadata_changed()
        for listener in self.listeners:
            listener(changes)
        self._settle(None)

    def _ignores(self, topic: str | None) -> bool:
        return topic is not None and any(each.search(topic) for each in self._ignored)

    def _drop_unwanted(self, query: Query) -> None:
        """Topics that were released while the question was under way."""
        if query.topics is not None:
            for topic in query.topics:
                if topic not in self._users:
                    self.view.forget_topic(topic)

    def _settle(self, error: KafkaError | None) -> None:
        updated, self._updated = self._updated, None
        if updated is None or updated.done():
            return
        if error is None:
            updated.set_result(None)
        else:
            updated.set_exception(KafkaException(error))


def _settings(configuration: Configuration) -> RefreshSettings:
    rebootstraps = configuration.metadata_recovery_strategy == "rebootstrap"
    return RefreshSettings(
        refresh_interval_ms=configuration.topic_metadata_refresh_interval_ms,
        retry_backoff_ms=configuration.retry_backoff_ms,
        retry_backoff_max_ms=configuration.retry_backoff_max_ms,
        propagation_max_ms=configuration.topic_metadata_propagation_max_ms,
        rebootstrap_trigger_ms=(
            configuration.metadata_recovery_rebootstrap_trigger_ms if rebootstraps else None
        ),
    )


def _can_be_asked(broker: ListedBroker) -> bool:
    # Ids below 0 are our own, for bootstrap servers.
    return broker.node_id >= 0 and bool(broker.host) and 0 < broker.port <= _MAX_PORT


def _named(topics: frozenset[str] | None) -> list[TopicToDescribe] | None:
    return None if topics is None else [TopicToDescribe(name=name) for name in sorted(topics)]


def _is_unsettled(response: MetadataResponse) -> list[bool]:
    """Whether a broker could not tell yet, or a partition is between two leaders."""
    return [
        each.error_code == ErrorCode.LEADER_NOT_AVAILABLE
        or any(partition.leader_id == NO_LEADER for partition in each.partitions)
        for each in response.topics
    ]


def _retrieve(future: asyncio.Future[None]) -> None:
    """An outcome that nobody waits for any more is no mistake."""
    if not future.cancelled():
        future.exception()
