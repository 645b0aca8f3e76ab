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
from typing import TYPE_CHECKING, Protocol, cast

from ottla.broker import part_sending
from ottla.broker.part_sending import COLD, FULL, SENT

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
        # Headers go without MSG_MORE: pages that follow a header in one packet make the kernel
        # split packets, which doubles what a reply of several slices costs.
        self._index, self._done_bytes, outcome = part_sending.active(
            self._socket.fileno(), self._parts, self._index, self._done_bytes, self._is_warm
        )
        self._is_warm = False
        if outcome == SENT:
            return True
        if outcome == FULL:
            self._await_room()
            return False
        part = self._parts[self._index]
        if outcome == COLD:
            self._warm_then_continue(cast("FileSlice", part))
            return False
        if -outcome in _DISK_ERRORS and not isinstance(part, bytes):
            part.failed(OSError(-outcome, os.strerror(-outcome)))
        # Otherwise the peer is gone: the transport reports it as connection_lost.
        self._transport.abort()
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


def _read_through(part: FileSlice) -> None:
    """Read a slice and keep nothing of it, so that the page cache has it."""
    descriptor = part.fileno()
    if descriptor is None:
        raise OSError("the slice's file was closed")
    piece = bytearray(min(part.size_bytes, _WARMING_PIECE_BYTES))
    end = part.position + part.size_bytes
    for position in range(part.position, end, len(piece)):
        os.preadv(descriptor, [piece], position)
