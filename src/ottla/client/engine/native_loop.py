"""An event loop whose thread gets the GIL at once though the application is busy.

asyncio's own loop, on a native selector and with sockets that are read and written natively; see
``_native_io``. For the sync clients, whose engine has a thread of its own.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias, cast

Buffer: TypeAlias = bytes | bytearray | memoryview

# How often in a row one socket is read before the others get their turn.
_MOST_READS = 16


def native_io() -> Any:
    """The native module, None where it was not built or the system has no epoll."""
    from ottla.client import backend

    if backend.NAME != "native":
        return None
    try:
        from ottla.client import _native_io
    except ImportError:
        return None
    return _native_io if _native_io.HAS_SELECTOR else None


class NativeLoop(asyncio.SelectorEventLoop):
    """Runs on a ``NativeSelector``, which other threads wake without giving up the GIL."""

    def __init__(self, io: Any) -> None:
        self.io = io
        self._native_selector = io.NativeSelector()
        self.wake_fd: int = self._native_selector.wake_fd
        super().__init__(cast(Any, self._native_selector))

    def on_wake(self, callback: Callable[[], object]) -> None:
        """Have ``callback()`` called after every wake-up."""
        self.add_reader(self.wake_fd, callback)

    def wake(self) -> None:
        """Have the loop look around; from any thread."""
        self._native_selector.wake()

    # How asyncio ends the wait of a loop when another thread has something for it.
    def _write_to_self(self) -> None:
        self._native_selector.wake()


class SocketTransport(asyncio.Transport):
    """A connected TCP socket, for buffered protocols on a :class:`NativeLoop`.

    Buffers are written as they are, without being joined.
    """

    # TLS can be begun over it.
    _start_tls_compatible = True

    def __init__(
        self, loop: NativeLoop, connected: socket.socket, protocol: asyncio.BaseProtocol
    ) -> None:
        super().__init__({"socket": connected, "peername": connected.getpeername()})
        self._loop = loop
        self._receive, self._send = loop.io.receive, loop.io.send
        self._socket = connected
        self._fd = connected.fileno()
        self.set_protocol(protocol)
        self._backlog: deque[Buffer] = deque()
        self._backlog_bytes = 0
        self._is_closing = False
        self._is_reading = True
        self._is_paused = False
        self.set_write_buffer_limits()
        self._protocol.connection_made(self)
        loop.add_reader(self._fd, self._readable)

    # Reading

    def _readable(self) -> None:
        try:
            for _ in range(_MOST_READS):
                buffer = self._protocol.get_buffer(-1)
                count = self._receive(self._fd, cast(bytearray, buffer), self._wake_fd)
                if count < 0:
                    return
                if count == 0:
                    self._at_end()
                    return
                self._protocol.buffer_updated(count)
                # What did not fill the buffer was all there is.
                if count < len(cast(bytearray, buffer)) or not self.is_reading():
                    return
        except OSError as error:
            self._break_off(error)

    def _at_end(self) -> None:
        if not self._protocol.eof_received():
            self._break_off(None)

    def is_reading(self) -> bool:
        return self._is_reading and not self._is_closing

    def pause_reading(self) -> None:
        if self.is_reading():
            self._is_reading = False
            self._loop.remove_reader(self._fd)

    def resume_reading(self) -> None:
        if not self._is_closing and not self._is_reading:
            self._is_reading = True
            self._loop.add_reader(self._fd, self._readable)

    # Writing

    def write(self, data: Buffer) -> None:
        self.writelines((data,))

    def writelines(self, list_of_data: Iterable[Buffer]) -> None:
        if self._is_closing:
            return
        buffers = list(list_of_data)
        if self._backlog:
            self._defer(buffers)
            return
        left = self._send_some(buffers)
        if left and not self._is_closing:
            self._loop.add_writer(self._fd, self._writable)
            self._defer(left)

    def _send_some(self, buffers: list[Buffer]) -> list[Buffer]:
        """Send as much as goes; what is left."""
        while buffers:
            try:
                count = self._send(self._fd, buffers)
            except OSError as error:
                self._break_off(error)
                return []
            if count < 0:
                break
            buffers = _after(buffers, count)
        return buffers

    def _defer(self, buffers: list[Buffer]) -> None:
        self._backlog.extend(buffers)
        self._backlog_bytes += sum(map(len, buffers))
        if not self._is_paused and self._backlog_bytes > self._high_water:
            self._is_paused = True
            self._protocol.pause_writing()

    def _writable(self) -> None:
        left = self._send_some(list(self._backlog))
        self._backlog = deque(left)
        self._backlog_bytes = sum(map(len, left))
        if self._is_paused and self._backlog_bytes <= self._low_water:
            self._is_paused = False
            self._protocol.resume_writing()
        if not self._backlog and self._fd >= 0:
            self._loop.remove_writer(self._fd)
            if self._is_closing:
                self._break_off(None)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high_water = 65536 if high is None else high
        self._low_water = self._high_water // 4 if low is None else low

    def get_write_buffer_size(self) -> int:
        return self._backlog_bytes

    def can_write_eof(self) -> bool:
        return False

    # Closing

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = cast(asyncio.BufferedProtocol, protocol)
        # Who just has room for much (TLS) must not wait for more.
        fills_buffers = getattr(protocol, "fills_buffers", False)
        self._wake_fd = self._loop.wake_fd if fills_buffers else -1

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol

    def is_closing(self) -> bool:
        return self._is_closing

    def close(self) -> None:
        if self._is_closing:
            return
        self._is_closing = True
        self._loop.remove_reader(self._fd)
        if not self._backlog:
            self._break_off(None)

    def abort(self) -> None:
        self._break_off(None)

    # What asyncio's TLS calls when it has failed.
    def _force_close(self, error: Exception | None) -> None:
        self._break_off(error)

    def _break_off(self, error: Exception | None) -> None:
        if self._fd < 0:
            return
        self._is_closing = True
        self._loop.remove_reader(self._fd)
        self._loop.remove_writer(self._fd)
        self._fd = -1
        self._backlog.clear()
        self._backlog_bytes = 0
        self._loop.call_soon(self._end, error)

    def _end(self, error: Exception | None) -> None:
        try:
            self._protocol.connection_lost(error)
        finally:
            self._socket.close()


def _after(buffers: list[Buffer], count: int) -> list[Buffer]:
    """What is left of buffers when so many bytes were sent."""
    for index, buffer in enumerate(buffers):
        if count < len(buffer):
            return [memoryview(buffer)[count:] if count else buffer, *buffers[index + 1 :]]
        count -= len(buffer)
    return []
