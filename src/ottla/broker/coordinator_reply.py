"""The answer to a command, for clients that wait for it without a task of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from ottla.wire.errors import ProtocolError


class CoordinatorReply:
    """The token of a command, as much of a future as a shard's runtime needs.

    Most commands are answered before `submit` returns. One that is not makes a pending answer of
    its token, see ``dispatch.Pending``: it is handed over in a turn of the event loop of its own,
    because the next request of that connection must not be decided in the middle of this decision.

    Args:
        refused: makes the response of an error.
    """

    __slots__ = ("_refused", "_response", "_send")

    def __init__(self, refused: Callable[[ProtocolError], Any]) -> None:
        self._refused = refused
        self._response: Any = None
        self._send: Callable[[Any], None] | None = None

    @property
    def response(self) -> Any:
        """``None`` until it is there."""
        return self._response

    def done(self) -> bool:
        """Whether the response is there."""
        return self._response is not None

    def set_result(self, response: Any) -> None:
        """The command has been answered."""
        self._response = response
        if self._send is not None:
            asyncio.get_running_loop().call_soon(self._send, response)

    def set_exception(self, error: ProtocolError) -> None:
        """What was decided could not be made durable."""
        self.set_result(self._refused(error))

    def then(self, send: Callable[[Any], None]) -> None:
        """Hand the response to ``send`` when it is there."""
        self._send = send
        if self.done():
            send(self._response)

    def abandon(self) -> None:
        """The client has gone; its command goes its way all the same."""
