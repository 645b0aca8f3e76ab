"""A client's way to the broker: it connects again and again, and gives up waiting for answers."""

from __future__ import annotations

import asyncio
from typing import Any

from ottla.testing.simulation.client import SimulatedClient
from ottla.testing.simulation.world import Client
from ottla.wire.declare import Message
from ottla.wire.errors import ErrorCode

REQUEST_TIMEOUT_S = 3.0
_BACKOFF_S = (0.01, 0.1)


class Unanswered(Exception):  # noqa: N818 - says what happened
    """No answer came: nobody knows whether the request was carried out."""


class Refused(Exception):  # noqa: N818 - says what happened
    """The broker answered with an error that no retry will change."""

    def __init__(self, what: str, code: int) -> None:
        super().__init__(f"{what}: {ErrorCode(code).name}")
        self.code = ErrorCode(code)


class Link:
    """One connection at a time; requests are answered in order."""

    def __init__(self, client: Client, *, timeout_s: float = REQUEST_TIMEOUT_S) -> None:
        self.client = client
        self._timeout_s = timeout_s
        self._connection: SimulatedClient | None = None
        self._connecting: asyncio.Task[SimulatedClient] | None = None

    async def ask(self, request: Message, version: int) -> Any:
        """Send a request and wait for its response.

        Raises:
            Unanswered: the connection broke, or time ran out (then it is closed).
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                connection = self._connection or await self._connect()
                return await connection.ask(request, version)
        except (OSError, TimeoutError) as error:
            self.close()
            raise Unanswered(f"{type(request).__name__}: {type(error).__name__}") from None

    async def _connect(self) -> SimulatedClient:
        # Requests that come together share the connection, in the order they came.
        if self._connecting is None or self._connecting.done():
            opening = SimulatedClient.connect(self.client.net, self.client.broker)
            self._connecting = asyncio.ensure_future(opening)
        self._connection = await asyncio.shield(self._connecting)
        return self._connection

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    async def back_off(self) -> None:
        """Wait before trying again."""
        await self.client.pause(*_BACKOFF_S)


def is_retriable(code: int) -> bool:
    """Whether the same request may succeed later."""
    return ErrorCode(code).retriable
