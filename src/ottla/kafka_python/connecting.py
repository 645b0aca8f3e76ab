"""Constructors that wait for a broker, as kafka-python's do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

from ottla.client.errors import KafkaException
from ottla.kafka_python.errors import KafkaTimeoutError

_DEFAULT_TIMEOUT_MS = 30_000


class _Client(Protocol):
    def wait_connected(self, timeout: float) -> None: ...

    def close(self) -> Any: ...


_AnyClient = TypeVar("_AnyClient", bound=_Client)


def connected(
    make: Callable[[dict[str, Any]], _AnyClient],
    properties: dict[str, Any],
    settings: Mapping[str, Any],
) -> _AnyClient:
    """Make a client and wait until it has reached a broker.

    Raises:
        KafkaTimeoutError: none could be reached within ``bootstrap_timeout_ms``.
    """
    client = make(properties)
    timeout_ms = settings.get("bootstrap_timeout_ms") or _DEFAULT_TIMEOUT_MS
    try:
        client.wait_connected(timeout_ms / 1000)
    except KafkaException as exception:
        client.close()
        servers = properties["bootstrap.servers"]
        reason = exception.args[0].str()
        raise KafkaTimeoutError(f"Unable to bootstrap from {servers}: {reason}") from exception
    except BaseException:
        client.close()
        raise
    return client
