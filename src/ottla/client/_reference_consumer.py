"""The shortest way from a fetched partition to the application."""

from __future__ import annotations

from typing import Any

from ottla.client._reference_cursor import MessageCursor
from ottla.client._reference_message import Message

_MOST_CONSUMED = 1_000_000


class ConsumerBase:
    """What every consumer has that hands out messages.

    As long as there is a cursor with messages and nothing else has happened, ``poll`` takes the
    next message from it and does nothing else, and so does ``consume``; anything more is
    ``_poll``'s and ``_consume``'s, the subclass's.

    Attributes:
        _cursor: what is being read, None for nothing.
        _has_news: whether ``_poll`` must look at what happened before another message is handed
            out. Any thread may set it.
        _has_polled: whether ``poll`` or ``consume`` was called since somebody cleared this.
    """

    _cursor: MessageCursor | None

    def __init__(self) -> None:
        self._cursor = None
        self._has_news = False
        self._has_polled = False

    def poll(self, timeout: float = -1) -> Message[Any, Any] | None:
        """The next message, or what happened instead of it: see ``Message.error()``.

        Callbacks run within this call.

        Args:
            timeout: how long to wait for it, in seconds; -1 for as long as it takes.

        Returns:
            None when the time was over.
        """
        if self._cursor is not None and not self._has_news and timeout is not None:
            message = self._cursor.next()
            if message is not None:
                self._has_polled = True
                return message
        return self._poll(timeout)

    def _poll(self, timeout: float) -> Message[Any, Any] | None:
        raise NotImplementedError

    def consume(self, num_messages: int = 1, timeout: float = -1) -> list[Message[Any, Any]]:
        """As many messages as there are until the time is over, ``num_messages`` at most.

        Errors are among them, see ``Message.error()``. Callbacks run within this call.

        Args:
            num_messages: how many at most; 0 returns at once.
            timeout: how long to wait for all of them, in seconds; -1 for as long as it takes.

        Raises:
            ValueError: ``num_messages`` is negative or more than a million.
        """
        messages: list[Message[Any, Any]] = []
        if (
            self._cursor is not None
            and not self._has_news
            and type(num_messages) is int
            and 0 < num_messages <= _MOST_CONSUMED
            and type(timeout) in (float, int)
        ):
            messages = self._cursor.take(num_messages)
            if len(messages) == num_messages:
                self._has_polled = True
                return messages
        return self._consume(num_messages, timeout, messages)

    def _consume(
        self, num_messages: int, timeout: float, messages: list[Message[Any, Any]]
    ) -> list[Message[Any, Any]]:
        """Go on with ``messages``, which were taken already."""
        raise NotImplementedError
