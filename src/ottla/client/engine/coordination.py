"""Finding coordinators: questions of one round of the loop go out together."""

from __future__ import annotations

import asyncio

from ottla.client.core.backoff import Backoff
from ottla.client.core.coordinators import CoordinatorCache, Found
from ottla.client.core.targets import Coordinator
from ottla.client.engine.failures import printable
from ottla.client.engine.links import Links
from ottla.client.engine.requests import call, decode, encode
from ottla.client.engine.runtime import Runtime
from ottla.client.errors import KafkaError, KafkaException, describe
from ottla.ports.net import Address
from ottla.wire.api.k10_find_coordinator import FindCoordinatorResponse
from ottla.wire.errors import ErrorCode

_FIND_COORDINATOR = 10
_Outcome = Found | KafkaError
# What no further question would change.
_FINAL = frozenset({KafkaError._DESTROY, KafkaError._UNSUPPORTED_FEATURE})


class Coordinators:
    """Finds and remembers coordinators."""

    def __init__(self, runtime: Runtime, links: Links) -> None:
        self._runtime = runtime
        self._links = links
        self._cache = CoordinatorCache()
        self._waiters: dict[Coordinator, asyncio.Future[_Outcome]] = {}
        self._soon: asyncio.Handle | None = None

    def forget(self, key: Coordinator) -> None:
        """The broker says that it is not, or can't be, the coordinator."""
        self._cache.forget(key)

    async def find(self, key: Coordinator, deadline_ms: float) -> int:
        """The broker that coordinates a key; asked for again and again while that may help.

        Raises:
            KafkaException: ``_TIMED_OUT``, or the error that no further question would change.
        """
        configuration = self._runtime.configuration
        backoff = Backoff(configuration.retry_backoff_ms, configuration.retry_backoff_max_ms)
        while True:
            known = self._cache.lookup(key)
            if known is not None:
                return known
            outcome = await self._ask(key)
            if isinstance(outcome, Found) and outcome.error_code == ErrorCode.NONE:
                return outcome.broker_id
            reason = _reason(outcome)
            if isinstance(outcome, Found):
                if not outcome.is_passing:
                    raise KafkaException(KafkaError(outcome.error_code, reason))
            elif outcome.code() in _FINAL:
                raise KafkaException(outcome)
            now_ms = self._runtime.now_ms()
            backoff.failed(now_ms, self._runtime.randomness())
            if backoff.ready_at_ms >= deadline_ms:
                text = f"Timed out waiting for coordinator: {reason}"
                raise KafkaException(KafkaError(KafkaError._TIMED_OUT, text))
            await asyncio.sleep((backoff.ready_at_ms - now_ms) / 1000)

    async def _ask(self, key: Coordinator) -> _Outcome:
        """Ask once, with whatever else is asked for in this round."""
        waiter = self._waiters.get(key)
        if waiter is None:
            waiter = self._waiters[key] = self._runtime.loop.create_future()
            self._cache.want(key)
            if self._soon is None:
                self._soon = self._runtime.loop.call_soon(self._begin)
        # Others may wait for the same answer.
        return await asyncio.shield(waiter)

    def _begin(self) -> None:
        self._soon = None
        self._runtime.spawn(self._ask_all(), "find coordinators")

    async def _ask_all(self) -> None:
        asked = list(self._waiters)
        try:
            async with asyncio.timeout(self._runtime.configuration.socket_timeout_ms / 1000):
                link = await self._links.any_ready()
                assert link.versions is not None
                version = link.versions.choose(_FIND_COORDINATOR)
                plan = self._cache.plan(version)
                asked = [key for _, keys in plan for key in keys]
                for request, keys in plan:
                    body = await call(
                        link.send,
                        _FIND_COORDINATOR,
                        version,
                        [encode(request, version)],
                        self._runtime.configuration.socket_timeout_ms,
                    )
                    self._answered(
                        keys, decode(FindCoordinatorResponse, body, version, link.name), version
                    )
        except KafkaException as exception:
            self._fail(asked, exception.args[0])
        except TimeoutError:
            self._fail(asked, KafkaError(KafkaError._TIMED_OUT))

    def _answered(
        self, keys: list[Coordinator], answer: FindCoordinatorResponse, version: int
    ) -> None:
        for found in self._cache.answered(keys, answer, version):
            if found.error_code == ErrorCode.NONE:
                self._links.tell_address(found.broker_id, Address(found.host, found.port))
            self._settle(found.key, found)

    def _fail(self, keys: list[Coordinator], error: KafkaError) -> None:
        for key in keys:
            self._settle(key, error)

    def _settle(self, key: Coordinator, outcome: _Outcome) -> None:
        waiter = self._waiters.pop(key, None)
        if waiter is not None and not waiter.done():
            waiter.set_result(outcome)


def _reason(outcome: _Outcome) -> str:
    if isinstance(outcome, KafkaError):
        return outcome.str()
    return printable(outcome.error_message) or describe(outcome.error_code)
