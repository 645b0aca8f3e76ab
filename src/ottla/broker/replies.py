"""Sending replies: plain bytes through the transport, slices of log files with ``sendfile``.

A fetch reply is a few header bytes and, between them, slices of segment files. Where the transport
is a plain socket with nothing unsent, large slices go from the page cache to the socket without
entering this process; otherwise (small slices, TLS, simulation, no descriptor) they are read.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ottla.broker.socket_room import SocketRoom


class FileSlice(Protocol):
    """A run of bytes in a log file."""

    size_bytes: int
    position: int

    def fileno(self) -> int | None: ...

    def read(self) -> bytes: ...

    def failed(self, error: OSError) -> Exception:
        """Take note that the disk failed while the slice was sent."""
        ...


Parts = Sequence[bytes | FileSlice]

# Below this a read and one write are cheaper than a sendfile of its own.
SENDFILE_BYTES = 32 * 1024
# How much of one reply may be read into memory, however many small slices it has: a client that
# never reads its replies keeps that much of it.
MAX_JOINED_BYTES = 256 * 1024
# Replies above this many unsent bytes stop the reading of further requests.
UNSENT_HIGH_BYTES = 1024 * 1024
UNSENT_LOW_BYTES = 256 * 1024
_WARMING_PIECE_BYTES = 1024 * 1024
# What Linux reads from a disk at once: neighbours within it are cached together.
_READ_AHEAD_BYTES = 128 * 1024
_PROBE = (bytearray(1),)


def contains_file_slice(parts: Parts) -> bool:
    """Whether any part is to be sent by ``sendfile``."""
    return any(not isinstance(part, bytes) and part.fileno() is not None for part in parts)


def join(parts: Parts) -> bytes:
    """All parts as one run of bytes, slices read from their files."""
    if len(parts) == 1 and isinstance(parts[0], bytes):
        return parts[0]
    return b"".join([part if isinstance(part, bytes) else part.read() for part in parts])


class FileSender:
    """Sends replies that hold file slices over one connection, one reply at a time.

    It writes to a duplicate of the transport's descriptor (event loops keep the original to
    themselves), and only while the transport itself has nothing unsent, so that bytes never
    overtake each other.
    """

    __slots__ = (
        "_done_bytes",
        "_index",
        "_is_warm",
        "_on_idle",
        "_parts",
        "_room",
        "_socket",
        "_transport",
        "_waits_for_transport",
        "is_busy",
    )

    def __init__(
        self, transport: asyncio.Transport, room: SocketRoom, on_idle: Callable[[], None]
    ) -> None:
        self._transport = transport
        self._room = room
        self._on_idle = on_idle
        self._parts: Parts = ()
        self._index = 0
        self._done_bytes = 0
        self._socket = _duplicate_socket(transport)
        self._waits_for_transport = False
        self._is_warm = False
        self.is_busy = False

    def send(self, parts: Parts) -> None:
        """Start sending; ``is_busy`` until done, then ``on_idle`` is called unless it was at once.

        The caller sends nothing else meanwhile.
        """
        if self._socket is None:
            self._transport.write(join(parts))
            return
        self._parts, self._index, self._done_bytes = parts, 0, 0
        if self._transport.get_write_buffer_size():
            # The transport says when all of it has left: `drained` goes on.
            self.is_busy = self._waits_for_transport = True
            self._transport.set_write_buffer_limits(0)
            return
        if self._pump():
            self._parts = ()
            return
        self.is_busy = True

    def drained(self) -> None:
        """The transport has room again; all its bytes have left if a reply waits for that."""
        if self._waits_for_transport:
            self._waits_for_transport = False
            self._transport.set_write_buffer_limits(UNSENT_HIGH_BYTES, UNSENT_LOW_BYTES)
            self._continue()

    def close(self) -> None:
        """The connection is gone."""
        self._parts = ()
        self.is_busy = False
        if self._socket is not None:
            self._room.forget(self._socket)
            self._socket.close()
            self._socket = None

    def _pump(self) -> bool:
        """Send as much as the socket takes; whether everything has left."""
        assert self._socket is not None
        parts = self._parts
        while self._index < len(parts):
            part = parts[self._index]
            try:
                if isinstance(part, bytes):
                    is_part_sent = self._send_bytes(self._socket, part)
                else:
                    is_part_sent = self._send_slice(self._socket, part)
            except BlockingIOError:
                self._await_room()
                return False
            except OSError as error:
                if not isinstance(part, bytes) and error.errno in _DISK_ERRORS:
                    part.failed(error)
                # Otherwise the peer is gone: the transport reports it as connection_lost.
                self._transport.abort()
                return False
            if not is_part_sent:
                return False
            self._index += 1
            self._done_bytes = 0
            self._is_warm = False
        return True

    def _send_bytes(self, connection: socket.socket, part: bytes) -> bool:
        """Whether all of it has left; if not, the rest waits for room."""
        # Without MSG_MORE: pages that follow a header in one packet make the kernel split packets,
        # which doubles what a reply of several slices costs.
        rest = memoryview(part)[self._done_bytes :] if self._done_bytes else part
        sent = connection.send(rest)
        if sent == len(rest):
            return True
        self._done_bytes += sent
        self._await_room()
        return False

    def _send_slice(self, connection: socket.socket, part: FileSlice) -> bool:
        """Whether all of it has left; if not, the rest waits for room, or for the disk."""
        descriptor = part.fileno()
        if descriptor is None:
            raise OSError("the slice's file was closed")
        position = part.position + self._done_bytes
        left_bytes = part.size_bytes - self._done_bytes
        if not (self._done_bytes or self._is_warm or _is_cached(descriptor, position, left_bytes)):
            self._warm_then_continue(part)
            return False
        sent = os.sendfile(connection.fileno(), descriptor, position, left_bytes)
        if sent == left_bytes:
            return True
        if sent == 0:
            raise OSError("the slice's file ended early")
        self._done_bytes += sent
        # The socket is full: trying again at once would only say so.
        self._await_room()
        return False

    def _await_room(self) -> None:
        assert self._socket is not None
        self._room.wait(self._socket, self._continue)

    def _warm_then_continue(self, part: FileSlice) -> None:
        """Bring a slice back into the page cache, in a thread: a disk must not stop the loop."""
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(None, _read_through, part)

        def go_on(done: asyncio.Future[None]) -> None:
            if self._socket is None:
                return
            error = done.exception()
            if error is not None:
                if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
                    part.failed(error)
                self._transport.abort()
                return
            self._is_warm = True
            self._continue()

        future.add_done_callback(go_on)

    def _continue(self) -> None:
        if self._socket is None:
            return
        if self._pump():
            self._parts = ()
            self.is_busy = False
            self._on_idle()


# Linux: "structure needs cleaning".
_DAMAGED = getattr(errno, "EUCLEAN", errno.EIO)
# What a socket never reports, so that it is the file's disk.
_DISK_ERRORS = frozenset({errno.EIO, errno.ENXIO, errno.ENODEV, errno.ESTALE, _DAMAGED})


def _duplicate_socket(transport: asyncio.Transport) -> socket.socket | None:
    """A second descriptor of a plain TCP connection, or ``None`` where bytes must pass the
    transport (TLS, simulation, systems without ``sendfile``)."""
    original = transport.get_extra_info("socket")
    if original is None or transport.get_extra_info("sslcontext") or not hasattr(os, "sendfile"):
        return None
    try:
        duplicate = socket.socket(fileno=os.dup(original.fileno()))
    except OSError:
        # Too many open files: what is read into memory needs none.
        return None
    duplicate.setblocking(False)
    return duplicate


def _is_cached(descriptor: int, position: int, size_bytes: int) -> bool:
    """Whether a slice is in the page cache, so that sending it won't wait for a disk: judged by its
    last byte, and by its first where the two are far apart."""
    if _NO_WAIT is None:
        return True
    try:
        os.preadv(descriptor, _PROBE, position + size_bytes - 1, _NO_WAIT)
        if size_bytes > _READ_AHEAD_BYTES:
            os.preadv(descriptor, _PROBE, position, _NO_WAIT)
    except BlockingIOError:
        return False
    except OSError:
        # The file system does not know RWF_NOWAIT.
        return True
    return True


def _read_through(part: FileSlice) -> None:
    """Read a slice and keep nothing of it, so that the page cache has it."""
    descriptor = part.fileno()
    if descriptor is None:
        raise OSError("the slice's file was closed")
    piece = bytearray(min(part.size_bytes, _WARMING_PIECE_BYTES))
    end = part.position + part.size_bytes
    for position in range(part.position, end, len(piece)):
        os.preadv(descriptor, [piece], position)


_NO_WAIT: int | None = getattr(os, "RWF_NOWAIT", None)
