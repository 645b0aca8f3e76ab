"""Which broker coordinates what, and which of that is to be asked (FindCoordinator, KIP-699)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ottla.client.core.targets import Coordinator, KeyType
from ottla.wire.api.k10_find_coordinator import FindCoordinatorRequest, FindCoordinatorResponse
from ottla.wire.errors import ErrorCode

_MAX_PORT = 65535
# From this version on one request asks for many keys of one type.
_BATCHED_FROM = 4
# What passes: the topic of the coordinators is being made, or its partition moves.
_PASSING = frozenset(
    {
        ErrorCode.COORDINATOR_NOT_AVAILABLE,
        ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
        ErrorCode.NOT_COORDINATOR,
        ErrorCode.REQUEST_TIMED_OUT,
        ErrorCode.NETWORK_EXCEPTION,
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode.LEADER_NOT_AVAILABLE,
        ErrorCode.BROKER_NOT_AVAILABLE,
    }
)


class Found(NamedTuple):
    """The answer about one key; an error code other than 0 says why there is no broker."""

    key: Coordinator
    broker_id: int
    host: str
    port: int
    error_code: int = 0
    error_message: str | None = None

    @property
    def is_passing(self) -> bool:
        """Whether it makes sense to ask again after a while."""
        return self.error_code in _PASSING


class CoordinatorCache:
    """The coordinators that are known, and the keys that somebody waits for."""

    __slots__ = ("_brokers", "_wanted")

    def __init__(self) -> None:
        self._brokers: dict[Coordinator, int] = {}
        self._wanted: dict[Coordinator, None] = {}

    def lookup(self, key: Coordinator) -> int | None:
        """The broker that coordinates it, as far as is known."""
        return self._brokers.get(key)

    def want(self, key: Coordinator) -> None:
        """Ask for it with the next requests, unless it is known."""
        if key not in self._brokers:
            self._wanted[key] = None

    def forget(self, key: Coordinator) -> None:
        """It is no longer where it was."""
        self._brokers.pop(key, None)

    def forget_broker(self, broker_id: int) -> None:
        """Nothing is taken to be on this broker any more."""
        self._brokers = {key: each for key, each in self._brokers.items() if each != broker_id}

    def plan(self, version: int) -> list[tuple[FindCoordinatorRequest, list[Coordinator]]]:
        """The requests that ask for everything wanted; it then counts as asked.

        Args:
            version: of FindCoordinator, at which the broker is asked.
        """
        wanted, self._wanted = list(self._wanted), {}
        if version < _BATCHED_FROM:
            return [
                (FindCoordinatorRequest(key=key.key, key_type=key.key_type), [key])
                for key in wanted
            ]
        by_type: dict[KeyType, list[Coordinator]] = {}
        for key in wanted:
            by_type.setdefault(key.key_type, []).append(key)
        return [
            (
                FindCoordinatorRequest(key_type=key_type, coordinator_keys=[k.key for k in keys]),
                keys,
            )
            for key_type, keys in by_type.items()
        ]

    def answered(
        self, keys: Iterable[Coordinator], response: FindCoordinatorResponse, version: int
    ) -> list[Found]:
        """Take over an answer: what it says of each key that was asked for."""
        found = [_checked(each) for each in _by_key(list(keys), response, version)]
        for each in found:
            if each.error_code == ErrorCode.NONE:
                self._brokers[each.key] = each.broker_id
        return found


def _checked(found: Found) -> Found:
    """What names no broker is no answer, though it has no error either."""
    is_somewhere = found.broker_id >= 0 and bool(found.host) and 0 < found.port <= _MAX_PORT
    if found.error_code == ErrorCode.NONE and not is_somewhere:
        return found._replace(error_code=ErrorCode.COORDINATOR_NOT_AVAILABLE)
    return found


def _by_key(
    keys: list[Coordinator], response: FindCoordinatorResponse, version: int
) -> list[Found]:
    if version < _BATCHED_FROM:
        return [
            Found(
                key,
                response.node_id,
                response.host,
                response.port,
                response.error_code,
                response.error_message,
            )
            for key in keys
        ]
    by_name = {each.key: each for each in response.coordinators}
    found = []
    for key in keys:
        each = by_name.get(key.key)
        if each is None:
            # The broker left it out: as if it could not tell.
            missing = ErrorCode.COORDINATOR_NOT_AVAILABLE
            found.append(Found(key, -1, "", -1, missing, "the answer does not mention it"))
            continue
        found.append(
            Found(key, each.node_id, each.host, each.port, each.error_code, each.error_message)
        )
    return found
