"""The shortest way from a fetched partition to the application."""

from __future__ import annotations

from typing import Any

from ottla.client._reference_cursor import MessageCursor
from ottla.client._reference_message import Message


class ConsumerBase:
    """What every consumer has that hands out messages one by one.

    As long as there is a cursor with messages and nothing else has happened, ``poll`` takes the
    next message from it and does nothing else; anything more is ``_poll``'s, the subclass's.

    Attributes:
        _cursor: what is being read, None for nothing.
        _has_news: whether ``_poll`` must look at what happened before another message is handed
            out. Any thread may set it.
        _has_polled: whether ``poll`` was called since somebody cleared this.
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
