"""When sockets take bytes again.

Event loops make a watcher for each wait and throw it away, which costs several system calls; a
reply of some size waits a few times. Here a socket stays known, and a wait is one call.
"""

from __future__ import annotations

import asyncio
import logging
import select
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

_logger = logging.getLogger(__name__)

if TYPE_CHECKING:
    _Poll = select.epoll


class SocketRoom:
    """The sockets of one event loop that wait for room in their send buffers.

    Where the system has no ``epoll`` the event loop watches them itself.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._poll: _Poll | None = None
        self._known: set[int] = set()
        self._waiting: dict[int, Callable[[], None]] = {}

    def wait(self, connection: socket.socket, tell: Callable[[], None]) -> None:
        """Call ``tell`` once, when the socket takes bytes or has failed."""
        descriptor = connection.fileno()
        self._waiting[descriptor] = tell
        if not _HAS_EPOLL:
            self._loop.add_writer(descriptor, self._tell, descriptor)
            return
        if self._poll is None:
            self._poll = select.epoll()
            self._loop.add_reader(self._poll.fileno(), self._tell_ready)
        if descriptor in self._known:
            self._poll.modify(descriptor, _ONCE_WRITABLE)
        else:
            self._poll.register(descriptor, _ONCE_WRITABLE)
            self._known.add(descriptor)

    def forget(self, connection: socket.socket) -> None:
        """The socket is about to be closed; whoever waits for it is told nothing any more."""
        descriptor = connection.fileno()
        if self._waiting.pop(descriptor, None) is not None and not _HAS_EPOLL:
            self._loop.remove_writer(descriptor)
        if self._poll is not None and descriptor in self._known:
            self._known.remove(descriptor)
            self._poll.unregister(descriptor)

    def close(self) -> None:
        """Watch nothing any more."""
        if not _HAS_EPOLL:
            for descriptor in self._waiting:
                self._loop.remove_writer(descriptor)
        if self._poll is not None:
            self._loop.remove_reader(self._poll.fileno())
            self._poll.close()
            self._poll = None
        self._known.clear()
        self._waiting.clear()

    def _tell_ready(self) -> None:
        assert self._poll is not None
        for descriptor, _ in self._poll.poll(0):
            self._tell(descriptor)

    def _tell(self, descriptor: int) -> None:
        tell = self._waiting.pop(descriptor, None)
        if tell is None:
            # Forgotten on behalf of a socket that was ready at the same time.
            return
        if not _HAS_EPOLL:
            self._loop.remove_writer(descriptor)
        try:
            tell()
        except Exception:
            # The others are told only once, too.
            _logger.exception("sending on a connection failed")


_HAS_EPOLL = hasattr(select, "epoll")
_ONCE_WRITABLE = select.EPOLLOUT | select.EPOLLONESHOT if _HAS_EPOLL else 0
